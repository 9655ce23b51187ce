"""What is claimed of sums, for :mod:`scripts.proofs`."""

from __future__ import annotations

from collections.abc import Iterator

from model.spec import AdderTreeSpec, Format, IntegerDotSpec, Order, Overflow, PopcountSpec, SumSpec
from rtl.adder_tree import AdderTree
from rtl.integer_dot import IntegerDot
from rtl.plain import PlainIntegerDot, PlainPopcount, PlainSum
from rtl.popcount import Popcount
from scripts.claim import Claim


def sums() -> Iterator[Claim]:
    """Compressors against a + b + c + ..."""
    for n in (2, 7, 16, 32):
        spec = PopcountSpec(n=n)
        yield Claim(claim="popcount = plain sum", size=f"{n} bits", optimized=Popcount(spec), plain=PlainPopcount(spec))
    for n, width in ((3, 8), (5, 6), (9, 4)):
        number = Format(width)
        spec = AdderTreeSpec(ranges=((number.min, number.max),) * n, constant=-5)
        size = f"{n} numbers of {width} bits"
        yield Claim(claim="adder tree = plain sum", size=size, optimized=AdderTree(spec), plain=PlainSum(spec))


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


def integer_dots() -> Iterator[Claim]:
    """Signs in the compressor of saturating nodes, against x or -x and comparisons."""
    for weights in (None, (1, 0, 0, 1, 0, 1)):
        spec = IntegerDotSpec(n=6, source=Format(4, 0, False), weights=weights, bias=-3, rule=SumSpec(width=6))
        size = f"6 numbers of 4 bits, {described(spec.rule)}{', constant weights' if weights else ''}"
        yield Claim(claim="integer dot = plain sum", size=size, optimized=IntegerDot(spec), plain=PlainIntegerDot(spec))


def described(rule: SumSpec) -> str:
    """What of a rule is not the default."""
    named = {"fan-in": rule.fan_in, "shift": rule.shift, "unit": rule.unit}
    default = {"fan-in": 2, "shift": 0, "unit": None}
    more = "".join(f", {name} {value}" for name, value in named.items() if value != default[name])
    return f"{rule.order} of {rule.width} bits{more}{', wrapping' if rule.overflow is Overflow.WRAP else ''}"
