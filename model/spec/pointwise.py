"""Products of two values: of binarized ones, of fixed-point ones, and of one of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import FixedSpec, Format, Ints
from model.spec.mlb import MlbSpec, Quantity


def range_format(a: tuple[int, ...], b: tuple[int, ...], frac: int) -> Format:
    """The narrowest format of all products of one value of ``a`` and one of ``b``."""
    ends = [p * q for p in (min(a), max(a)) for q in (min(b), max(b))]
    return Format.covering(min(ends), max(ends), frac)


@dataclass(frozen=True, kw_only=True)
class XnorMultiplierSpec:
    """Pointwise product of two binarized values: ``a^ * b^``, exact."""

    a: MlbSpec
    b: MlbSpec

    @property
    def format(self) -> Format:
        """Format of the product."""
        return range_format(self.a.values, self.b.values, self.a.frac + self.b.frac)

    def compute(self, a: ArrayLike, b: ArrayLike) -> Ints:
        """Golden function: codes in, products out; any shape."""
        return self.a.reconstruct(a) * self.b.reconstruct(b)


@dataclass(frozen=True, kw_only=True)
class MacSpec:
    """Product of a binarized value and a fixed-point one, ``sum_i s_i (a_i t)``, exact."""

    a: MlbSpec
    t: Format

    @property
    def format(self) -> Format:
        """Format of the product."""
        return range_format(self.a.values, (self.t.min, self.t.max), self.a.frac + self.t.frac)

    def compute(self, a: ArrayLike, t: ArrayLike) -> Ints:
        """Golden function: codes and stored integers of ``t`` in, products out; any shape."""
        return self.a.reconstruct(a) * np.asarray(t, np.int64)


@dataclass(frozen=True, kw_only=True)
class MultiplierSpec:
    """Product of two fixed-point values, exact."""

    a: Format
    b: Format

    def __post_init__(self) -> None:
        _ = self.format

    @property
    def format(self) -> Format:
        """Format of the product."""
        return range_format((self.a.min, self.a.max), (self.b.min, self.b.max), self.a.frac + self.b.frac)

    def compute(self, a: ArrayLike, b: ArrayLike) -> Ints:
        """Golden function: stored integers in, products out; any shape."""
        return np.asarray(a, np.int64) * np.asarray(b, np.int64)


ProductSpec = XnorMultiplierSpec | MacSpec | MultiplierSpec


def product_spec(a: Quantity, b: Quantity | Format) -> ProductSpec:
    """The pointwise product of two quantities; a format is that of a plain fixed-point value.

    Raises
    ------
    ValueError
        If only the second is binarized: write that one first.
    """
    if isinstance(b, MlbSpec):
        if isinstance(a, FixedSpec):
            raise ValueError("First operand must be the binarized one, not the second")
        return XnorMultiplierSpec(a=a, b=b)
    number = b.format if isinstance(b, FixedSpec) else b
    return MacSpec(a=a, t=number) if isinstance(a, MlbSpec) else MultiplierSpec(a=a.format, b=number)
