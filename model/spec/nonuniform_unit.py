"""The hardware units of nonuniform quantization as functions of their ports, for every value of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import Format, Ints
from model.spec.nonuniform import EnqSpec, KnqSpec, LayersSpec

MAX_X_BITS = 48  #: widest input that is saturated to q_m bits


@dataclass(frozen=True, kw_only=True)
class LayersQuantizerSpec:
    """Activation to code: QE of ENQ layers, QK of KNQ layers.

    Parameters
    ----------
    layers
        The layers, of which an index chooses one.
    x_bits
        Width of x, at least q_m; 0 for q_m. A wider x saturates at ``2**q_m - 1``.

    Raises
    ------
    ValueError
        If ``x_bits`` is outside its range.
    """

    layers: LayersSpec
    x_bits: int = 0

    def __post_init__(self) -> None:
        if self.x_bits and not self.layers.q_bits <= self.x_bits <= MAX_X_BITS:
            raise ValueError(
                f"Input width of a quantizer must be q_m = {self.layers.q_bits} to {MAX_X_BITS} bits, "
                f"not {self.x_bits!r}"
            )

    @property
    def source(self) -> Format:
        """Format of x."""
        return Format(self.x_bits or self.layers.q_bits, signed=False)

    @property
    def thresholds(self) -> tuple[tuple[int, ...], ...]:
        """For every index the smallest x of code 1, 2, ..., ``2**code_bits - 1`` of a KNQ layer.

        ``source.max + 1`` where no x has that code or a higher one.
        """
        top = 1 << self.layers.q_bits
        rows = (_padded(layer, self.layers) for layer in self.layers.all_taken)
        return tuple(tuple(self.source.max + 1 if d == top else d for d in row[1:]) for row in rows)

    @property
    def words(self) -> tuple[tuple[int, int, int], ...]:
        """What a writable table holds, as (layer, code, word): a centroid, or the shift of an ENQ layer at code 0."""
        rows = (
            (layer.shift,) if isinstance(layer, EnqSpec) else _padded(layer, self.layers)
            for layer in self.layers.layers
        )
        return _numbered(rows)

    def compute(self, x: ArrayLike, layer: ArrayLike = 0) -> Ints:
        """Golden function: integers of ``source`` and indices of ``index_bits`` bits in, codes out; any shape."""
        return _by_layer(self.layers, x, layer, lambda chosen, values: chosen.quantize(values))


@dataclass(frozen=True, kw_only=True)
class LayersReconstructSpec:
    """Code to activation: CE of ENQ layers, CK of KNQ layers. Bits of a code that its layer has not are ignored.

    Parameters
    ----------
    layers
        The layers, of which an index chooses one.
    """

    layers: LayersSpec

    @property
    def source(self) -> Format:
        """Format of a code."""
        return Format(self.layers.code_bits, signed=False)

    @property
    def tables(self) -> tuple[tuple[int, ...], ...]:
        """For every index what codes 0, 1, ..., ``2**code_bits - 1`` stand for."""
        return tuple(self._table(layer) for layer in self.layers.all_taken)

    @property
    def words(self) -> tuple[tuple[int, int, int], ...]:
        """What a writable table holds, as (layer, code, word): a point, or the shift of an ENQ layer at code 0."""
        return _numbered(
            (layer.shift,) if isinstance(layer, EnqSpec) else self._table(layer) for layer in self.layers.layers
        )

    def _table(self, layer: EnqSpec | KnqSpec) -> tuple[int, ...]:
        """Points of every code of the unit; a layer of fewer bits has them again and again."""
        return layer.points * (1 << self.layers.code_bits - layer.bits)

    def compute(self, code: ArrayLike, layer: ArrayLike = 0) -> Ints:
        """Golden function: codes and indices of ``index_bits`` bits in, activations of q_m bits out; any shape."""
        return _by_layer(
            self.layers, code, layer, lambda chosen, codes: chosen.reconstruct(codes & ((1 << chosen.bits) - 1))
        )


@dataclass(frozen=True, kw_only=True)
class RoundTripSpec:
    """Code to activation to code: the code itself, wherever some x has it.

    Parameters
    ----------
    layers
        The layers, of which an index chooses one.
    """

    layers: LayersSpec

    @property
    def source(self) -> Format:
        """Format of a code."""
        return Format(self.layers.code_bits, signed=False)

    def compute(self, code: ArrayLike, layer: ArrayLike = 0) -> Ints:
        """Golden function: the code; one that no x has goes through the functions of both units."""
        points = LayersReconstructSpec(layers=self.layers).compute(code, layer)
        again = LayersQuantizerSpec(layers=self.layers).compute(points, layer)

        def is_used(chosen: EnqSpec | KnqSpec, codes: Ints) -> Ints:
            return np.isin(codes, chosen.used if isinstance(chosen, KnqSpec) else range(1 << chosen.bits)).astype(int)

        return np.where(_by_layer(self.layers, code, layer, is_used), code, again)


def _by_layer(
    layers: LayersSpec, x: ArrayLike, index: ArrayLike, function: Callable[[EnqSpec | KnqSpec, Ints], Ints]
) -> Ints:
    """``function`` of each x and of the layer that its index takes; any shape."""
    values, indices = np.broadcast_arrays(np.asarray(x, np.int64), np.asarray(index))
    found = np.zeros(values.shape, np.int64)
    for number, chosen in enumerate(layers.all_taken):
        here = indices == number
        found[here] = function(chosen, values[here])
    return found


def _padded(layer: EnqSpec | KnqSpec, layers: LayersSpec) -> tuple[int, ...]:
    """The centroids of a KNQ layer; codes that only wider layers have are past the range."""
    assert isinstance(layer, KnqSpec)
    return layer.centroids + (1 << layers.q_bits,) * ((1 << layers.code_bits) - len(layer.centroids))


def _numbered(rows: Iterable[tuple[int, ...]]) -> tuple[tuple[int, int, int], ...]:
    return tuple((layer, code, word) for layer, row in enumerate(rows) for code, word in enumerate(row))
