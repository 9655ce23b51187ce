"""Dot product of multi-level binarized vectors."""

from amaranth.hdl import Module, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import AdderTreeSpec, ConstantMultiplierSpec, MlbDotSpec, XnorDotSpec
from rtl.adder_tree import AdderTree
from rtl.constant_multiplier import ConstantMultiplier
from rtl.shapes import codes, shape_of, sign
from rtl.unit import Unit
from rtl.xnor_dot import XnorDot


class MlbDot(Unit):
    """``o = sum_ab g_ab (2 popcount(xnor(x_a, w_b)) - n)``: A * W plane products, scaled and added.

    Latency 0, throughput one a cycle. Exact. The ``-n`` of all planes is one constant of the adder.

    Ports
    -----
    x : In, n codes of A bits
    w : In, n codes of W bits
    o : Out, ``spec.format``
    """

    x: data.View
    w: data.View
    o: Value

    def __init__(self, spec: MlbDotSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "x": In(codes(spec.x.levels, spec.n)),
                "w": In(codes(spec.w.levels, spec.n)),
                "o": Out(shape_of(spec.format)),
            }
        )

    def build(self) -> Module:
        m = Module()
        spec, plane = self.spec, XnorDotSpec(n=self.spec.n)
        gains = [(a, b, g) for a, row in enumerate(spec.gains) for b, g in enumerate(row)]
        scales = [ConstantMultiplierSpec(constant=2 * g, source=plane.format) for _, _, g in gains]
        total = AdderTree(AdderTreeSpec(ranges=tuple((0, s.constant * spec.n) for s in scales), constant=-spec.bound))
        m.submodules.adder_tree = total
        for i, ((a, b, _), scale) in enumerate(zip(gains, scales, strict=True)):
            m.submodules[f"xnor_dot_{i}"] = dot = XnorDot(plane)
            m.submodules[f"constant_multiplier_{i}"] = multiplier = ConstantMultiplier(scale)
            for lane in range(spec.n):
                m.d.comb += [dot.a[lane].eq(sign(self.x[lane], a)), dot.b[lane].eq(sign(self.w[lane], b))]
            m.d.comb += [multiplier.x.eq(dot.o), getattr(total, f"x{i}").eq(multiplier.o)]
        m.d.comb += self.o.eq(total.o.as_signed())
        return m
