"""Products of binarized values: the dot product, the pointwise products and the sums behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import Format, Ints
from model.spec.mlb import MlbSpec


def _range_format(a: tuple[int, ...], b: tuple[int, ...], frac: int) -> Format:
    """The narrowest format of all products of one value of ``a`` and one of ``b``."""
    ends = [p * q for p in (min(a), max(a)) for q in (min(b), max(b))]
    return Format.covering(min(ends), max(ends), frac)


@dataclass(frozen=True, kw_only=True)
class PopcountSpec:
    """Number of ones among ``n`` bits.

    Raises
    ------
    ValueError
        If ``n`` is not positive.
    """

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"Length of a popcount must be at least 1, not {self.n!r}")

    @property
    def format(self) -> Format:
        """Format of the count."""
        return Format.covering(0, self.n)

    def compute(self, x: ArrayLike) -> Ints:
        """Golden function: bits of shape (..., n) in, counts of shape (...) out."""
        return np.asarray(np.sum(np.asarray(x) != 0, axis=-1, dtype=np.int64))


@dataclass(frozen=True, kw_only=True)
class XnorDotSpec:
    """Number of equal bits of two vectors: ``popcount(xnor(a, b))``, 0 to ``n``.

    As +-1 numbers their dot product is ``2 * count - n``.

    Raises
    ------
    ValueError
        If ``n`` is not positive.
    """

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"Length of an XNOR dot product must be at least 1, not {self.n!r}")

    @property
    def popcount(self) -> PopcountSpec:
        """The counter behind the XNOR gates."""
        return PopcountSpec(n=self.n)

    @property
    def format(self) -> Format:
        """Format of the count."""
        return self.popcount.format

    def compute(self, a: ArrayLike, b: ArrayLike) -> Ints:
        """Golden function: bits of shape (..., n) in, counts of shape (...) out."""
        return np.asarray(np.sum(np.asarray(a) == np.asarray(b), axis=-1, dtype=np.int64))


@dataclass(frozen=True, kw_only=True)
class ConstantMultiplierSpec:
    """Multiplication by a constant: ``constant * x``, exact.

    Raises
    ------
    ValueError
        If the product is wider than a format can be.
    """

    constant: int
    source: Format

    def __post_init__(self) -> None:
        _ = self.format

    @property
    def format(self) -> Format:
        """Format of the product."""
        return _range_format((self.constant,), (self.source.min, self.source.max), self.source.frac)

    def compute(self, x: ArrayLike) -> Ints:
        """Golden function: stored integers in, products out; any shape."""
        return np.asarray(x, np.int64) * self.constant


@dataclass(frozen=True, kw_only=True)
class AdderTreeSpec:
    """Exact sum of ``len(ranges)`` integers and a constant.

    Parameters
    ----------
    ranges
        Smallest and largest value of each summand; ports have the narrowest format for it.
    constant
        Added once.

    Raises
    ------
    ValueError
        If there is no summand.
    """

    ranges: tuple[tuple[int, int], ...]
    constant: int = 0

    def __post_init__(self) -> None:
        if not self.ranges:
            raise ValueError("Number of summands must be at least 1, not 0")

    @property
    def format(self) -> Format:
        """Format of the sum."""
        return Format.covering(
            sum(r[0] for r in self.ranges) + self.constant, sum(r[1] for r in self.ranges) + self.constant
        )

    def compute(self, **x: ArrayLike) -> Ints:
        """Golden function: summands ``x0, x1, ...`` in, their sum out; any shape."""
        return sum((np.asarray(v, np.int64) for v in x.values()), np.asarray(self.constant, np.int64))


@dataclass(frozen=True, kw_only=True)
class MlbDotSpec:
    """Dot product of ``n`` binarized values with ``n`` binarized weights (MuBiNN)::

        x^ . w^ = sum_{a,b} g_ab (2 popcount(xnor(x_a, w_b)) - n),   g_ab = a_xa * a_wb

    Raises
    ------
    ValueError
        If ``n`` is not positive, or an operand has an offset (a constant that every weight would multiply).
    """

    n: int
    x: MlbSpec
    w: MlbSpec

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"Length of a dot product must be at least 1, not {self.n!r}")
        for operand in (self.x, self.w):
            if operand.offset:
                raise ValueError(f"Offset of an operand of a dot product must be 0, not {operand.offset!r}")

    @property
    def gains(self) -> tuple[tuple[int, ...], ...]:
        """``g_ab``, indexed by activation level a and weight level b."""
        return tuple(tuple(p * q for q in self.w.factors) for p in self.x.factors)

    @property
    def bound(self) -> int:
        """Largest size of the dot product, as stored integer."""
        return self.n * self.x.total * self.w.total

    @property
    def format(self) -> Format:
        """Format of the dot product."""
        return Format.covering(-self.bound, self.bound, self.x.frac + self.w.frac)

    def compute(self, x: ArrayLike, w: ArrayLike) -> Ints:
        """Golden function: codes of shape (..., n) in, dot products of shape (...) out."""
        return np.sum(self.x.reconstruct(x) * self.w.reconstruct(w), axis=-1)


@dataclass(frozen=True, kw_only=True)
class XnorMultiplierSpec:
    """Pointwise product of two binarized values: ``a^ * b^``, exact."""

    a: MlbSpec
    b: MlbSpec

    @property
    def format(self) -> Format:
        """Format of the product."""
        return _range_format(self.a.values, self.b.values, self.a.frac + self.b.frac)

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
        return _range_format(self.a.values, (self.t.min, self.t.max), self.a.frac + self.t.frac)

    def compute(self, a: ArrayLike, t: ArrayLike) -> Ints:
        """Golden function: codes and stored integers of ``t`` in, products out; any shape."""
        return self.a.reconstruct(a) * np.asarray(t, np.int64)
