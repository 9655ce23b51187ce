"""The network: an MLB LSTM (MuBiNN2) and a dense layer on its last or mean hidden state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from model.spec.fixed import Format, NarrowSpec, Overflow, Rounding
from model.spec.mlb import MlbSpec
from model.spec.product import MacSpec, MlbDotSpec, XnorMultiplierSpec
from model.spec.pwl import PwlSpec

GATES = ("i", "f", "g", "o")  #: the order of the gates everywhere, as in ``torch.nn.LSTM``

Weights = Mapping[str, NDArray[np.uint8]]  #: code arrays by name; shapes in :meth:`NetworkSpec.weight_specs`

GateSpecs = tuple[MlbSpec, MlbSpec, MlbSpec, MlbSpec]  #: one a gate, in the order of ``GATES``


@dataclass(frozen=True, kw_only=True)
class LstmSpec:
    """One LSTM layer in which everything is binarized (MuBiNN2, equations 1 to 5)::

        z_k = x^ . wx_k + h^ . wh_k + b_k                k in i, f, g, o     exact, ``z_frac`` fraction bits
        a_k = sigmoid(z_k) for i, f, o;  tanh(z_k) for g                      piecewise linear
        k^  = MLB(a_k)
        c_raw = f^ * c^ + i^ * g^;   c^ = MLB(c_raw)                          exact, then binarized
        h_raw = o^ * tanh(c^);       h^ = MLB(h_raw)

    c^ and h^ begin as MLB(0).

    Parameters
    ----------
    features, hidden
        Inputs a step, and hidden units.
    source
        Format of the input samples.
    x, h, c
        Binarization of input, hidden state and cell state. x and h have no offset and the same ``frac``.
    gates
        Binarization of the gate outputs, in the order of ``GATES``.
    wx, wh, b
        Binarization of the weights and biases of each gate; no offset.
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
    x: MlbSpec
    h: MlbSpec
    c: MlbSpec
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
        if self.x.frac != self.h.frac:
            raise ValueError(f"Fraction bits of h must be those of x ({self.x.frac}), not {self.h.frac!r}")
        for group in (self.wx, self.wh, self.b):
            for spec in group:
                if spec.frac != self.wx[0].frac:
                    raise ValueError(f"Fraction bits of all weights must be {self.wx[0].frac!r}, not {spec.frac!r}")
                if spec.offset:
                    raise ValueError(f"Offset of weights must be 0, not {spec.offset!r}")
        if len({g.levels for g in (*self.gates, self.x, self.h, self.c)}) > 1:
            raise ValueError("Number of levels must be the same for x, h, c and the gate outputs")
        if len({w.levels for w in (*self.wx, *self.wh, *self.b)}) > 1:
            raise ValueError("Number of levels must be the same for wx, wh and b")
        if self.gates[0].frac + self.gates[2].frac != self.gates[1].frac + self.c.frac:
            raise ValueError(
                "Fraction bits of f + c must be those of i + g, "
                f"not {self.gates[1].frac + self.c.frac} and {self.gates[0].frac + self.gates[2].frac}"
            )
        for k in range(4):
            _ = self.narrow_z(k)
        _ = self.narrow_c

    @property
    def activation_levels(self) -> int:
        """A: code bits of x, h, c and the gate outputs."""
        return self.x.levels

    @property
    def weight_levels(self) -> int:
        """W: code bits of a weight."""
        return self.wx[0].levels

    @property
    def z_frac(self) -> int:
        """Fraction bits of a pre-activation."""
        return self.x.frac + self.wx[0].frac

    def dots(self, gate: int) -> tuple[MlbDotSpec, MlbDotSpec]:
        """The two dot products of a gate, over all features and over all hidden units."""
        return (
            MlbDotSpec(n=self.features, x=self.x, w=self.wx[gate]),
            MlbDotSpec(n=self.hidden, x=self.h, w=self.wh[gate]),
        )

    def z_format(self, gate: int) -> Format:
        """Format of a pre-activation: it holds whatever the weights and inputs are."""
        bound = sum(d.bound for d in self.dots(gate)) + (self.b[gate].total << self.x.frac)
        return Format.covering(-bound, bound, self.z_frac)

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
    def product_fc(self) -> XnorMultiplierSpec:
        """f^ * c^."""
        return XnorMultiplierSpec(a=self.gates[1], b=self.c)

    @property
    def product_ig(self) -> XnorMultiplierSpec:
        """i^ * g^."""
        return XnorMultiplierSpec(a=self.gates[0], b=self.gates[2])

    @property
    def c_raw_format(self) -> Format:
        """Format of f^ * c^ + i^ * g^."""
        fc, ig = self.product_fc.format, self.product_ig.format
        return Format.covering(fc.min + ig.min, fc.max + ig.max, fc.frac)

    @property
    def mac(self) -> MacSpec:
        """o^ * tanh(c^)."""
        return MacSpec(a=self.gates[3], t=self.tanh.target)


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
        Binarization of weights and biases; no offset, the same ``frac``.
    pool
        Which hidden state is read.
    max_steps
        Longest sequence whose logits are certain to fit (``Pool.MEAN``: the accumulators grow with it).
    """

    classes: int
    w: MlbSpec
    b: MlbSpec
    pool: Pool = Pool.LAST
    max_steps: int = 256

    def __post_init__(self) -> None:
        if not 2 <= self.classes <= 4096:
            raise ValueError(f"Number of classes must be 2 to 4096, not {self.classes!r}")
        if self.w.frac != self.b.frac:
            raise ValueError(f"Fraction bits of b must be those of w ({self.w.frac}), not {self.b.frac!r}")
        if self.w.levels != self.b.levels:
            raise ValueError(f"Number of levels of b must be that of w ({self.w.levels}), not {self.b.levels!r}")
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
        bound = self.dense_dot.bound + (self.dense.b.total << self.lstm.h.frac)
        steps = self.dense.max_steps if self.dense.pool is Pool.MEAN else 1
        return Format.covering(-bound * steps, bound * steps, self.lstm.h.frac + self.dense.w.frac)

    def weight_specs(self) -> dict[str, tuple[tuple[int, ...], tuple[MlbSpec, ...]]]:
        """Name -> (shape of the code array, its binarizations: one a gate, or one for all)."""
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
        for name, (shape, mlb) in specs.items():
            array = weights[name]
            if array.dtype != np.uint8 or array.shape != shape:
                raise ValueError(f"Weights {name} must be uint8 of shape {shape}, not {array.dtype} {array.shape}")
            if int(array.max()) >= 1 << mlb[0].levels:
                raise ValueError(f"Weights {name} must be codes below {1 << mlb[0].levels}, not {int(array.max())!r}")
