"""Sums in a written order, exact or by adders of limited width, and the normalization that follows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import Format, Ints, NarrowSpec, Overflow, Rounding

T = TypeVar("T")


class Order(StrEnum):
    """Which summands meet in which addition."""

    TREE = "tree"  #: level by level, neighbours together; see :class:`SumSpec`
    SEQUENCE = "sequence"  #: ((x0 + x1) + x2) + ...


@dataclass(frozen=True, kw_only=True)
class SumSpec:
    """The rule of a sum: in which order its summands are added, and what each adder does.

    A *node* adds its summands exactly, drops the lowest ``shift`` bits (towards minus infinity), and brings the result
    to a signed number of ``width`` bits by the overflow rule. Summands themselves may be wider.

    - ``tree``: level by level, ``fan_in`` neighbours make one node: (0, 1), (2, 3), ... for two. What is left at the
      end of a level is a node like the others, of fewer summands; so a single one passes up, shifted like the rest. The
      sum is there when one value is left. It has ``ceil(log(n) / log(fan_in))`` levels.
    - ``sequence``: the first ``fan_in`` summands make the first node; every further one adds the next ``fan_in - 1`` to
      the running total, the last as many as are left. All nodes are one level.
    - ``unit``: summands are added ``unit`` at a time by the order above, the last time with zeros in the
      places that are left. The totals of these chunks are then added one after the other, by nodes of two, of
      the same width and overflow rule, which drop nothing. They are one more level.
    - A sum of one summand (or a unit of one) is a node of one that drops nothing: it obeys the overflow rule.

    Source of low-precision accumulation: Li, Wang, Liu, Han, Li, "Simulate-the-hardware: Training Accurate Binarized
    Neural Networks for Low-Precision Neural Accelerators"; fan-ins, chunks and the proof of idle nodes are ours.

    Parameters
    ----------
    width
        Bits of every node's result, sign included, 1 to 62; None for nodes that hold every sum.
    order
        ``tree`` or ``sequence``.
    overflow
        What a node does with a sum that it cannot hold: ``saturate`` or ``wrap``.
    fan_in
        Most summands of a node, at least 2.
    shift
        Bits dropped by every node; in a tree, so, at every level.
    unit
        Summands that the adders take at once; None for all of them.

    Raises
    ------
    ValueError
        If a parameter is outside its range.
    """

    width: int | None = 16
    order: Order | str = Order.TREE
    overflow: Overflow | str = Overflow.SATURATE
    fan_in: int = 2
    shift: int = 0
    unit: int | None = None

    def __post_init__(self) -> None:
        for name, kind in (("order", Order), ("overflow", Overflow)):
            value = getattr(self, name)
            if value not in list(kind):
                raise ValueError(f"{name.capitalize()} of a sum must be {' or '.join(kind)}, not {value!r}")
            object.__setattr__(self, name, kind(value))
        if self.width is not None and not 1 <= self.width <= 62:
            raise ValueError(f"Node width of a sum must be 1 to 62 bits, not {self.width!r}")
        if self.fan_in < 2:
            raise ValueError(f"Fan-in of a sum must be at least 2, not {self.fan_in!r}")
        if not 0 <= self.shift <= 62:
            raise ValueError(f"Shift of a sum must be 0 to 62, not {self.shift!r}")
        if self.unit is not None and self.unit < 1:
            raise ValueError(f"Unit of a sum must be at least 1, not {self.unit!r}")

    @classmethod
    def parse(cls, text: str, base: SumSpec) -> SumSpec:
        """The rule written as ``12`` (its width) or ``width=12,unit=16``, otherwise like ``base``.

        ``none`` is for no width or unit.

        Raises
        ------
        ValueError
            If the text names no field, or one is outside its range.
        """
        found: dict[str, int | str | None] = {}
        for part in text.split(","):
            name, _, value = part.strip().rpartition("=")
            name = name.strip() or "width"
            if name not in cls.__dataclass_fields__ or name in found:
                raise ValueError(f"Rule of a sum must be fields such as width=12,unit=16, not {text!r}")
            if name in ("order", "overflow"):
                found[name] = value.strip()
            elif value.strip() == "none" and name in ("width", "unit"):
                found[name] = None
            else:
                try:
                    found[name] = int(value)
                except ValueError:
                    raise ValueError(f"Field {name} of a sum must be a number, not {value.strip()!r}") from None
        return replace(base, **found)

    def __str__(self) -> str:
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return ",".join(f"{name}={'none' if value is None else value}" for name, value in values.items())

    @property
    def limit(self) -> Format | None:
        """What a node holds; None without a width."""
        return None if self.width is None else Format(self.width)

    @property
    def exact(self) -> bool:
        """Whether nodes change nothing: their results are sums."""
        return self.width is None and not self.shift

    def without_limits(self) -> SumSpec:
        """The same order, by nodes that change nothing."""
        return replace(self, width=None, shift=0)

    @property
    def linear(self) -> bool:
        """Whether only the total counts, taken modulo ``2**width`` if there is one: the order does not matter."""
        return not self.shift and (self.width is None or self.overflow is Overflow.WRAP)

    def levels(self, terms: int) -> int:
        """Number of levels of a sum of so many summands; a level is counted from 0, the one of the summands, on."""
        chunks = 1 if self.unit is None else -(-terms // self.unit)
        return self._levels(terms if self.unit is None else self.unit) + (chunks > 1)

    def _levels(self, terms: int) -> int:
        """Those of one chunk."""
        if self.order is Order.SEQUENCE:
            return 1
        levels = 1
        while self.fan_in**levels < terms:
            levels += 1
        return levels

    def walk(self, summands: Sequence[T], node: Callable[[Sequence[T], int, int], T]) -> T:
        """Reduce ``summands`` in the written order.

        ``node`` gets the summands that meet, how many bits are dropped, and the level; zeros that fill a unit are
        left out.
        """
        unit = self.unit or len(summands)
        chunks = [self._chunk(summands[i : i + unit], unit, node) for i in range(0, len(summands), unit)]
        return self._joined(chunks, unit, node)

    def _joined(self, chunks: Sequence[T], unit: int, node: Callable[[Sequence[T], int, int], T]) -> T:
        """The totals of chunks, one after the other."""
        total, level = chunks[0], self._levels(unit)
        for chunk in chunks[1:]:
            total = node((total, chunk), 0, level)
        return total

    def _chunk(self, summands: Sequence[T], unit: int, node: Callable[[Sequence[T], int, int], T]) -> T:
        if unit == 1:
            return node(summands, 0, 0)
        if self.order is Order.TREE:
            values = list(summands)
            for level in range(self._levels(unit)):
                groups = (values[i : i + self.fan_in] for i in range(0, len(values), self.fan_in))
                values = [node(group, self.shift, level) for group in groups]
            return values[0]
        total = node(summands[: self.fan_in], self.shift, 0)
        for start in range(self.fan_in, unit, self.fan_in - 1):
            if start >= len(summands) and not self.shift:
                break
            total = node((total, *summands[start : start + self.fan_in - 1]), self.shift, 0)
        return total

    def fold(self, summands: Sequence[ArrayLike]) -> Ints:
        """Golden function on a sequence, or an array of which the first axis is summed; values of any one shape."""
        return self.walk([np.asarray(v, np.int64) for v in summands], self._node)

    def product(self, x: ArrayLike, w: ArrayLike) -> Ints:
        """Golden function of a matrix product: integers (..., terms) and (outputs, terms) in, sums (..., outputs) out.

        Equal to :meth:`fold` of the products, and faster: neighbours in a tree whose sum cannot overflow are added by
        an ordinary matrix product.
        """
        x, w = np.asarray(x, np.int64), np.asarray(w, np.int64)
        if self.linear:
            return self._node([x @ w.T])
        terms, bound = x.shape[-1], int(np.abs(x).max(initial=0)) * int(np.abs(w).max(initial=0))
        unit, block = self.unit or terms, 1
        if self.order is Order.TREE and not self.shift and self.limit is not None:
            while block < unit and block * self.fan_in * bound <= self.limit.max:
                block *= self.fan_in
        chunks = []
        for start in range(0, terms, unit):
            ends = range(start, min(start + unit, terms), block)
            blocks = [x[..., i : (end := min(i + block, start + unit))] @ w[:, i:end].T for i in ends]
            chunks.append(self._chunk(blocks, -(-unit // block), self._node))
        return self._joined(chunks, unit, self._node)

    def saturations(self, summands: Sequence[ArrayLike]) -> Ints:
        """How many nodes of each level saturate; summands as for :meth:`fold`, result (levels, ...).

        A node that wraps does not saturate.
        """
        values = [np.asarray(v, np.int64) for v in summands]
        counts = np.zeros((self.levels(len(values)), *np.broadcast_shapes(*(v.shape for v in values))), np.int64)

        def node(members: Sequence[Ints], shift: int, level: int) -> Ints:
            result = self._node(members, shift)
            if self.overflow is Overflow.SATURATE:
                counts[level] += result != sum(members) >> shift
            return result

        self.walk(values, node)
        return counts

    def _node(self, members: Sequence[Ints], shift: int = 0, level: int = 0) -> Ints:
        del level  # every level obeys the same rule
        total = sum(members[1:], members[0]) >> shift
        if self.limit is None:
            return total
        return NarrowSpec(source=Format(62), target=self.limit, overflow=Overflow(self.overflow)).compute(total)


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
