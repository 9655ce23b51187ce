"""A dot product by limited adders, some lanes a cycle."""

from __future__ import annotations

from dataclasses import replace

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import IntegerDotSpec, RunningSumSpec
from rtl.adder_tree import AdderTree
from rtl.integer_dot import IntegerDot
from rtl.shapes import shape_of
from rtl.unit import Unit


class RunningSum(Unit):
    """The dot product of ``spec``, a beat a cycle: each adds its lanes, unit by unit, to the total of those before.

    Latency: ``o`` is there one cycle after the last beat, until one cycle after the next ``first``. Throughput: a beat
    a cycle; further beats, of zeros, change nothing. Order, rounding and overflow of every addition are those of the
    rule. No reset needed; one clears the flags.

    Parameters
    ----------
    spec
        The dot product, and how many lanes.
    flags
        Whether there is a port ``saturated``; without nodes that saturate there never is.

    Ports
    -----
    valid, first : In; a beat is there; it is the first of its dot product
    x : In, ``lanes`` numbers; zeros past the last term
    w : In, ``lanes`` codes, see :class:`model.spec.IntegerDotSpec`; unless the weights are constants
    o : Out, ``spec.format``
    saturated : Out, with flags; a bit for each of ``spec.saturating``: whether that node did, in the beat one cycle
        before; all 0 where there was none
    """

    SEQUENTIAL = True
    valid: Value
    first: Value
    x: data.View
    w: data.View
    o: Value
    saturated: Value

    def __init__(self, spec: RunningSumSpec, flags: bool = False) -> None:
        self.spec, self.variant = spec, (flags and bool(spec.saturating),)
        weights = {} if spec.dot.weights else {"w": In(data.ArrayLayout(shape_of(spec.dot.weight_format), spec.lanes))}
        x = In(data.ArrayLayout(shape_of(spec.dot.source), spec.lanes))
        told = {"saturated": Out(len(spec.saturating))} if self.variant[0] else {}
        super().__init__({"valid": In(1), "first": In(1), "x": x, **weights, "o": Out(shape_of(spec.format)), **told})

    def build(self) -> Module:
        m = Module()
        spec, start, (flags,) = self.spec, 0, self.variant
        total = Signal(shape_of(spec.format), reset_less=True)
        sum_: Value = Mux(self.first, 0, total)
        saturated: list[Value] = []
        for i, chunk in enumerate(spec.chunks):
            m.submodules[f"integer_dot_{i}"] = dot = IntegerDot(chunk, flags=flags)
            m.d.comb += dot.x.as_value().eq(self._lanes(self.x, start, chunk.n))
            if not chunk.weights:
                m.d.comb += dot.w.as_value().eq(self._lanes(self.w, start, chunk.n))
            start += chunk.n
            saturated += self._flags(chunk, dot) if flags else []
            if spec.beats == 1:
                sum_ = dot.o
                continue
            m.submodules[f"adder_{i}"] = adder = AdderTree(spec.adder(chunk), flags=flags)
            m.d.comb += [adder.x0.eq(sum_), adder.x1.eq(dot.o)]
            sum_ = adder.o
            saturated += [adder.saturated] if flags and spec.adder(chunk).saturating else []
        # Where one beat is all, further ones, of zeros, must not replace the total.
        counts = self.valid & self.first if spec.beats == 1 else self.valid
        with m.If(counts):
            m.d.sync += total.eq(sum_)
        if flags:
            m.d.sync += self.saturated.eq(Mux(counts, Cat(*saturated), 0))
        m.d.comb += self.o.eq(total)
        return m

    @staticmethod
    def _flags(chunk: IntegerDotSpec, dot: IntegerDot) -> list[Value]:
        """Of the nodes that saturate for some weights; 0 where these weights let them not."""
        told = iter(dot.saturated if chunk.sum.saturating else ())
        nodes = zip(chunk.sum.nodes, replace(chunk, weights=None).sum.nodes, strict=True)
        return [next(told) if node.overflows else Const(0, 1) for node, most in nodes if most.overflows]

    @staticmethod
    def _lanes(values: data.View, start: int, count: int) -> Value:
        width = len(values.as_value()) // len(values)
        return values.as_value()[start * width :][: count * width]
