"""Product of two fixed-point values."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from model.spec import MultiplierSpec
from rtl.compressor import Compressor
from rtl.logic import Bit, Logic, LogicUnit
from rtl.shapes import shape_of


class Multiplier(LogicUnit):
    """``o = a * b``: all partial products in one compressor.

    Latency ``stages`` cycles, throughput one a cycle. Exact.

    Ports
    -----
    a : In, ``spec.a``
    b : In, ``spec.b``
    o : Out, ``spec.format``
    """

    a: Value
    b: Value
    o: Value

    def __init__(self, spec: MultiplierSpec, stages: int = 0) -> None:
        self.spec, self.latency = spec, stages
        super().__init__({"a": In(shape_of(spec.a)), "b": In(shape_of(spec.b)), "o": Out(shape_of(spec.format))})

    def bits(self, logic: Logic) -> list[Bit]:
        spec = self.spec
        total = Compressor(logic, spec.format.width)
        add_product(logic, total, logic.inputs(self.a), logic.inputs(self.b), (spec.a.signed, spec.b.signed))
        return total.total()


def add_product(
    logic: Logic, total: Compressor, a: Sequence[Bit], b: Sequence[Bit], signed: tuple[bool, bool], shift: int = 0
) -> None:
    """Add ``2**shift * a * b``: a row of ANDs for each bit of ``b``, of which the top one counts negative if signed."""
    for place, bit in enumerate(b):
        row = [logic.both(other, bit) for other in a]
        negative = signed[1] and place == len(b) - 1
        total.add_multiple((-1 if negative else 1) << (shift + place), row, signed=signed[0])
