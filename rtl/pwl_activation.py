"""Piecewise-linear sigmoid and tanh."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from model.spec import Format, PwlSpec
from rtl.shapes import shape_of
from rtl.unit import Unit


class PwlActivation(Unit):
    """``o = clamp((base[segment] + slope[segment] * low) >> guard)``: a table, one multiplication, one addition.

    Latency 0, throughput one a cycle. Floors to the target format and saturates.

    Ports
    -----
    x : In, ``spec.source``
    o : Out, ``spec.target``
    """

    x: Value
    o: Value

    def __init__(self, spec: PwlSpec) -> None:
        self.spec = spec
        super().__init__({"x": In(shape_of(spec.source)), "o": Out(shape_of(spec.target))})

    def build(self) -> Module:
        m = Module()
        spec, target, n = self.spec, self.spec.target, len(self.spec.bases)
        base = Signal(shape_of(Format.covering(min(spec.bases), max(spec.bases))))
        slope = Signal(shape_of(Format.covering(min(spec.slopes), max(spec.slopes))))
        with m.Switch(self.x[spec.low_bits :]):
            for segment in range(n):
                # Segments count from the smallest input; the top bits of a signed input start at the middle.
                with m.Case((segment + n // 2) % n if spec.source.signed else segment):
                    m.d.comb += [base.eq(spec.bases[segment]), slope.eq(spec.slopes[segment])]
        line = (base + slope * self.x[: spec.low_bits]).shift_right(spec.guard)
        above = Mux(line > target.max, target.max, line)
        m.d.comb += self.o.eq(Mux(line < target.min, target.min, above))
        return m
