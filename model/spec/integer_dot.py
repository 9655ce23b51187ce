"""Dot product of numbers with weights of few bits, summed in a written order."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from model.spec.adder_tree import EXACT, AdderTreeSpec, Range
from model.spec.fixed import Format, Ints
from model.spec.step_size import MAX_BITS, top_code
from model.spec.sums import SumSpec


@dataclass(frozen=True, kw_only=True)
class IntegerDotSpec:
    """``sum_i w_i x_i`` with integers ``w_i`` of few bits, by the nodes of ``rule``.

    Parameters
    ----------
    n
        Length.
    source
        Format of each x.
    weight_bits
        1 for signs: +1 and -1, as the codes 1 and 0. 2 to 8 for signed integers up to ``2**(weight_bits - 1) - 1`` in
        size; the most negative number of so many bits does not occur.
    weights
        Codes where they are constants, ``n`` of them; None where they are an input.
    bias
        One more summand, the last, unless it is 0.
    rule
        Order and nodes; exact if not given.

    Raises
    ------
    ValueError
        If ``n`` is not positive, ``weight_bits`` or a constant weight is out of range, constant weights are not ``n``,
        or a sum is wider than a format can be.
    """

    n: int
    source: Format
    weight_bits: int = 1
    weights: tuple[int, ...] | None = None
    bias: int = 0
    rule: SumSpec = EXACT

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"Length of a dot product must be at least 1, not {self.n!r}")
        if not 1 <= self.weight_bits <= MAX_BITS:
            raise ValueError(f"Bits of a weight must be 1 to {MAX_BITS}, not {self.weight_bits!r}")
        if self.weights is not None:
            if len(self.weights) != self.n:
                raise ValueError(f"Number of constant weights must be {self.n}, not {len(self.weights)!r}")
            low, high = self.codes
            for code in self.weights:
                if not low <= code <= high:
                    what = "a sign bit, 0 or 1" if self.weight_bits == 1 else f"from {low} to {high}"
                    raise ValueError(f"Constant weight must be {what}, not {code!r}")
        _ = self.sum

    @property
    def weight_format(self) -> Format:
        """Format of a code of a weight."""
        return Format(self.weight_bits, 0, signed=self.weight_bits > 1)

    @property
    def codes(self) -> Range:
        """The smallest and the largest code of a weight."""
        return (0, 1) if self.weight_bits == 1 else (-top_code(self.weight_bits), top_code(self.weight_bits))

    @property
    def limits(self) -> dict[str, Range]:
        """What inputs are limited to, within their format."""
        return {} if self.weights else {"w": self.codes}

    def integers(self, codes: ArrayLike) -> Ints:
        """The weights of codes; any shape."""
        values = np.asarray(codes, np.int64)
        return 2 * values - 1 if self.weight_bits == 1 else values

    @functools.cached_property
    def sum(self) -> AdderTreeSpec:
        """The sum of the products."""
        codes = [self.codes] * self.n if self.weights is None else [(code, code) for code in self.weights]
        ends = (np.outer(self.integers(w), (self.source.min, self.source.max)) for w in codes)
        ranges = tuple((int(products.min()), int(products.max())) for products in ends)
        return AdderTreeSpec(ranges=ranges, constant=self.bias, rule=self.rule)

    @property
    def format(self) -> Format:
        """Format of the dot product."""
        return self.sum.format

    def compute(self, x: ArrayLike, w: ArrayLike | None = None) -> Ints:
        """Golden function: numbers and (unless constant) codes of shape (..., n) in, sums of shape (...) out."""
        integers = self.integers(self.weights or () if w is None else w)
        products = np.moveaxis(np.asarray(x, np.int64) * integers, -1, 0)
        return self.sum.compute(**{f"x{i}": product for i, product in enumerate(products)})
