"""The equations of products and dot products as plainly as Amaranth can say them; see :mod:`rtl.plain`."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Shape, Signal, Value
from amaranth.lib.wiring import In, Out

from model.spec import Format, MacSpec, MlbDotSpec, MlbSpec, ProductSpec
from rtl.mlb_dot import MlbDot
from rtl.plain import value_of
from rtl.shapes import code_shape, shape_of
from rtl.unit import Unit


class PlainProduct(Unit):
    """The values of both operands, multiplied: of two binarized ones, of one with a number, of two numbers."""

    o: Value

    def __init__(self, spec: ProductSpec) -> None:
        self.spec = spec
        self._operands = {"a": spec.a, "t": spec.t} if isinstance(spec, MacSpec) else {"a": spec.a, "b": spec.b}
        ports = {
            name: In(code_shape(each) if isinstance(each, MlbSpec) else shape_of(each))
            for name, each in self._operands.items()
        }
        super().__init__({**ports, "o": Out(shape_of(spec.format))})

    def build(self) -> Module:
        m = Module()
        first, second = (self._value(m, name, each) for name, each in self._operands.items())
        m.d.comb += self.o.eq(first * second)
        return m

    def _value(self, m: Module, name: str, operand: MlbSpec | Format) -> Value:
        port = getattr(self, name)
        return value_of(m, name, operand, port) if isinstance(operand, MlbSpec) else port


class PlainDot(MlbDot):
    """Values of codes, multiplied and added."""

    def __init__(self, spec: MlbDotSpec) -> None:
        super().__init__(spec)

    def build(self) -> Module:
        m = Module()
        spec: MlbDotSpec = self.spec
        total: Value = Const(spec.bias)
        for lane in range(spec.n):
            weight = self.w[lane] if spec.weights is None else Const(spec.weights[lane], shape_of(spec.w.code_format))
            x, w = value_of(m, f"x{lane}", spec.x, self.x[lane]), value_of(m, f"w{lane}", spec.w, weight)
            product = Signal(Shape.cast((x * w).shape()), name=f"product_{lane}")
            m.d.comb += product.eq(x * w)
            total = total + product
        m.d.comb += self.o.eq(total)
        return m
