"""Golden sums and shift normalization against plain Python integers."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.spec import Format, Order, Overflow, Rounding, ShiftNormSpec, SumSpec


def plain_sum(spec: SumSpec, summands: list[int]) -> int:
    """The sum, written out once more."""

    def node(total: int) -> int:
        total //= 2**spec.shift
        if spec.node is None:
            return total
        low, size = -(2 ** (spec.node - 1)), 2**spec.node
        return (total - low) % size + low if spec.overflow == "wrap" else max(low, min(low + size - 1, total))

    todo = summands + ([spec.constant] if spec.constant else [])
    while len(todo) > 1:
        if spec.order == "sequence":
            todo = [node(todo[0] + todo[1]), *todo[2:]]
        else:
            odd = [node(todo[-1])] if len(todo) % 2 else []
            todo = [node(todo[i] + todo[i + 1]) for i in range(0, len(todo) - 1, 2)] + odd
    return todo[0]


@st.composite
def sums(draw: st.DrawFn) -> tuple[SumSpec, list[int]]:
    node = draw(st.integers(2, 20))
    number = st.integers(-(1 << (node - 1)), (1 << (node - 1)) - 1)
    ranges = [(min(r), max(r)) for r in draw(st.lists(st.tuples(number, number), min_size=1, max_size=12))]
    spec = SumSpec(
        ranges=tuple(ranges),
        constant=draw(st.just(0) | number),
        order=draw(st.sampled_from(Order)),
        node=draw(st.just(node) | st.none()),
        overflow=draw(st.sampled_from(Overflow)),
        shift=draw(st.integers(0, 3)),
    )
    return spec, [draw(st.sampled_from(r) | st.integers(*r)) for r in ranges]


@given(sums())
def test_a_sum_is_that_of_plain_integers_and_in_the_propagated_range(case):
    spec, summands = case
    expected = plain_sum(spec, summands)
    assert spec.compute(**{f"x{i}": v for i, v in enumerate(summands)}) == expected
    assert spec.format.min <= expected <= spec.format.max
    assert spec.fold(np.array([summands, summands]).T).tolist() == [expected, expected]


def test_the_order_decides_what_saturates():
    summands = [100, 100, -100, -100]
    ranges = ((-128, 127),) * 4
    assert SumSpec(ranges=ranges, node=8).fold(summands) == 127 - 128
    assert SumSpec(ranges=ranges, node=8, order=Order.SEQUENCE).fold(summands) == 127 - 200
    assert SumSpec(ranges=ranges, node=8, overflow=Overflow.WRAP).fold(summands) == 0
    assert SumSpec(ranges=ranges).fold(summands) == 0


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("ranges", [((-4, 3),) * 4, ((0, 3), (-1, 2), (-4, -2), (1, 3)), ((-1, 1),) * 5])
def test_a_node_overflows_by_its_range_exactly_where_some_input_makes_it(order, ranges):
    """Every input, and every node: its ranges before and after the clamp are reached at both ends."""
    spec = SumSpec(ranges=ranges, node=3, order=order)
    inputs = np.array(list(itertools.product(*(range(low, high + 1) for low, high in ranges)))).T
    seen = []

    def join(a: np.ndarray, b: np.ndarray | None) -> np.ndarray:
        assert b is not None
        seen.append((a + b, np.clip(a + b, -4, 3)))
        return seen[-1][1]

    spec.walk(list(inputs), join)
    for node, (before, after) in zip(spec.nodes, seen, strict=True):
        assert node.before == (before.min(), before.max())
        assert node.after == (after.min(), after.max())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ranges": ()}, "Number of summands must be at least 1, not 0"),
        ({"ranges": ((3, 1),)}, "Format range must be ordered, not 3 to 1"),
        ({"node": 0}, "Node width of a sum must be 1 to 62 bits, not 0"),
        ({"node": 7}, "Node width of this sum must be at least 8 bits, not 7"),
        ({"node": 8, "constant": 128}, "Node width of this sum must be at least 9 bits, not 8"),
        ({"shift": -1}, "Shift of a sum must be at least 0, not -1"),
        ({"constant": 1 << 62}, "Format width must be 1 to 62 bits, not 63"),
    ],
)
def test_what_a_sum_cannot_be(change, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        SumSpec(**{"ranges": ((-128, 127),) * 2, **change})


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
