"""Piecewise-linear sigmoid and tanh."""

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from model.spec import Format, PwlSpec
from rtl.compressor import Compressor
from rtl.decisions import table_code
from rtl.logic import pipelined
from rtl.shapes import shape_of
from rtl.unit import Unit

#: Up to these widths a table of the whole function is no larger than its multiplier, mapped for area (Nangate45:
#: the sigmoid of 10 bits 293 against 293 to 303 um2, tanh of 9 bits 258 against 286 to 292 um2), and takes 40 % of
#: its time or less; mapped for speed it is a tenth larger at 40 % of the time. With finer outputs it is larger.
TABLE_INPUT, TABLE_OUTPUT = 13, 8
LEVELS, FINAL = 2, "small"


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

    def __init__(self, spec: PwlSpec, stages: int = 0) -> None:
        self.spec, self.latency = spec, stages
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
        return table_code(m, [self.x], (outputs & ((1 << target.width) - 1)).tolist(), target.width, self.latency)

    def _line(self, m: Module) -> Value:
        spec, target, n = self.spec, self.spec.target, len(self.spec.bases)
        base = Format.covering(min(spec.bases), max(spec.bases))
        slope = Format.covering(min(spec.slopes), max(spec.slopes))
        # Segments count from the smallest input; the top bits of a signed input start at the middle.
        order = [(k + n // 2) % n if spec.source.signed else k for k in range(n)]
        words = [
            (spec.slopes[k] & ((1 << slope.width) - 1)) << base.width | spec.bases[k] & ((1 << base.width) - 1)
            for k in order
        ]
        found = table_code(m, [self.x[spec.low_bits :]], words, base.width + slope.width)
        y = Format.covering(*spec.line_range)

        def line(logic):
            time = LEVELS * (n.bit_length() - 1)
            b, s = logic.inputs(found[: base.width], time), logic.inputs(found[base.width :], time)
            total = Compressor(logic, y.width + spec.guard)
            total.add_multiple(1, b, signed=base.signed)
            for weight, bit in enumerate(logic.inputs(self.x[: spec.low_bits])):
                total.add_multiple(
                    1 << weight, [logic.gate(lambda p, q: p & q, bit, q) for q in s], signed=slope.signed
                )
            return total.total(FINAL)[spec.guard :]

        v = pipelined(m, self.latency, line)
        line_ = Signal(shape_of(y))
        m.d.comb += line_.eq(v)
        above = Mux(line_ > target.max, target.max, line_) if y.max > target.max else line_
        return Mux(line_ < target.min, target.min, above) if y.signed else above
