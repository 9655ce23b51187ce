"""Searches for the fewest bits with which the accuracy is still enough; they know nothing of what the bits mean."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Bits = tuple[int, ...]
Enough = Callable[[Bits], bool]  #: whether the accuracy with these bits a layer is enough


@dataclass(frozen=True, kw_only=True)
class Found:
    """The outcome of a search.

    Parameters
    ----------
    bits
        Of each layer; None if nothing that was tried is enough.
    exact
        Whether every cheaper choice was tried, so that none of them is enough.
    tried
        How many choices were asked for.
    note
        What was skipped, in one sentence.
    """

    bits: Bits | None
    exact: bool
    tried: int
    note: str


def cheapest_first(low: Bits, high: Bits, weights: Sequence[int]) -> Iterator[Bits]:
    """Every choice from ``low`` to ``high`` once, those of least ``sum(weights * bits)`` first, then in their order."""

    def cost(bits: Bits) -> int:
        return sum(weight * each for weight, each in zip(weights, bits, strict=True))

    queue, seen = [(cost(low), low)], {low}
    while queue:
        _, bits = heapq.heappop(queue)
        yield bits
        for place, each in enumerate(bits):
            more = (*bits[:place], each + 1, *bits[place + 1 :])
            if each < high[place] and more not in seen:
                seen.add(more)
                heapq.heappush(queue, (cost(more), more))


def smallest(enough: Enough, low: Bits, high: Bits, weights: Sequence[int], limit: int) -> Found:
    """The cheapest choice from ``low`` to ``high`` that is enough.

    weights: cost of a bit in each layer; limit: choices to try in a step. Where all choices are at most ``limit``, they
    are tried from the cheapest on, and the first that is enough is the cheapest. Elsewhere:

    1. For each layer, the fewest bits that are enough while the others have all of theirs. It is taken that fewer are
       not enough together with others either.
    2. From there on all choices, the cheapest first, until one is enough or ``limit`` were tried.
    3. If none was, one bit more in every layer until it is enough, and then down: a bit is taken where most are left
       above what a layer needs alone, there where it saves most, as long as what is left is enough.
    """
    known: dict[Bits, bool] = {}

    def ask(bits: Bits) -> bool:
        if bits not in known:
            known[bits] = enough(bits)
        return known[bits]

    most = f" of at most {max(high)} bits a layer"
    choices = math.prod(top - bottom + 1 for bottom, top in zip(low, high, strict=True))
    if choices <= limit:
        first = next((bits for bits in cheapest_first(low, high, weights) if ask(bits)), None)
        return Found(bits=first, exact=True, tried=len(known), note=f"every cheaper choice{most} was tried")
    floor = tuple(_alone(ask, place, low, high) for place in range(len(low)))
    for bits in itertools.islice(cheapest_first(floor, high, weights), limit):
        if ask(bits):
            note = f"choices with fewer bits than a layer needs alone were skipped ({', '.join(map(str, floor))})"
            return Found(bits=bits, exact=False, tried=len(known), note=f"of {choices:,} choices, {note}")
    if not ask(high):
        return Found(bits=None, exact=False, tried=len(known), note=f"all choices{most} are not enough")
    more = (tuple(min(b + extra, top) for b, top in zip(floor, high, strict=True)) for extra in itertools.count(1))
    down = _down(ask, floor, next(bits for bits in more if ask(bits)), weights)
    note = f"of {choices:,} choices, the {limit} cheapest above what layers need alone are not enough"
    return Found(bits=down, exact=False, tried=len(known), note=f"{note}; from more bits down, others were skipped")


def _alone(ask: Enough, place: int, low: Bits, high: Bits) -> int:
    """The fewest bits of one layer with all bits in the others, all of its own if none are enough."""
    each = range(low[place], high[place])
    return next((bits for bits in each if ask((*high[:place], bits, *high[place + 1 :]))), high[place])


def _down(ask: Enough, floor: Bits, bits: Bits, weights: Sequence[int]) -> Bits:
    """Bits taken one by one until none can be spared."""
    stuck = set[int]()
    while len(stuck) < len(bits):
        # Layers with more bits left above their floor first, among those the ones that save most.
        place = max((p for p in range(len(bits)) if p not in stuck), key=lambda p: (bits[p] - floor[p], weights[p], -p))
        less = (*bits[:place], bits[place] - 1, *bits[place + 1 :])
        if bits[place] > floor[place] and ask(less):
            bits = less
        else:
            stuck.add(place)
    return bits
