"""An LSTM layer: ``pe`` units, the codes of x, h and c, and the pipeline between them."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import LstmSchedule, PopcountSpec
from rtl.beat import Beat
from rtl.layer_inputs import layer_ports, turning_x
from rtl.lstm_unit import GateConstants, LstmUnit, unit_weights
from rtl.popcount import Popcount
from rtl.saturation_counter import COUNTER_WIDTH, count_up
from rtl.shapes import codes, named
from rtl.unit import Unit


def repeated(code: int, width: int, count: int) -> Const:
    """``count`` times the same code, as one number."""
    return Const(sum((code & ((1 << width) - 1)) << (width * i) for i in range(count)), width * count)


def weight_ports(schedule: LstmSchedule) -> dict[str, Any]:
    """The ports for memory words: of all weights of a beat, and of the biases of a group."""
    return {
        "weights": In(data.ArrayLayout(data.ArrayLayout(unit_weights(schedule), 4), schedule.pe)),
        "biases": In(data.ArrayLayout(codes(schedule.lstm.b[0], 4), schedule.pe)),
    }


def counter_ports(schedule: LstmSchedule) -> data.StructLayout:
    """Counters of the sums over x and over h: one a level of nodes, that of the lowest level first."""
    sums = zip("xh", schedule.running_sums, strict=True)
    return data.StructLayout({name: data.ArrayLayout(COUNTER_WIDTH, each.levels) for name, each in sums})


class LstmLayer(Unit):
    """One time step: every hidden unit in groups of ``pe``, each in ``beats`` cycles.

    x and h lie in registers that turn by one beat's lanes each beat and are back in place after a group;
    c and the new h are shifted through by ``pe`` units a group: no large multiplexers.

    Latency: ``done`` is high ``LstmSchedule.LATENCY`` cycles after the beat announced as ``final``; the next
    step may begin in the cycle after. Throughput: a beat a cycle. ``restart`` makes h and c MLB(0); reset
    only empties the pipeline and clears the counters.

    Parameters
    ----------
    schedule
        What is computed, on how much hardware.
    constants
        The weights, if they are to be constants of the sums; for a step that takes a single beat.
    counters
        Whether there is a port ``saturations``; for sums that can saturate.

    Ports
    -----
    load, inputs : In; take a new x_t: ``features`` numbers of ``schedule.source``, or codes of x where that is None
    restart : In; a new sequence follows
    beat : In; see :class:`Beat`
    weights, biases : In; memory words of the beat announced one cycle before; absent if they are constants
    turn : In; turn h by one beat's lanes (for the dense layer)
    h : Out; its codes, those of ``hidden`` units and of padding lanes; turned by ``h_lanes`` in each beat
    done : Out; the step is complete, h is new from the next cycle on
    saturations : Out, with counters; see :func:`counter_ports`: how many nodes of all gates and hidden units saturated
        since the last reset, three cycles after the beat; they stay at their largest value
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
    saturations: data.View

    def __init__(
        self,
        schedule: LstmSchedule,
        constants: tuple[tuple[GateConstants, ...], ...] | None = None,
        counters: bool = False,
    ) -> None:
        self.spec, self.constants, self.variant = schedule, constants, (constants, counters)
        super().__init__(
            {
                **(weight_ports(schedule) if constants is None else {}),
                **layer_ports(schedule),
                **({"saturations": Out(counter_ports(schedule))} if counters else {}),
            }
        )

    def build(self) -> Module:
        m = Module()
        s, lstm = self.spec, self.spec.lstm
        hidden, h_bits, c_bits = lstm.hidden, lstm.h.width, lstm.c.width
        h_zero, c_zero = int(lstm.h.quantize(0, 0)), int(lstm.c.quantize(0, 0))
        # Lanes past the end hold code 0 for ever: they come back with every turn.
        h_init = Cat(repeated(h_zero, h_bits, hidden), Const(0, h_bits * s.h_padding))
        c_init = repeated(c_zero, c_bits, s.groups * s.pe)

        # A beat walks through the stages: memory read, sum, gates, cell, hidden.
        read, summed, gated, stored = (Signal(Beat, name=n) for n in ("read", "summed", "gated", "stored"))
        x_valid, gates_valid, cell_valid, hidden_valid = (
            named(1, f"{stage}_valid") for stage in ("x", "gates", "cell", "hidden")
        )
        m.d.sync += [read.eq(self.beat), summed.eq(read), gated.eq(summed), stored.eq(gated)]
        m.d.comb += [
            x_valid.eq(read.valid & read.first),
            gates_valid.eq(summed.valid & summed.last),
            cell_valid.eq(gated.valid & gated.last),
            hidden_valid.eq(stored.valid & stored.last),
        ]
        m.d.sync += self.done.eq(hidden_valid & stored.final)

        h = Signal(h_bits * s.beats * s.h_lanes, reset_less=True)
        h_next = Signal(h_bits * s.groups * s.pe, reset_less=True)
        c = Signal(c_bits * s.groups * s.pe, reset_less=True)

        x = turning_x(m, s, self.inputs, self.load, read.valid)
        m.d.comb += self.h.eq(h)
        with m.If(self.restart):
            m.d.sync += h.eq(h_init)
        with m.Elif(self.done):
            m.d.sync += h.eq(h_next[: h_bits * hidden])
        with m.Elif(read.valid | self.turn):
            m.d.sync += h.eq(h.rotate_right(h_bits * s.h_lanes))

        units = [LstmUnit(s, self.constants and self.constants[p], self.variant[1]) for p in range(s.pe)]
        for p, unit in enumerate(units):
            m.submodules[f"lstm_unit_{p}"] = unit
            if not self.constants:
                m.d.comb += [unit.weights.eq(self.weights[p]), unit.biases.eq(self.biases[p])]
            m.d.comb += [
                unit.sum_valid.eq(read.valid),
                unit.sum_first.eq(read.first),
                unit.gates_valid.eq(gates_valid),
                unit.x.eq(x),
                unit.h.eq(h),
                unit.c_before.eq(c[c_bits * p :][:c_bits]),
                unit.c_now.eq(c[c_bits * (s.groups * s.pe - s.pe + p) :][:c_bits]),
            ]
        with m.If(self.restart):
            m.d.sync += c.eq(c_init)
        with m.Elif(cell_valid):
            m.d.sync += c.eq(Cat(c[c_bits * s.pe :], *(unit.c for unit in units)))
        with m.If(hidden_valid):
            m.d.sync += h_next.eq(Cat(h_next[h_bits * s.pe :], *(unit.h_new for unit in units)))
        if self.variant[1]:
            self._count(m, units, summed.final)
        return m

    def _count(self, m: Module, units: list[LstmUnit], final: Value) -> None:
        """Count the nodes that saturate; ``final``: it is the last group, in which the last units may not exist."""
        s = self.spec
        existing = s.lstm.hidden - (s.groups - 1) * s.pe
        for name, sum_ in zip("xh", s.running_sums, strict=True):
            for level in sorted(set(sum_.saturating)):
                places = [i for i, each in enumerate(sum_.saturating) if each == level]
                flags = [Cat(unit.saturated[name][k][i] for k in range(4) for i in places) for unit in units]
                bits = Cat(each if p < existing else Mux(final, 0, each) for p, each in enumerate(flags))
                m.submodules[f"popcount_{name}_{level}"] = popcount = Popcount(PopcountSpec(n=len(bits)))
                more = Signal.like(popcount.o, name=f"saturated_{name}_{level}")
                m.d.comb += popcount.x.as_value().eq(bits)
                m.d.sync += more.eq(popcount.o)
                count = count_up(m, f"saturations_{name}_{level}", more, COUNTER_WIDTH)
                m.d.comb += self.saturations[name][level].eq(count)
