"""Sums in a written order, exact or by adders of limited width, and the normalization that follows them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import Format, Ints, NarrowSpec, Overflow, Rounding

Range = tuple[int, int]  #: smallest and largest value
T = TypeVar("T")


class Order(StrEnum):
    """Which summands meet in which addition."""

    TREE = "tree"  #: level by level, pairs (0, 1), (2, 3), ...; an odd one passes up
    SEQUENCE = "sequence"  #: ((x0 + x1) + x2) + ...


@dataclass(frozen=True, kw_only=True)
class SumNode:
    """One addition, or the shift of a summand that passes up a level: its result before and after the overflow rule."""

    before: Range
    after: Range

    @property
    def overflows(self) -> bool:
        """Whether the overflow rule ever changes the result."""
        return self.before != self.after


@dataclass(frozen=True, kw_only=True)
class SumSpec:
    """Sum of ``len(ranges)`` integers and a constant, in a written order.

    Every addition is exact, drops the lowest ``shift`` bits (towards minus infinity) and then obeys the overflow
    rule of a signed format of ``node`` bits. A summand that passes up a level is shifted like the others.
    Without node width and shift the sum is exact, and its order does not matter.

    Parameters
    ----------
    ranges
        Smallest and largest value of each summand; ports have the narrowest format for it.
    constant
        One more summand, the last, unless it is 0.
    order
        Balanced tree or sequence.
    node
        Bits of every node, sign included; None for nodes that hold every sum.
    overflow
        What a node does with a sum that it cannot hold.
    shift
        Bits dropped by every addition; in a tree, so, at every level.

    Raises
    ------
    ValueError
        If there is no summand, a range is not ordered, a node cannot hold a summand, the shift is negative, or a
        width is beyond what a format can be.
    """

    ranges: tuple[Range, ...]
    constant: int = 0
    order: Order = Order.TREE
    node: int | None = None
    overflow: Overflow = Overflow.SATURATE
    shift: int = 0

    def __post_init__(self) -> None:
        if not self.ranges:
            raise ValueError("Number of summands must be at least 1, not 0")
        if self.shift < 0:
            raise ValueError(f"Shift of a sum must be at least 0, not {self.shift!r}")
        if self.node is not None and not 1 <= self.node <= 62:
            raise ValueError(f"Node width of a sum must be 1 to 62 bits, not {self.node!r}")
        for low, high in self.inputs:
            summand = Format.covering(low, high)
            if self.node is not None and (low < self.limit.min or high > self.limit.max):
                needed = summand.width + (not summand.signed)
                raise ValueError(f"Node width of this sum must be at least {needed} bits, not {self.node!r}")
        _ = self.format

    @property
    def inputs(self) -> tuple[Range, ...]:
        """Ranges of all summands, the constant included."""
        return (*self.ranges, (self.constant, self.constant)) if self.constant else self.ranges

    @property
    def limit(self) -> Format:
        """What a node holds; only with a node width."""
        return Format(62 if self.node is None else self.node)

    @functools.cached_property
    def nodes(self) -> tuple[SumNode, ...]:
        """Every addition and shift, in the order in which :meth:`walk` comes to it."""
        return self._propagated[0]

    @functools.cached_property
    def format(self) -> Format:
        """Format of the sum."""
        return Format.covering(*self._propagated[1])

    @functools.cached_property
    def _propagated(self) -> tuple[tuple[SumNode, ...], Range]:
        nodes: list[SumNode] = []

        def join(a: Range, b: Range | None) -> Range:
            before = a if b is None else (a[0] + b[0], a[1] + b[1])
            before = before[0] >> self.shift, before[1] >> self.shift
            nodes.append(SumNode(before=before, after=self._limited(before)))
            return nodes[-1].after

        total = self.walk(self.inputs, join)
        return tuple(nodes), total

    def _limited(self, before: Range) -> Range:
        low, high = self.limit.min, self.limit.max
        if self.node is None or (low <= before[0] and before[1] <= high):
            return before
        if self.overflow is Overflow.WRAP:
            return low, high
        return max(low, min(high, before[0])), max(low, min(high, before[1]))

    def walk(self, summands: Sequence[T], join: Callable[[T, T | None], T]) -> T:
        """Reduce ``summands`` (the constant among them) in the written order.

        ``join`` gets the two that meet; or one and None where it passes up a level of shifts.
        """
        if self.order is Order.SEQUENCE:
            return functools.reduce(join, summands)
        level = list(summands)
        while len(level) > 1:
            odd = level[-1:] if len(level) % 2 else []
            pairs = zip(level[::2], level[1::2], strict=False)
            level = [join(a, b) for a, b in pairs] + [join(a, None) if self.shift else a for a in odd]
        return level[0]

    def fold(self, summands: Sequence[ArrayLike]) -> Ints:
        """Golden function on a sequence, or an array of which the first axis is summed; values of any one shape."""
        values = [np.asarray(v, np.int64) for v in summands]
        if self.constant:
            values.append(np.asarray(self.constant, np.int64))

        def join(a: Ints, b: Ints | None) -> Ints:
            total = (a if b is None else a + b) >> self.shift
            return total if narrow is None else narrow.compute(total)

        narrow = None if self.node is None else NarrowSpec(source=Format(62), target=self.limit, overflow=self.overflow)
        return np.asarray(self.walk(values, join))

    def compute(self, **x: ArrayLike) -> Ints:
        """Golden function: summands ``x0, x1, ...`` in, their sum out; any shape."""
        return self.fold([x[f"x{i}"] for i in range(len(self.ranges))])


@dataclass(frozen=True, kw_only=True)
class ShiftNormSpec:
    """Shift normalization: ``(x - mean) / 2**shift``, narrowed to ``target``.

    Parameters
    ----------
    source
        Format of x.
    mean
        Stored integer with the fraction bits of ``source``.
    shift
        The divisor is ``2**shift``; negative to multiply.
    target, rounding, overflow
        Format of the result, and how it is narrowed to it.

    Raises
    ------
    ValueError
        If a number on the way is wider than a format can be.
    """

    source: Format
    mean: int
    shift: int
    target: Format
    rounding: Rounding = Rounding.FLOOR
    overflow: Overflow = Overflow.SATURATE

    def __post_init__(self) -> None:
        if self.source.frac + self.shift > 62:
            raise ValueError(f"Shift of a normalization must be at most {62 - self.source.frac}, not {self.shift!r}")
        _ = self.narrow

    @property
    def left(self) -> int:
        """Zeros appended to the difference, so that it has the fraction bits of ``target``."""
        return max(0, self.target.frac - self.source.frac - self.shift)

    @property
    def narrow(self) -> NarrowSpec:
        """From the difference and its appended zeros to ``target``."""
        low, high = self.source.min - self.mean, self.source.max - self.mean
        difference = Format.covering(low << self.left, high << self.left, self.source.frac + self.shift + self.left)
        return NarrowSpec(source=difference, target=self.target, rounding=self.rounding, overflow=self.overflow)

    def compute(self, x: ArrayLike) -> Ints:
        """Golden function: stored integers of ``source`` in, of ``target`` out; any shape."""
        return self.narrow.compute((np.asarray(x, np.int64) - self.mean) << self.left)
