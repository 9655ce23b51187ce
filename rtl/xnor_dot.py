"""XNOR dot product: the number of equal bits of two vectors."""

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from model.spec import XnorDotSpec
from rtl.compressor import compress
from rtl.shapes import shape_of


class XnorDot(wiring.Component):
    """``o = popcount(xnor(a, b))``; as +-1 vectors their dot product is ``2 o - n`` (MuBiNN, equation 6).

    Latency 0, throughput one a cycle. Exact: nothing is rounded, nothing can overflow.

    Ports
    -----
    a, b : In, n bits
    o : Out, ``spec.format``
    """

    a: data.View
    b: data.View

    def __init__(self, spec: XnorDotSpec) -> None:
        self.spec = spec
        vector = data.ArrayLayout(1, spec.n)
        super().__init__({"a": In(vector), "b": In(vector), "o": Out(shape_of(spec.format))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        equal = ~(self.a.as_value() ^ self.b.as_value())
        m.d.comb += self.o.eq(compress(m, [(0, bit) for bit in equal], 0, self.spec.format.width))
        return m
