"""Golden sums and shift normalization against plain Python integers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.spec import AdderTreeSpec, Format, Order, Overflow, Rounding, ShiftNormSpec, SumSpec
from tests.model.plain_sums import plain_sum
from tests.model.test_summed_product import rules


@st.composite
def sums(draw: st.DrawFn) -> tuple[AdderTreeSpec, list[int]]:
    width = draw(st.integers(1, 20))
    number = st.integers(-(1 << width), 1 << width)  # some too large for a node
    ranges = [(min(r), max(r)) for r in draw(st.lists(st.tuples(number, number), min_size=1, max_size=12))]
    rule = SumSpec(
        width=draw(st.just(width) | st.none()),
        order=draw(st.sampled_from(Order)),
        overflow=draw(st.sampled_from(Overflow)),
        fan_in=draw(st.integers(2, 5)),
        shift=draw(st.integers(0, 3)),
        unit=draw(st.none() | st.integers(1, 9)),
    )
    spec = AdderTreeSpec(ranges=tuple(ranges), constant=draw(st.just(0) | number), rule=rule)
    return spec, [draw(st.sampled_from(r) | st.integers(*r)) for r in ranges]


@given(sums())
def test_a_sum_is_that_of_plain_integers_and_in_the_propagated_range(case):
    spec, summands = case
    expected, saturated = plain_sum(spec.rule, summands + [spec.constant] * (spec.constant != 0))
    values = {f"x{i}": v for i, v in enumerate(summands)}
    assert spec.compute(**values) == expected
    assert spec.format.min <= expected <= spec.format.max
    assert spec.saturations(**values).tolist() == saturated
    assert spec.rule.fold(np.array([summands, summands]).T).shape == (2,)


def test_the_order_decides_what_saturates():
    summands = [100, 100, -100, -100]
    assert SumSpec(width=8).fold(summands) == 127 - 128
    assert SumSpec(width=8, order="sequence").fold(summands) == 127 - 200
    assert SumSpec(width=8, fan_in=3).fold(summands) == 0
    assert SumSpec(width=8, order="sequence", fan_in=3).fold([100, 50, 50, -100, -100, -100]) == -128
    assert SumSpec(width=8, overflow="wrap").fold(summands) == 0
    assert SumSpec(width=None).fold(summands) == 0


def test_chunks_are_filled_with_zeros_and_added_one_after_the_other():
    rule = SumSpec(width=8, shift=1, unit=4)
    assert rule.fold([40, 40, 40, 40, 40]) == 40 + 10  # 40 / 4, though there is but one summand
    assert rule.levels(4) == 2
    assert rule.levels(5) == 3
    assert SumSpec(width=8, unit=2).fold([100, 100, 100, 100, -100, -100]) == 127 - 128
    assert SumSpec(width=8, unit=1).fold([200, -100]) == 127 - 100


def test_a_single_summand_that_is_left_is_shifted_and_narrowed_like_the_rest():
    assert SumSpec(width=8, shift=1).fold([1, 3, 8]) == (2 + 4) >> 1
    assert SumSpec(width=8).fold([0, 0, 200]) == 127
    assert SumSpec(width=8, shift=1).fold([200]) == 127
    assert SumSpec(width=8, shift=1, order="sequence").fold([200]) == 127


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("fan_in", [2, 3])
@pytest.mark.parametrize("ranges", [((-4, 3),) * 4, ((0, 3), (-1, 2), (-4, -2), (1, 3)), ((-1, 1),) * 5, ((0, 5),)])
def test_a_node_overflows_by_its_range_exactly_where_some_input_makes_it(order, fan_in, ranges):
    """Every input, and every node: its ranges before and after the clamp are reached at both ends."""
    spec = AdderTreeSpec(ranges=ranges, rule=SumSpec(width=3, order=order, fan_in=fan_in))
    inputs = np.array(list(itertools.product(*(range(low, high + 1) for low, high in ranges)))).T
    seen = []

    def node(members: Sequence[np.ndarray], shift: int, level: int) -> np.ndarray:
        total = np.asarray(sum(members))
        seen.append((level, total, np.clip(total, -4, 3)))
        return seen[-1][2]

    spec.rule.walk(list(inputs), node)
    for found, (level, before, after) in zip(spec.nodes, seen, strict=True):
        assert found.level == level
        assert found.before == (before.min(), before.max())
        assert found.after == (after.min(), after.max())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "Node width of a sum must be 1 to 62 bits, not 0"),
        ({"width": 63}, "Node width of a sum must be 1 to 62 bits, not 63"),
        ({"shift": -1}, "Shift of a sum must be 0 to 62, not -1"),
        ({"fan_in": 1}, "Fan-in of a sum must be at least 2, not 1"),
        ({"unit": 0}, "Unit of a sum must be at least 1, not 0"),
        ({"order": "list"}, "Order of a sum must be tree or sequence, not 'list'"),
        ({"overflow": "clip"}, "Overflow of a sum must be saturate or wrap, not 'clip'"),
    ],
)
def test_what_a_rule_cannot_be(change, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        SumSpec(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ranges": ()}, "Number of summands must be at least 1, not 0"),
        ({"ranges": ((3, 1),)}, "Format range must be ordered, not 3 to 1"),
        ({"constant": 1 << 62}, "Format width must be 1 to 62 bits, not 63"),
        ({"ranges": ((0, 1 << 61),) * 2}, "Format width must be 1 to 62 bits, not 63"),
    ],
)
def test_what_a_unit_cannot_be(change, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        AdderTreeSpec(**{"ranges": ((-128, 127),) * 2, "rule": SumSpec(), **change})


@given(st.integers(1, 12), st.integers(0, 6), st.integers(-500, 500), st.integers(-4, 10), st.integers(0, 8), st.data())
def test_shift_normalization_is_the_quotient_rounded_down_and_clamped(width, frac, mean, shift, to_frac, data):
    source, target = Format(width, frac), Format(9, to_frac)
    spec = ShiftNormSpec(source=source, mean=mean, shift=shift, target=target)
    x = data.draw(st.integers(source.min, source.max))
    exact = Fraction(x - mean) / Fraction(2) ** (frac + shift) * 2**to_frac
    assert spec.compute(x) == max(target.min, min(target.max, exact.__floor__()))
    nearest = ShiftNormSpec(source=source, mean=mean, shift=shift, target=target, rounding=Rounding.NEAREST_EVEN)
    assert nearest.compute(x) == max(target.min, min(target.max, round(exact)))


def test_a_shift_beyond_what_a_format_holds_is_refused():
    with pytest.raises(ValueError, match="Shift of a normalization must be at most 60, not 61"):
        ShiftNormSpec(source=Format(8, 2), mean=0, shift=61, target=Format(8))


def test_a_rule_is_read_as_it_is_written():
    base = SumSpec(width=16, unit=16)
    assert SumSpec.parse("10", base) == SumSpec(width=10, unit=16)
    rule = SumSpec(width=None, order="sequence", overflow="wrap", fan_in=3, shift=1)
    assert SumSpec.parse(str(rule), base) == rule
    for text, words in (
        ("wide=3", "Rule of a sum must be fields such as width=12,unit=16, not 'wide=3'"),
        ("8,9", "Rule of a sum must be fields such as width=12,unit=16, not '8,9'"),
        ("unit=x", "Field unit of a sum must be a number, not 'x'"),
        ("fan_in=none", "Field fan_in of a sum must be a number, not 'none'"),
        ("order=up", "Order of a sum must be tree or sequence, not 'up'"),
        ("width=0", "Node width of a sum must be 1 to 62 bits, not 0"),
    ):
        with pytest.raises(ValueError, match=f"^{words}$"):
            SumSpec.parse(text, base)


@settings(max_examples=100)
@given(rules(), st.integers(1, 50), st.integers(0, 1000))
def test_a_matrix_product_is_the_fold_of_its_products(rule, terms, seed):
    random = np.random.default_rng(seed)
    x, w = random.integers(-9, 10, (3, 2, terms)), random.integers(-2, 3, (4, terms))
    x[0], w[0] = 9, 2  # at every end of every range
    assert np.array_equal(rule.product(x, w), rule.fold(np.moveaxis(x[..., None, :] * w, -1, 0)))
