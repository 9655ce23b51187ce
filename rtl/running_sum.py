"""A dot product by limited adders, some lanes a cycle."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import RunningSumSpec
from rtl.adder_tree import AdderTree
from rtl.integer_dot import IntegerDot
from rtl.shapes import shape_of
from rtl.unit import Unit


class RunningSum(Unit):
    """The dot product of ``spec``, a beat a cycle: each adds its lanes, unit by unit, to the total of those before.

    Latency: ``o`` is there one cycle after the last beat, until one cycle after the next ``first``. Throughput: a beat
    a cycle; further beats, of zeros, change nothing. Order, rounding and overflow of every addition are those of the
    rule. No reset needed.

    Parameters
    ----------
    spec
        The dot product, and how many lanes.

    Ports
    -----
    valid, first : In; a beat is there; it is the first of its dot product
    x : In, ``lanes`` numbers; zeros past the last term
    w : In, ``lanes`` codes, see :class:`model.spec.IntegerDotSpec`; unless the weights are constants
    o : Out, ``spec.format``
    """

    SEQUENTIAL = True
    valid: Value
    first: Value
    x: data.View
    w: data.View
    o: Value

    def __init__(self, spec: RunningSumSpec) -> None:
        self.spec = spec
        weights = {} if spec.dot.weights else {"w": In(data.ArrayLayout(shape_of(spec.dot.weight_format), spec.lanes))}
        x = In(data.ArrayLayout(shape_of(spec.dot.source), spec.lanes))
        super().__init__({"valid": In(1), "first": In(1), "x": x, **weights, "o": Out(shape_of(spec.format))})

    def build(self) -> Module:
        m = Module()
        spec, start = self.spec, 0
        total = Signal(shape_of(spec.format), reset_less=True)
        sum_: Value = Mux(self.first, 0, total)
        for i, chunk in enumerate(spec.chunks):
            m.submodules[f"integer_dot_{i}"] = dot = IntegerDot(chunk)
            m.d.comb += dot.x.as_value().eq(self._lanes(self.x, start, chunk.n))
            if not chunk.weights:
                m.d.comb += dot.w.as_value().eq(self._lanes(self.w, start, chunk.n))
            start += chunk.n
            if spec.beats == 1:
                sum_ = dot.o
                continue
            m.submodules[f"adder_{i}"] = adder = AdderTree(spec.adder(chunk))
            m.d.comb += [adder.x0.eq(sum_), adder.x1.eq(dot.o)]
            sum_ = adder.o
        # Where one beat is all, further ones, of zeros, must not replace the total.
        with m.If(self.valid & self.first if spec.beats == 1 else self.valid):
            m.d.sync += total.eq(sum_)
        m.d.comb += self.o.eq(total)
        return m

    @staticmethod
    def _lanes(values: data.View, start: int, count: int) -> Value:
        width = len(values.as_value()) // len(values)
        return values.as_value()[start * width :][: count * width]
