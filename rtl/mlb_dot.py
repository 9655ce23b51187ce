"""Dot product of multi-level binarized vectors."""

from __future__ import annotations

from collections.abc import Callable

from amaranth.hdl import Module, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import Format, MlbDotSpec
from rtl.compressor import Compressor, FinalAdder, compress, signed_digits
from rtl.logic import Bit, Logic, known, pipelined
from rtl.shapes import codes, shape_of, sign
from rtl.unit import Unit

Planes = list[list[Bit]]  #: for each level, the sign bits of all lanes


class MlbDot(Unit):
    """``o = sum_ab g_ab (2 popcount(xnor(x_a, w_b)) - n) + bias``: all plane products in one compressor.

    A plane whose gain is a power of two enters bit by bit, any other is counted first and enters as its count
    times the canonical signed digits of the gain; the ``-n`` of all planes and the bias are one constant. With
    constant weights there are no XNOR gates, and each input sign may instead enter times its whole weight,
    where that takes fewer adders.

    Latency ``stages`` cycles, throughput one a cycle. Exact.

    Parameters
    ----------
    spec
        Length, factors, and the weights if they are constants.
    stages
        Pipeline registers between input and output.
    final
        The adder at the end: small, balanced or fast.

    Ports
    -----
    x : In, n codes of A bits
    w : In, n codes of W bits; absent if the weights are constants
    o : Out, ``spec.format``
    """

    x: data.View
    w: data.View
    o: Value

    def __init__(self, spec: MlbDotSpec, stages: int = 0, final: FinalAdder = "small") -> None:
        self.spec, self.latency, self.variant = spec, stages, (final,)
        ports = {"x": In(codes(spec.x.levels, spec.n)), "o": Out(shape_of(spec.format))}
        if spec.weights is None:
            ports["w"] = In(codes(spec.w.levels, spec.n))
        super().__init__(ports)

    def build(self) -> Module:
        m = Module()
        form = self._by_planes
        if self.spec.weights is not None:
            form = min(self._by_planes, self._by_weights, key=_adders)
        m.d.comb += self.o.eq(pipelined(m, self.latency, form))
        return m

    def _inputs(self, logic: Logic) -> Planes:
        lanes = [logic.inputs(self.x[lane]) for lane in range(self.spec.n)]
        return [[sign(code, a) for code in lanes] for a in range(self.spec.x.levels)]

    def _weights(self, logic: Logic) -> Planes:
        spec = self.spec
        lanes = [
            logic.inputs(self.w[lane]) if spec.weights is None else known(spec.weights[lane], spec.w.levels)
            for lane in range(spec.n)
        ]
        return [[sign(code, b) for code in lanes] for b in range(spec.w.levels)]

    def _by_planes(self, logic: Logic) -> list[Bit]:
        total, w = self._start(logic), self._weights(logic)
        for x_plane, gains in zip(self._inputs(logic), self.spec.gains, strict=True):
            for w_plane, gain in zip(w, gains, strict=True):
                equal = [logic.xnor(p, q) for p, q in zip(x_plane, w_plane, strict=True)]
                if len(signed_digits(gain)) > 1:
                    equal = compress(logic, [(0, bit) for bit in equal], 0, self.spec.n.bit_length())
                    total.add_multiple(2 * gain, equal)
                else:
                    for bit in equal:
                        total.add_multiple(2 * gain, [bit])
                total.add_constant(-gain * self.spec.n)
        return total.total(*self.variant)

    def _by_weights(self, logic: Logic) -> list[Bit]:
        """Constant weights: each input sign times the value of its weight, level by level."""
        spec, total = self.spec, self._start(logic)
        values = [spec.w.values[code] for code in spec.weights or ()]
        number = Format.covering(sum(min(v, 0) for v in values), sum(max(v, 0) for v in values))
        for factor, plane in zip(spec.x.factors, self._inputs(logic), strict=True):
            counted = len(signed_digits(factor)) > 1
            level = Compressor(logic, number.width) if counted else total
            for value, bit in zip(values, plane, strict=True):
                level.add_multiple(value if counted else 2 * factor * value, [bit])
            if counted:
                total.add_multiple(2 * factor, level.total(), signed=number.signed)
            total.add_constant(-factor * sum(values))
        return total.total(*self.variant)

    def _start(self, logic: Logic) -> Compressor:
        total = Compressor(logic, self.spec.format.width)
        total.add_constant(self.spec.bias)
        return total


def _adders(form: Callable[[Logic], list[Bit]]) -> int:
    form(logic := Logic(None))
    return logic.counters
