"""The equations of units as plainly as Amaranth can say them: what the optimized generators are proven equal to."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib.wiring import Flow, In, Out

from model.spec import (
    Format,
    LstmSpec,
    MlbQuantizerSpec,
    MlbSpec,
    NarrowSpec,
    Overflow,
    PwlSpec,
    Rounding,
    ShiftNormSpec,
    ThresholdSpec,
    Weight,
)
from rtl.reconstruct import Reconstruct
from rtl.shapes import shape_of
from rtl.unit import Unit


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


def narrowed(m: Module, spec: NarrowSpec, x: Value) -> Value:
    """Down to the integer below, one up by the rounding rule, then a comparison with either limit or the low bits."""
    target, whole = spec.target, x.shift_right(spec.shift)
    if spec.rounding is Rounding.NEAREST_EVEN and spec.shift:
        rest, half = x[: spec.shift], 1 << (spec.shift - 1)
        whole = whole + ((rest > half) | ((rest == half) & whole[0]))
    # A signal: an expression used twice is written out twice; one bit more, for low bits beyond its width.
    value = Signal(Shape(max(Shape.cast(whole.shape()).width, target.width) + 1, signed=True))
    m.d.comb += value.eq(whole)
    if spec.overflow is Overflow.SATURATE:
        value = Mux(value < target.min, target.min, Mux(value > target.max, target.max, value))
    low = value[: target.width]
    return low.as_signed() if target.signed else low


def value_of(m: Module, name: str, quantity: Weight, code: Value) -> Value:
    """The value of a code: ``offset + sum_i s_i a_i``; an integer times its step; the number itself."""
    if not isinstance(quantity, MlbSpec):
        return code * quantity.unit
    signed = [Mux(code[quantity.levels - 1 - i], a, -a) for i, a in enumerate(quantity.factors)]
    exact = reduce(add, signed) + quantity.offset
    value = Signal(Shape.cast(exact.shape()), name=f"value_{name}")
    m.d.comb += value.eq(exact)
    return value


class Delayed(Unit):
    """Another unit, without registers, and so many ranks of them behind its outputs."""

    def __init__(self, unit: Unit, stages: int) -> None:
        self.spec, self.latency, self.variant, self._unit = unit.spec, stages, (unit.key,), unit
        super().__init__(dict(unit.signature.members.items()))

    def build(self) -> Module:
        m = Module()
        m.submodules.unit = unit = self._unit
        for name, member in self.signature.members.items():
            outside, inside = (Value.cast(getattr(of, name)) for of in (self, unit))
            if member.flow == Flow.In:
                m.d.comb += inside.eq(outside)
                continue
            for rank in range(self.latency):
                later = Signal(inside.shape(), name=f"{name}_{rank}", reset_less=True)
                m.d.sync += later.eq(inside)
                inside = later
            m.d.comb += outside.eq(inside)
        return m


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


class PlainNarrow(PlainUnit):
    """Rounding and overflow by their definitions."""

    def __init__(self, spec: NarrowSpec) -> None:
        super().__init__(spec, spec.source, shape_of(spec.target))

    def build(self) -> Module:
        m = Module()
        m.d.comb += self.o.eq(narrowed(m, self.spec, self.x))
        return m


class PlainShiftNorm(PlainUnit):
    """Difference, appended zeros, narrowing."""

    def __init__(self, spec: ShiftNormSpec) -> None:
        super().__init__(spec, spec.source, shape_of(spec.target))

    def build(self) -> Module:
        m = Module()
        spec: ShiftNormSpec = self.spec
        m.d.comb += self.o.eq(narrowed(m, spec.narrow, (self.x - spec.mean) * (1 << spec.left)))
        return m


class PlainReconstruct(Reconstruct):
    """``offset + sum_i s_i a_i``."""

    def build(self) -> Module:
        m = Module()
        m.d.comb += self.o.eq(value_of(m, "code", self.spec.mlb, self.code))
        return m


class PlainThresholds(PlainUnit):
    """Narrowing, activation and chain of signs, one after the other."""

    def __init__(self, spec: ThresholdSpec) -> None:
        super().__init__(spec, spec.source, spec.mlb.levels)

    def build(self) -> Module:
        m = Module()
        m.submodules.activation = activation = PlainActivation(self.spec.activation)
        narrow = self.spec.narrow
        m.d.comb += activation.x.eq(self.x if narrow is None else narrowed(m, narrow, self.x))
        m.d.comb += self.o.eq(signs(activation.o, self.spec.activation.target.frac, self.spec.mlb))
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
        m.submodules.tanh = tanh = PlainActivation(lstm.tanh)
        c = value_of(m, "c", lstm.c, self.c) * (1 << lstm.widen_c)
        m.d.comb += tanh.x.eq(narrowed(m, lstm.narrow_c, c))
        product = value_of(m, "o", lstm.gates[3], self.gate_o) * tanh.o
        m.d.comb += self.o.eq(signs(product, lstm.mac.format.frac, lstm.h))  # type: ignore[attr-defined]
        return m
