"""What is claimed of sums, for :mod:`scripts.proofs`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import get_args

from amaranth.hdl import Cat, Module, Mux, Value
from amaranth.lib import data

from model.spec import (
    AdderTreeSpec,
    BitSumSpec,
    Format,
    IntegerDotSpec,
    Order,
    Overflow,
    PopcountSpec,
    ScaledSumSpec,
    SignMatrixSpec,
    SumSpec,
    XnorDotSpec,
)
from rtl.adder_tree import AdderTree
from rtl.bit_sum import BitSum
from rtl.compressor import FinalAdder
from rtl.integer_dot import IntegerDot
from rtl.plain_sums import (
    PlainBitSum,
    PlainIntegerDot,
    PlainPopcount,
    PlainScaledSum,
    PlainSignMatrix,
    PlainSum,
    PlainXnorDot,
)
from rtl.popcount import Popcount
from rtl.scaled_sum import ScaledSum
from rtl.sign_matrix import Sharing, SignMatrix
from rtl.unit import Unit
from rtl.xnor_dot import XnorDot
from scripts.claim import Claim


def sums() -> Iterator[Claim]:
    """Compressors against a + b + c + ..."""
    for n in (2, 7, 16, 32):
        spec = PopcountSpec(n=n)
        yield Claim(claim="popcount = plain sum", size=f"{n} bits", optimized=Popcount(spec), plain=PlainPopcount(spec))
    for n, groups in ((13, 4), (32, 16)):
        spec = PopcountSpec(n=n)
        grouped, size = Popcount(spec, groups=groups), f"{n} bits in {groups} groups"
        yield Claim(claim="popcount = plain sum", size=size, optimized=grouped, plain=PlainPopcount(spec))
    for n in (1, 5, 12):
        dot = XnorDotSpec(n=n)
        size = f"{n} bits each"
        yield Claim(claim="XNOR dot = equal bits", size=size, optimized=XnorDot(dot), plain=PlainXnorDot(dot))
    for final in get_args(FinalAdder):
        spec = BitSumSpec(weights=(0, 0, 0, 1, 1, 1, 1, 2, 2, 4, 4, 5), constant=-7)
        size = f"12 bits of weights 1 to 32, {final}"
        yield Claim(
            claim="bit sum = plain sum", size=size, optimized=BitSum(spec, final=final), plain=PlainBitSum(spec)
        )
    for n, width in ((3, 8), (5, 6), (9, 4)):
        number = Format(width)
        spec = AdderTreeSpec(ranges=((number.min, number.max),) * n, constant=-5)
        size = f"{n} numbers of {width} bits"
        yield Claim(claim="adder tree = plain sum", size=size, optimized=AdderTree(spec), plain=PlainSum(spec))
    for width, factors in ((8, (93,)), (6, (64, -93, 32)), (12, (-301,))):
        spec = ScaledSumSpec(sources=(Format(width),) * len(factors), factors=factors)
        size = f"{width} bits times {', '.join(map(str, factors))}"
        yield Claim(claim="scaled sum = plain sum", size=size, optimized=ScaledSum(spec), plain=PlainScaledSum(spec))


def trees() -> Iterator[Claim]:
    """Saturating trees: clamps that the ranges show to be idle left out, against a comparison at every node."""
    number = Format(5)
    for leaves, rule in (
        (4, SumSpec(width=6)),
        (8, SumSpec(width=5)),
        (8, SumSpec(width=6, fan_in=3)),
        (7, SumSpec(width=5, fan_in=4, shift=1)),
        (6, SumSpec(width=5, order=Order.SEQUENCE)),
        (7, SumSpec(width=6, order=Order.SEQUENCE, fan_in=3)),
        (7, SumSpec(width=6, unit=3)),
        (7, SumSpec(width=5, fan_in=3, shift=2, overflow=Overflow.WRAP)),
    ):
        # Half of the summands are small, so that some clamps are idle.
        ranges = (((number.min, number.max), (-1, 1)) * leaves)[:leaves]
        spec = AdderTreeSpec(ranges=ranges, rule=rule)
        size = f"{leaves} summands, {described(rule)}"
        plain = PlainSum(spec)
        yield Claim(claim="pruned tree = plain tree", size=size, optimized=AdderTree(spec), plain=plain)
        if rule.overflow is Overflow.SATURATE:
            whole = AdderTree(spec, prune=False)
            yield Claim(claim="pruned tree = tree with all clamps", size=size, optimized=AdderTree(spec), plain=whole)


def matrices() -> Iterator[Claim]:
    """A matrix in each form, shared sums or none, against its rows written out."""
    for outputs, inputs, source in (
        (8, 8, Format(1, 0, False)),
        (8, 8, Format(2, 0, False)),
        (16, 12, Format(1, 0, False)),
        (6, 6, Format(4)),
    ):
        signs = random.Random(0)
        weights = tuple(tuple(signs.choice((-1, 1)) for _ in range(inputs)) for _ in range(outputs))
        spec = SignMatrixSpec(weights=weights, source=source)
        size = f"{outputs} x {inputs}, {'' if source.signed else 'un'}signed inputs of {source.width} bits"
        plain = PlainSignMatrix(spec)
        for sharing in get_args(Sharing)[1:]:
            shared = SignMatrix(spec, sharing=sharing)
            yield Claim(claim=f"matrix sharing {sharing} = plain sums", size=size, optimized=shared, plain=plain)


class Limited(Unit):
    """A dot product that gets 0 in place of the most negative integer, which is no weight."""

    x: data.View
    w: data.View
    o: Value

    def __init__(self, dot: IntegerDot) -> None:
        self.spec, self._dot = dot.spec, dot
        super().__init__(dict(dot.signature.members.items()))

    def build(self) -> Module:
        m = Module()
        m.submodules.dot = dot = self._dot
        number = self.spec.weight_format
        codes = [Mux(self.w[i] == number.min, 0, self.w[i])[: number.width] for i in range(self.spec.n)]
        m.d.comb += [
            *(dot.x.as_value().eq(self.x.as_value()), dot.w.as_value().eq(Cat(*codes))),
            self.o.eq(dot.o),
        ]
        return m


def integer_dots() -> Iterator[Claim]:
    """Signs and integers in the compressor of saturating nodes, against products and comparisons."""
    for weights in (None, (1, 0, 0, 1, 0, 1)):
        spec = IntegerDotSpec(n=6, source=Format(4, 0, False), weights=weights, bias=-3, rule=SumSpec(width=6))
        size = f"6 numbers of 4 bits, {described(spec.rule)}{', constant weights' if weights else ''}"
        yield Claim(claim="integer dot = plain sum", size=size, optimized=IntegerDot(spec), plain=PlainIntegerDot(spec))
    for bits, n, rule in ((2, 4, SumSpec(width=5)), (3, 3, SumSpec(width=6)), (5, 2, SumSpec(width=None))):
        spec = IntegerDotSpec(n=n, source=Format(4), weight_bits=bits, rule=rule)
        units = [Limited(dot) for dot in (IntegerDot(spec), PlainIntegerDot(spec))]
        size = f"{n} numbers of 4 bits, weights of {bits}, {described(rule)}"
        yield Claim(claim="integer dot = plain sum", size=size, optimized=units[0], plain=units[1])
    spec = IntegerDotSpec(n=5, source=Format(6), weight_bits=5, weights=(-15, 7, 0, 1, 11), rule=SumSpec(width=9))
    size = f"5 numbers of 6 bits, constant weights of 5, {described(spec.rule)}"
    yield Claim(claim="integer dot = plain sum", size=size, optimized=IntegerDot(spec), plain=PlainIntegerDot(spec))


def described(rule: SumSpec) -> str:
    """What of a rule is not the default."""
    named = {"fan-in": rule.fan_in, "shift": rule.shift, "unit": rule.unit}
    default = {"fan-in": 2, "shift": 0, "unit": None}
    more = "".join(f", {name} {value}" for name, value in named.items() if value != default[name])
    if rule.exact:
        return "exact"
    return f"{rule.order} of {rule.width} bits{more}{', wrapping' if rule.overflow is Overflow.WRAP else ''}"
