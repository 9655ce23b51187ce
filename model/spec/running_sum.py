"""A dot product that is made some lanes at a time, by limited adders, and what gate sums become of such products."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from model.spec.adder_tree import AdderTreeSpec
from model.spec.fixed import Format, Ints
from model.spec.integer_dot import IntegerDotSpec
from model.spec.sums import SumSpec


@dataclass(frozen=True, kw_only=True)
class RunningSumSpec:
    """A dot product of which ``lanes`` terms are added in a cycle, in the order that its rule says.

    Parameters
    ----------
    dot
        The whole dot product.
    lanes
        Terms a cycle: all of them, or whole units of the rule, unless only the total counts (``SumSpec.linear``); terms
        past the last are zeros.

    Raises
    ------
    ValueError
        If the lanes split a unit, or weights are constants and not all terms are lanes.
    """

    dot: IntegerDotSpec
    lanes: int

    def __post_init__(self) -> None:
        if not 1 <= self.lanes <= self.dot.n:
            raise ValueError(f"Lanes of a running sum must be 1 to {self.dot.n}, not {self.lanes!r}")
        if self.beats > 1 and self.lanes % (self._unit or self.dot.n):
            raise ValueError(
                f"Lanes of a running sum must be a multiple of its unit ({self.dot.rule.unit}), not {self.lanes!r}"
            )
        if self.beats > 1 and (self.dot.weights is not None or self.dot.bias):
            raise ValueError(f"Lanes of a running sum with constants must be all {self.dot.n}, not {self.lanes!r}")

    @property
    def beats(self) -> int:
        """Cycles of a dot product."""
        return -(-self.dot.n // self.lanes)

    @property
    def chunks(self) -> tuple[IntegerDotSpec, ...]:
        """The dot products of a cycle, whose sums are added one after the other to the total: one a unit."""
        if self.beats == 1 or self._unit is None:
            return (self.dot,)
        return (replace(self.dot, n=self._unit),) * (self.lanes // self._unit)

    @property
    def _unit(self) -> int | None:
        """Terms whose sum is added to the total."""
        return self.lanes if self.dot.rule.linear else self.dot.rule.unit

    @property
    def format(self) -> Format:
        """Format of the total, in every cycle."""
        return self.dot.format

    @functools.cached_property
    def saturating(self) -> tuple[int, ...]:
        """The level of each node that can saturate in a beat, whatever the weights: chunk by chunk those of its dot
        product, from :attr:`AdderTreeSpec.saturating`, and then that of :meth:`adder`, which is the last level.
        """
        found: list[int] = []
        for chunk in self.chunks:
            found += [node.level for node in replace(chunk, weights=None).sum.saturating]
            if self.beats > 1:
                found += [self.levels - 1 for _ in self.adder(chunk).saturating]
        return tuple(found)

    @property
    def levels(self) -> int:
        """Number of levels of nodes of the whole dot product."""
        return self.dot.sum.levels

    def adder(self, chunk: IntegerDotSpec) -> AdderTreeSpec:
        """The node that adds a chunk's sum to the total."""
        rule = SumSpec(width=self.dot.rule.width, overflow=self.dot.rule.overflow)
        number = self.format
        return AdderTreeSpec(ranges=((number.min, number.max), (chunk.format.min, chunk.format.max)), rule=rule)


@dataclass(frozen=True, kw_only=True)
class ScaledSumSpec:
    """Numbers times constants, and their sum: ``sum_i factors[i] x_i``, exact.

    Parameters
    ----------
    sources
        Format of each number; fraction bits do not count.
    factors
        As many constants.

    Raises
    ------
    ValueError
        If there is no number, there are not as many constants, or the sum is wider than a format can be.
    """

    sources: tuple[Format, ...]
    factors: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.sources or len(self.sources) != len(self.factors):
            raise ValueError(f"Factors of a scaled sum must be one a number, not {len(self.factors)!r}")
        _ = self.format

    @property
    def format(self) -> Format:
        """The narrowest format of the sum."""
        ends = [sorted((f * s.min, f * s.max)) for s, f in zip(self.sources, self.factors, strict=True)]
        return Format.covering(sum(low for low, _ in ends), sum(high for _, high in ends))

    def compute(self, **x: ArrayLike) -> Ints:
        """Golden function: numbers ``x0, x1, ...`` in, sums out; any shape."""
        products = [np.asarray(x[f"x{i}"], np.int64) * factor for i, factor in enumerate(self.factors)]
        return np.asarray(sum(products[1:], products[0]))
