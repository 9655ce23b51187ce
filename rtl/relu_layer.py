"""A dense layer with ReLU: ``pe`` units, the codes of x and h, and the pipeline between them."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In

from model.spec import ReluSchedule
from rtl.beat import Beat
from rtl.layer_inputs import layer_ports, turning_x
from rtl.relu_unit import ReluConstants, ReluUnit
from rtl.shapes import codes, named
from rtl.unit import Unit


def weight_ports(schedule: ReluSchedule) -> dict[str, Any]:
    """The ports for memory words: of all weights of a beat, and of the biases of a group."""
    relu = schedule.layer
    return {
        "weights": In(data.ArrayLayout(codes(relu.w, schedule.x_lanes), schedule.pe)),
        "biases": In(codes(relu.b, schedule.pe)),
    }


class ReluLayer(Unit):
    """One time step: every unit in groups of ``pe``, each in ``beats`` cycles; no step depends on another.

    x lies in a register that turns by one beat's lanes each beat; h is shifted in by ``pe`` units a group.

    Latency: ``done`` is high ``ReluSchedule.LATENCY`` cycles after the beat announced as ``final``; the next
    step may begin in the cycle after. Throughput: a beat a cycle. Reset only empties the pipeline.

    Parameters, ports
    -----------------
    As of :class:`rtl.lstm_layer.LstmLayer`; h keeps its codes until the first group of the next step is done, and
    ``restart`` changes nothing.
    """

    SEQUENTIAL = True
    load: Value
    inputs: data.View
    restart: Value
    beat: Beat
    weights: data.View
    biases: data.View
    turn: Value
    h: data.View
    done: Value

    def __init__(self, schedule: ReluSchedule, constants: tuple[ReluConstants, ...] | None = None) -> None:
        self.spec, self.constants, self.variant = schedule, constants, (constants,)
        super().__init__(
            {
                **(weight_ports(schedule) if constants is None else {}),
                **layer_ports(schedule),
            }
        )

    def build(self) -> Module:
        m = Module()
        s, width = self.spec, self.spec.layer.h.width
        read, summed = (Signal(Beat, name=name) for name in ("read", "summed"))
        x_valid, hidden_valid = (named(1, f"{stage}_valid") for stage in ("x", "hidden"))
        m.d.sync += [read.eq(self.beat), summed.eq(read), self.done.eq(hidden_valid & summed.final)]
        m.d.comb += [x_valid.eq(read.valid & read.first), hidden_valid.eq(summed.valid & summed.last)]

        x, new = turning_x(m, s, self.inputs, self.load, read.valid), []
        for p in range(s.pe):
            m.submodules[f"relu_unit_{p}"] = unit = ReluUnit(s, self.constants[p] if self.constants else None)
            if not self.constants:
                m.d.comb += [unit.weights.eq(self.weights[p]), unit.bias.eq(self.biases[p])]
            m.d.comb += [unit.valid.eq(read.valid), unit.first.eq(read.first), unit.x.eq(x)]
            new.append(unit.h_new)

        units, lanes = s.groups * s.pe, s.h_beats * s.h_lanes
        h = Signal(width * max(units, lanes), reset_less=True)
        m.d.comb += self.h.eq(h)
        with m.If(hidden_valid):
            m.d.sync += h[: width * units].eq(Cat(h[width * s.pe : width * units], *new))
        with m.Elif(self.turn):
            m.d.sync += h[: width * lanes].eq(h[: width * lanes].rotate_right(width * s.h_lanes))
        return m
