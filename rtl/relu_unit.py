"""One unit of a dense layer with ReLU: its sum of integers, times the step, and the word that is left of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import ReluSchedule, RunningSumSpec
from rtl.quantity import quantize
from rtl.running_sum import RunningSum
from rtl.scaled_sum import ScaledSum
from rtl.shapes import code_shape, codes, named, shape_of
from rtl.unit import Unit

#: Weight codes of a unit, where they are constants, and the code of its bias.
ReluConstants = tuple[tuple[int, ...], int]


class ReluUnit(Unit):
    """See :class:`model.spec.ReluSpec`, for one unit.

    A beat (``valid``) adds its lanes to the sum, which is complete one cycle after the last beat; z and h are made of
    it in the same cycle. Latency: from the last beat 1 cycle, throughput a beat a cycle. Exact but for the narrowing of
    z to h. No reset needed.

    Parameters
    ----------
    schedule
        What is computed, on how much hardware.
    constants
        The weights, where they are the same in every beat; without them they are inputs.

    Ports
    -----
    valid, first : In; a beat is there; it is the first of its group
    x : In; ``x_lanes`` codes
    weights : In; as many; absent if they are constants
    bias : In; its code, read in the first beat; absent if it is a constant
    h_new : Out; code of the output
    """

    SEQUENTIAL = True
    valid: Value
    first: Value
    x: data.View
    weights: data.View
    bias: Value
    h_new: Value

    def __init__(self, schedule: ReluSchedule, constants: ReluConstants | None = None) -> None:
        self.spec, self.constants, self.variant = schedule, constants, (constants,)
        relu, lanes = schedule.layer, schedule.x_lanes
        weights: dict[str, Any] = {"weights": In(codes(relu.w, lanes)), "bias": In(code_shape(relu.b))}
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "x": In(codes(relu.x, lanes)),
                **(weights if constants is None else {}),
                "h_new": Out(code_shape(relu.h)),
            }
        )

    def build(self) -> Module:
        m = Module()
        relu, constants = self.spec.layer, self.constants
        dot = replace(relu.dot, weights=constants[0]) if constants else relu.dot
        m.submodules.running_sum = total = RunningSum(RunningSumSpec(dot=dot, lanes=self.spec.x_lanes))
        m.submodules.scaled_sum = scaled = ScaledSum(relu.sum)
        z = named(shape_of(relu.z_format), "z")
        m.d.comb += [
            *(total.valid.eq(self.valid), total.first.eq(self.first), total.x.eq(self.x)),
            *(scaled.x0.eq(total.o), z.eq(scaled.o)),
            self.h_new.eq(quantize(m, "h", relu.h, relu.z_format, z)),
        ]
        if constants:
            m.d.comb += scaled.x1.eq(constants[1])
            return m
        bias = Signal(code_shape(relu.b), reset_less=True)
        with m.If(self.valid & self.first):
            m.d.sync += bias.eq(self.bias)
        m.d.comb += [total.w.eq(self.weights), scaled.x1.eq(bias)]
        return m
