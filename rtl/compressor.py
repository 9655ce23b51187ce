"""Sums of weighted bits: 3:2 counters down to two rows or one, and the adder that ends them."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from rtl.logic import ONE, ZERO, Bit, Logic

#: small: carries ripple on through counters, as few as there can be; balanced: every second carry by a tree,
#: the rest from its neighbour (Brent and Kung, 1982); fast: every carry by a tree of its own (Sklansky, 1960).
FinalAdder = Literal["small", "balanced", "fast"]

Column = list[tuple[int, int, Bit]]  #: a heap of (arrival, serial number, bit)


def signed_digits(value: int) -> list[tuple[int, int]]:
    """Canonical signed digits of ``value``: (shift, +1 or -1), the fewest that sum to it."""
    digits, shift = [], 0
    while value:
        if value & 1:
            digit = 2 - (value & 3)
            digits.append((shift, digit))
            value -= digit
        value >>= 1
        shift += 1
    return digits


class Compressor:
    """A sum modulo ``2**width``: bits in columns by weight.

    A counter always takes the earliest bits of its column, so late bits pass few of them (Dadda, 1965; arrival
    driven as by Oklobdzija, Villeger and Liu, 1996).
    """

    def __init__(self, logic: Logic, width: int) -> None:
        self._logic, self._serial = logic, itertools.count()
        self._columns: list[Column] = [[] for _ in range(width)]
        self._constant = 0

    def add(self, weight: int, bit: Bit) -> None:
        """Add ``2**weight * bit``; what lies beyond the width is dropped."""
        if bit.constant is not None:
            self._constant += bit.constant << weight
        elif weight < len(self._columns):
            self._put(weight, bit)

    def add_multiple(self, constant: int, word: Sequence[Bit], *, signed: bool = False) -> None:
        """Add ``constant`` times the number in ``word``, lowest bit first: a shifted copy for each signed digit."""
        for shift, digit in signed_digits(constant):
            for place, bit in enumerate(word):
                # -2^k b = 2^k (not b) - 2^k; the top bit of two's complement counts negative.
                if (digit < 0) == (signed and place == len(word) - 1):
                    self.add(shift + place, bit)
                else:
                    self.add(shift + place, self._logic.invert(bit))
                    self._constant -= 1 << (shift + place)

    def add_constant(self, constant: int) -> None:
        """Add any integer; its bits are counted like the others."""
        self._constant += constant

    def total(self, final: FinalAdder = "small") -> list[Bit]:
        """The sum, lowest bit first; ends what can be done with the compressor."""
        if final not in get_args(FinalAdder):
            raise ValueError(f"Final adder must be {', '.join(get_args(FinalAdder))}, not {final!r}")
        if final == "small":
            return self.rows(1)[0]
        return add_rows(self._logic, *self.rows(2, cells=final == "balanced"), sparse=final == "balanced")

    def rows(self, height: int, *, cells: bool = True) -> list[list[Bit]]:
        """Reduce every column to ``height`` bits, 1 or 2; ``height`` rows, lowest weight first, filled with zeros.

        Without ``cells`` a late bit goes into the input of a counter that has one gate to pass.
        """
        for weight in range(len(self._columns)):
            if self._constant >> weight & 1:
                self._put(weight, ONE)
        for weight, column in enumerate(self._columns):
            while len(column) > 2:
                self._count(weight, column, 3, cells)
            if height == 1 and len(column) == 2:
                self._count(weight, column, 2, cells)
        columns = [[bit for _, _, bit in sorted(column, key=lambda entry: entry[:2])] for column in self._columns]
        return [[column[row] if row < len(column) else ZERO for column in columns] for row in range(height)]

    def _put(self, weight: int, bit: Bit) -> None:
        heapq.heappush(self._columns[weight], (bit.time, next(self._serial), bit))

    def _count(self, weight: int, column: Column, inputs: int, cells: bool) -> None:
        bits, logic = [heapq.heappop(column)[2] for _ in range(inputs)], self._logic
        free = [bit for bit in bits if bit.constant is None]
        if weight == len(self._columns) - 1:
            # The carry is dropped, so the counter is a parity.
            total = free[0]
            for bit in free[1:]:
                total = logic.gate(lambda a, b: a ^ b, total, bit)
            self._put(weight, total if len(free) == inputs else logic.invert(total))
            return
        # At most one bit is known, the one of the constant.
        if len(free) == inputs:
            total, carry = logic.full_adder(*free, cell=cells) if inputs == 3 else logic.half_adder(*free)
        elif inputs == 3:
            total, carry = logic.gate(lambda a, b: ~(a ^ b), *free), logic.gate(lambda a, b: a | b, *free)
        else:
            total, carry = logic.invert(free[0]), free[0]
        self._put(weight, total)
        self._put(weight + 1, carry)


def compress(
    logic: Logic, bits: Iterable[tuple[int, Bit]], constant: int, width: int, final: FinalAdder = "small"
) -> list[Bit]:
    """Sum of ``2**weight * bit`` over (weight, bit), plus ``constant``, modulo ``2**width``; lowest bit first."""
    compressor = Compressor(logic, width)
    for weight, bit in bits:
        compressor.add(weight, bit)
    compressor.add_constant(constant)
    return compressor.total(final)


def add_rows(logic: Logic, first: list[Bit], second: list[Bit], *, sparse: bool) -> list[Bit]:
    """Sum of two rows of equal length by a parallel-prefix adder, modulo its width."""
    width = len(first)
    start = next((k for k in range(width) if ZERO not in (first[k], second[k])), width)
    # Below `start` one row is empty.
    total = [a if b is ZERO else b for a, b in zip(first[:start], second[:start], strict=True)]
    if start == width:
        return total
    pairs = list(zip(first[start:], second[start:], strict=True))
    propagate = [logic.gate(lambda a, b: a ^ b, a, b) for a, b in pairs]
    generate = [logic.gate(lambda a, b: a & b, a, b) for a, b in pairs]
    # (generate, propagate) of the group that ends at each bit; one that begins at bit 0 has nothing to propagate.
    spans = list(zip(generate, [ZERO, *propagate[1:]], strict=True))

    def join(high: tuple[Bit, Bit], low: tuple[Bit, Bit]) -> tuple[Bit, Bit]:
        carry = logic.gate(lambda g, p, h: g | (p & h), high[0], high[1], low[0], levels=2)
        return carry, ZERO if low[1] is ZERO else logic.gate(lambda p, q: p & q, high[1], low[1])

    n = len(spans) - 1  # the carry out of the last bit is dropped
    step = 1
    if sparse:
        while step < n:
            for k in range(2 * step - 1, n, 2 * step):
                spans[k] = join(spans[k], spans[k - step])
            step *= 2
        while step > 1:
            step //= 2
            for k in range(3 * step - 1, n, 2 * step):
                spans[k] = join(spans[k], spans[k - step])
    else:
        while step < n:
            for k in range(n):
                if k & step:
                    spans[k] = join(spans[k], spans[(k & ~(step - 1)) - 1])
            step *= 2
    sums = [logic.gate(lambda p, c: p ^ c, p, spans[k][0]) for k, p in enumerate(propagate[1:])]
    return [*total, propagate[0], *sums]
