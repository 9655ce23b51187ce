"""Activation and multi-level binarization in one."""

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import ThresholdSpec
from rtl.decisions import threshold_code
from rtl.shapes import shape_of
from rtl.unit import Unit


class ThresholdActivation(Unit):
    """``o = MLB(activation(narrow(x)))``, as comparisons of x with ``2**M - 1`` constants.

    Latency 0, throughput one a cycle. Exact: the constants come from the integer function itself, so its
    every rounding and clamp is in them. No slope, no multiplier, no quantizer.

    Ports
    -----
    x : In, ``spec.source``
    o : Out, ``spec.mlb.levels`` bits, s_1 in the highest
    """

    x: Value
    o: Value

    def __init__(self, spec: ThresholdSpec) -> None:
        self.spec = spec
        super().__init__({"x": In(shape_of(spec.source)), "o": Out(spec.mlb.levels)})

    def build(self) -> Module:
        m = Module()
        m.d.comb += self.o.eq(threshold_code(m, self.x, self.spec.thresholds, self.spec.mlb.levels))
        return m
