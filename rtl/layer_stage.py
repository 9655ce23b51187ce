"""A layer below the last one: with its own sequencer, it hands h on step by step."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from model.spec import LayerSchedule
from rtl.beat import BeatCounter
from rtl.layer_inputs import layer_inputs
from rtl.layers import LayerConstants, build_layer, counter_ports, weight_ports
from rtl.shapes import codes
from rtl.unit import Unit


class LayerStage(Unit):
    """A layer that works on one time step while the layer above works on an earlier one.

    h lies in the layer's register until it is taken; the next step begins then, or later. Each sequence begins with
    the state of a new one, whatever the layers above still work on.

    Latency: h_t is there ``LayerSchedule.step_cycles`` cycles after x_t was taken. Throughput: x_t+1 can be taken in
    the cycle in which h_t is. ``rst`` is synchronous; it only reaches the sequencer, which clears the layer in one
    cycle.

    Parameters
    ----------
    schedule
        What is computed, on how much hardware.
    constants, counters
        The weights, if they are to be constants of the sums; whether to count saturations (:class:`LstmLayer`).

    Ports
    -----
    i : In, stream of {x: what becomes x, see :func:`layer_inputs`, last: the sequence ends here}
    o : Out, stream of {x: codes of h, last}
    address, group : Out; of the words of weights and biases that are wanted; absent if they are constants
    weights, biases : In; the words, one cycle later; absent if they are constants
    between : Out; the next sample is the first of a sequence
    idle : Out; and nothing is left of the sequence before
    saturations : Out, with counters; those of the layer
    """

    SEQUENTIAL = True
    i: stream.Interface
    o: stream.Interface
    address: Value
    group: Value
    weights: data.View
    biases: data.View
    between: Value
    idle: Value
    saturations: data.View

    def __init__(
        self, schedule: LayerSchedule, constants: LayerConstants | None = None, counters: bool = False
    ) -> None:
        self.spec, self.constants, self.variant = schedule, constants, (constants, counters)
        layer, words = schedule.layer, schedule.groups * schedule.beats
        addresses = {"address": Out(range(max(2, words))), "group": Out(range(max(2, schedule.groups)))}
        super().__init__(
            {
                **({**addresses, **weight_ports(schedule)} if constants is None else {}),
                "i": In(stream.Signature(data.StructLayout({"x": layer_inputs(schedule), "last": 1}))),
                "o": Out(stream.Signature(data.StructLayout({"x": codes(layer.h, layer.hidden), "last": 1}))),
                "between": Out(1),
                "idle": Out(1),
                **({"saturations": Out(counter_ports(schedule))} if counters else {}),
            }
        )

    @property
    def module_name(self) -> str:
        """By the kind of its layer."""
        return f"{self.spec.layer.kind}_stage"

    def build(self) -> Module:
        m = Module()
        counter = BeatCounter((self.spec.groups, self.spec.beats))
        layer = build_layer(self.spec, self.constants, self.variant[1])
        m.submodules[f"{self.spec.layer.kind}_layer"] = layer
        if self.variant[1]:
            m.d.comb += self.saturations.eq(layer.saturations)
        if self.constants is None:
            m.d.comb += [self.address.eq(counter.address), self.group.eq(counter.block)]
            m.d.comb += [layer.weights.eq(self.weights), layer.biases.eq(self.biases)]
        last = Signal(init=1)  # of the sequence
        full = Signal()  # h waits to be taken
        taken = Signal()
        m.d.comb += [
            layer.inputs.eq(self.i.payload.x),
            self.o.payload.x.eq(layer.h),  # without its padding lanes
            self.o.payload.last.eq(last),
            taken.eq(self.o.valid & self.o.ready),
        ]
        with m.FSM():
            with m.State("RESTART"):  # after a reset; the data registers themselves have none
                m.d.comb += layer.restart.eq(1)
                m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += [
                    self.o.valid.eq(full),
                    self.i.ready.eq(~full | self.o.ready),
                    layer.load.eq(self.i.valid & self.i.ready),
                    layer.restart.eq(taken & last),
                    self.between.eq(last),
                    self.idle.eq(last & ~full),
                ]
                with m.If(taken):
                    m.d.sync += full.eq(0)
                with m.If(layer.load):
                    m.d.sync += last.eq(self.i.payload.last)
                    m.next = "STEP"
            with m.State("STEP"):
                counter.run(m, layer.beat, 0, "STEP_END")
            with m.State("STEP_END"), m.If(layer.done):
                m.d.sync += full.eq(1)
                m.next = "LOAD"
        return m
