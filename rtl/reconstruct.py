"""The value of a multi-level binarized code."""

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import ReconstructSpec
from rtl.shapes import shape_of
from rtl.unit import Unit


class Reconstruct(Unit):
    """``o = offset + sum_i s_i a_i``, as a table of ``2**levels`` constants.

    Latency 0, throughput one a cycle. Exact.

    Ports
    -----
    code : In, ``spec.mlb.levels`` bits
    o : Out, ``spec.mlb.format``
    """

    code: Value
    o: Value

    def __init__(self, spec: ReconstructSpec) -> None:
        self.spec = spec
        super().__init__({"code": In(spec.mlb.levels), "o": Out(shape_of(spec.mlb.format))})

    def build(self) -> Module:
        m = Module()
        with m.Switch(self.code):
            for code, value in enumerate(self.spec.mlb.values):
                with m.Case(code):
                    m.d.comb += self.o.eq(value)
        return m
