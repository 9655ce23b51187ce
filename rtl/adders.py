"""Adders of single bits, as modules of their own: synthesis knows them by name and may use a library's cells."""

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from rtl.unit import Unit


class FullAdder(Unit):
    """3:2 counter: ``a + b + c = sum + 2 carry``.

    Latency 0. The flow in ``synth`` maps its instances onto the library's full-adder cell where that is smaller.

    Ports
    -----
    a, b, c : In, 1 bit
    sum, carry : Out, 1 bit
    """

    a: Value
    b: Value
    c: Value
    sum: Value
    carry: Value

    def __init__(self) -> None:
        self.spec = None
        super().__init__({"a": In(1), "b": In(1), "c": In(1), "sum": Out(1), "carry": Out(1)})

    def build(self) -> Module:
        m = Module()
        # Not with the exclusive or of the sum: a late c then passes one gate fewer, and area is the same.
        m.d.comb += [
            self.sum.eq(self.a ^ self.b ^ self.c),
            self.carry.eq((self.a & self.b) | (self.c & (self.a | self.b))),
        ]
        return m


class HalfAdder(Unit):
    """2:2 counter: ``a + b = sum + 2 carry``.

    Latency 0.

    Ports
    -----
    a, b : In, 1 bit
    sum, carry : Out, 1 bit
    """

    a: Value
    b: Value
    sum: Value
    carry: Value

    def __init__(self) -> None:
        self.spec = None
        super().__init__({"a": In(1), "b": In(1), "sum": Out(1), "carry": Out(1)})

    def build(self) -> Module:
        m = Module()
        m.d.comb += [self.sum.eq(self.a ^ self.b), self.carry.eq(self.a & self.b)]
        return m
