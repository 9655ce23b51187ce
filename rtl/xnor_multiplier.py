"""Pointwise product of two multi-level binarized values."""

from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from model.spec import XnorMultiplierSpec
from rtl.compressor import Compressor
from rtl.logic import Bit, Logic, LogicUnit
from rtl.shapes import shape_of, signed_levels


class XnorMultiplier(LogicUnit):
    """``o = a^ * b^ = sum_ij g_ij xnor(s_i, s_j)`` with constants ``g_ij``; no multiplier (MuBiNN).

    Latency ``stages`` cycles, throughput one a cycle. Exact. An offset is a level whose sign is known to be +.

    Ports
    -----
    a, b : In, code bits
    o : Out, ``spec.format``
    """

    a: Value
    b: Value
    o: Value

    def __init__(self, spec: XnorMultiplierSpec, stages: int = 0) -> None:
        self.spec, self.latency = spec, stages
        super().__init__({"a": In(spec.a.levels), "b": In(spec.b.levels), "o": Out(shape_of(spec.format))})

    def bits(self, logic: Logic) -> list[Bit]:
        total = Compressor(logic, self.spec.format.width)
        for p, s in signed_levels(self.spec.a, logic.inputs(self.a)):
            for q, t in signed_levels(self.spec.b, logic.inputs(self.b)):
                # +gain if equal, else -gain: twice the gain where equal, less one gain.
                total.add_multiple(2 * p * q, [logic.xnor(s, t)])
                total.add_constant(-p * q)
        return total.total()
