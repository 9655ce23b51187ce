"""A running sum of dot products of vectors, binarized or in fixed point."""

from __future__ import annotations

from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from model.spec import MlbAccumulatorSpec
from rtl.compressor import Compressor, FinalAdder
from rtl.logic import Bit, Logic, LogicUnit
from rtl.mlb_dot import add_dot
from rtl.shapes import codes, shape_of


class MlbAccumulator(LogicUnit):
    """``o = before + sum_k x_k^ . w_k^``: the running total and all dot products in one compressor.

    Latency 0, throughput one a cycle; the caller keeps the total. Wraps where the format is too narrow.

    Parameters
    ----------
    spec
        The dot products and the format of the total.
    final
        The adder at the end: small, balanced or fast.

    Ports
    -----
    before : In, ``spec.total``; absent if the sum is not running
    x0, w0, x1, w1, ... : In, the codes of each dot product; no w where the weights are constants
    o : Out, ``spec.total``
    """

    before: Value
    o: Value

    def __init__(self, spec: MlbAccumulatorSpec, final: FinalAdder = "small") -> None:
        self.spec, self.variant = spec, (final,)
        number = shape_of(spec.total)
        ports = {"before": In(number)} if spec.running else {}
        ports["o"] = Out(number)
        for k, dot in enumerate(spec.dots):
            ports[f"x{k}"] = In(codes(dot.x, dot.n))
            if dot.weights is None:
                ports[f"w{k}"] = In(codes(dot.w, dot.n))
        super().__init__(ports)

    def bits(self, logic: Logic) -> list[Bit]:
        total = Compressor(logic, self.spec.total.width)
        if self.spec.running:
            total.add_multiple(1, logic.inputs(self.before), signed=self.spec.total.signed)
        for k, dot in enumerate(self.spec.dots):
            shift = self.spec.shift(dot)
            add_dot(logic, total, dot, getattr(self, f"x{k}"), getattr(self, f"w{k}", None), shift)
        return total.total(*self.variant)
