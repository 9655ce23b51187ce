"""Narrowing from one fixed-point format to another."""

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import NarrowSpec, Overflow, Rounding
from rtl.shapes import shape_of
from rtl.unit import Unit


class Narrow(Unit):
    """Drops fraction bits by the rounding rule, then integer bits by the overflow rule.

    Latency 0, throughput one a cycle. A clamp that the ranges show to be idle is left out.

    Ports
    -----
    x : In, ``spec.source``
    o : Out, ``spec.target``
    """

    x: Value
    o: Value

    def __init__(self, spec: NarrowSpec) -> None:
        self.spec = spec
        super().__init__({"x": In(shape_of(spec.source)), "o": Out(shape_of(spec.target))})

    def build(self) -> Module:
        m = Module()
        spec, target, x = self.spec, self.spec.target, self.x
        if spec.rounding is Rounding.NEAREST_EVEN and spec.shift:
            x = x + ((1 << (spec.shift - 1)) - 1) + x.shift_right(spec.shift)[:1]
        x = x.shift_right(spec.shift)
        m.d.comb += self.o.eq(x)
        if spec.overflow is Overflow.SATURATE:
            if int(spec.rounded(spec.source.max)) > target.max:
                with m.If(x > target.max):
                    m.d.comb += self.o.eq(target.max)
            if int(spec.rounded(spec.source.min)) < target.min:
                with m.If(x < target.min):
                    m.d.comb += self.o.eq(target.min)
        return m
