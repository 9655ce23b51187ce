"""XNOR dot product: the number of equal bits of two vectors."""

from amaranth.hdl import Module, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import XnorDotSpec
from rtl.compressor import FinalAdder
from rtl.popcount import Popcount
from rtl.shapes import shape_of
from rtl.unit import Unit


class XnorDot(Unit):
    """``o = popcount(xnor(a, b))``; as +-1 vectors their dot product is ``2 o - n``.

    Latency ``stages`` cycles, throughput one a cycle. Exact: nothing is rounded, nothing can overflow.

    Parameters
    ----------
    spec
        The length.
    stages, final
        Of the :class:`Popcount` behind the XNOR gates.

    Ports
    -----
    a, b : In, n bits
    o : Out, ``spec.format``
    """

    a: data.View
    b: data.View
    o: Value

    def __init__(self, spec: XnorDotSpec, stages: int = 0, final: FinalAdder = "small") -> None:
        self.spec, self.latency, self.variant = spec, stages, (final,)
        vector = data.ArrayLayout(1, spec.n)
        super().__init__({"a": In(vector), "b": In(vector), "o": Out(shape_of(spec.format))})

    def build(self) -> Module:
        m = Module()
        m.submodules.popcount = popcount = Popcount(self.spec.popcount, self.latency, *self.variant)
        m.d.comb += [popcount.x.eq(~(self.a.as_value() ^ self.b.as_value())), self.o.eq(popcount.o)]
        return m
