"""Number of ones of a vector."""

from amaranth.hdl import Module, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import PopcountSpec
from rtl.compressor import compress
from rtl.shapes import shape_of
from rtl.unit import Unit


class Popcount(Unit):
    """``o`` = number of ones in ``x``: full adders down to two rows, then one adder.

    Latency 0, throughput one a cycle. Exact.

    Ports
    -----
    x : In, n bits
    o : Out, ``spec.format``
    """

    x: data.View
    o: Value

    def __init__(self, spec: PopcountSpec) -> None:
        self.spec = spec
        super().__init__({"x": In(data.ArrayLayout(1, spec.n)), "o": Out(shape_of(spec.format))})

    def build(self) -> Module:
        m = Module()
        bits = [(0, bit) for bit in self.x.as_value()]
        m.d.comb += self.o.eq(compress(m, bits, 0, self.spec.format.width))
        return m
