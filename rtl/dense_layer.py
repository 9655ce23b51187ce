"""The classifier: logits class by class, and the index of the largest."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import (
    IntegerDotSpec,
    MlbAccumulatorSpec,
    MlbDotSpec,
    Pool,
    RunningSumSpec,
    ScaledSumSpec,
    Schedule,
    StepSpec,
)
from rtl.beat import Beat
from rtl.mlb_accumulator import MlbAccumulator
from rtl.quantity import start_value
from rtl.running_sum import RunningSum
from rtl.scaled_sum import ScaledSum
from rtl.shapes import code_shape, codes, shape_of
from rtl.unit import Unit


class DenseLayer(Unit):
    """``logits = w^ h^ + b^`` of a step, or summed over all steps, and their argmax.

    One class after the other, each in ``h_beats`` cycles; the logits lie in a register that is shifted by
    one class each time. A tie goes to the lowest index.

    Latency: ``done`` is high ``Schedule.DENSE_LATENCY`` cycles after the beat announced as ``final``, and
    logits and label are there in the cycle after. Throughput: a beat a cycle. Exact for sequences of at
    most ``max_steps`` steps. ``restart`` clears the sums; reset only empties the pipeline.

    Ports
    -----
    restart : In; a new sequence follows
    beat : In; see :class:`Beat`
    weights, bias : In; memory words of the beat announced one cycle before
    lanes : In; the codes of h that belong to that beat
    turn : Out; they were used
    logits : Out; ``classes`` numbers of ``logit_format``
    label : Out; index of the largest
    done : Out
    """

    SEQUENTIAL = True
    restart: Value
    beat: Beat
    weights: data.View
    bias: Value
    lanes: data.View
    turn: Value
    logits: data.View
    label: Value
    done: Value

    def __init__(self, schedule: Schedule) -> None:
        self.spec = schedule
        network, lanes = schedule.network, schedule.layers[-1].h_lanes
        classes = network.dense.classes
        super().__init__(
            {
                "restart": In(1),
                "beat": In(Beat),
                "weights": In(codes(network.dense.w, lanes)),
                "bias": In(code_shape(network.dense.b)),
                "lanes": In(codes(network.layers[-1].h, lanes)),
                "turn": Out(1),
                "logits": Out(data.ArrayLayout(shape_of(network.logit_format), classes)),
                "label": Out(range(classes)),
                "done": Out(1),
            }
        )

    def build(self) -> Module:
        m = Module()
        network = self.spec.network
        dense, number = network.dense, shape_of(network.logit_format)
        read, summed = Signal(Beat), Signal(Beat)
        m.d.sync += [read.eq(self.beat), summed.eq(read)]
        m.d.comb += self.turn.eq(read.valid)
        total = self._scaled_total(m, read) if isinstance(dense.w, StepSpec) else self._total(m, read)

        logits = Signal(number.width * dense.classes, reset_less=True)
        logit, best = Signal(number), Signal(number, reset_less=True)
        index = Signal(range(dense.classes + 1))
        before = logits[: number.width].as_signed() if dense.pool is Pool.MEAN else 0
        m.d.comb += [self.logits.eq(logits), logit.eq(total + before)]
        m.d.comb += self.done.eq(summed.valid & summed.last & summed.final)
        with m.If(self.restart):
            m.d.sync += logits.eq(0)
        with m.Elif(summed.valid & summed.last):
            m.d.sync += [
                logits.eq(Cat(logits[number.width :], logit)),
                index.eq(Mux(summed.final, 0, index + 1)),
            ]
            with m.If((index == 0) | (logit > best)):
                m.d.sync += [best.eq(logit), self.label.eq(index)]
        return m

    def _total(self, m: Module, read: Beat) -> Value:
        """The logit of one pass, one cycle after its last beat."""
        s, network = self.spec.layers[-1], self.spec.network
        h, dense = network.layers[-1].h, network.dense
        dot = MlbDotSpec(n=s.h_lanes, x=h, w=dense.w)
        adder: Any = MlbAccumulator(MlbAccumulatorSpec(dots=(dot,), total=network.logit_format))
        m.submodules.mlb_accumulator = adder
        start = start_value(dense.b, self.bias, h.frac, self.spec.logit_start, network.logit_format)
        total = Signal(shape_of(network.logit_format), reset_less=True)
        m.d.comb += [
            adder.before.eq(start if s.h_beats == 1 else Mux(read.first, start, total)),
            *(adder.x0.eq(self.lanes), adder.w0.eq(self.weights)),
        ]
        with m.If(read.valid):
            m.d.sync += total.eq(adder.o)
        return total

    def _scaled_total(self, m: Module, read: Beat) -> Value:
        """The same, of a sum of integers that is multiplied by the step of the weights."""
        s, network = self.spec.layers[-1], self.spec.network
        h, dense = network.layers[-1].h, network.dense
        dot = IntegerDotSpec(n=network.layers[-1].hidden, source=h.format, weight_bits=dense.w.width)
        m.submodules.running_sum = total = RunningSum(RunningSumSpec(dot=dot, lanes=s.h_lanes))
        scales = ScaledSumSpec(sources=(dot.format, dense.b.code_format), factors=(dense.w.unit, 1 << h.frac))
        m.submodules.scaled_sum = logit = ScaledSum(scales)
        bias = Signal(code_shape(dense.b), reset_less=True)
        with m.If(read.valid & read.first):
            m.d.sync += bias.eq(self.bias)
        m.d.comb += [
            *(total.valid.eq(read.valid), total.first.eq(read.first)),
            *(total.x.eq(self.lanes), total.w.eq(self.weights)),
            *(logit.x0.eq(total.o), logit.x1.eq(bias)),
        ]
        return logit.o
