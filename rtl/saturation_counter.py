"""Counters of saturation, and a sum in a written order that has them."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import ClassVar

from amaranth.hdl import Cat, ClockSignal, Const, Module, Mux, ResetSignal, Shape, Signal, Value, ValueLike
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import AdderTreeSpec, Format
from rtl.adder_tree import AdderTree
from rtl.compressor import FinalAdder
from rtl.shapes import shape_of
from rtl.unit import Unit

COUNTER_WIDTH = 32  #: bits of a counter, if nothing else is asked for


def count_up(m: Module, name: str, more: Value, width: int, valid: ValueLike = 1, clear: ValueLike = 0) -> Signal:
    """A counter: adds ``more`` in each cycle that is ``valid``, stays at its largest value, is 0 after a reset."""
    count, added = Signal(width, name=name), Signal(Shape.cast(more.shape()), name=f"{name}_flags")
    total = Signal(max(width, len(added)) + 1, name=f"{name}_total")
    largest = Const((1 << width) - 1, width)
    m.d.comb += [added.eq(more), total.eq(count + added)]
    with m.If(clear):
        m.d.sync += count.eq(0)
    with m.Elif(valid):
        m.d.sync += count.eq(Mux(total > largest, largest, total))
    return count


class SaturationCounter(Unit):
    """An :class:`AdderTree`, and a counter for each level of its nodes.

    Latency of ``o`` is ``stages`` cycles, that of ``counts`` one more; throughput one sum a cycle. After a reset all
    counts are 0. They are the numbers of ``spec.saturations``, added up over the sums that were valid, and stay at
    their largest value once they reach it.

    Parameters
    ----------
    spec, stages, final
        As for :class:`AdderTree`.
    width
        Bits of a counter, 1 to 62.

    Ports
    -----
    x0, x1, ... : In, the narrowest format of each range
    valid : In, whether the summands are to be counted
    clear : In, set all counts to 0, and do not count what leaves the adders now
    o : Out, ``spec.format``
    counts : Out, array of ``spec.levels`` numbers, that of the lowest level first
    """

    SEQUENTIAL: ClassVar[bool] = True
    valid: Value
    clear: Value
    o: Value
    counts: data.View

    def __init__(
        self, spec: AdderTreeSpec, stages: int = 0, final: FinalAdder = "small", width: int = COUNTER_WIDTH
    ) -> None:
        if not 1 <= width <= 62:
            raise ValueError(f"Width of a counter must be 1 to 62 bits, not {width!r}")
        self.spec, self.latency, self.variant = spec, stages, (final, width)
        summands = {f"x{i}": In(shape_of(Format.covering(*r))) for i, r in enumerate(spec.ranges)}
        counts = Out(data.ArrayLayout(width, spec.levels))
        super().__init__(
            {**summands, "valid": In(1), "clear": In(1), "o": Out(shape_of(spec.format)), "counts": counts}
        )

    def build(self) -> Module:
        m = Module()
        spec: AdderTreeSpec = self.spec
        final, width = self.variant
        m.submodules.adder_tree = tree = AdderTree(spec, self.latency, final, flags=True)
        m.d.comb += [getattr(tree, f"x{i}").eq(getattr(self, f"x{i}")) for i in range(len(spec.ranges))]
        m.d.comb += self.o.eq(tree.o)
        if not spec.saturating:
            # Ports clk and rst even where all counts are constants.
            m.d.comb += Signal(2, name="unused").eq(Cat(ClockSignal(), ResetSignal()))
        valid = self._arriving(m)
        for level in range(spec.levels):
            flags = [tree.saturated[k] for k, node in enumerate(spec.saturating) if node.level == level]
            if flags:
                count = count_up(m, f"level_{level}", reduce(add, flags), width, valid, self.clear)
                m.d.comb += self.counts[level].eq(count)
        return m

    def _arriving(self, m: Module) -> Value:
        """``valid`` of the sum that leaves the adders; of those before a reset none is."""
        valid = self.valid
        for stage in range(self.latency):
            later = Signal(name=f"valid_{stage}")
            m.d.sync += later.eq(valid)
            valid = later
        return valid
