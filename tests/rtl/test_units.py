"""Generators in Amaranth's simulator against golden functions, over shapes and values."""

from __future__ import annotations

import itertools
from typing import get_args

import numpy as np
import pytest
from amaranth.hdl import Module
from hypothesis import given, settings
from hypothesis import strategies as st

from model.spec import (
    AdderTreeSpec,
    BitSumSpec,
    FixedSpec,
    Format,
    MacSpec,
    MlbAccumulatorSpec,
    MlbDotSpec,
    MlbQuantizerSpec,
    MlbSpec,
    MultiplierSpec,
    NarrowSpec,
    Overflow,
    PopcountSpec,
    PwlSpec,
    ReconstructSpec,
    Rounding,
    ShiftNormSpec,
    StepSpec,
    XnorDotSpec,
    XnorMultiplierSpec,
)
from rtl.adder_tree import AdderTree
from rtl.bit_sum import BitSum
from rtl.compressor import FinalAdder, compress, signed_digits
from rtl.logic import Bit, Logic
from rtl.mac import Mac
from rtl.mlb_accumulator import MlbAccumulator
from rtl.mlb_dot import MlbDot
from rtl.mlb_quantizer import MlbQuantizer
from rtl.multiplier import Multiplier
from rtl.narrow import Narrow
from rtl.popcount import Popcount
from rtl.pwl_activation import PwlActivation
from rtl.reconstruct import Reconstruct
from rtl.shift_norm import ShiftNorm
from rtl.verilog import emit
from rtl.xnor_dot import XnorDot
from rtl.xnor_multiplier import XnorMultiplier
from tests.rtl.units import check

FORMATS = st.builds(Format, st.integers(1, 10), st.integers(0, 6), st.booleans())


def mlb(offset: st.SearchStrategy[int] = st.just(0)) -> st.SearchStrategy[MlbSpec]:  # noqa: B008
    factors = st.lists(st.integers(1, 90), min_size=1, max_size=5).map(tuple)
    return st.builds(lambda f, frac, o: MlbSpec(factors=f, frac=frac, offset=o), factors, st.integers(0, 6), offset)


OFFSET = st.integers(-60, 60)
few = settings(max_examples=15)


FINALS = st.sampled_from(get_args(FinalAdder))
STAGES = st.integers(0, 3)


FIXED = st.builds(lambda w, f: FixedSpec(format=Format(w, f)), st.integers(2, 6), st.integers(0, 6))
QUANTITY = mlb() | FIXED


@few
@given(
    st.integers(1, 3), QUANTITY, FIXED, st.booleans(), st.integers(-500, 500), st.booleans(), st.integers(0, 1), FINALS
)
def test_a_dot_product_takes_both_kinds(n, x, w, swap, bias, constant, stages, final):
    x, w = (w, x) if swap else (x, w)
    weights = (w.code_format.max, w.code_format.min, 1)[:n] if constant else None
    check(MlbDot(MlbDotSpec(n=n, x=x, w=w, weights=weights, bias=bias), stages, final), count=20)


@few
@given(st.lists(st.tuples(st.integers(1, 2), QUANTITY, QUANTITY), min_size=1, max_size=2), st.integers(1, 20), FINALS)
def test_an_accumulator_adds_what_has_fewer_fraction_bits(operands, width, final):
    """And wraps where its total is too narrow."""
    dots = tuple(MlbDotSpec(n=n, x=x, w=w) for n, x, w in operands)
    total = Format(width, max(dot.frac for dot in dots))
    check(MlbAccumulator(MlbAccumulatorSpec(dots=dots, total=total), final), count=20)


@few
@given(FORMATS, FORMATS, STAGES)
def test_multiplier(a, b, stages):
    check(Multiplier(MultiplierSpec(a=a, b=b), stages), count=50)


@few
@given(st.integers(1, 70), STAGES, FINALS, st.integers(0, 6))
def test_popcount(n, stages, final, halvings):
    check(Popcount(PopcountSpec(n=n), stages, final, min(1 << halvings, 1 << (n.bit_length() - 1))))


@pytest.mark.parametrize("groups", [-2, 0, 3, 8])
def test_a_popcount_refuses_groups_that_are_no_halves(groups):
    sentence = f"^Groups of a popcount must be a power of two up to its 7 bits, not {groups}$"
    with pytest.raises(ValueError, match=sentence):
        Popcount(PopcountSpec(n=7), groups=groups)


@pytest.mark.parametrize("x", [MlbSpec(factors=(5, 2)), FixedSpec(format=Format(4))])
def test_a_dot_product_refuses_integers_times_a_step(x):
    unit = MlbDot(MlbDotSpec(n=2, x=x, w=StepSpec(bits=3, step=11, frac=0)))
    with pytest.raises(ValueError, match=r"^Weights of a dot product must be binarized or words, not integers times"):
        emit(unit, "top")


@pytest.mark.parametrize("n", [*range(1, 70), 127, 128, 1000])
def test_a_popcount_has_as_few_counters_as_there_can_be(n):
    logic = Logic(None)
    compress(logic, [(0, bit) for bit in known_times(n)], 0, n.bit_length())
    assert logic.counters == n - n.bit_count()


def known_times(n: int) -> list[Bit]:
    return [Bit(0, 0, None) for _ in range(n)]


@few
@given(st.integers(1, 70), STAGES, FINALS)
def test_xnor_dot(n, stages, final):
    check(XnorDot(XnorDotSpec(n=n), stages, final))


@few
@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(-2000, 2000), STAGES, FINALS)
def test_bit_sum(weights, constant, stages, final):
    check(BitSum(BitSumSpec(weights=tuple(weights), constant=constant), stages, final))


@given(st.integers(-5000, 5000))
def test_signed_digits_sum_to_the_constant_and_no_two_are_neighbours(value):
    digits = signed_digits(value)
    assert sum(sign << shift if sign > 0 else -(1 << shift) for shift, sign in digits) == value
    shifts = [shift for shift, _ in digits]
    assert all(b - a > 1 for a, b in itertools.pairwise(shifts))


RANGES = st.tuples(st.integers(-100, 50), st.integers(0, 100)).map(lambda r: (r[0], r[0] + r[1]))


@few
@given(st.lists(RANGES, min_size=1, max_size=9), st.integers(-500, 500), STAGES, FINALS)
def test_adder_tree(ranges, constant, stages, final):
    full = [(Format.covering(*r).min, Format.covering(*r).max) for r in ranges]
    check(AdderTree(AdderTreeSpec(ranges=tuple(full), constant=constant), stages, final))


@few
@given(
    FORMATS, st.integers(-600, 600), st.integers(-3, 12), FORMATS, st.sampled_from(Rounding), st.sampled_from(Overflow)
)
def test_shift_norm(source, mean, shift, target, rounding, overflow):
    spec = ShiftNormSpec(source=source, mean=mean, shift=shift, target=target, rounding=rounding, overflow=overflow)
    check(ShiftNorm(spec), count=1024)


@few
@given(st.integers(1, 12), mlb(), mlb(), st.integers(-3000, 3000), STAGES, FINALS)
def test_mlb_dot(n, x, w, bias, stages, final):
    check(MlbDot(MlbDotSpec(n=n, x=x, w=w, bias=bias), stages, final), count=30)


@few
@given(st.data(), mlb(), mlb(), STAGES, FINALS)
def test_mlb_dot_with_constant_weights(data, x, w, stages, final):
    weights = tuple(data.draw(st.lists(st.integers(0, (1 << w.levels) - 1), min_size=1, max_size=12)))
    spec = MlbDotSpec(n=len(weights), x=x, w=w, weights=weights, bias=data.draw(st.integers(-3000, 3000)))
    check(MlbDot(spec, stages, final), count=30)


@few
@given(FORMATS, mlb(OFFSET), STAGES)
def test_mlb_quantizer(source, spec, stages):
    check(MlbQuantizer(MlbQuantizerSpec(source=source, mlb=spec), stages), count=1500)


@few
@given(mlb(OFFSET))
def test_reconstruct(spec):
    check(Reconstruct(ReconstructSpec(mlb=spec)))


@few
@given(FORMATS, FORMATS, st.sampled_from(Rounding), st.sampled_from(Overflow))
def test_narrow(source, target, rounding, overflow):
    if target.frac > source.frac:
        source, target = target, source
    check(Narrow(NarrowSpec(source=source, target=target, rounding=rounding, overflow=overflow)), count=1500)


@few
@given(st.sampled_from(["sigmoid", "tanh"]), st.integers(1, 6), st.integers(6, 10), st.sampled_from([8, 10]), STAGES)
def test_pwl_activation(function, log_segments, width, to_width, stages):
    target = Format(to_width, 7, signed=function == "tanh")  # a table of 8 bits, a compressor for 10
    spec = PwlSpec.fit(function, source=Format(width, width - 4), target=target, segments=1 << log_segments)
    check(PwlActivation(spec, stages), count=1500)


@few
@given(st.data(), st.integers(0, 4), st.integers(1, 4), st.integers(0, 3), FORMATS, STAGES)
def test_a_line_is_right_for_any_bases_and_slopes(data, low_bits, log_segments, guard, target, stages):
    """The output is made too wide for a table, and the clamps that can be idle are all there is."""
    numbers = st.lists(st.integers(-9000, 9000), min_size=1 << log_segments, max_size=1 << log_segments).map(tuple)
    spec = PwlSpec(
        function="tanh",
        source=Format(low_bits + log_segments, 4, data.draw(st.booleans())),
        target=Format(target.width + 8, 4, target.signed),
        bases=data.draw(numbers),
        slopes=data.draw(numbers),
        guard=guard,
    )
    check(PwlActivation(spec, stages))


@few
@given(mlb(OFFSET), mlb(OFFSET), STAGES)
def test_xnor_multiplier(a, b, stages):
    check(XnorMultiplier(XnorMultiplierSpec(a=a, b=b), stages), count=300)


@few
@given(mlb(OFFSET), FORMATS, STAGES)
def test_mac(a, t, stages):
    check(Mac(MacSpec(a=a, t=t), stages), count=300)


def test_a_broken_unit_is_caught():
    class Broken(Popcount):
        def build(self) -> Module:
            m = super().build()
            m.d.comb += self.o.eq(0)  # the later assignment wins
            return m

    with pytest.raises(AssertionError, match=r"PopcountSpec\(n=9\).*gives 0, not 1"):
        check(Broken(PopcountSpec(n=9)))


def test_vectors_hold_both_ends_of_every_port():
    from sim.vectors import unit_vectors

    vectors = unit_vectors(Mac(MacSpec(a=MlbSpec(factors=(4, 2)), t=Format(8, 7))), 5, 0)
    assert {-128, 127} <= set(vectors["t"].tolist())
    assert {0, 3} <= set(vectors["a"].tolist())
    again = unit_vectors(Mac(MacSpec(a=MlbSpec(factors=(4, 2)), t=Format(8, 7))), 5, 0)
    assert all(np.array_equal(vectors[k], again[k]) for k in vectors)
