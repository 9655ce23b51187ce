"""Logic in which equal adders are made once, also those that differ by a complement."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from amaranth.hdl import Value

from rtl.logic import Bit, Logic

Signed = tuple[Bit, bool]  #: a bit, and whether its complement is meant


class SharedLogic(Logic):
    """Logic that remembers its full adders.

    A full adder is self-dual: complements in, complements out. Three bits, each true or complemented, so have
    four different carries, and but one sum, up to complements. The first is a full adder; where others follow,
    they are the carry alone, whose exclusive or with the first synthesis shares.
    """

    def __init__(self, logic: Logic) -> None:
        super().__init__(logic.m, logic._levels, logic._stages)
        self._inverse: dict[Bit, Bit] = {}
        self._root: dict[Bit, Bit] = {}  # complement -> bit
        self._serial: dict[Bit, int] = {}
        self._sums: dict[tuple[Bit, ...], Bit] = {}
        self._carries: dict[tuple[tuple[Bit, ...], tuple[bool, ...]], Bit] = {}

    def signed(self, bit: Bit) -> Signed:
        """The bit that was made, and whether ``bit`` is its complement."""
        root = self._root.get(bit)
        return (bit, False) if root is None else (root, True)

    def invert(self, bit: Bit) -> Bit:
        """The other value; the complement of the complement is the bit itself."""
        if bit.constant is not None or bit in self._root:
            return self._root.get(bit) or super().invert(bit)
        if bit not in self._inverse:
            self._inverse[bit] = super().invert(bit)
            self._root[self._inverse[bit]] = bit
        return self._inverse[bit]

    def full_adder(self, a: Bit, b: Bit, c: Bit, *, cell: bool = True) -> tuple[Bit, Bit]:
        """Sum and carry of three bits."""
        return self._once(functools.partial(super().full_adder, cell=cell), a, b, c)

    def gates(self, a: Bit, b: Bit, c: Bit) -> tuple[Bit, Bit]:
        """Sum and carry of three bits, in gates that synthesis shares between adders and sizes for what they drive."""
        return self._once(self._from_gates, a, b, c)

    def _from_gates(self, a: Bit, b: Bit, c: Bit) -> tuple[Bit, Bit]:
        self.counters += 1
        return self.gate(lambda p, q, r: p ^ q ^ r, a, b, c, levels=2), self.gate(_majority, a, b, c, levels=2)

    def _once(self, make: Callable[[Bit, Bit, Bit], tuple[Bit, Bit]], a: Bit, b: Bit, c: Bit) -> tuple[Bit, Bit]:
        entries = sorted((self.signed(bit) for bit in (a, b, c)), key=lambda e: self._number(e[0]))
        bits, signs = tuple(e[0] for e in entries), tuple(e[1] for e in entries)
        odd, flip = sum(signs) % 2 == 1, signs[0]
        key = bits, tuple(sign ^ flip for sign in signs)
        # Made as first asked for: of the two, that leaves the complements to the inputs, where they are shared.
        if bits not in self._sums:
            total, carry = make(*map(self._with_sign, bits, signs))
            self._sums[bits] = self._with_sign(total, odd)
            self._carries[key] = self._with_sign(carry, flip)
        if key not in self._carries:
            carry = self.gate(_majority, *map(self._with_sign, bits, signs), levels=2)
            self._carries[key] = self._with_sign(carry, flip)
        return self._with_sign(self._sums[bits], odd), self._with_sign(self._carries[key], flip)

    def _with_sign(self, bit: Bit, negative: bool) -> Bit:
        return self.invert(bit) if negative else bit

    def _number(self, bit: Bit) -> int:
        return self._serial.setdefault(bit, len(self._serial))

    def _at(self, bit: Bit, stage: int) -> Any:
        """A complement is taken behind the registers, so that it has none of its own."""
        root = self._root.get(bit)
        if root is None or self.m is None or bit.constant is not None:
            return super()._at(bit, stage)
        return ~super()._at(root, stage)


def _majority(a: Value, b: Value, c: Value) -> Value:
    return (a & b) | ((a ^ b) & c)
