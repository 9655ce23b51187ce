"""Sums of weighted bits as one carry-save compressor."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from amaranth.hdl import Cat, Const, Module, Signal, Value


def compress(m: Module, bits: Iterable[tuple[int, Value]], constant: int, width: int) -> Value:
    """Sum of ``2**weight * bit`` over ``bits``, plus ``constant``, modulo ``2**width``.

    Full adders (3:2 counters) bring every column down to two bits, always on the three earliest ones, so
    that late bits pass few of them; one carry-propagate adder ends it. Combinational.

    Parameters
    ----------
    m
        The module that gets the logic.
    bits
        (weight, one-bit value); any number, in any order.
    constant
        Any integer; its bits go into the compressor like the others.
    width
        Bits of the result.
    """
    columns: list[list[tuple[int, int, Value]]] = [[] for _ in range(width)]  # (arrival, tie-break, bit)
    serial = 0

    def put(weight: int, arrival: int, bit: Value) -> None:
        nonlocal serial
        if weight < width:
            heapq.heappush(columns[weight], (arrival, serial, bit))
            serial += 1

    for weight, bit in bits:
        put(weight, 0, bit)
    for weight in range(width):
        if constant >> weight & 1:
            put(weight, 0, Const(1, 1))  # the adder it enters shrinks to a half adder in synthesis
    for weight, column in enumerate(columns):
        while len(column) > 2:
            (_, _, a), (_, _, b), (arrival, _, c) = (heapq.heappop(column) for _ in range(3))
            half, total, carry = Signal(name="half"), Signal(name="sum"), Signal(name="carry")
            m.d.comb += [half.eq(a ^ b), total.eq(half ^ c), carry.eq((a & b) | (half & c))]
            put(weight, arrival + 2, total)
            put(weight + 1, arrival + 1, carry)
    first, second = (
        Cat(*(column[place][2] if place < len(column) else Const(0, 1) for column in columns)) for place in (0, 1)
    )
    return (first + second)[:width] if any(len(column) > 1 for column in columns) else first
