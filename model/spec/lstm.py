"""One LSTM layer, binarized in part or all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from model.spec.fixed import FixedSpec, Format, NarrowSpec, Overflow, Rounding
from model.spec.integer_dot import IntegerDotSpec
from model.spec.mlb import MlbSpec, Quantity, Weight
from model.spec.pointwise import ProductSpec, product_spec
from model.spec.product import MlbDotSpec
from model.spec.pwl import PwlSpec
from model.spec.running_sum import ScaledSumSpec
from model.spec.step_size import StepSpec
from model.spec.sums import SumSpec

GATES = ("i", "f", "g", "o")  #: the order of the gates everywhere, as in ``torch.nn.LSTM``

GateSpecs = tuple[Quantity, Quantity, Quantity, Quantity]  #: one a gate, in the order of ``GATES``
WeightSpecs = tuple[Weight, Weight, Weight, Weight]  #: the same, of weights

LARGEST_SUM = (1 << 61) - 1  #: size of a sum of products; :meth:`NetworkSpec.check_weights` sees to it where it must


def sum_format(bound: int, frac: int) -> Format:
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
    (B_LSTM, MuBiNN1), the weights wx and wh by one sign each (BLSTM) or everything (MuBiNN2).

    Of weights with one sign, ``w^ = a s``, and of those that are integers times a step, ``w^ = D k``, the sums of x^
    and h^ times signs or integers can be made by adders of limited width, or exact; each sum is multiplied by its
    factor or step and all are added up exactly::

        z_k = a_xk S(x^ . sx_k) + a_hk S(h^ . sh_k) + b_k                     S by the nodes of ``sums``
        z_k = D_xk S(x^ . kx_k) + D_hk S(h^ . kh_k) + b_k

    Parameters
    ----------
    features, hidden
        Inputs a step, and hidden units.
    x, h, c
        How input, hidden state and cell state are stored. x and h have no offset.
    gates
        How the gate outputs are, in the order of ``GATES``.
    wx, wh, b
        How the weights and biases of each gate are; no offset, and alike for all gates but for the factors.
    sigmoid, tanh
        The activation functions.
    sums
        In which order the products of x^ and of h^ with signs or integers are added, and what each adder does; for
        words times weights of one level or with a step, and there must be one for the latter. None where sums are made
        of reconstructed weights, exactly.
    rounding, overflow
        The rule where z and c^ are narrowed to the input of an activation function.

    Raises
    ------
    ValueError
        If sizes are not positive or fraction bits do not fit together.
    """

    kind: ClassVar[str] = "lstm"  #: what its hardware is called by

    features: int
    hidden: int
    x: Quantity
    h: Quantity
    c: Quantity
    gates: GateSpecs
    wx: WeightSpecs
    wh: WeightSpecs
    b: GateSpecs
    sigmoid: PwlSpec
    tanh: PwlSpec
    sums: SumSpec | None = None
    rounding: Rounding = Rounding.FLOOR
    overflow: Overflow = Overflow.SATURATE

    def __post_init__(self) -> None:
        for name, value in (("features", self.features), ("hidden units", self.hidden)):
            if not 1 <= value <= 4096:
                raise ValueError(f"Number of {name} must be 1 to 4096, not {value!r}")
        for quantity in (self.x, self.h, self.c, *self.gates, *self.wx, *self.wh, *self.b):
            if isinstance(quantity, FixedSpec) and not quantity.format.signed:
                raise ValueError(f"Format of a word of an LSTM layer must be signed, not {str(quantity.format)!r}")
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
        if self.sums is not None:
            self._check_sums()
        elif isinstance(self.wx[0], StepSpec) or isinstance(self.wh[0], StepSpec):
            raise ValueError("Sums of an LSTM layer must be given where weights have a step, not None")
        for k in range(4):
            _ = self.narrow_z(k)
        _ = self.narrow_c, self.c_raw_format, self.mac

    def _check_sums(self) -> None:
        for name, quantity in (("x", self.x), ("h", self.h)):
            if isinstance(quantity, MlbSpec):
                raise ValueError(
                    f"Storage of {name} must be a word where sums are limited, not {quantity.levels} levels"
                )
        for name, group in (("wx", self.wx), ("wh", self.wh)):
            for weight in group:
                if isinstance(weight, FixedSpec) or (isinstance(weight, MlbSpec) and weight.levels > 1):
                    stored = f"{weight.levels} levels" if isinstance(weight, MlbSpec) else f"words {weight.format}"
                    raise ValueError(
                        f"Storage of {name} must be one level or have a step where sums are limited, not {stored}"
                    )
        if isinstance(self.b[0], MlbSpec):
            raise ValueError(f"Storage of b must be a word where sums are limited, not {self.b[0].levels} levels")

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

    def weight_specs(self) -> dict[str, tuple[tuple[int, ...], tuple[Weight, ...]]]:
        """Name -> (shape of the code array, how it is stored in each gate)."""
        return {
            "wx": ((4, self.hidden, self.features), self.wx),
            "wh": ((4, self.hidden, self.hidden), self.wh),
            "b": ((4, self.hidden), self.b),
        }

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

    def integer_dots(self, gate: int) -> tuple[IntegerDotSpec, IntegerDotSpec]:
        """The two sums of a gate by the nodes of ``sums``, over all features and over all hidden units."""
        return (
            self._integer_dot(self.features, self.x, self.wx[gate]),
            self._integer_dot(self.hidden, self.h, self.wh[gate]),
        )

    def _integer_dot(self, n: int, x: Quantity, w: Weight) -> IntegerDotSpec:
        assert self.sums is not None
        return IntegerDotSpec(n=n, source=x.format, weight_bits=w.width, rule=self.sums)

    @property
    def inexact(self) -> bool:
        """Whether a node of ``sums`` drops bits, or can overflow for any x, h and weights."""
        if self.sums is None or self.sums.exact:
            return False
        return self.sums.shift > 0 or any(dot.sum.overflows for dot in self.integer_dots(0))

    @property
    def saturates(self) -> bool:
        """Whether a node of ``sums`` saturates for some x, h and weights."""
        return self.sums is not None and any(dot.sum.saturating for dot in self.integer_dots(0))

    def gate_sum(self, gate: int) -> ScaledSumSpec:
        """z from the two sums by the nodes of ``sums`` and the code of the bias, which is a word."""
        sources = (*(dot.format for dot in self.integer_dots(gate)), self.b[gate].code_format)
        scales = (d.w.unit << (self.z_frac - d.frac) for d in self.dots(gate))
        return ScaledSumSpec(sources=sources, factors=(*scales, 1 << self.bias_shift))

    def z_format(self, gate: int) -> Format:
        """Format of a pre-activation: it holds whatever the weights (see ``LARGEST_SUM``) and inputs are."""
        if self.sums is not None:
            number = self.gate_sum(gate).format
            return Format(number.width, self.z_frac, number.signed)
        return sum_format(
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
