"""Formats, narrowing, binarization, activations and products against exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.cell import fixed_point
from model.family import NumberChoice
from model.spec import (
    DenseSpec,
    FixedSpec,
    Folding,
    Format,
    MlbDotSpec,
    MlbSpec,
    NarrowSpec,
    Overflow,
    PopcountSpec,
    PwlSpec,
    Rounding,
    XnorDotSpec,
    XnorMultiplierSpec,
)

FORMATS = st.builds(Format, st.integers(1, 14), st.integers(0, 8), st.booleans())
MLB = st.builds(
    lambda factors, frac, offset: MlbSpec(factors=tuple(factors), frac=frac, offset=offset),
    st.lists(st.integers(1, 300), min_size=1, max_size=5),
    st.integers(0, 8),
    st.integers(-200, 200),
)


@given(
    st.builds(Format, st.integers(2, 14), st.integers(0, 8), st.booleans()),
    st.sampled_from(Rounding),
    st.sampled_from(Overflow),
    st.integers(-3000, 3000),
    st.integers(0, 12),
)
def test_a_fixed_point_quantity_is_rounded_then_kept_in_range(number, rounding, overflow, x, frac):
    spec = FixedSpec(format=number, rounding=rounding, overflow=overflow)
    real = Fraction(x, 2**frac) * 2**number.frac
    wanted = math.floor(real) if rounding is Rounding.FLOOR else round(real)
    if overflow is Overflow.SATURATE:
        wanted = min(max(wanted, number.min), number.max)
    else:
        wanted = (wanted - number.min) % 2**number.width + number.min
    code = int(spec.quantize(x, frac))
    assert code == wanted
    assert int(spec.reconstruct(code)) == code
    # The same from a format, and in the arithmetic of training.
    narrowing = spec.narrowing(Format(16, frac))
    assert int(narrowing.compute(x << spec.widening(frac))) == wanted
    value = fixed_point(torch.tensor([x * 2.0**-frac], dtype=torch.float64), spec)
    assert value.item() * 2**number.frac == wanted


@given(FORMATS)
def test_format_range_and_covering(number):
    assert number.max - number.min == 2**number.width - 1
    again = Format.covering(number.min, number.max, number.frac)
    assert again == number
    assert Format.covering(number.min - 1, number.max).width == number.width + 1


def test_covering_of_small_ranges():
    assert Format.covering(0, 0) == Format(1, 0, False)
    assert Format.covering(-1, 0) == Format(1, 0, True)
    assert Format.covering(-1, 1) == Format(2, 0, True)
    assert Format.covering(0, 128) == Format(8, 0, False)


@given(FORMATS, FORMATS, st.sampled_from(Rounding), st.sampled_from(Overflow), st.data())
def test_narrow_is_exact_rounding_then_overflow(source, target, rounding, overflow, data):
    if target.frac > source.frac:
        source, target = target, source
    spec = NarrowSpec(source=source, target=target, rounding=rounding, overflow=overflow)
    x = data.draw(st.integers(source.min, source.max))
    real = Fraction(x, 2**source.frac) * 2**target.frac
    wanted = math.floor(real) if rounding is Rounding.FLOOR else round(real)  # Python rounds ties to even
    if overflow is Overflow.SATURATE:
        wanted = min(max(wanted, target.min), target.max)
    else:
        wanted = (wanted - target.min) % 2**target.width + target.min
    assert int(spec.compute(x)) == wanted


@given(MLB, st.integers(-4000, 4000), st.integers(0, 10))
def test_quantize_is_the_greedy_recursion(mlb, x, frac):
    rest = Fraction(x, 2**frac) - Fraction(mlb.offset, 2**mlb.frac)
    value, code = Fraction(mlb.offset, 2**mlb.frac), 0
    for a in mlb.factors:
        sign = 1 if rest >= 0 else -1
        rest -= sign * Fraction(a, 2**mlb.frac)
        value += sign * Fraction(a, 2**mlb.frac)
        code = 2 * code + (sign > 0)
    assert int(mlb.quantize(x, frac)) == code
    assert Fraction(int(mlb.reconstruct(code)), 2**mlb.frac) == value
    assert mlb.format.min <= int(mlb.reconstruct(code)) <= mlb.format.max


@given(MLB)
def test_the_code_is_monotone_whatever_the_factors(mlb):
    codes = mlb.quantize(np.arange(-4000, 4000), 6)
    assert (np.diff(codes) >= 0).all()


def test_sign_of_zero_is_plus_and_plus_is_one():
    assert int(MlbSpec(factors=(3,)).quantize(0, 0)) == 1
    assert MlbSpec(factors=(3,)).values == (-3, 3)
    assert MlbSpec(factors=(4, 2)).values == (-6, -2, 2, 6)


@pytest.mark.parametrize("pwl", [NumberChoice().sigmoid, NumberChoice().tanh], ids=["sigmoid", "tanh"])
def test_activation_is_monotone_and_near_the_function(pwl):
    y = pwl.compute(np.arange(pwl.source.min, pwl.source.max + 1))
    assert (np.diff(y) >= 0).all()
    # 0.0085 for the sigmoid, 0.0104 for tanh: the chords of 1/2 and 1/4 wide segments, and one half last bit.
    assert pwl.max_error() < {"sigmoid": 0.0090, "tanh": 0.0110}[pwl.function]


@given(st.sampled_from(["sigmoid", "tanh"]), st.integers(1, 5), st.integers(6, 11), st.data())
def test_activation_by_exact_integers(function, log_segments, width, data):
    target = Format(8, 7, signed=function == "tanh")
    pwl = PwlSpec.fit(function, source=Format(width, width - 4), target=target, segments=1 << log_segments)
    x = data.draw(st.integers(pwl.source.min, pwl.source.max))
    segment, low = divmod(x - pwl.source.min, 1 << pwl.low_bits)
    line = Fraction(pwl.bases[segment] + pwl.slopes[segment] * low, 1 << pwl.guard)
    assert int(pwl.compute(x)) == min(max(math.floor(line), target.min), target.max)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_xnor_dot_and_popcount(a, random):
    b = [random.randint(0, 1) for _ in a]
    n = len(a)
    dot = sum((2 * p - 1) * (2 * q - 1) for p, q in zip(a, b, strict=True))
    assert 2 * int(XnorDotSpec(n=n).compute(np.array(a), np.array(b))) - n == dot
    assert int(PopcountSpec(n=n).compute(np.array(a))) == sum(a)


@given(MLB, MLB, st.integers(1, 9), st.randoms(use_true_random=False))
def test_dot_product_is_the_sum_over_planes(x, w, n, random):
    """x^ . w^ = sum g_ab (2 popcount(xnor(x_a, w_b)) - n), with the golden dot product on the left."""
    x, w = (MlbSpec(factors=m.factors, frac=m.frac) for m in (x, w))
    spec = MlbDotSpec(n=n, x=x, w=w)
    codes = [[random.randrange(1 << m.levels) for _ in range(n)] for m in (x, w)]
    planes = [
        [[c >> (m.levels - 1 - i) & 1 for c in row] for i in range(m.levels)]
        for m, row in zip((x, w), codes, strict=True)
    ]
    total = sum(
        g * (2 * sum(p == q for p, q in zip(planes[0][a], planes[1][b], strict=True)) - n)
        for a, row in enumerate(spec.gains)
        for b, g in enumerate(row)
    )
    assert int(spec.compute(np.array(codes[0]), np.array(codes[1]))) == total
    assert abs(total) <= spec.bound


@given(MLB, MLB)
def test_pointwise_product_fits_its_format(a, b):
    spec = XnorMultiplierSpec(a=a, b=b)
    products = [p * q for p in a.values for q in b.values]
    assert min(products) >= spec.format.min
    assert max(products) <= spec.format.max


GOOD = MlbSpec(factors=(2, 1))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Format(0), "width must be 1 to 62 bits, not 0"),
        (lambda: Format(8, 63), "fraction bits must be 0 to 62, not 63"),
        (lambda: FixedSpec(format=Format(33)), "fixed-point quantity must be 2 to 32 bits, not 33"),
        (lambda: MlbSpec(factors=()), "levels must be 1 to 5, not 0"),
        (lambda: MlbSpec(factors=(1,) * 9), "levels must be 1 to 5, not 9"),
        (lambda: MlbSpec(factors=(4, 0)), "factor must be from 1 to 16777215, not 0"),
        (lambda: MlbSpec(factors=(-4,)), "not -4"),
        (lambda: PopcountSpec(n=0), "at least 1, not 0"),
        (lambda: XnorDotSpec(n=0), "at least 1, not 0"),
        (lambda: MlbDotSpec(n=0, x=GOOD, w=GOOD), "at least 1, not 0"),
        (lambda: MlbDotSpec(n=1, x=MlbSpec(factors=(1,), offset=2), w=GOOD), "must be 0, not 2"),
        (lambda: NarrowSpec(source=Format(8, 2), target=Format(8, 3)), "at most 2 fraction bits, not 3"),
        (
            lambda: PwlSpec.fit("tanh", source=Format(6), target=Format(8, 7), segments=5),
            "must divide 64, not 5",
        ),
        (lambda: Folding(pe=0, simd=1), "pe must be 1 to 8192, not 0"),
        (lambda: DenseSpec(classes=1, w=GOOD, b=GOOD), "classes must be 2 to 4096, not 1"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        make()
