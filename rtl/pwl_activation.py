"""Piecewise-linear sigmoid and tanh."""

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from model.spec import Format, PwlSpec
from rtl.compressor import Compressor
from rtl.decisions import table_code
from rtl.logic import Bit, Logic, pipelined
from rtl.shapes import shape_of
from rtl.unit import Unit

#: Up to these widths a table of the whole function takes 45 % of the time of a line or less, mapped for area or speed,
#: and has less area x delay (Nangate45, mapped for area: the sigmoid of 10 bits 293 um2 and 0.43 ns against 208 and
#: 1.01, tanh of 9 bits 233 and 0.35 against 220 and 1.02). With finer outputs it is far larger.
TABLE_INPUT, TABLE_OUTPUT = 13, 8


class PwlActivation(Unit):
    """``o = clamp((base[segment] + slope[segment] * low) >> guard)``.

    For a narrow input and output a decision diagram of the whole function; else one of the segments, and base and
    partial products in one compressor. Latency ``stages`` cycles, throughput one a cycle. Floors to the target format
    and saturates; ``spec.max_error()`` is the distance from the real function.

    Parameters
    ----------
    spec
        Segments and formats.
    stages
        Pipeline registers between input and output.

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
        base, slope = (Format.covering(min(t), max(t)) for t in (spec.bases, spec.slopes))
        # Segments count from the smallest input; the top bits of a signed input start at the middle.
        segments = [(k + n // 2) % n if spec.source.signed else k for k in range(n)]
        words = [
            (spec.slopes[k] & ((1 << slope.width) - 1)) << base.width | (spec.bases[k] & ((1 << base.width) - 1))
            for k in segments
        ]
        found = table_code(m, [self.x[spec.low_bits :]], words, base.width + slope.width)
        number = Format.covering(*spec.line_range)

        def line(logic: Logic) -> list[Bit]:
            # About one level of gates for each bit of the segment.
            bits = logic.inputs(found, spec.source.width - spec.low_bits)
            total = Compressor(logic, number.width + spec.guard)
            total.add_multiple(1, bits[: base.width], signed=base.signed)
            for weight, low in enumerate(logic.inputs(self.x[: spec.low_bits])):
                product = [logic.gate(lambda a, b: a & b, low, bit) for bit in bits[base.width :]]
                total.add_multiple(1 << weight, product, signed=slope.signed)
            return total.total()[spec.guard :]

        y = Signal(shape_of(number))
        m.d.comb += y.eq(pipelined(m, self.latency, line))
        above = Mux(y > target.max, target.max, y) if number.max > target.max else y
        return Mux(y < target.min, target.min, above) if number.min < target.min else above
