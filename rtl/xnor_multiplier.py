"""Pointwise product of two multi-level binarized values."""

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import XnorMultiplierSpec
from rtl.compressor import compress
from rtl.shapes import shape_of, signed_levels
from rtl.unit import Unit


class XnorMultiplier(Unit):
    """``o = a^ * b^ = sum_ij g_ij xnor(s_i, s_j)`` with constants ``g_ij``; no multiplier (MuBiNN).

    Latency 0, throughput one a cycle. Exact. An offset is a level whose sign is known to be +.

    Ports
    -----
    a, b : In, code bits
    o : Out, ``spec.format``
    """

    a: Value
    b: Value
    o: Value

    def __init__(self, spec: XnorMultiplierSpec) -> None:
        self.spec = spec
        super().__init__({"a": In(spec.a.levels), "b": In(spec.b.levels), "o": Out(shape_of(spec.format))})

    def build(self) -> Module:
        m = Module()
        bits: list[tuple[int, Value]] = []
        constant = 0
        for p, s in signed_levels(self.spec.a, self.a):
            for q, t in signed_levels(self.spec.b, self.b):
                gain = p * q
                if s is None and t is None:
                    constant += gain
                    continue
                equal = t if s is None else s if t is None else ~(s ^ t)
                assert equal is not None
                # +gain if equal, else -gain: twice the gain where equal, less one gain.
                bits += [(k, equal if gain > 0 else ~equal) for k in range(64) if 2 * abs(gain) >> k & 1]
                constant -= abs(gain)
        m.d.comb += self.o.eq(compress(m, bits, constant, self.spec.format.width))
        return m
