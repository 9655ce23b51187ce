"""The equations of units as plainly as Amaranth can say them: what the optimized generators are proven equal to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib.wiring import In, Out

from model.spec import (
    AdderTreeSpec,
    Format,
    IntegerDotSpec,
    LstmSpec,
    MlbDotSpec,
    MlbQuantizerSpec,
    MlbSpec,
    Overflow,
    PopcountSpec,
    PwlSpec,
    ReconstructSpec,
    ThresholdSpec,
)
from rtl.integer_dot import IntegerDot
from rtl.mlb_dot import MlbDot
from rtl.narrow import Narrow
from rtl.popcount import Popcount
from rtl.reconstruct import Reconstruct
from rtl.shapes import shape_of
from rtl.unit import Unit


class PlainPopcount(Popcount):
    """``x[0] + x[1] + ...``."""

    def __init__(self, spec: PopcountSpec) -> None:
        super().__init__(spec)

    def build(self) -> Module:
        m = Module()
        m.d.comb += self.o.eq(reduce(add, list(self.x.as_value())))
        return m


class PlainSum(Unit):
    """``x0``, ``x1``, ... and the constant in their written order; a comparison with either limit at every node."""

    o: Value

    def __init__(self, spec: AdderTreeSpec) -> None:
        self.spec = spec
        summands = {f"x{i}": In(shape_of(Format.covering(*r))) for i, r in enumerate(spec.ranges)}
        super().__init__({**summands, "o": Out(shape_of(spec.format))})

    def build(self) -> Module:
        m = Module()
        m.d.comb += self.o.eq(limited_sum(m, self.spec, [getattr(self, f"x{i}") for i in range(len(self.spec.ranges))]))
        return m


class PlainIntegerDot(IntegerDot):
    """Products, in their written order; a comparison with either limit at every node."""

    def __init__(self, spec: IntegerDotSpec) -> None:
        super().__init__(spec)

    def build(self) -> Module:
        m = Module()
        spec: IntegerDotSpec = self.spec
        weights = [Const(w) for w in spec.weights] if spec.weights else [self.w[i] for i in range(spec.n)]
        if spec.weight_bits == 1:
            products = [Mux(w, self.x[i], -self.x[i]) for i, w in enumerate(weights)]
        else:
            products = [w * self.x[i] for i, w in enumerate(weights)]
        m.d.comb += self.o.eq(limited_sum(m, spec.sum, products))
        return m


def limited_sum(m: Module, spec: AdderTreeSpec, summands: Sequence[Value]) -> Value:
    """The nodes of a sum, one by one."""
    limit = spec.rule.limit

    def node(members: Sequence[Value], shift: int, level: int) -> Value:
        # A signal each: an expression used twice is written out twice.
        exact = reduce(add, members).shift_right(shift)
        total = Signal(Shape.cast(exact.shape()))
        m.d.comb += total.eq(exact)
        if limit is None:
            return total
        if spec.rule.overflow is Overflow.WRAP:
            return (total + Const(0, shape_of(limit)))[: limit.width].as_signed()
        above = Mux(total > limit.max, limit.max, total)
        return Mux(total < limit.min, limit.min, above)[: limit.width].as_signed()

    return spec.rule.walk([*summands, Const(spec.constant)] if spec.constant else summands, node)


def signs(x: Value, frac: int, mlb: MlbSpec) -> Value:
    """The code by its definition: ``s_i = sign(r)``, ``r -= s_i a_i``."""
    common = max(frac, mlb.frac)
    up = common - mlb.frac
    rest: Value = x.shift_left(common - frac) - (mlb.offset << up)
    found: list[Value] = []
    for a in mlb.factors:
        positive = ~rest[-1] if Shape.cast(rest.shape()).signed else Const(1, 1)
        found.append(positive)
        rest = Mux(positive, rest - (a << up), rest + (a << up))
    return Cat(*reversed(found))


def line(m: Module, spec: PwlSpec, x: Value) -> Value:
    """``clamp((base + slope * low) >> guard)`` with tables of bases and slopes."""
    bases, slopes = (Value.cast(Const(0, shape_of(Format.covering(min(t), max(t))))) for t in (spec.bases, spec.slopes))
    n = len(spec.bases)
    segment = x[spec.low_bits :]
    for k in range(n):
        here = segment == ((k + n // 2) % n if spec.source.signed else k)
        bases, slopes = Mux(here, spec.bases[k], bases), Mux(here, spec.slopes[k], slopes)
    value = (bases + slopes * x[: spec.low_bits]).shift_right(spec.guard)
    above = Mux(value > spec.target.max, spec.target.max, value)
    return Mux(value < spec.target.min, spec.target.min, above)


class PlainUnit(Unit):
    """Base of units with one input ``x`` of format ``source`` and an output ``o`` of shape ``target``."""

    x: Value
    o: Value

    def __init__(self, spec: Any, source: Format, target: Shape | int) -> None:
        self.spec = spec
        super().__init__({"x": In(shape_of(source)), "o": Out(target)})


class PlainQuantizer(PlainUnit):
    """The chain of signs and residuals."""

    def __init__(self, spec: MlbQuantizerSpec) -> None:
        super().__init__(spec, spec.source, spec.mlb.levels)

    def build(self) -> Module:
        m = Module()
        m.d.comb += self.o.eq(signs(self.x, self.spec.source.frac, self.spec.mlb))
        return m


class PlainActivation(PlainUnit):
    """Table of segments, multiplication, addition, clamp."""

    def __init__(self, spec: PwlSpec) -> None:
        super().__init__(spec, spec.source, shape_of(spec.target))

    def build(self) -> Module:
        m = Module()
        m.d.comb += self.o.eq(line(m, self.spec, self.x))
        return m


class PlainThresholds(PlainUnit):
    """Narrowing, activation and chain of signs, one after the other."""

    def __init__(self, spec: ThresholdSpec) -> None:
        super().__init__(spec, spec.source, spec.mlb.levels)

    def build(self) -> Module:
        m = Module()
        x: Value = self.x
        if self.spec.narrow is not None:
            m.submodules.narrow = narrow = Narrow(self.spec.narrow)
            m.d.comb += narrow.x.eq(x)
            x = narrow.o
        activation = PlainActivation(self.spec.activation)
        m.submodules.activation = activation
        m.d.comb += activation.x.eq(x)
        m.d.comb += self.o.eq(signs(activation.o, self.spec.activation.target.frac, self.spec.mlb))
        return m


def value_of(m: Module, name: str, mlb: MlbSpec, code: Value) -> Value:
    """The reconstruction of a code."""
    m.submodules[f"value_{name}"] = unit = Reconstruct(ReconstructSpec(mlb=mlb))
    m.d.comb += unit.code.eq(code)
    return unit.o


class PlainDot(MlbDot):
    """Reconstructions, multiplied and added."""

    def __init__(self, spec: MlbDotSpec) -> None:
        super().__init__(spec)

    def build(self) -> Module:
        m = Module()
        spec: MlbDotSpec = self.spec
        total: Value = Const(spec.bias)
        for lane in range(spec.n):
            x = value_of(m, f"x{lane}", spec.x, self.x[lane])
            w = (
                value_of(m, f"w{lane}", spec.w, self.w[lane])
                if spec.weights is None
                else Const(spec.w.values[spec.weights[lane]])
            )
            product = Signal(Shape.cast((x * w).shape()), name=f"product_{lane}")
            m.d.comb += product.eq(x * w)
            total = total + product
        m.d.comb += self.o.eq(total)
        return m


class PlainCell(Unit):
    """``MLB(f^ * c^ + i^ * g^)`` with ordinary multiplications."""

    def __init__(self, lstm: LstmSpec) -> None:
        self.spec = lstm
        bits = lstm.activation_levels
        super().__init__({**{name: In(bits) for name in "fcig"}, "o": Out(bits)})

    def build(self) -> Module:
        m = Module()
        lstm, (i, f, g, _) = self.spec, self.spec.gates
        f, c, i, g = (
            value_of(m, name, mlb, getattr(self, name)) for name, mlb in zip("fcig", (f, lstm.c, i, g), strict=True)
        )
        m.d.comb += self.o.eq(signs(f * c + i * g, lstm.c_raw_format.frac, lstm.c))  # type: ignore[attr-defined]
        return m


class PlainHidden(Unit):
    """``MLB(o^ * tanh(narrow(c^)))`` with an ordinary multiplication."""

    def __init__(self, lstm: LstmSpec) -> None:
        self.spec = lstm
        bits = lstm.activation_levels
        super().__init__({"gate_o": In(bits), "c": In(bits), "o": Out(bits)})

    def build(self) -> Module:
        m = Module()
        lstm: LstmSpec = self.spec
        m.submodules.narrow = narrow = Narrow(lstm.narrow_c)
        m.submodules.tanh = tanh = PlainActivation(lstm.tanh)
        m.d.comb += narrow.x.eq(value_of(m, "c", lstm.c, self.c).shift_left(lstm.widen_c))
        m.d.comb += tanh.x.eq(narrow.o)
        product = value_of(m, "o", lstm.gates[3], self.gate_o) * tanh.o
        m.d.comb += self.o.eq(signs(product, lstm.mac.format.frac, lstm.h))  # type: ignore[attr-defined]
        return m
