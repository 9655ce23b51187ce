"""Shift normalization: what is left of batch normalization in fixed point."""

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import ShiftNormSpec
from rtl.narrow import Narrow
from rtl.shapes import shape_of
from rtl.unit import Unit


class ShiftNorm(Unit):
    """``o = (x - mean) / 2**shift``: a subtraction and wires, then the rounding and overflow of ``spec.narrow``.

    Latency 0, throughput one a cycle. The difference is exact.

    Ports
    -----
    x : In, ``spec.source``
    o : Out, ``spec.target``
    """

    x: Value
    o: Value

    def __init__(self, spec: ShiftNormSpec) -> None:
        self.spec = spec
        super().__init__({"x": In(shape_of(spec.source)), "o": Out(shape_of(spec.target))})

    def build(self) -> Module:
        m = Module()
        m.submodules.narrow = narrow = Narrow(self.spec.narrow)
        m.d.comb += [narrow.x.eq((self.x - self.spec.mean) << self.spec.left), self.o.eq(narrow.o)]
        return m
