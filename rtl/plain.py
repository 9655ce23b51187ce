"""The equations of units as plainly as Amaranth can say them: what the optimized generators are proven equal to."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib.wiring import In, Out

from model.spec import (
    Format,
    LstmSpec,
    MlbDotSpec,
    MlbQuantizerSpec,
    MlbSpec,
    PwlSpec,
    ReconstructSpec,
    ThresholdSpec,
)
from rtl.mlb_dot import MlbDot
from rtl.narrow import Narrow
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
