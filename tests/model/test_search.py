"""Searches for the fewest bits, on made-up accuracies."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.nonuniform.search import cheapest_first, smallest


def cost(bits: tuple[int, ...], weights: list[int]) -> int:
    return sum(w * b for w, b in zip(weights, bits, strict=True))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=4), st.integers(1, 4))
def test_every_choice_once_and_the_cheapest_first(weights, top):
    low, high = (1,) * len(weights), (top,) * len(weights)
    found = list(cheapest_first(low, high, weights))
    assert sorted(found) == sorted(itertools.product(range(1, top + 1), repeat=len(weights)))
    costs = [cost(bits, weights) for bits in found]
    assert costs == sorted(costs)


@given(st.data())
def test_where_all_choices_fit_the_cheapest_is_found_whatever_the_accuracies(data):
    weights = data.draw(st.lists(st.integers(1, 50), min_size=2, max_size=3))
    choices = list(itertools.product(range(1, 4), repeat=len(weights)))
    good = set(data.draw(st.lists(st.sampled_from(choices), min_size=1)))
    low, high = (1,) * len(weights), (3,) * len(weights)
    found = smallest(good.__contains__, low, high, weights, len(choices))
    assert found.exact
    assert found.bits is not None
    assert found.bits in good
    assert cost(found.bits, weights) == min(cost(bits, weights) for bits in good)


NEEDED = [3, 5, 2, 4]
WEIGHTS = [100, 50, 20, 1]


def additive(bits: tuple[int, ...]) -> bool:
    """Enough when the noise of all layers is below that of every layer at one bit more than it needs alone."""
    return sum(4.0 ** (need - each) for need, each in zip(NEEDED, bits, strict=True)) <= 1.05


def test_layers_alone_are_the_floor_of_the_search():
    asked: list[tuple[int, ...]] = []
    found = smallest(lambda bits: asked.append(bits) or additive(bits), (1,) * 4, (8,) * 4, WEIGHTS, 200)
    assert found.bits is not None
    assert not found.exact
    assert additive(found.bits)
    # What it leaves out is what needs no try: with fewer bits than a layer needs alone nothing is enough.
    cheaper = [b for b in itertools.product(range(1, 9), repeat=4) if cost(b, WEIGHTS) < cost(found.bits, WEIGHTS)]
    assert not any(additive(bits) for bits in cheaper)
    assert len(set(asked)) == len(asked) == found.tried
    assert "skipped (3, 5, 2, 4)" in found.note


def test_at_the_limit_it_goes_up_and_down_again_and_says_so():
    found = smallest(additive, (1,) * 4, (8,) * 4, WEIGHTS, 2)
    assert found.bits is not None
    assert additive(found.bits)
    assert "of 4,096 choices, the 2 cheapest above what layers need alone are not enough" in found.note
    for place in range(4):  # no bit can be spared
        less = tuple(b - (p == place) for p, b in enumerate(found.bits))
        assert not additive(less)


def test_on_the_way_down_a_layer_gives_all_that_it_can_spare():
    # The second layer needs nothing, as long as the first has all bits; the first needs three beside all of the second.
    found = smallest(lambda b: b[0] == 8 or (b[0] >= 3 and b[1] == 8), (1, 1), (8, 8), [1, 1], 2)
    assert found.bits == (8, 1)


@pytest.mark.parametrize("limit", [1, 100])
def test_nothing_is_enough(limit):
    found = smallest(lambda bits: False, (1, 1), (4, 4), [1, 1], limit)
    assert found.bits is None
