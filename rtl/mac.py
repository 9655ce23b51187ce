"""Product of a binarized and a fixed-point value, by multiply-accumulate over the levels."""

from amaranth.hdl import Module, Mux, Value
from amaranth.lib.wiring import In, Out

from model.spec import AdderTreeSpec, ConstantMultiplierSpec, MacSpec
from rtl.adder_tree import AdderTree
from rtl.constant_multiplier import ConstantMultiplier
from rtl.shapes import shape_of, signed_levels
from rtl.unit import Unit


class Mac(Unit):
    """``o = sum_i s_i (a_i t)``, for ``o * tanh(c)`` (MuBiNN).

    Latency 0, throughput one a cycle. Exact.

    Ports
    -----
    a : In, code bits
    t : In, ``spec.t``
    o : Out, ``spec.format``
    """

    a: Value
    t: Value
    o: Value

    def __init__(self, spec: MacSpec) -> None:
        self.spec = spec
        super().__init__({"a": In(spec.a.levels), "t": In(shape_of(spec.t)), "o": Out(shape_of(spec.format))})

    def build(self) -> Module:
        m = Module()
        levels = signed_levels(self.spec.a, self.a)
        products = [ConstantMultiplierSpec(constant=factor, source=self.spec.t) for factor, _ in levels]
        sizes = [max(abs(p.format.min), p.format.max) for p in products]
        m.submodules.adder_tree = total = AdderTree(AdderTreeSpec(ranges=tuple((-s, s) for s in sizes)))
        for i, ((_, positive), product) in enumerate(zip(levels, products, strict=True)):
            m.submodules[f"constant_multiplier_{i}"] = multiplier = ConstantMultiplier(product)
            term = multiplier.o if positive is None else Mux(positive, multiplier.o, -multiplier.o)
            m.d.comb += [multiplier.x.eq(self.t), getattr(total, f"x{i}").eq(term)]
        m.d.comb += self.o.eq(total.o)
        return m
