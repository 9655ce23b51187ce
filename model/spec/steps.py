"""Monotone functions as thresholds: the code of a value is the number of thresholds that it reaches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from model.spec.fixed import Format, Ints


def search_thresholds(compute: Callable[[Ints], Ints], source: Format, codes: int) -> tuple[int, ...]:
    """For each code k from 1 to ``codes - 1`` the smallest input whose code is at least k.

    It is ``source.max + 1`` where there is none. ``compute`` must never decrease; it is asked
    ``source.width + 1`` times, about one input for each k.
    """
    wanted = np.arange(1, codes)
    low, high = (np.full(wanted.shape, end, np.int64) for end in (source.min, source.max + 1))
    while (unknown := low < high).any():
        middle = np.where(unknown, low + (high - low) // 2, source.min)
        reached = compute(middle) >= wanted
        low, high = np.where(unknown & ~reached, middle + 1, low), np.where(unknown & reached, middle, high)
    return tuple(low.tolist())
