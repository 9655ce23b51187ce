"""Sum of weighted bits."""

from amaranth.hdl import Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import BitSumSpec
from rtl.compressor import FinalAdder, compress
from rtl.logic import Bit, Logic, LogicUnit
from rtl.shapes import shape_of


class BitSum(LogicUnit):
    """``o = sum_i 2**weights[i] x_i + constant``: several bit planes and a constant in one compressor.

    Latency ``stages`` cycles, throughput one a cycle. Exact.

    Parameters
    ----------
    spec
        Weights and constant.
    stages
        Pipeline registers between input and output.
    final
        The adder at the end: small, balanced or fast.

    Ports
    -----
    x : In, a bit for each weight
    o : Out, ``spec.format``
    """

    x: data.View
    o: Value

    def __init__(self, spec: BitSumSpec, stages: int = 0, final: FinalAdder = "small") -> None:
        self.spec, self.latency, self.variant = spec, stages, (final,)
        super().__init__({"x": In(data.ArrayLayout(1, len(spec.weights))), "o": Out(shape_of(spec.format))})

    def bits(self, logic: Logic) -> list[Bit]:
        (final,) = self.variant
        bits = zip(self.spec.weights, logic.inputs(self.x.as_value()), strict=True)
        return compress(logic, bits, self.spec.constant, self.spec.format.width, final)
