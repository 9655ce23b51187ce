"""Centroids: the dynamic program against every partition, and Lloyd's iteration beside it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.nonuniform.centroids import Rule, lloyd_centroids, offset_centroids, optimal_centroids, squared_error
from model.spec.nonuniform import KnqSpec

Histogram = dict[int, int]
histograms = st.dictionaries(st.integers(0, 40), st.integers(1, 30), min_size=1, max_size=9)


def arrays(histogram: Histogram) -> tuple[np.ndarray, np.ndarray]:
    values = sorted(histogram)
    return np.array(values), np.array([histogram[v] for v in values])


def best_error(histogram: Histogram, count: int, rule: Rule) -> int:
    """The least error over all choices of ``count`` ascending integers up to the largest value, each tried."""
    values, counts = arrays(histogram)
    choices = itertools.combinations_with_replacement(range(int(values[-1]) + 1), count)
    return min(squared_error(values, counts, np.array(c), rule) for c in choices)


@given(st.dictionaries(st.integers(0, 11), st.integers(1, 30), min_size=1, max_size=9), st.sampled_from(Rule))
def test_no_choice_of_four_centroids_is_better(histogram, rule):
    values, counts = arrays(histogram)
    found = optimal_centroids(values, counts, 2, rule)
    assert squared_error(values, counts, found, rule) == best_error(histogram, 4, rule)


@given(histograms, st.sampled_from(Rule))
def test_no_choice_of_two_centroids_is_better(histogram, rule):
    values, counts = arrays(histogram)
    found = optimal_centroids(values, counts, 1, rule)
    assert squared_error(values, counts, found, rule) == best_error(histogram, 2, rule)


def partition_error(values: np.ndarray, counts: np.ndarray, count: int) -> int:
    """The plain dynamic program for k-means with integer centroids, cell by cell, without any shortcut."""

    def cell(first: int, last: int) -> int:
        x, c = values[first : last + 1], counts[first : last + 1]
        return min(int((c * (x - d) ** 2).sum()) for d in range(int(x[0]), int(x[-1]) + 1))

    n = len(values)
    cost = {(a, b): cell(a, b) for a in range(n) for b in range(a, n)}
    best = [cost[0, j] for j in range(n)]
    for k in range(1, count):
        best = [min([best[i - 1] + cost[i, j] for i in range(k, j + 1)], default=best[j]) for j in range(n)]
    return best[-1]


@given(st.dictionaries(st.integers(0, 300), st.integers(1, 1000), min_size=9, max_size=16), st.integers(1, 3))
def test_the_shortcut_finds_what_the_plain_program_does(histogram, bits):
    values, counts = arrays(histogram)
    found = optimal_centroids(values, counts, bits)
    assert squared_error(values, counts, found, Rule.NEAREST) == partition_error(values, counts, 1 << bits)


def activations(seed: int, scale: float, size: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """A histogram as behind a ReLU: half zeros, small ones most of the time."""
    chance = np.random.default_rng(seed)
    x = np.minimum(np.maximum(chance.laplace(0, scale, size), 0).astype(np.int64), 4095)
    return np.unique(x, return_counts=True)


@pytest.mark.parametrize("bits", [1, 3, 5])
def test_the_rule_it_was_made_for_has_the_least_error(bits):
    values, counts = activations(0, 400)
    nearest, floor = (optimal_centroids(values, counts, bits, rule) for rule in Rule)
    assert squared_error(values, counts, nearest, Rule.NEAREST) < squared_error(values, counts, floor, Rule.NEAREST)
    assert squared_error(values, counts, floor, Rule.FLOOR) < squared_error(values, counts, nearest, Rule.FLOOR)


@pytest.mark.parametrize("bits", [2, 4, 5])
def test_lloyd_falls_short(bits):
    values, counts = activations(1, 500)
    best, lloyd = optimal_centroids(values, counts, bits), lloyd_centroids(values, counts, bits)
    assert len(lloyd) == 1 << bits
    assert squared_error(values, counts, best, Rule.NEAREST) < squared_error(values, counts, lloyd, Rule.NEAREST)


def test_fewer_values_than_centroids_repeat_the_last():
    found = optimal_centroids(np.array([0, 7, 9]), np.array([5, 1, 1]), 3)
    assert found.tolist() == [0, 7, 9, 9, 9, 9, 9, 9]
    spec = KnqSpec(q_bits=4, centroids=tuple(found.tolist()))
    assert spec.reconstruct(spec.quantize([0, 7, 9])).tolist() == [0, 7, 9]
    assert offset_centroids(np.array([0, 7, 9]), np.array([5, 1, 1]), 3, 4)[1] == 0
    assert lloyd_centroids(np.array([0, 7, 9]), np.array([5, 1, 1]), 3).tolist() == found.tolist()


@given(st.dictionaries(st.integers(0, 200), st.integers(1, 1000), min_size=5, max_size=30), st.integers(1, 2))
def test_an_offset_never_moves_zero_and_never_leaves_more_error(histogram, bits):
    values, counts = arrays(histogram)
    centroids, offset = offset_centroids(values, counts, bits, 8)
    spec = KnqSpec(q_bits=8, centroids=tuple(centroids.tolist()))
    assert np.unique(spec.quantize(np.arange(offset + 1))).tolist() == [0]
    error = int((counts * (values - spec.reconstruct(spec.quantize(values + offset))) ** 2).sum())
    plain = optimal_centroids(values, counts, bits, Rule.FLOOR)
    assert error <= squared_error(values, counts, plain, Rule.FLOOR)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_an_offset_leaves_less_error_and_zero_where_it_was(bits):
    values, counts = activations(2, 300)
    centroids, offset = offset_centroids(values, counts, bits, 12)
    spec = KnqSpec(q_bits=12, centroids=tuple(centroids.tolist()))
    error = int((counts * (values - spec.reconstruct(spec.quantize(values + offset))) ** 2).sum())
    plain = optimal_centroids(values, counts, bits, Rule.FLOOR)
    assert offset > 0
    assert error < squared_error(values, counts, plain, Rule.FLOOR)
    # A bias moved by the offset lets any sum from -offset to 0 come out of the ReLU: all must have the code of 0.
    assert np.unique(spec.quantize(np.arange(offset + 1))).tolist() == [0]
