"""What is claimed of narrowings, values of codes, products and dot products, for :mod:`scripts.proofs`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from model.spec import (
    FixedSpec,
    Format,
    MacSpec,
    MlbDotSpec,
    MlbSpec,
    MultiplierSpec,
    NarrowSpec,
    Overflow,
    Quantity,
    ReconstructSpec,
    Rounding,
    ShiftNormSpec,
    Weight,
    XnorMultiplierSpec,
)
from rtl.mac import Mac
from rtl.mlb_dot import MlbDot
from rtl.multiplier import Multiplier
from rtl.narrow import Narrow
from rtl.plain import PlainNarrow, PlainReconstruct, PlainShiftNorm
from rtl.plain_products import PlainDot, PlainProduct
from rtl.reconstruct import Reconstruct
from rtl.shift_norm import ShiftNorm
from rtl.xnor_multiplier import XnorMultiplier
from scripts.claim import Claim

MLB = MlbSpec(factors=(90, 41, 20))
OFFSET = MlbSpec(factors=(27, 9, 4), offset=-32)
CODES = (0, 1, 2, 3, 3, 1)  #: constant weights of two levels


def narrowings() -> Iterator[Claim]:
    """Rounding and clamps that the ranges show to be idle left out, against the definition."""
    for source, target in (
        (Format(20, 14), Format(10, 6)),
        (Format(12, 3), Format(16, 1)),
        (Format(14, 4), Format(6, 4, False)),
        (Format(12, 7, False), Format(6, 2)),
        (Format(9, 4), Format(5)),  # only rounding leaves the range
        (Format(5, 4), Format(3, 0, False)),  # by one, below
    ):
        for rounding, overflow in product(Rounding, Overflow):
            spec = NarrowSpec(source=source, target=target, rounding=rounding, overflow=overflow)
            size = f"{source} to {target}, {rounding}, {overflow}"
            yield Claim(claim="narrow = definition", size=size, optimized=Narrow(spec), plain=PlainNarrow(spec))
    for mean, shift, target in ((93, 4, Format(8)), (-700, -2, Format(10)), (5, 3, Format(8, 5)), (9, 9, Format(12))):
        for rounding, overflow in product(Rounding, Overflow):
            norm = ShiftNormSpec(
                source=Format(12), mean=mean, shift=shift, target=target, rounding=rounding, overflow=overflow
            )
            size = f"mean {mean}, shift {shift}, {norm.source} to {target}, {rounding}, {overflow}"
            plain = PlainShiftNorm(norm)
            yield Claim(claim="shift_norm = definition", size=size, optimized=ShiftNorm(norm), plain=plain)


def values() -> Iterator[Claim]:
    """Tables of values against signs times factors."""
    for mlb in (MlbSpec(factors=(5,)), MLB, OFFSET, MlbSpec(factors=(64, 33, 16, 7, 5), offset=81)):
        spec = ReconstructSpec(mlb=mlb)
        size = f"factors {', '.join(map(str, mlb.factors))}, offset {mlb.offset}"
        yield Claim(claim="reconstruct = golden function", size=size, optimized=Reconstruct(spec))
        plain = PlainReconstruct(spec)
        yield Claim(claim="reconstruct = signs times factors", size=size, optimized=Reconstruct(spec), plain=plain)


def products() -> Iterator[Claim]:
    """Compressors of XNORs, of signed words and of partial products against one multiplication."""
    for a, b in ((MLB, MLB), (OFFSET, MLB), (MlbSpec(factors=(30, 8, 7, 3)), OFFSET)):
        spec = XnorMultiplierSpec(a=a, b=b)
        size = f"{described(a)} with {described(b)}"
        yield Claim(claim="XNOR product = a b", size=size, optimized=XnorMultiplier(spec), plain=PlainProduct(spec))
    for a, t in ((MLB, Format(8)), (OFFSET, Format(8)), (OFFSET, Format(6, 0, False))):
        mac = MacSpec(a=a, t=t)
        size = f"{described(a)} with {t}"
        yield Claim(claim="mac = a t", size=size, optimized=Mac(mac), plain=PlainProduct(mac))
    for first, second in (
        (Format(6), Format(6)),
        (Format(7, 0, False), Format(5)),
        (Format(5), Format(7, 0, False)),
        (Format(5, 0, False), Format(6, 0, False)),
    ):
        words = MultiplierSpec(a=first, b=second)
        size = f"{first} times {second}"
        yield Claim(claim="multiplier = a b", size=size, optimized=Multiplier(words), plain=PlainProduct(words))


def dots() -> Iterator[Claim]:
    """Compressed dot products against ordinary multiplications and additions."""
    for n, factors in ((4, (2, 1)), (2, (4, 2, 1)), (2, (90, 41, 20)), (3, (90, 41))):
        mlb = MlbSpec(factors=factors)
        yield dot(MlbDotSpec(n=n, x=mlb, w=mlb, bias=-7))
    two, word, number = MlbSpec(factors=(5, 2)), FixedSpec(format=Format(4)), FixedSpec(format=Format(3))
    operands: tuple[tuple[int, Quantity, Quantity], ...] = ((3, word, two), (3, two, word), (2, word, number))
    for n, x, w in operands:
        yield dot(MlbDotSpec(n=n, x=x, w=w, bias=-7))
    for quantity, weight, weights in (
        (MLB, two, CODES),
        (word, two, CODES[:4]),
        (two, word, (-8, 7, 0, 3)),
        (word, number, (-4, 3, 0, 1)),
    ):
        yield dot(MlbDotSpec(n=len(weights), x=quantity, w=weight, weights=weights, bias=5))


def dot(spec: MlbDotSpec) -> Claim:
    """One of them."""
    constant = "" if spec.weights is None else "constant "
    size = f"{spec.n} terms, {described(spec.x)} with {constant}{described(spec.w)}"
    return Claim(claim="MLB dot = plain products", size=size, optimized=MlbDot(spec), plain=PlainDot(spec))


def described(quantity: Weight) -> str:
    """How an operand is stored, shortly."""
    if isinstance(quantity, MlbSpec):
        offset = f" and offset {quantity.offset}" if quantity.offset else ""
        return f"factors {', '.join(map(str, quantity.factors))}{offset}"
    return f"words of {quantity.width} bits"
