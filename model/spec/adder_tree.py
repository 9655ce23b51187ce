"""A sum in a written order as one unit of hardware: its rule, and the ranges of what it adds."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from model.spec.fixed import Format, Ints, Overflow
from model.spec.sums import SumSpec

Range = tuple[int, int]  #: smallest and largest value

EXACT = SumSpec(width=None)


@dataclass(frozen=True, kw_only=True)
class SumNode:
    """One node of a sum: its level, the bits it drops, and its result before and after the overflow rule."""

    level: int
    shift: int
    before: Range
    after: Range

    @property
    def exact(self) -> Range:
        """A range that holds the sum before bits are dropped."""
        return self.before[0] << self.shift, ((self.before[1] + 1) << self.shift) - 1

    @property
    def overflows(self) -> bool:
        """Whether the overflow rule ever changes the result."""
        return self.before != self.after


@dataclass(frozen=True, kw_only=True)
class AdderTreeSpec:
    """Sum of ``len(ranges)`` integers and a constant, by the nodes of ``rule``.

    Parameters
    ----------
    ranges
        Smallest and largest value of each summand; ports have the narrowest format for it.
    constant
        One more summand, the last, unless it is 0.
    rule
        Order and nodes; exact if not given.

    Raises
    ------
    ValueError
        If there is no summand, a range is not ordered, or a sum is wider than a format can be.
    """

    ranges: tuple[Range, ...]
    constant: int = 0
    rule: SumSpec = EXACT

    def __post_init__(self) -> None:
        if not self.ranges:
            raise ValueError("Number of summands must be at least 1, not 0")
        for low, high in (*self.inputs, *(node.exact for node in self.nodes)):
            _ = Format.covering(low, high)

    @property
    def inputs(self) -> tuple[Range, ...]:
        """Ranges of all summands, the constant included."""
        return (*self.ranges, (self.constant, self.constant)) if self.constant else self.ranges

    @functools.cached_property
    def nodes(self) -> tuple[SumNode, ...]:
        """Every node, in the order in which :meth:`SumSpec.walk` comes to it."""
        return self._propagated[0]

    @property
    def overflows(self) -> bool:
        """Whether some node overflows for some values in the ranges."""
        return any(node.overflows for node in self.nodes)

    @functools.cached_property
    def saturating(self) -> tuple[SumNode, ...]:
        """The nodes that saturate for some values in the ranges, in the same order."""
        return tuple(node for node in self.nodes if node.overflows and self.rule.overflow is Overflow.SATURATE)

    @property
    def levels(self) -> int:
        """Number of levels of nodes."""
        return self.rule.levels(len(self.inputs))

    @functools.cached_property
    def format(self) -> Format:
        """Format of the sum."""
        return Format.covering(*self._propagated[1])

    @functools.cached_property
    def _propagated(self) -> tuple[tuple[SumNode, ...], Range]:
        nodes: list[SumNode] = []

        def node(members: Sequence[Range], shift: int, level: int) -> Range:
            before = sum(low for low, _ in members) >> shift, sum(high for _, high in members) >> shift
            nodes.append(SumNode(level=level, shift=shift, before=before, after=limited(before, self.rule)))
            return nodes[-1].after

        total = self.rule.walk(self.inputs, node)
        return tuple(nodes), total

    def compute(self, **x: ArrayLike) -> Ints:
        """Golden function: summands ``x0, x1, ...`` in, their sum out; any shape."""
        return self.rule.fold(self._summands(x))

    def saturations(self, **x: ArrayLike) -> Ints:
        """How many nodes of each level saturate: summands ``x0, x1, ...`` in, (levels, ...) out."""
        return self.rule.saturations(self._summands(x))

    def _summands(self, x: dict[str, ArrayLike]) -> list[ArrayLike]:
        summands = [x[f"x{i}"] for i in range(len(self.ranges))]
        return [*summands, self.constant] if self.constant else summands


def limited(before: Range, rule: SumSpec) -> Range:
    """The range of a node's result behind its overflow rule."""
    limit = rule.limit
    if limit is None or (limit.min <= before[0] and before[1] <= limit.max):
        return before
    if rule.overflow is Overflow.WRAP:
        return limit.min, limit.max
    return max(limit.min, min(limit.max, before[0])), max(limit.min, min(limit.max, before[1]))
