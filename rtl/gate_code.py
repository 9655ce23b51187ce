"""The code of a gate."""

from __future__ import annotations

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import Datapath, LstmSpec, ThresholdSpec
from rtl.narrow import Narrow
from rtl.pwl_activation import PwlActivation
from rtl.quantity import quantize
from rtl.shapes import code_shape, shape_of
from rtl.threshold_activation import ThresholdActivation
from rtl.unit import Unit


class GateCode(Unit):
    """``o = Q(activation(narrow(z)))`` of a gate: one after the other, or as comparisons of z with constants.

    Latency 0, throughput one a cycle. Exact but for the activation's narrowing (see :class:`model.spec.LstmSpec`).

    Parameters
    ----------
    lstm, gate
        The layer, and which of its gates i, f, g, o.
    datapath
        How it is computed.

    Ports
    -----
    z : In, ``lstm.z_format(gate)``
    activation : Out, only of datapath ``arithmetic``; the activation before it is stored
    o : Out, a code
    """

    z: Value
    activation: Value
    o: Value

    def __init__(self, lstm: LstmSpec, gate: int, datapath: Datapath) -> None:
        self.spec, self.variant = (lstm, gate), (datapath.thresholds,)
        activation = {} if datapath.thresholds else {"activation": Out(shape_of(lstm.activation(gate).target))}
        super().__init__({"z": In(shape_of(lstm.z_format(gate))), **activation, "o": Out(code_shape(lstm.gates[gate]))})

    def build(self) -> Module:
        m = Module()
        (lstm, gate), (thresholds,) = self.spec, self.variant
        if thresholds:
            m.submodules.threshold_activation = code = ThresholdActivation(ThresholdSpec.gate(lstm, gate))
            m.d.comb += [code.x.eq(self.z), self.o.eq(code.o)]
            return m
        pwl = lstm.activation(gate)
        m.submodules.narrow = narrow = Narrow(lstm.narrow_z(gate))
        m.submodules.pwl_activation = activation = PwlActivation(pwl)
        m.d.comb += [narrow.x.eq(self.z), activation.x.eq(narrow.o), self.activation.eq(activation.o)]
        m.d.comb += self.o.eq(quantize(m, "gate", lstm.gates[gate], pwl.target, activation.o))
        return m
