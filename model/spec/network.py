"""The network: an LSTM, binarized in part or all of it, and a dense layer on its last or mean hidden state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from model.spec.fixed import Format, NarrowSpec, Overflow, Rounding
from model.spec.mlb import MlbSpec, Quantity
from model.spec.pointwise import ProductSpec, product_spec
from model.spec.product import MlbDotSpec
from model.spec.pwl import PwlSpec

GATES = ("i", "f", "g", "o")  #: the order of the gates everywhere, as in ``torch.nn.LSTM``

Weights = Mapping[str, NDArray[np.integer]]  #: code arrays by name; shapes in :meth:`NetworkSpec.weight_specs`

GateSpecs = tuple[Quantity, Quantity, Quantity, Quantity]  #: one a gate, in the order of ``GATES``

LARGEST_SUM = (1 << 61) - 1  #: size of a sum of products; :meth:`NetworkSpec.check_weights` sees to it where it must


def _sum_format(bound: int, frac: int) -> Format:
    """Format of a sum of products of at most this size, if no weights make it larger than ``LARGEST_SUM``."""
    bound = min(bound, LARGEST_SUM)
    return Format.covering(-bound, bound, frac)


@dataclass(frozen=True, kw_only=True)
class LstmSpec:
    """One LSTM layer; Q is how a quantity is stored, binarized (MLB) or in fixed point (MuBiNN, equations 1 to 5)::

        z_k = x^ . wx_k + h^ . wh_k + b_k                k in i, f, g, o     exact, ``z_frac`` fraction bits
        a_k = sigmoid(z_k) for i, f, o;  tanh(z_k) for g                      piecewise linear
        k^  = Q(a_k)
        c_raw = f^ * c^ + i^ * g^;   c^ = Q(c_raw)                            exact, then stored
        h_raw = o^ * tanh(c^);       h^ = Q(h_raw)

    c^ and h^ begin as Q(0). The families differ in what is binarized: nothing (32-bit fixed point), x and wx
    (B_LSTM, MuBiNN1) or everything (MuBiNN2).

    Parameters
    ----------
    features, hidden
        Inputs a step, and hidden units.
    source
        Format of the input samples.
    x, h, c
        How input, hidden state and cell state are stored. x and h have no offset.
    gates
        How the gate outputs are, in the order of ``GATES``.
    wx, wh, b
        How the weights and biases of each gate are; no offset, and alike for all gates but for the factors.
    sigmoid, tanh
        The activation functions.
    rounding, overflow
        The rule where z and c^ are narrowed to the input of an activation function.

    Raises
    ------
    ValueError
        If sizes are not positive or fraction bits do not fit together.
    """

    features: int
    hidden: int
    source: Format
    x: Quantity
    h: Quantity
    c: Quantity
    gates: GateSpecs
    wx: GateSpecs
    wh: GateSpecs
    b: GateSpecs
    sigmoid: PwlSpec
    tanh: PwlSpec
    rounding: Rounding = Rounding.FLOOR
    overflow: Overflow = Overflow.SATURATE

    def __post_init__(self) -> None:
        for name, value in (("features", self.features), ("hidden units", self.hidden)):
            if not 1 <= value <= 4096:
                raise ValueError(f"Number of {name} must be 1 to 4096, not {value!r}")
        for name, group in (("wx", self.wx), ("wh", self.wh), ("b", self.b)):
            for spec in group:
                if spec.frac != group[0].frac:
                    raise ValueError(f"Fraction bits of {name} must be {group[0].frac!r}, not {spec.frac!r}")
                if spec.offset:
                    raise ValueError(f"Offset of weights must be 0, not {spec.offset!r}")
        if self.b[0].frac > self.z_frac:
            raise ValueError(f"Fraction bits of b must be at most {self.z_frac}, not {self.b[0].frac!r}")
        if len({q.levels for q in (*self.gates, self.x, self.h, self.c) if isinstance(q, MlbSpec)}) > 1:
            raise ValueError("Number of levels must be the same for x, h, c and the gate outputs")
        if len({q.levels for q in (*self.wx, *self.wh, *self.b) if isinstance(q, MlbSpec)}) > 1:
            raise ValueError("Number of levels must be the same for wx, wh and b")
        for name, group in (("gates", self.gates), ("wx", self.wx), ("wh", self.wh), ("b", self.b)):
            if len({q.code_format for q in group}) > 1:
                raise ValueError(f"Storage of {name} must be of one kind and width for all gates")
        if self.gates[0].frac + self.gates[2].frac != self.gates[1].frac + self.c.frac:
            raise ValueError(
                "Fraction bits of f + c must be those of i + g, "
                f"not {self.gates[1].frac + self.c.frac} and {self.gates[0].frac + self.gates[2].frac}"
            )
        for k in range(4):
            _ = self.narrow_z(k)
        _ = self.narrow_c, self.c_raw_format, self.mac

    @property
    def binarized(self) -> bool:
        """Whether every quantity of the layer is."""
        every = (*self.gates, *self.wx, *self.wh, *self.b, self.x, self.h, self.c)
        return all(isinstance(q, MlbSpec) for q in every)

    @property
    def activation_levels(self) -> int:
        """A: code bits of those of x, h, c and the gate outputs that are binarized; 0 if none is."""
        return max((q.levels for q in (self.x, self.h, self.c, *self.gates) if isinstance(q, MlbSpec)), default=0)

    @property
    def weight_levels(self) -> int:
        """W: code bits of a binarized weight; 0 if none is."""
        return max((q.levels for q in (*self.wx, *self.wh, *self.b) if isinstance(q, MlbSpec)), default=0)

    @property
    def z_frac(self) -> int:
        """Fraction bits of a pre-activation."""
        return max(self.x.frac + self.wx[0].frac, self.h.frac + self.wh[0].frac)

    @property
    def bias_shift(self) -> int:
        """Fraction bits appended to a bias."""
        return self.z_frac - self.b[0].frac

    def dots(self, gate: int) -> tuple[MlbDotSpec, MlbDotSpec]:
        """The two dot products of a gate, over all features and over all hidden units."""
        return (
            MlbDotSpec(n=self.features, x=self.x, w=self.wx[gate]),
            MlbDotSpec(n=self.hidden, x=self.h, w=self.wh[gate]),
        )

    def z_format(self, gate: int) -> Format:
        """Format of a pre-activation: it holds whatever the weights (see ``LARGEST_SUM``) and inputs are."""
        return _sum_format(
            sum(d.bound << (self.z_frac - d.frac) for d in self.dots(gate)) + (self.b[gate].bound << self.bias_shift),
            self.z_frac,
        )

    def activation(self, gate: int) -> PwlSpec:
        """The activation function of a gate."""
        return self.tanh if GATES[gate] == "g" else self.sigmoid

    def narrow_z(self, gate: int) -> NarrowSpec:
        """From pre-activation to the input of the activation function."""
        return NarrowSpec(
            source=self.z_format(gate),
            target=self.activation(gate).source,
            rounding=self.rounding,
            overflow=self.overflow,
        )

    @property
    def widen_c(self) -> int:
        """Fraction bits appended to a c^ that is coarser than the input of tanh, before it is narrowed."""
        return max(0, self.tanh.source.frac - self.c.frac)

    @property
    def narrow_c(self) -> NarrowSpec:
        """From the reconstructed cell state, with ``widen_c`` bits appended, to the input of tanh."""
        c = self.c.format
        source = Format(c.width + self.widen_c, c.frac + self.widen_c, c.signed)
        return NarrowSpec(source=source, target=self.tanh.source, rounding=self.rounding, overflow=self.overflow)

    @property
    def product_fc(self) -> ProductSpec:
        """f^ * c^."""
        return product_spec(self.gates[1], self.c)

    @property
    def product_ig(self) -> ProductSpec:
        """i^ * g^."""
        return product_spec(self.gates[0], self.gates[2])

    @property
    def c_raw_format(self) -> Format:
        """Format of f^ * c^ + i^ * g^."""
        fc, ig = self.product_fc.format, self.product_ig.format
        return Format.covering(fc.min + ig.min, fc.max + ig.max, fc.frac)

    @property
    def mac(self) -> ProductSpec:
        """o^ * tanh(c^)."""
        return product_spec(self.gates[3], self.tanh.target)


class Pool(StrEnum):
    """Which hidden state the dense layer reads."""

    LAST = "last"  #: the last one
    MEAN = "mean"  #: the mean over all steps; computed as the sum of the logits of every step


@dataclass(frozen=True, kw_only=True)
class DenseSpec:
    """The classifier: ``logits = w^ h^ + b^`` of the last step, or its sum over all steps.

    Parameters
    ----------
    classes
        Number of outputs; the class is the index of the largest logit, the lowest index on a tie.
    w, b
        How weights and biases are stored; no offset, the same width and ``frac``.
    pool
        Which hidden state is read.
    max_steps
        Longest sequence whose logits are certain to fit (``Pool.MEAN``: the accumulators grow with it).
    """

    classes: int
    w: Quantity
    b: Quantity
    pool: Pool = Pool.LAST
    max_steps: int = 256

    def __post_init__(self) -> None:
        if not 2 <= self.classes <= 4096:
            raise ValueError(f"Number of classes must be 2 to 4096, not {self.classes!r}")
        if self.w.frac != self.b.frac:
            raise ValueError(f"Fraction bits of b must be those of w ({self.w.frac}), not {self.b.frac!r}")
        if self.w.code_format != self.b.code_format:
            raise ValueError(f"Code of b must be as wide as that of w ({self.w.width}), not {self.b.width!r}")
        if self.w.offset or self.b.offset:
            raise ValueError(f"Offset of weights must be 0, not {self.w.offset or self.b.offset!r}")
        if not 1 <= self.max_steps <= 1 << 20:
            raise ValueError(f"Longest sequence must be 1 to {1 << 20} steps, not {self.max_steps!r}")


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """An LSTM layer and the dense layer on top of it."""

    lstm: LstmSpec
    dense: DenseSpec

    def __post_init__(self) -> None:
        _ = self.logit_format

    @property
    def dense_dot(self) -> MlbDotSpec:
        """The dot product of one class, over all hidden units."""
        return MlbDotSpec(n=self.lstm.hidden, x=self.lstm.h, w=self.dense.w)

    @property
    def logit_format(self) -> Format:
        """Format of a logit; holds for every sequence of at most ``max_steps`` steps."""
        bound = self.dense_dot.bound + (self.dense.b.bound << self.lstm.h.frac)
        return _sum_format(bound * self._passes, self.dense_dot.frac)

    @property
    def _passes(self) -> int:
        """Passes of the dense layer that are summed up, at most."""
        return self.dense.max_steps if self.dense.pool is Pool.MEAN else 1

    def weight_specs(self) -> dict[str, tuple[tuple[int, ...], tuple[Quantity, ...]]]:
        """Name -> (shape of the code array, how it is stored: one a gate, or one for all)."""
        n, h, c = self.lstm.features, self.lstm.hidden, self.dense.classes
        return {
            "wx": ((4, h, n), self.lstm.wx),
            "wh": ((4, h, h), self.lstm.wh),
            "b": ((4, h), self.lstm.b),
            "dense_w": ((c, h), (self.dense.w,)),
            "dense_b": ((c,), (self.dense.b,)),
        }

    def check_weights(self, weights: Weights) -> None:
        """Raise ValueError unless ``weights`` has exactly the arrays, shapes and codes of this network."""
        specs = self.weight_specs()
        if set(weights) != set(specs):
            raise ValueError(f"Weight arrays must be {', '.join(specs)}, not {', '.join(sorted(weights))!r}")
        for name, (shape, stored) in specs.items():
            array, dtype, number = weights[name], np.dtype(stored[0].dtype), stored[0].code_format
            if array.dtype != dtype or array.shape != shape:
                raise ValueError(f"Weights {name} must be {dtype} of shape {shape}, not {array.dtype} {array.shape}")
            if int(array.max()) > number.max:
                raise ValueError(f"Weights {name} must be codes below {number.max + 1}, not {int(array.max())!r}")
            if int(array.min()) < number.min:
                raise ValueError(f"Weights {name} must be codes from {number.min} on, not {int(array.min())!r}")
        for name, bound in self._sum_bounds(weights).items():
            if bound > LARGEST_SUM:
                raise ValueError(f"Sums {name} must be at most {LARGEST_SUM} in size, not {bound!r}")

    def _sum_bounds(self, weights: Weights) -> dict[str, int]:
        """Largest size of z and of the logits with these weights, as stored integers."""
        lstm, dense = self.lstm, self.dense

        def sizes(spec: Quantity, codes: NDArray[np.integer]) -> NDArray[np.object_]:
            values = np.abs(spec.reconstruct(codes))
            return (values.sum(-1) if values.ndim == 2 else values).astype(object)  # exact, however large

        z = [
            (sizes(lstm.wx[k], weights["wx"][k]) * lstm.x.bound << (lstm.z_frac - lstm.x.frac - lstm.wx[k].frac))
            + (sizes(lstm.wh[k], weights["wh"][k]) * lstm.h.bound << (lstm.z_frac - lstm.h.frac - lstm.wh[k].frac))
            + (sizes(lstm.b[k], weights["b"][k]) << lstm.bias_shift)
            for k in range(4)
        ]
        logits = sizes(dense.w, weights["dense_w"]) * lstm.h.bound + (sizes(dense.b, weights["dense_b"]) << lstm.h.frac)
        return {"z": int(np.max(z)), "of the logits": int(logits.max()) * self._passes}
