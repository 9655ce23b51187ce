"""Multiplication by a constant, as few shifted additions and subtractions."""

from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from model.spec import ConstantMultiplierSpec
from rtl.compressor import Compressor
from rtl.logic import Bit, Logic, LogicUnit
from rtl.shapes import shape_of


class ConstantMultiplier(LogicUnit):
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

    def bits(self, logic: Logic) -> list[Bit]:
        total = Compressor(logic, self.spec.format.width)
        total.add_multiple(self.spec.constant, logic.inputs(self.x), signed=self.spec.source.signed)
        return total.total()
