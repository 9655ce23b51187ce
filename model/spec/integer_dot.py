"""Dot product of numbers with signs, summed in a written order."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from model.spec.adder_tree import EXACT, AdderTreeSpec
from model.spec.fixed import Format, Ints
from model.spec.sums import SumSpec


@dataclass(frozen=True, kw_only=True)
class IntegerDotSpec:
    """``sum_i w_i x_i`` with ``w_i`` = +1 or -1, by the nodes of ``rule``.

    Parameters
    ----------
    n
        Length.
    source
        Format of each x.
    weights
        Sign bits where they are constants, ``n`` of them, 1 for +1 and 0 for -1; None where they are an input.
    bias
        One more summand, the last, unless it is 0.
    rule
        Order and nodes; exact if not given.

    Raises
    ------
    ValueError
        If ``n`` is not positive, constant weights are not ``n`` bits, or a sum is wider than a format can be.
    """

    n: int
    source: Format
    weights: tuple[int, ...] | None = None
    bias: int = 0
    rule: SumSpec = EXACT

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"Length of a dot product must be at least 1, not {self.n!r}")
        if self.weights is not None:
            if len(self.weights) != self.n:
                raise ValueError(f"Number of constant weights must be {self.n}, not {len(self.weights)!r}")
            for bit in self.weights:
                if bit not in (0, 1):
                    raise ValueError(f"Constant weight must be a sign bit, 0 or 1, not {bit!r}")
        _ = self.sum

    @functools.cached_property
    def sum(self) -> AdderTreeSpec:
        """The sum of the products."""
        low, high = self.source.min, self.source.max
        of = {0: (-high, -low), 1: (low, high), None: (min(low, -high), max(high, -low))}
        ranges = tuple(of[bit] for bit in self.weights or (None,) * self.n)
        return AdderTreeSpec(ranges=ranges, constant=self.bias, rule=self.rule)

    @property
    def format(self) -> Format:
        """Format of the dot product."""
        return self.sum.format

    def compute(self, x: ArrayLike, w: ArrayLike | None = None) -> Ints:
        """Golden function: numbers and (unless constant) sign bits of shape (..., n) in, sums of shape (...) out."""
        signs = 2 * np.asarray(self.weights if w is None else w, np.int64) - 1
        products = np.moveaxis(np.asarray(x, np.int64) * signs, -1, 0)
        return self.sum.compute(**{f"x{i}": product for i, product in enumerate(products)})
