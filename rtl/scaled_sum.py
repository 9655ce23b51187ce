"""Numbers times constants, and their sum."""

from __future__ import annotations

from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from model.spec import ScaledSumSpec
from rtl.compressor import Compressor
from rtl.logic import Bit, Logic, LogicUnit
from rtl.shapes import shape_of


class ScaledSum(LogicUnit):
    """``o = sum_i factors[i] x_i``: shifted copies by canonical signed digits, all in one compressor.

    Latency ``stages`` cycles, throughput one a cycle. Exact. A power of two is wires.

    Parameters
    ----------
    spec
        The formats and the constants.
    stages
        Pipeline registers between input and output.

    Ports
    -----
    x0, x1, ... : In, ``spec.sources``
    o : Out, ``spec.format``
    """

    o: Value

    def __init__(self, spec: ScaledSumSpec, stages: int = 0) -> None:
        self.spec, self.latency = spec, stages
        numbers = {f"x{i}": In(shape_of(source)) for i, source in enumerate(spec.sources)}
        super().__init__({**numbers, "o": Out(shape_of(spec.format))})

    def bits(self, logic: Logic) -> list[Bit]:
        spec: ScaledSumSpec = self.spec
        total = Compressor(logic, spec.format.width)
        for i, (source, factor) in enumerate(zip(spec.sources, spec.factors, strict=True)):
            total.add_multiple(factor, logic.inputs(getattr(self, f"x{i}")), signed=source.signed)
        return total.total()
