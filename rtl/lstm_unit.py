"""One hidden unit of the LSTM: four gate sums and the paper's arithmetic datapath behind them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import GATES, MlbAccumulatorSpec, MlbDotSpec, Schedule, SumSpec
from rtl.adder_tree import AdderTree
from rtl.mlb_accumulator import MlbAccumulator
from rtl.narrow import Narrow
from rtl.pwl_activation import PwlActivation
from rtl.quantity import multiply, quantize, reconstruct, start_value
from rtl.shapes import code_shape, codes, named, shape_of
from rtl.unit import Unit


def unit_weights(schedule: Schedule) -> data.StructLayout:
    """The weights of one gate of one unit in one beat."""
    lstm = schedule.network.lstm
    return data.StructLayout({"x": codes(lstm.wx[0], schedule.x_lanes), "h": codes(lstm.wh[0], schedule.h_lanes)})


class LstmUnit(Unit):
    """MuBiNN, equations 1 to 5, for one hidden unit, with every quantity binarized or in fixed point.

    A beat (``sum_valid``) adds its lanes to the four pre-activations z; z is complete one cycle after the
    last beat and goes to the gate codes in one cycle, c' in the next and h in the one after, so a unit
    takes a new group of beats at once. The caller stores c one cycle and h two cycles after ``gates_valid``.

    Latency: last beat to gates 2, to ``c`` 2 and to ``h`` 3 cycles, both combinational outputs to be
    stored. Exact but for the activations' narrowing (see :class:`model.spec.LstmSpec`). No reset needed.

    Ports
    -----
    sum_valid, sum_first : In; a beat is there; it is the first of its group
    x, h : In; ``x_lanes`` and ``h_lanes`` codes
    weights : In; for each gate i, f, g, o the weights of both
    biases : In; a code for each gate, read in the first beat
    gates_valid : In; z is complete
    c_before : In; code of the unit's cell state before this step, one cycle after ``gates_valid``
    c : Out; code of the new cell state, one cycle after ``gates_valid``
    c_now : In; the same code, another cycle later
    h_new : Out; code of the new hidden state, then
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

    def __init__(self, schedule: Schedule) -> None:
        self.spec, self.lstm = schedule, schedule.network.lstm
        lstm = self.lstm
        super().__init__(
            {
                "sum_valid": In(1),
                "sum_first": In(1),
                "x": In(codes(lstm.x, schedule.x_lanes)),
                "h": In(codes(lstm.h, schedule.h_lanes)),
                "weights": In(data.ArrayLayout(unit_weights(schedule), 4)),
                "biases": In(codes(lstm.b[0], 4)),
                "gates_valid": In(1),
                "c_before": In(code_shape(lstm.c)),
                "c": Out(code_shape(lstm.c)),
                "c_now": In(code_shape(lstm.c)),
                "h_new": Out(code_shape(lstm.h)),
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
        """z of gate k: its lanes of x and h, over all beats, on top of the bias."""
        lstm, s, weights = self.lstm, self.spec, self.weights[k]
        dots = (
            MlbDotSpec(n=s.x_lanes, x=lstm.x, w=lstm.wx[k]),
            MlbDotSpec(n=s.h_lanes, x=lstm.h, w=lstm.wh[k]),
        )
        adder: Any = MlbAccumulator(MlbAccumulatorSpec(dots=dots, total=lstm.z_format(k)))
        m.submodules[f"mlb_accumulator_{GATES[k]}"] = adder
        start = start_value(lstm.b[k], self.biases[k], lstm.bias_shift, s.z_start(k), lstm.z_format(k))
        z = named(shape_of(lstm.z_format(k)), f"z_{GATES[k]}")
        m.d.comb += [
            adder.before.eq(start if s.beats == 1 else Mux(self.sum_first, start, z)),
            *(adder.x0.eq(self.x), adder.w0.eq(weights.x)),
            *(adder.x1.eq(self.h), adder.w1.eq(weights.h)),
        ]
        with m.If(self.sum_valid):
            m.d.sync += z.eq(adder.o)
        return z

    def _gate(self, m: Module, k: int, z: Value) -> Signal:
        """The gate's code, one cycle after z is complete."""
        lstm, name, pwl = self.lstm, GATES[k], self.lstm.activation(k)
        m.submodules[f"narrow_{name}"] = narrow = Narrow(lstm.narrow_z(k))
        m.submodules[f"pwl_activation_{name}"] = activation = PwlActivation(pwl)
        value = named(shape_of(pwl.target), f"activation_{name}")
        gate = named(code_shape(lstm.gates[k]), f"gate_{name}")
        m.d.comb += [narrow.x.eq(z), activation.x.eq(narrow.o), value.eq(activation.o)]
        code = quantize(m, name, lstm.gates[k], pwl.target, value)
        with m.If(self.gates_valid):
            m.d.sync += gate.eq(code)
        return gate

    def _cell(self, m: Module, gates: list[Signal]) -> None:
        """c' = f * c + i * g, as it is stored."""
        lstm, (i, f, g, _) = self.lstm, gates
        fc = multiply(m, "fc", lstm.product_fc, f, self.c_before)
        ig = multiply(m, "ig", lstm.product_ig, i, g)
        ranges = tuple((p.format.min, p.format.max) for p in (lstm.product_fc, lstm.product_ig))
        m.submodules.adder_tree_c = adder = AdderTree(SumSpec(ranges=ranges))
        c_raw = named(shape_of(lstm.c_raw_format), "c_raw")
        summands: Any = adder
        m.d.comb += [summands.x0.eq(fc), summands.x1.eq(ig), c_raw.eq(adder.o)]
        m.d.comb += self.c.eq(quantize(m, "c", lstm.c, lstm.c_raw_format, c_raw))

    def _hidden(self, m: Module, o: Value) -> None:
        """h = o * tanh(c), as it is stored."""
        lstm = self.lstm
        m.submodules.narrow_c = narrow = Narrow(lstm.narrow_c)
        m.submodules.pwl_activation_c = tanh = PwlActivation(lstm.tanh)
        t, h_raw = named(shape_of(lstm.tanh.target), "t"), named(shape_of(lstm.mac.format), "h_raw")
        c = reconstruct(m, "reconstruct", lstm.c, self.c_now)
        # First of all, so that no port of a unit takes the name of a value that a bench reads.
        m.d.comb += t.eq(tanh.o)
        m.d.comb += [narrow.x.eq(c.shift_left(lstm.widen_c)), tanh.x.eq(narrow.o)]
        m.d.comb += h_raw.eq(multiply(m, "h", lstm.mac, o, t))
        m.d.comb += self.h_new.eq(quantize(m, "h", lstm.h, lstm.mac.format, h_raw))
