"""Product of a binarized and a fixed-point value."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from model.spec import MacSpec, MlbSpec
from rtl.compressor import Compressor
from rtl.logic import ZERO, Bit, Logic, LogicUnit
from rtl.shapes import shape_of, signed_levels


class Mac(LogicUnit):
    """``o = sum_i s_i a_i t``, for ``o * tanh(c)`` (MuBiNN): all levels in one compressor.

    Latency ``stages`` cycles, throughput one a cycle. Exact.

    Parameters
    ----------
    spec
        The binarized operand and the format of the other.
    stages
        Pipeline registers between input and output.

    Ports
    -----
    a : In, code bits
    t : In, ``spec.t``
    o : Out, ``spec.format``
    """

    a: Value
    t: Value
    o: Value

    def __init__(self, spec: MacSpec, stages: int = 0) -> None:
        self.spec, self.latency = spec, stages
        super().__init__({"a": In(spec.a.levels), "t": In(shape_of(spec.t)), "o": Out(shape_of(spec.format))})

    def bits(self, logic: Logic) -> list[Bit]:
        spec, t = self.spec, logic.inputs(self.t)
        total = Compressor(logic, spec.format.width)
        add_signed(logic, total, spec.a, logic.inputs(self.a), t if spec.t.signed else [*t, ZERO])
        return total.total()


def add_signed(
    logic: Logic, total: Compressor, mlb: MlbSpec, code: Sequence[Bit], word: Sequence[Bit], shift: int = 0
) -> None:
    """Add ``2**shift`` times the value of ``code`` times the signed number in ``word``."""
    for factor, positive in signed_levels(mlb, code):
        # s t is t or, as not t = -t - 1, its inverted bits and one more.
        total.add_multiple(factor << shift, [logic.xnor(positive, bit) for bit in word], signed=True)
        total.add_multiple(factor << shift, [logic.invert(positive)])
