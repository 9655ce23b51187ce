"""One dense layer with ReLU: its weights are integers of few bits times a step, its inputs and outputs words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from model.spec.fixed import FixedSpec, Format, Overflow
from model.spec.integer_dot import IntegerDotSpec
from model.spec.mlb import Weight
from model.spec.running_sum import ScaledSumSpec
from model.spec.step_size import StepSpec

MAX_UNITS = 4096  #: of a layer, and its most features


@dataclass(frozen=True, kw_only=True)
class ReluSpec:
    """A dense layer with ReLU, on each time step alone::

        z = D (x^ . k) + b^        exact, ``z_frac`` fraction bits; w^ = D k with integers k
        h^ = Q(z)                  narrowed to a word without a sign, which saturates: that is the ReLU

    Parameters
    ----------
    features, hidden
        Inputs, and units.
    x, h
        How inputs and outputs are stored; h without a sign, and saturating.
    w, b
        How weights and biases are.

    Raises
    ------
    ValueError
        If sizes are out of range, h has a sign or wraps, fraction bits do not fit together, or a sum is wider than a
        format can be.
    """

    kind: ClassVar[str] = "relu"  #: what its hardware is called by
    activation_levels: ClassVar[int] = 0  #: nothing is binarized
    weight_levels: ClassVar[int] = 0
    saturates: ClassVar[bool] = False  #: no node of its sums does

    features: int
    hidden: int
    x: FixedSpec
    h: FixedSpec
    w: StepSpec
    b: FixedSpec

    def __post_init__(self) -> None:
        for name, value in (("features", self.features), ("hidden units", self.hidden)):
            if not 1 <= value <= MAX_UNITS:
                raise ValueError(f"Number of {name} must be 1 to {MAX_UNITS}, not {value!r}")
        if self.h.format.signed or self.h.overflow is not Overflow.SATURATE:
            raise ValueError(
                f"Storage of h of a layer with ReLU must saturate and have no sign, "
                f"not {self.h.overflow.value} {self.h.format}"
            )
        if not self.b.format.signed:
            raise ValueError(f"Format of b must be signed, not {str(self.b.format)!r}")
        if self.b.frac > self.z_frac:
            raise ValueError(f"Fraction bits of b must be at most {self.z_frac}, not {self.b.frac!r}")
        _ = self.h.narrowing(self.z_format)

    def weight_specs(self) -> dict[str, tuple[tuple[int, ...], tuple[Weight, ...]]]:
        """Name -> (shape of the code array, how it is stored)."""
        return {"w": ((self.hidden, self.features), (self.w,)), "b": ((self.hidden,), (self.b,))}

    @property
    def z_frac(self) -> int:
        """Fraction bits of a pre-activation."""
        return self.x.frac + self.w.frac

    @property
    def bias_shift(self) -> int:
        """Fraction bits appended to a bias."""
        return self.z_frac - self.b.frac

    @property
    def dot(self) -> IntegerDotSpec:
        """The sum of a unit, of integers."""
        return IntegerDotSpec(n=self.features, source=self.x.format, weight_bits=self.w.bits)

    @property
    def sum(self) -> ScaledSumSpec:
        """z from that and the code of the bias."""
        sources = (self.dot.format, self.b.code_format)
        return ScaledSumSpec(sources=sources, factors=(self.w.unit, 1 << self.bias_shift))

    @property
    def z_format(self) -> Format:
        """Format of a pre-activation; it holds whatever weights and inputs are."""
        number = self.sum.format
        return Format(number.width, self.z_frac, number.signed)
