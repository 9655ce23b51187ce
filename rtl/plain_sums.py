"""The equations of sums as plainly as Amaranth can say them: what the optimized generators are proven equal to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

from amaranth.hdl import Const, Module, Mux, Shape, Signal, Value
from amaranth.lib.wiring import In, Out

from model.spec import (
    AdderTreeSpec,
    BitSumSpec,
    Format,
    IntegerDotSpec,
    Overflow,
    PopcountSpec,
    ScaledSumSpec,
    SignMatrixSpec,
    XnorDotSpec,
)
from rtl.bit_sum import BitSum
from rtl.integer_dot import IntegerDot
from rtl.popcount import Popcount
from rtl.scaled_sum import ScaledSum
from rtl.shapes import shape_of
from rtl.sign_matrix import SignMatrix
from rtl.unit import Unit
from rtl.xnor_dot import XnorDot


class PlainPopcount(Popcount):
    """``x[0] + x[1] + ...``."""

    def __init__(self, spec: PopcountSpec) -> None:
        super().__init__(spec)

    def build(self) -> Module:
        m = Module()
        m.d.comb += self.o.eq(reduce(add, list(self.x.as_value())))
        return m


class PlainXnorDot(XnorDot):
    """``(a[0] == b[0]) + (a[1] == b[1]) + ...``."""

    def __init__(self, spec: XnorDotSpec) -> None:
        super().__init__(spec)

    def build(self) -> Module:
        m = Module()
        m.d.comb += self.o.eq(reduce(add, [self.a[i] == self.b[i] for i in range(self.spec.n)]))
        return m


class PlainSignMatrix(SignMatrix):
    """Each row by itself: ``+-x[0] +- x[1] ...``."""

    def __init__(self, spec: SignMatrixSpec) -> None:
        super().__init__(spec)

    def build(self) -> Module:
        m = Module()
        for row, weights in enumerate(self.spec.weights):
            m.d.comb += self.o[row].eq(reduce(add, [self.x[i] * weight for i, weight in enumerate(weights)]))
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


class PlainBitSum(BitSum):
    """``(x[0] << weights[0]) + (x[1] << weights[1]) + ... + constant``."""

    def __init__(self, spec: BitSumSpec) -> None:
        super().__init__(spec)

    def build(self) -> Module:
        m = Module()
        spec: BitSumSpec = self.spec
        bits = [bit.shift_left(weight) for bit, weight in zip(self.x.as_value(), spec.weights, strict=True)]
        m.d.comb += self.o.eq(reduce(add, bits) + spec.constant)
        return m


class PlainScaledSum(ScaledSum):
    """``factors[0] * x0 + factors[1] * x1 + ...``."""

    def __init__(self, spec: ScaledSumSpec) -> None:
        super().__init__(spec)

    def build(self) -> Module:
        m = Module()
        m.d.comb += self.o.eq(reduce(add, [f * getattr(self, f"x{i}") for i, f in enumerate(self.spec.factors)]))
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
