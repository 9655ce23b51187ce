"""Piecewise-linear sigmoid and tanh."""

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from model.spec import Format, PwlSpec
from rtl.decisions import table_code
from rtl.shapes import shape_of
from rtl.unit import Unit

#: Up to these widths a table of the whole function is no larger than its multiplier, mapped for area (Nangate45:
#: the sigmoid of 10 bits 293 against 293 to 303 um2, tanh of 9 bits 258 against 286 to 292 um2), and takes 40 % of
#: its time or less; mapped for speed it is a tenth larger at 40 % of the time. With finer outputs it is larger.
TABLE_INPUT, TABLE_OUTPUT = 13, 8


class PwlActivation(Unit):
    """``o = clamp((base[segment] + slope[segment] * low) >> guard)``.

    For a narrow input and output a decision diagram of the whole function; else a table of segments, one
    multiplication and one addition. Latency 0, throughput one a cycle. Floors to the target format and
    saturates; ``spec.max_error()`` is the distance from the real function.

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
        narrow = self.spec.source.width <= TABLE_INPUT and self.spec.target.width <= TABLE_OUTPUT
        m.d.comb += self.o.eq(self._table(m) if narrow else self._line(m))
        return m

    def _table(self, m: Module) -> Value:
        source, target = self.spec.source, self.spec.target
        stored = np.arange(1 << source.width)  # the bits of x as a number without sign
        outputs = self.spec.compute(np.where(stored > source.max, stored - (1 << source.width), stored))
        return table_code(m, [self.x], (outputs & ((1 << target.width) - 1)).tolist(), target.width)

    def _line(self, m: Module) -> Value:
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
        return Mux(line < target.min, target.min, above)
