"""Multiplication by a constant, as few shifted additions and subtractions."""

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import ConstantMultiplierSpec
from rtl.compressor import Compressor
from rtl.logic import Bit, Logic, pipelined
from rtl.shapes import shape_of
from rtl.unit import Unit


class ConstantMultiplier(Unit):
    """``o = constant * x``: a shifted copy of x for each canonical signed digit of the constant, in one compressor.

    Latency ``stages`` cycles, throughput one a cycle. Exact. A power of two is wires.

    Ports
    -----
    x : In, ``spec.source``
    o : Out, ``spec.format``
    """

    x: Value
    o: Value

    def __init__(self, spec: ConstantMultiplierSpec, stages: int = 0) -> None:
        self.spec, self.latency = spec, stages
        super().__init__({"x": In(shape_of(spec.source)), "o": Out(shape_of(spec.format))})

    def build(self) -> Module:
        m = Module()
        m.d.comb += self.o.eq(pipelined(m, self.latency, self._product))
        return m

    def _product(self, logic: Logic) -> list[Bit]:
        total = Compressor(logic, self.spec.format.width)
        total.add_multiple(self.spec.constant, logic.inputs(self.x), signed=self.spec.source.signed)
        return total.total()
