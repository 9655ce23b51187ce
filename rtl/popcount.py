"""Number of ones of a vector."""

from amaranth.hdl import Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import PopcountSpec
from rtl.compressor import FinalAdder, compress
from rtl.logic import Bit, Logic, LogicUnit
from rtl.shapes import shape_of


class Popcount(LogicUnit):
    """``o`` = number of ones in ``x``.

    Latency ``stages`` cycles, throughput one a cycle. Exact. With the small final adder it has n - w(n) full and
    half adders, w(n) being the ones in the binary n: as few as there can be.

    Parameters
    ----------
    spec
        The length.
    stages
        Pipeline registers between input and output.
    final
        The adder at the end: small, balanced or fast.

    Ports
    -----
    x : In, n bits
    o : Out, ``spec.format``
    """

    x: data.View
    o: Value

    def __init__(self, spec: PopcountSpec, stages: int = 0, final: FinalAdder = "small") -> None:
        self.spec, self.latency, self.variant = spec, stages, (final,)
        super().__init__({"x": In(data.ArrayLayout(1, spec.n)), "o": Out(shape_of(spec.format))})

    def bits(self, logic: Logic) -> list[Bit]:
        (final,) = self.variant
        bits = ((0, bit) for bit in logic.inputs(self.x.as_value()))
        return compress(logic, bits, 0, self.spec.format.width, final)
