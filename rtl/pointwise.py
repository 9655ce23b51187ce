"""All that is behind the pre-activations of a hidden unit, without registers: to prove it, and to measure it."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from model.spec import GATES, Datapath, LstmSpec
from rtl.cell_code import CellCode
from rtl.gate_code import GateCode
from rtl.hidden_code import HiddenCode
from rtl.shapes import code_shape, shape_of
from rtl.unit import Unit


class Pointwise(Unit):
    """MuBiNN, equations 2 to 5, for one hidden unit: what :class:`rtl.lstm_unit.LstmUnit` does in three cycles.

    Latency 0, throughput one a cycle. The ports are the same for every datapath.

    Ports
    -----
    z_i, z_f, z_g, z_o : In, pre-activations, ``lstm.z_format`` of the gate
    c : In, code of the cell state before this step
    gate_i, gate_f, gate_g, gate_o : Out, codes of the gates
    c_new, h_new : Out, codes of the new cell and hidden state
    """

    def __init__(self, lstm: LstmSpec, datapath: Datapath) -> None:
        datapath.check(lstm)
        self.spec, self.variant = lstm, (datapath,)
        super().__init__(
            {
                **{f"z_{name}": In(shape_of(lstm.z_format(k))) for k, name in enumerate(GATES)},
                "c": In(code_shape(lstm.c)),
                **{f"gate_{name}": Out(code_shape(lstm.gates[k])) for k, name in enumerate(GATES)},
                "c_new": Out(code_shape(lstm.c)),
                "h_new": Out(code_shape(lstm.h)),
            }
        )

    def build(self) -> Module:
        m = Module()
        lstm, (datapath,) = self.spec, self.variant
        m.submodules.cell_code = cell = CellCode(lstm, datapath)
        m.submodules.hidden_code = hidden = HiddenCode(lstm, datapath)
        gates = []
        for k, name in enumerate(GATES):
            m.submodules[f"gate_code_{name}"] = gate = GateCode(lstm, k, datapath)
            m.d.comb += [gate.z.eq(getattr(self, f"z_{name}")), getattr(self, f"gate_{name}").eq(gate.o)]
            gates.append(gate.o)
        i, f, g, o = gates
        m.d.comb += [cell.f.eq(f), cell.c.eq(self.c), cell.i.eq(i), cell.g.eq(g), self.c_new.eq(cell.o)]
        m.d.comb += [hidden.gate.eq(o), hidden.c.eq(cell.o), self.h_new.eq(hidden.o)]
        return m
