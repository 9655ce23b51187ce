"""Exact sum of several integers."""

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import AdderTreeSpec, Format
from rtl.compressor import compress
from rtl.logic import pipelined
from rtl.shapes import shape_of
from rtl.unit import Unit


class AdderTree(Unit):
    """``o = x0 + x1 + ... + constant``: all summands in one carry-save compressor, one adder at its end.

    Latency 0, throughput one a cycle. Exact: the output holds every sum.

    Ports
    -----
    x0, x1, ... : In, the narrowest format of each range
    o : Out, ``spec.format``
    """

    o: Value

    def __init__(self, spec: AdderTreeSpec) -> None:
        self.spec = spec
        summands = {f"x{i}": In(shape_of(Format.covering(*r))) for i, r in enumerate(spec.ranges)}
        super().__init__({**summands, "o": Out(shape_of(spec.format))})

    def build(self) -> Module:
        m = Module()
        bits, constant = [], self.spec.constant
        for i in range(len(self.spec.ranges)):
            x: Value = getattr(self, f"x{i}")
            bits += list(enumerate(x[:-1]))
            # The top bit of two's complement weighs -2^k, and -2^k b = 2^k (not b) - 2^k.
            top = len(x) - 1
            bits.append((top, ~x[top] if x.shape().signed else x[top]))
            constant -= (1 << top) if x.shape().signed else 0
        width = self.spec.format.width
        m.d.comb += self.o.eq(
            pipelined(m, 0, lambda logic: compress(logic, [(w, *logic.inputs(b)) for w, b in bits], constant, width))
        )
        return m
