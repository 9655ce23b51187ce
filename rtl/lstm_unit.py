"""One hidden unit of the LSTM: four gate sums and the datapath behind them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import GATES, LstmSchedule, MlbAccumulatorSpec, MlbDotSpec
from rtl.cell_code import CellCode
from rtl.gate_code import GateCode
from rtl.hidden_code import HiddenCode
from rtl.mlb_accumulator import MlbAccumulator
from rtl.quantity import start_value
from rtl.running_sum import RunningSum
from rtl.scaled_sum import ScaledSum
from rtl.shapes import code_shape, codes, named, shape_of
from rtl.unit import Unit


def unit_weights(schedule: LstmSchedule) -> data.StructLayout:
    """The weights of one gate of one unit in one beat."""
    lstm = schedule.lstm
    return data.StructLayout({"x": codes(lstm.wx[0], schedule.x_lanes), "h": codes(lstm.wh[0], schedule.h_lanes)})


def unit_flags(schedule: LstmSchedule) -> data.StructLayout:
    """Of each gate's sums over x and over h, a bit for each node that can saturate; see :class:`RunningSum`."""
    sums = zip("xh", schedule.running_sums, strict=True)
    return data.StructLayout({name: data.ArrayLayout(len(each.saturating), 4) for name, each in sums})


#: Weight codes of one gate of one unit where they are constants: of x, of h, and of the bias.
GateConstants = tuple[tuple[int, ...], tuple[int, ...], int]


class LstmUnit(Unit):
    """MuBiNN, equations 1 to 5, for one hidden unit, with every quantity binarized or in fixed point.

    A beat (``sum_valid``) adds its lanes to the four pre-activations z; z is complete one cycle after the
    last beat and goes to the gate codes in one cycle, c' in the next and h in the one after, so a unit
    takes a new group of beats at once. The caller stores c one cycle and h two cycles after ``gates_valid``.

    Latency: last beat to gates 2, to ``c`` 2 and to ``h`` 3 cycles, both combinational outputs to be
    stored. Exact but for the activations' narrowing (see :class:`model.spec.LstmSpec`). No reset needed.
    All this is the same for every datapath; values before they are stored are there as far as it computes them.

    Parameters
    ----------
    schedule
        What is computed, on how much hardware.
    constants
        For each gate its weights, where they are the same in every beat; without them they are inputs.
    flags
        Whether there is a port ``saturated``; for sums that can saturate.

    Ports
    -----
    sum_valid, sum_first : In; a beat is there; it is the first of its group
    x, h : In; ``x_lanes`` and ``h_lanes`` codes
    weights : In; for each gate i, f, g, o the weights of both; absent if they are constants
    biases : In; a code for each gate, read in the first beat; absent if they are constants
    gates_valid : In; z is complete
    c_before : In; code of the unit's cell state before this step, one cycle after ``gates_valid``
    c : Out; code of the new cell state, one cycle after ``gates_valid``
    c_now : In; the same code, another cycle later
    h_new : Out; code of the new hidden state, then
    saturated : Out, with flags; which nodes did in the beat one cycle before, see :func:`unit_flags`
    """

    SEQUENTIAL = True
    sum_valid: Value
    sum_first: Value
    x: data.View
    h: data.View
    weights: data.View
    biases: data.View
    gates_valid: Value
    c_before: Value
    c: Value
    c_now: Value
    h_new: Value
    saturated: data.View

    def __init__(
        self, schedule: LstmSchedule, constants: tuple[GateConstants, ...] | None = None, flags: bool = False
    ) -> None:
        self.spec, self.lstm = schedule, schedule.lstm
        self.constants, self.variant = constants, (constants, flags)
        lstm = self.lstm
        weights = {
            "weights": In(data.ArrayLayout(unit_weights(schedule), 4)),
            "biases": In(codes(lstm.b[0], 4)),
        }
        super().__init__(
            {
                **(weights if constants is None else {}),
                "sum_valid": In(1),
                "sum_first": In(1),
                "x": In(codes(lstm.x, schedule.x_lanes)),
                "h": In(codes(lstm.h, schedule.h_lanes)),
                "gates_valid": In(1),
                "c_before": In(code_shape(lstm.c)),
                "c": Out(code_shape(lstm.c)),
                "c_now": In(code_shape(lstm.c)),
                "h_new": Out(code_shape(lstm.h)),
                **({"saturated": Out(unit_flags(schedule))} if flags else {}),
            }
        )

    def build(self) -> Module:
        m = Module()
        gates = [self._gate(m, k, self._sum(m, k)) for k in range(4)]
        o_later = Signal.like(gates[3], name="o_later")
        m.d.sync += o_later.eq(gates[3])  # o waits for c
        self._cell(m, gates)
        self._hidden(m, o_later)
        return m

    def _sum(self, m: Module, k: int) -> Value:
        """z of gate k, one cycle after its last beat."""
        z = named(shape_of(self.lstm.z_format(k)), f"z_{GATES[k]}")
        if self.lstm.sums is not None:
            m.d.comb += z.eq(self._limited_sum(m, k))
            return z
        adder = self._running_sum(m, k, z) if self.constants is None else self._constant_sum(k, *self.constants[k])
        m.submodules[f"mlb_accumulator_{GATES[k]}"] = adder
        m.d.comb += [adder.x0.eq(self.x), adder.x1.eq(self.h)]
        with m.If(self.sum_valid):
            m.d.sync += z.eq(adder.o)
        return z

    def _constant_sum(self, k: int, wx: tuple[int, ...], wh: tuple[int, ...], bias: int) -> Any:
        """All of x and h in one beat, with the bias."""
        lstm = self.lstm
        dots = [
            MlbDotSpec(n=len(wx), x=lstm.x, w=lstm.wx[k], weights=wx),
            MlbDotSpec(n=len(wh), x=lstm.h, w=lstm.wh[k], weights=wh),
        ]
        # The bias goes with a dot product that has all fraction bits of z.
        finest = 0 if dots[0].frac == lstm.z_frac else 1
        value = int(lstm.b[k].reconstruct(bias)) << lstm.bias_shift
        dots[finest] = replace(dots[finest], bias=value)
        return MlbAccumulator(MlbAccumulatorSpec(dots=tuple(dots), total=lstm.z_format(k), running=False))

    def _running_sum(self, m: Module, k: int, z: Value) -> Any:
        """The lanes of x and h of this beat, on top of the bias or of the beats before."""
        lstm, s, weights = self.lstm, self.spec, self.weights[k]
        dots = (
            MlbDotSpec(n=s.x_lanes, x=lstm.x, w=lstm.wx[k]),
            MlbDotSpec(n=s.h_lanes, x=lstm.h, w=lstm.wh[k]),
        )
        adder: Any = MlbAccumulator(MlbAccumulatorSpec(dots=dots, total=lstm.z_format(k)))
        start = start_value(lstm.b[k], self.biases[k], lstm.bias_shift, s.z_start(k), lstm.z_format(k))
        m.d.comb += [
            adder.before.eq(start if s.beats == 1 else Mux(self.sum_first, start, z)),
            *(adder.w0.eq(weights.x), adder.w1.eq(weights.h)),
        ]
        return adder

    def _limited_sum(self, m: Module, k: int) -> Value:
        """The sums of x and h by limited adders, each times its factor, and the bias."""
        s, constants, flags = self.spec, self.constants and self.constants[k], self.variant[1]
        m.submodules[f"scaled_sum_{GATES[k]}"] = z = ScaledSum(self.lstm.gate_sum(k))
        for i, (name, spec) in enumerate(zip("xh", s.running_sums, strict=True)):
            if constants:
                spec = replace(spec, dot=replace(spec.dot, weights=constants[i]))
            m.submodules[f"running_sum_{name}_{GATES[k]}"] = total = RunningSum(spec, flags)
            m.d.comb += [
                *(total.valid.eq(self.sum_valid), total.first.eq(self.sum_first)),
                *(total.x.eq(getattr(self, name)), getattr(z, f"x{i}").eq(total.o)),
            ]
            if not constants:
                m.d.comb += total.w.eq(self.weights[k][name])
            if flags and spec.saturating:
                m.d.comb += self.saturated[name][k].eq(total.saturated)
        if constants:
            m.d.comb += z.x2.eq(constants[2])
        else:
            bias = Signal(code_shape(self.lstm.b[k]), name=f"bias_{GATES[k]}", reset_less=True)
            with m.If(self.sum_valid & self.sum_first):
                m.d.sync += bias.eq(self.biases[k])
            m.d.comb += z.x2.eq(bias)
        return z.o

    def _gate(self, m: Module, k: int, z: Value) -> Signal:
        """The gate's code, one cycle after z is complete."""
        m.submodules[f"gate_code_{GATES[k]}"] = code = GateCode(self.lstm, k, self.spec.datapath)
        gate = named(code_shape(self.lstm.gates[k]), f"gate_{GATES[k]}")
        m.d.comb += code.z.eq(z)
        self._show(m, f"activation_{GATES[k]}", code, "activation")
        with m.If(self.gates_valid):
            m.d.sync += gate.eq(code.o)
        return gate

    def _cell(self, m: Module, gates: list[Signal]) -> None:
        """The code of c', from the gates and the c before."""
        m.submodules.cell_code = cell = CellCode(self.lstm, self.spec.datapath)
        i, f, g, _ = gates
        m.d.comb += [cell.f.eq(f), cell.c.eq(self.c_before), cell.i.eq(i), cell.g.eq(g), self.c.eq(cell.o)]
        self._show(m, "c_raw", cell, "raw")

    def _hidden(self, m: Module, o: Value) -> None:
        """The code of h, from the gate o and c'."""
        m.submodules.hidden_code = hidden = HiddenCode(self.lstm, self.spec.datapath)
        m.d.comb += [hidden.gate.eq(o), hidden.c.eq(self.c_now), self.h_new.eq(hidden.o)]
        self._show(m, "t", hidden, "activation")
        self._show(m, "h_raw", hidden, "raw")

    @staticmethod
    def _show(m: Module, name: str, part: Unit, port: str) -> None:
        """Name a value before it is stored, if this datapath computes it."""
        if port in part.signature.members:
            value = getattr(part, port)
            m.d.comb += named(value.shape(), name).eq(value)
