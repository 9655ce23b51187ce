"""Dot products of binarized and of fixed-point values, and the sums of bits behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import Format, Ints, NarrowSpec, Overflow
from model.spec.mlb import MlbSpec, Quantity, Weight, binarized


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
class BitSumSpec:
    """Sum of weighted bits: ``sum_i 2**weights[i] x_i + constant``.

    Parameters
    ----------
    weights
        Exponent of each bit, 0 to 61.
    constant
        Added once; may be negative.
    width
        Bits of the result; as many as the sum needs if not given.

    Raises
    ------
    ValueError
        If there is no bit, an exponent is out of range, or the width cannot hold every sum.
    """

    weights: tuple[int, ...]
    constant: int = 0
    width: int | None = None

    def __post_init__(self) -> None:
        if not self.weights:
            raise ValueError("Number of bits of a sum must be at least 1, not 0")
        for weight in self.weights:
            if not 0 <= weight <= 61:
                raise ValueError(f"Exponent of a bit must be 0 to 61, not {weight!r}")
        if self.width is not None and self.width < self._needed.width:
            raise ValueError(f"Width of the sum must be at least {self._needed.width} bits, not {self.width!r}")

    @property
    def _needed(self) -> Format:
        return Format.covering(self.constant, self.constant + sum(1 << w for w in self.weights))

    @property
    def format(self) -> Format:
        """Format of the sum; signed if the constant is negative."""
        return self._needed if self.width is None else Format(self.width, 0, self._needed.signed)

    def compute(self, x: ArrayLike) -> Ints:
        """Golden function: bits of shape (..., n) in, sums of shape (...) out."""
        powers = np.array([1 << w for w in self.weights], np.int64)
        return np.sum((np.asarray(x) != 0) * powers, axis=-1) + self.constant


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
class MlbDotSpec:
    """Dot product of ``n`` values with ``n`` weights; of binarized ones (MuBiNN)::

        x^ . w^ = sum_{a,b} g_ab (2 popcount(xnor(x_a, w_b)) - n),   g_ab = a_xa * a_wb

    Either may be fixed-point numbers instead: with one, signs times words are left; with both, a sum of products.

    Parameters
    ----------
    n
        Length.
    x, w
        How both operands are stored.
    weights
        Codes of the weights where they are constants, ``n`` of them; None where they are an input.
    bias
        Added once, as stored integer with the fraction bits of the product.

    Raises
    ------
    ValueError
        If ``n`` is not positive, an operand has an offset (a constant that every weight would multiply), or
        constant weights are not ``n`` codes.
    """

    n: int
    x: Quantity
    w: Weight
    weights: tuple[int, ...] | None = None
    bias: int = 0

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"Length of a dot product must be at least 1, not {self.n!r}")
        for operand in (self.x, self.w):
            if operand.offset:
                raise ValueError(f"Offset of an operand of a dot product must be 0, not {operand.offset!r}")
        if self.weights is None:
            return
        if len(self.weights) != self.n:
            raise ValueError(f"Number of constant weights must be {self.n}, not {len(self.weights)!r}")
        for code in self.weights:
            low, high = self.w.code_range
            if not low <= code <= high:
                raise ValueError(f"Constant weight must be a code from {low} to {high}, not {code!r}")

    @property
    def gains(self) -> tuple[tuple[int, ...], ...]:
        """``g_ab``, indexed by activation level a and weight level b, where both operands are binarized."""
        return tuple(tuple(p * q for q in binarized(self.w).factors) for p in binarized(self.x).factors)

    @property
    def binarized(self) -> bool:
        """Whether both operands are: there is nothing but XNORs."""
        return isinstance(self.x, MlbSpec) and isinstance(self.w, MlbSpec)

    @property
    def frac(self) -> int:
        """Fraction bits of the dot product."""
        return self.x.frac + self.w.frac

    @property
    def bound(self) -> int:
        """Largest size of the dot product without its bias, as stored integer."""
        if self.weights is None:
            return self.n * self.x.bound * self.w.bound
        return self.x.bound * int(np.abs(self.w.reconstruct(self.weights)).sum())

    @property
    def format(self) -> Format:
        """Format of the dot product."""
        return Format.covering(self.bias - self.bound, self.bias + self.bound, self.frac)

    def compute(self, x: ArrayLike, w: ArrayLike | None = None) -> Ints:
        """Golden function: codes of shape (..., n) in (``w`` unless constant), dot products of shape (...) out."""
        weights = self.weights if w is None else w
        return np.sum(self.x.reconstruct(x) * self.w.reconstruct(np.asarray(weights)), axis=-1) + self.bias


@dataclass(frozen=True, kw_only=True)
class MlbAccumulatorSpec:
    """A running sum of dot products: ``before + sum_k x_k^ . w_k^``, in the format ``total``.

    Parameters
    ----------
    dots
        The dot products.
    total
        Format of the sum.
    running
        Whether there is a ``before``.

    Raises
    ------
    ValueError
        If there is no dot product, or one has more fraction bits than the total.
    """

    dots: tuple[MlbDotSpec, ...]
    total: Format
    running: bool = True

    def __post_init__(self) -> None:
        if not self.dots:
            raise ValueError("Number of dot products must be at least 1, not 0")
        for dot in self.dots:
            if self.shift(dot) < 0:
                raise ValueError(f"Fraction bits of the total must be at least {dot.frac}, not {self.total.frac!r}")

    def shift(self, dot: MlbDotSpec) -> int:
        """Fraction bits appended to a dot product."""
        return self.total.frac - dot.frac

    def compute(self, before: ArrayLike = 0, **operands: ArrayLike) -> Ints:
        """Golden function: ``before`` (0 unless running) and codes ``x0, w0, x1, ...`` in, sums out, which wrap."""
        result = np.asarray(before, np.int64)
        for k, dot in enumerate(self.dots):
            result = result + (dot.compute(operands[f"x{k}"], operands.get(f"w{k}")) << self.shift(dot))
        return NarrowSpec(source=self.total, target=self.total, overflow=Overflow.WRAP).compute(result)
