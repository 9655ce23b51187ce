"""Centroids of activations in one dimension: the optimum by dynamic programming, and Lloyd's iteration beside it.

Activations are integers with counts, and so are centroids, so that errors are integers and every comparison is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import numpy as np
from sklearn.cluster import KMeans

from model.nonuniform.hooks import QuantizationError
from model.spec.fixed import Ints
from model.spec.nonuniform import MAX_CODE_BITS, KnqSpec

Cost = Callable[[Ints, Ints], Ints]


class Rule(StrEnum):
    """What centroids are the best for."""

    NEAREST = "nearest"  #: each activation becomes the nearest centroid: k-means, as in the paper
    FLOOR = "floor"  #: each becomes the last centroid that is not above it: what KNQ does with it


def check_code_bits(bits: int, q_bits: int = MAX_CODE_BITS) -> None:
    """Raises QuantizationError if activations of ``q_bits`` bits cannot have codes of so many bits."""
    if not 1 <= bits <= min(MAX_CODE_BITS, q_bits):
        raise QuantizationError(f"Bits T of KNQ must be 1 to {min(MAX_CODE_BITS, q_bits)}, not {bits!r}")


def optimal_centroids(values: Ints, counts: Ints, bits: int, rule: Rule = Rule.NEAREST) -> Ints:
    """The ``2**bits`` integers with the least sum of squared errors under ``rule``; ascending.

    values: distinct integers of at least 0, ascending; counts: how often each occurs. Fewer values than centroids: all
    of them, the last one repeated. Of several best choices it is one.

    Raises
    ------
    QuantizationError
        If there are no values, too many bits, or numbers so large that errors could pass 62 bits.
    """
    check_code_bits(bits)
    if not len(values):
        raise QuantizationError("Number of distinct activations must be at least 1, not 0")
    if int(values[-1]) ** 2 * int(counts.sum()) >= 1 << 62:
        raise QuantizationError(f"Activations must have a sum of squares below 2**62, not up to {values[-1]!r} squared")
    count = 1 << bits
    if len(values) <= count:
        return np.pad(values, (0, count - len(values)), mode="edge")
    sums = [np.concatenate([[0], np.cumsum(counts * values**power)]) for power in range(3)]

    def about(first: Ints, last: Ints, at: Ints) -> Ints:
        """Squared error of values ``first`` to ``last`` as ``at``."""
        s0, s1, s2 = (total[last + 1] - total[first] for total in sums)
        return s2 - 2 * at * s1 + at * at * s0

    def mean(first: Ints, last: Ints) -> Ints:
        s0, s1 = (total[last + 1] - total[first] for total in sums[:2])
        return (2 * s1 + s0) // (2 * s0)

    def centre(first: Ints, last: Ints) -> Ints:
        # Below d_1 everything becomes d_0, so that d_0 may lie amid its values, but others must be their lowest.
        return np.where((rule is Rule.NEAREST) | (first == 0), mean(first, last), values[first])

    starts = _cells(len(values), count, lambda first, last: about(first, last, centre(first, last)))
    return centre(starts, np.append(starts[1:], len(values)) - 1)


def offset_centroids(values: Ints, counts: Ints, bits: int, q_bits: int) -> tuple[Ints, int]:
    """Centroids for ``x + offset`` by the rule FLOOR, and the offset: x becomes d_k - offset <= x < d_(k+1) - offset.

    With the floor rule and no offset, every activation becomes the lowest of its cell. An offset, added in the bias of
    the layer, lets it become one ``offset`` above that, as near the middle of cells as one offset allows for all. The
    offsets tried are 0 and some half distances of k-means centroids; for each, the search that finds the optimum
    elsewhere finds cells, which may not be the best here, where errors lack the quadrangle inequality.

    The arguments are those of :func:`optimal_centroids`; centroids are at most ``2**q_bits - 1``.
    """
    plain = optimal_centroids(values, counts, bits, Rule.FLOOR)
    if len(values) <= 1 << bits:
        return plain, 0
    sums = [np.concatenate([[0], np.cumsum(counts * values**power)]) for power in range(3)]
    halves = np.unique(np.diff(optimal_centroids(values, counts, bits)) // 2)
    best = (squared_error(values, counts, plain, Rule.FLOOR), plain, 0)
    # The more points there are, the less is to be gained, and the longer each search takes.
    ranks = np.linspace(0, 1, 6) if bits <= 3 else np.array([0.25, 0.5])
    for offset in np.unique(halves[((len(halves) - 1) * ranks).astype(int)]).tolist():

        def centre(first: Ints, last: Ints, offset: int = offset) -> Ints:
            s0, s1 = (total[last + 1] - total[first] for total in sums[:2])
            mean = (2 * s1 + s0) // (2 * s0)
            lowest = values[np.maximum(first - 1, 0)] + 1 + offset
            return np.where(first == 0, mean, np.clip(mean, lowest, values[first] + offset))

        def cost(first: Ints, last: Ints, centre: Cost = centre) -> Ints:
            s0, s1, s2 = (total[last + 1] - total[first] for total in sums)
            at = centre(first, last)
            return s2 - 2 * at * s1 + at * at * s0

        starts = _cells(len(values), 1 << bits, cost)
        found = np.minimum(centre(starts, np.append(starts[1:], len(values)) - 1), (1 << q_bits) - 1)
        spec = KnqSpec(q_bits=q_bits, centroids=tuple(np.maximum.accumulate(found).tolist()))
        error = int((counts * (values - spec.reconstruct(spec.quantize(values + offset))) ** 2).sum())
        if error < best[0]:
            best = (error, np.array(spec.centroids), offset)
    return best[1], best[2]


def _cells(n: int, count: int, cost: Cost) -> Ints:
    """First index of each of ``count`` cells of 0, ..., n - 1 with the least sum of ``cost(first, last)``.

    ``cost`` must have the quadrangle inequality, as squared errors about the best integer or about the lowest value
    have: then the last cell begins no earlier when there is one more value, and all best starts are found in
    O(count n log n), those of values in the middle between known ones first.
    """
    every = np.arange(n)
    best = cost(np.zeros(n, np.int64), every)
    chosen = np.zeros((count, n), np.int64)
    for cell in range(1, count):
        start, found = np.full(n, cell), best.copy()
        span = 1 << (n - cell).bit_length()
        while span > 1:
            last = np.arange(cell + span // 2 - 1, n, span)
            before, after = last - span // 2, last + span // 2
            low = np.maximum(np.where(before >= cell, start[np.maximum(before, 0)], cell), cell)
            high = np.minimum(np.where(after < n, start[np.minimum(after, n - 1)], n - 1), last)
            length = high - low + 1
            row = np.repeat(np.arange(len(last)), length)
            at = np.concatenate([[0], np.cumsum(length)[:-1]])
            first = np.arange(length.sum()) - at[row] + low[row]
            total = best[first - 1] + cost(first, last[row])
            found[last] = np.minimum.reduceat(total, at)
            where = np.flatnonzero(total == found[last][row])
            start[last] = first[where[np.searchsorted(where, at)]]
            span //= 2
        chosen[cell], best = start, found
    starts, last = [], n - 1
    for cell in range(count - 1, -1, -1):
        starts.append(chosen[cell, last])
        last = chosen[cell, last] - 1
    return np.array(starts[::-1])


def lloyd_centroids(values: Ints, counts: Ints, bits: int, seed: int = 0) -> Ints:
    """Centroids by Lloyd's iteration from one k-means++ start (scikit-learn), rounded; ascending.

    The arguments are those of :func:`optimal_centroids`.
    """
    if len(values) <= 1 << bits:
        return optimal_centroids(values, counts, bits)
    fitted = KMeans(1 << bits, n_init=1, random_state=seed)  # type: ignore[arg-type]  its annotation says str
    fitted.fit(values[:, None].astype(float), sample_weight=counts.astype(float))
    return np.sort(np.rint(fitted.cluster_centers_[:, 0]).astype(np.int64))


def squared_error(values: Ints, counts: Ints, centroids: Ints, rule: Rule, q_bits: int = 32) -> int:
    """Sum of squared errors of integers with counts as centroids; exact."""
    if rule is Rule.FLOOR:
        spec = KnqSpec(q_bits=q_bits, centroids=tuple(centroids.tolist()))
        became = spec.reconstruct(spec.quantize(values))
    else:
        above = np.clip(np.searchsorted(centroids, values), 1, len(centroids) - 1)
        low, high = centroids[above - 1], centroids[above]
        became = np.where(values - low <= high - values, low, high)
    return int((counts * (values - became) ** 2).sum())
