"""Nonuniform quantization of activations within a layer: equal-distance (ENQ) and k-means (KNQ).

Source: Sun, Lin, Wang, "Intra-Layer Nonuniform Quantization of Convolutional Neural Network".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import Format, Ints

MAX_Q_BITS = 32  #: widest activation before quantization
MAX_CODE_BITS = 12  #: largest T: a KNQ layer has a list of 2**T centroids


def _activations(x: ArrayLike) -> Ints:
    values = np.asarray(x)
    if values.size and not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"Activations must be stored integers, not {values.dtype.name!r}")
    values = values.astype(np.int64)
    if values.size and values.min() < 0:
        raise ValueError(f"Activations must be at least 0, not {values.min().item()!r}")
    return values


def _codes(code: ArrayLike, bits: int) -> Ints:
    values = np.asarray(code).astype(np.int64)
    if values.size and not (values.min() >= 0 and values.max() < 1 << bits):
        wrong = values.min() if values.min() < 0 else values.max()
        raise ValueError(f"Code must be 0 to {(1 << bits) - 1}, not {wrong.item()!r}")
    return values


def _check_q_bits(q_bits: int) -> None:
    if not 1 <= q_bits <= MAX_Q_BITS:
        raise ValueError(f"Activation width q_m must be 1 to {MAX_Q_BITS} bits, not {q_bits!r}")


@dataclass(frozen=True, kw_only=True)
class EnqSpec:
    """Equal-distance quantization: the ``bits`` highest of the ``q_bits`` bits of x.

    Parameters
    ----------
    q_bits
        Width q_m of an activation x, an integer from 0 to ``2**q_bits - 1``.
    bits
        E, bits of a code, 1 to ``q_bits``.

    Raises
    ------
    ValueError
        If a parameter is outside its range.
    """

    q_bits: int = 12
    bits: int = 5

    def __post_init__(self) -> None:
        _check_q_bits(self.q_bits)
        if not 1 <= self.bits <= self.q_bits:
            raise ValueError(f"Bits E of ENQ must be 1 to q_m = {self.q_bits}, not {self.bits!r}")

    @property
    def shift(self) -> int:
        """Bits dropped, ``q_m - E``."""
        return self.q_bits - self.bits

    @property
    def points(self) -> tuple[int, ...]:
        """What codes 0, 1, ... stand for."""
        return tuple(range(0, 1 << self.q_bits, 1 << self.shift))

    def quantize(self, x: ArrayLike) -> Ints:
        """``min(x >> (q_m - E), 2**E - 1)``: integers of at least 0 in, codes out, any shape."""
        return np.minimum(_activations(x) >> self.shift, (1 << self.bits) - 1)

    def reconstruct(self, code: ArrayLike) -> Ints:
        """``code << (q_m - E)``: codes of ``bits`` bits in, integers out, any shape."""
        return _codes(code, self.bits) << self.shift


@dataclass(frozen=True, kw_only=True)
class KnqSpec:
    """Quantization to centroids d_0 <= d_1 <= ...: the code of x is the last k with d_k <= x, 0 if there is none.

    Centroids may repeat, as those printed in the paper do: of equal ones only the last has a code that is ever
    given.  A centroid may lie one past the range, ``2**q_bits``, where rounding has put it: no x of ``q_bits`` bits
    reaches it, and its code stands for ``2**q_bits - 1``.  So code -> integer -> code is the identity for every
    code that some x has (:attr:`used`).

    Parameters
    ----------
    q_bits
        Width q_m of an activation x, an integer from 0 to ``2**q_bits - 1``.
    centroids
        ``2**T`` integers from 0 to ``2**q_bits`` that never decrease, T at least 1.

    Raises
    ------
    ValueError
        If a parameter is outside its range.
    """

    q_bits: int = 12
    centroids: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_q_bits(self.q_bits)
        count, top = len(self.centroids), 1 << self.q_bits
        if count < 2 or count & (count - 1) or count > 1 << min(MAX_CODE_BITS, self.q_bits):
            limit = 1 << min(MAX_CODE_BITS, self.q_bits)
            raise ValueError(f"Number of centroids must be a power of two from 2 to {limit}, not {count!r}")
        if wrong := [d for d in self.centroids if not 0 <= d <= top]:
            raise ValueError(f"Centroids of {self.q_bits}-bit activations must be 0 to {top}, not {wrong[0]!r}")
        for before, after in zip(self.centroids, self.centroids[1:], strict=False):
            if after < before:
                raise ValueError(f"Centroids must never decrease, not from {before!r} to {after!r}")

    @property
    def bits(self) -> int:
        """T, bits of a code."""
        return len(self.centroids).bit_length() - 1

    @property
    def points(self) -> tuple[int, ...]:
        """What codes 0, 1, ... stand for."""
        return tuple(min(d, (1 << self.q_bits) - 1) for d in self.centroids)

    @property
    def used(self) -> tuple[int, ...]:
        """The codes that some x of ``q_bits`` bits has."""
        return tuple(np.unique(self.quantize(np.array([0, *self.points]))).tolist())

    def quantize(self, x: ArrayLike) -> Ints:
        """The last k with ``d_k <= x``, else 0: integers of at least 0 in, codes out, any shape."""
        # Comparing an x above the range as the largest inside it keeps a centroid past the range out of reach.
        inside = np.minimum(_activations(x), (1 << self.q_bits) - 1)
        return np.maximum(np.searchsorted(np.array(self.centroids), inside, side="right") - 1, 0)

    def reconstruct(self, code: ArrayLike) -> Ints:
        """``d_code``: codes of ``bits`` bits in, integers of ``q_bits`` bits out, any shape."""
        return np.array(self.points)[_codes(code, self.bits)]


@dataclass(frozen=True, kw_only=True)
class LayersSpec:
    """What one hardware unit does for several layers, of which an index chooses one.

    Parameters
    ----------
    layers
        One for each layer, all ENQ or all KNQ, all of one ``q_bits``. Code bits may differ: codes have as many bits
        as the widest, the highest of them 0 in the others.

    Raises
    ------
    ValueError
        If there are no layers, or they do not fit together.
    """

    layers: tuple[EnqSpec, ...] | tuple[KnqSpec, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("Layers of a nonuniform quantizer must be at least 1, not 0")
        if len(kinds := {type(layer).__name__ for layer in self.layers}) > 1:
            raise ValueError(f"Layers of one unit must be all ENQ or all KNQ, not {' and '.join(sorted(kinds))}")
        if len(widths := {layer.q_bits for layer in self.layers}) > 1:
            raise ValueError(f"Activation width q_m of the layers of one unit must be one, not {sorted(widths)}")

    @property
    def q_bits(self) -> int:
        """Width of an activation."""
        return self.layers[0].q_bits

    @property
    def source(self) -> Format:
        """Format of an activation."""
        return Format(self.q_bits, signed=False)

    @property
    def code_bits(self) -> int:
        """Width of a code, that of the widest layer."""
        return max(layer.bits for layer in self.layers)

    @property
    def index_bits(self) -> int:
        """Width of the layer index; 0 of one layer."""
        return (len(self.layers) - 1).bit_length()

    def layer(self, index: int) -> EnqSpec | KnqSpec:
        """The layer ``index``, from 0. Raises ValueError if there is none."""
        if not 0 <= index < len(self.layers):
            raise ValueError(f"Layer index must be 0 to {len(self.layers) - 1}, not {index!r}")
        return self.layers[index]

    def taken_index(self, index: int) -> int:
        """The index of the layer that hardware takes for any index of ``index_bits`` bits.

        Of one beyond the last, a bit counts only if it leads to no layer beyond the last, the highest bit first: so
        the hardware need not look at it there.
        """
        taken = 0
        for place in reversed(range(self.index_bits)):
            if index >> place & 1 and taken + (1 << place) < len(self.layers):
                taken += 1 << place
        return taken

    @property
    def all_taken(self) -> tuple[EnqSpec | KnqSpec, ...]:
        """The layer taken for every index of ``index_bits`` bits, see :meth:`taken_index`."""
        return tuple(self.layers[self.taken_index(index)] for index in range(1 << self.index_bits))

    def quantize(self, index: int, x: ArrayLike) -> Ints:
        """Codes of activations of layer ``index``; any shape."""
        return self.layer(index).quantize(x)

    def reconstruct(self, index: int, code: ArrayLike) -> Ints:
        """Activations that codes of layer ``index`` stand for; any shape."""
        return self.layer(index).reconstruct(code)
