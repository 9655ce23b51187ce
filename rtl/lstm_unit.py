"""One hidden unit of the LSTM: four gate sums and the paper's arithmetic datapath behind them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import GATES, MlbAccumulatorSpec, MlbDotSpec, MlbQuantizerSpec, ReconstructSpec, Schedule, SumSpec
from rtl.adder_tree import AdderTree
from rtl.mac import Mac
from rtl.mlb_accumulator import MlbAccumulator
from rtl.mlb_quantizer import MlbQuantizer
from rtl.narrow import Narrow
from rtl.pwl_activation import PwlActivation
from rtl.reconstruct import Reconstruct
from rtl.shapes import codes, named, shape_of
from rtl.unit import Unit
from rtl.xnor_multiplier import XnorMultiplier


def unit_weights(schedule: Schedule) -> data.StructLayout:
    """The weights of one gate of one unit in one beat."""
    levels = schedule.network.lstm.weight_levels
    return data.StructLayout({"x": codes(levels, schedule.x_lanes), "h": codes(levels, schedule.h_lanes)})


#: Weight codes of one gate of one unit where they are constants: of x, of h, and of the bias.
GateConstants = tuple[tuple[int, ...], tuple[int, ...], int]


class LstmUnit(Unit):
    """MuBiNN2, equations 1 to 5, for one hidden unit.

    A beat (``sum_valid``) adds its lanes to the four pre-activations z; z is complete one cycle after the
    last beat and goes to the gate codes in one cycle, c' in the next and h in the one after, so a unit
    takes a new group of beats at once. The caller stores c one cycle and h two cycles after ``gates_valid``.

    Latency: last beat to gates 2, to ``c`` 2 and to ``h`` 3 cycles, both combinational outputs to be
    stored. Exact but for the activations' narrowing (see :class:`model.spec.LstmSpec`). No reset needed.

    Parameters
    ----------
    schedule
        What is computed, on how much hardware.
    constants
        For each gate its weights, where they are the same in every beat; without them they are inputs.

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

    def __init__(self, schedule: Schedule, constants: tuple[GateConstants, ...] | None = None) -> None:
        self.spec, self.lstm = schedule, schedule.network.lstm
        self.constants, self.variant = constants, (constants,)
        lstm = self.lstm
        levels = lstm.activation_levels
        weights = {
            "weights": In(data.ArrayLayout(unit_weights(schedule), 4)),
            "biases": In(codes(lstm.weight_levels, 4)),
        }
        super().__init__(
            {
                **(weights if constants is None else {}),
                "sum_valid": In(1),
                "sum_first": In(1),
                "x": In(codes(levels, schedule.x_lanes)),
                "h": In(codes(levels, schedule.h_lanes)),
                "gates_valid": In(1),
                "c_before": In(levels),
                "c": Out(levels),
                "c_now": In(levels),
                "h_new": Out(levels),
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
        adder = self._running_sum(m, k, z) if self.constants is None else self._constant_sum(k, *self.constants[k])
        m.submodules[f"mlb_accumulator_{GATES[k]}"] = adder
        m.d.comb += [adder.x0.eq(self.x), adder.x1.eq(self.h)]
        with m.If(self.sum_valid):
            m.d.sync += z.eq(adder.o)
        return z

    def _constant_sum(self, k: int, wx: tuple[int, ...], wh: tuple[int, ...], bias: int) -> Any:
        """All of x and h in one beat, with the bias."""
        lstm = self.lstm
        dots = (
            MlbDotSpec(n=len(wx), x=lstm.x, w=lstm.wx[k], weights=wx, bias=lstm.b[k].values[bias] << lstm.x.frac),
            MlbDotSpec(n=len(wh), x=lstm.h, w=lstm.wh[k], weights=wh),
        )
        return MlbAccumulator(MlbAccumulatorSpec(dots=dots, total=lstm.z_format(k), running=False))

    def _running_sum(self, m: Module, k: int, z: Value) -> Any:
        """The lanes of x and h of this beat, on top of the bias or of the beats before."""
        lstm, s, weights = self.lstm, self.spec, self.weights[k]
        dots = (
            MlbDotSpec(n=s.x_lanes, x=lstm.x, w=lstm.wx[k]),
            MlbDotSpec(n=s.h_lanes, x=lstm.h, w=lstm.wh[k]),
        )
        adder: Any = MlbAccumulator(MlbAccumulatorSpec(dots=dots, total=lstm.z_format(k)))
        # What the padding lanes (code 0 against all ones, the most negative product) add is taken off here.
        padding = s.x_padding * lstm.x.total * lstm.wx[k].total + s.h_padding * lstm.h.total * lstm.wh[k].total
        start = Array(Const((b << lstm.x.frac) + padding, shape_of(lstm.z_format(k))) for b in lstm.b[k].values)[
            self.biases[k]
        ]
        m.d.comb += [
            adder.before.eq(start if s.beats == 1 else Mux(self.sum_first, start, z)),
            *(adder.w0.eq(weights.x), adder.w1.eq(weights.h)),
        ]
        return adder

    def _gate(self, m: Module, k: int, z: Value) -> Signal:
        """The gate's code, one cycle after z is complete."""
        lstm, name, pwl = self.lstm, GATES[k], self.lstm.activation(k)
        m.submodules[f"narrow_{name}"] = narrow = Narrow(lstm.narrow_z(k))
        m.submodules[f"pwl_activation_{name}"] = activation = PwlActivation(pwl)
        quantizer = MlbQuantizer(MlbQuantizerSpec(source=pwl.target, mlb=lstm.gates[k]))
        m.submodules[f"mlb_quantizer_{name}"] = quantizer
        value = named(shape_of(pwl.target), f"activation_{name}")
        gate = named(lstm.activation_levels, f"gate_{name}")
        m.d.comb += [narrow.x.eq(z), activation.x.eq(narrow.o), value.eq(activation.o), quantizer.x.eq(value)]
        with m.If(self.gates_valid):
            m.d.sync += gate.eq(quantizer.o)
        return gate

    def _cell(self, m: Module, gates: list[Signal]) -> None:
        """c' = f * c + i * g, binarized."""
        lstm, (i, f, g, _) = self.lstm, gates
        m.submodules.xnor_multiplier_fc = fc = XnorMultiplier(lstm.product_fc)
        m.submodules.xnor_multiplier_ig = ig = XnorMultiplier(lstm.product_ig)
        ranges = tuple((p.spec.format.min, p.spec.format.max) for p in (fc, ig))
        m.submodules.adder_tree_c = adder = AdderTree(SumSpec(ranges=ranges))
        c_raw = named(shape_of(lstm.c_raw_format), "c_raw")
        quantizer = MlbQuantizer(MlbQuantizerSpec(source=lstm.c_raw_format, mlb=lstm.c))
        m.submodules.mlb_quantizer_c = quantizer
        m.d.comb += [fc.a.eq(f), fc.b.eq(self.c_before), ig.a.eq(i), ig.b.eq(g)]
        summands: Any = adder
        m.d.comb += [summands.x0.eq(fc.o), summands.x1.eq(ig.o), c_raw.eq(adder.o)]
        m.d.comb += [quantizer.x.eq(c_raw), self.c.eq(quantizer.o)]

    def _hidden(self, m: Module, o: Value) -> None:
        """h = o * tanh(c), binarized."""
        lstm = self.lstm
        m.submodules.reconstruct = reconstruct = Reconstruct(ReconstructSpec(mlb=lstm.c))
        m.submodules.narrow_c = narrow = Narrow(lstm.narrow_c)
        m.submodules.pwl_activation_c = tanh = PwlActivation(lstm.tanh)
        m.submodules.mac = mac = Mac(lstm.mac)
        quantizer = MlbQuantizer(MlbQuantizerSpec(source=lstm.mac.format, mlb=lstm.h))
        m.submodules.mlb_quantizer_h = quantizer
        t, h_raw = named(shape_of(lstm.tanh.target), "t"), named(shape_of(lstm.mac.format), "h_raw")
        m.d.comb += [
            reconstruct.code.eq(self.c_now),
            narrow.x.eq(reconstruct.o.shift_left(lstm.widen_c)),
            tanh.x.eq(narrow.o),
        ]
        m.d.comb += [t.eq(tanh.o), mac.a.eq(o), mac.t.eq(t), h_raw.eq(mac.o)]
        m.d.comb += [quantizer.x.eq(h_raw), self.h_new.eq(quantizer.o)]
