"""What the rows of a +-1 matrix share: sums of groups of inputs, one for each pattern of signs that occurs.

A group of k inputs has at most ``2**(k - 1)`` patterns of signs up to a common sign, however many rows there are
(Arlazarov, Dinic, Kronrod and Faradzhev, 1970: the four Russians). Each that occurs is summed once, from the
patterns of smaller groups; the rows add up what is left.

To subtract is to add the complement: ``-v = ~v + 1 - 2**w`` for w bits, and all constants of a row are added once.
Three complemented bits have the complemented sum and carry, so a pattern and its negative are one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from model.spec import Ints
from rtl.compressor import compress
from rtl.logic import Bit, Logic
from rtl.sharing import SharedLogic

WORTH = 0.85  #: a group is summed by pattern if it has at most so many patterns a row
SWAPS = 200  #: for each input, tries to find groups with fewer patterns


class Word(NamedTuple):
    """A number of ``bits``, lowest first, that is ``zero`` when all inputs are."""

    bits: list[Bit]
    zero: int

    def times(self, logic: Logic, sign: int) -> Word:
        """Itself or, for sign -1, its complement."""
        if sign > 0:
            return self
        return Word([logic.invert(bit) for bit in self.bits], (1 << len(self.bits)) - 1 - self.zero)


@dataclass(frozen=True, eq=False)
class Part:
    """A summand of every row, times ``2**weight``: ``words[k - 1]`` where ``codes`` is k, its complement for -k."""

    weight: int
    codes: Ints
    words: Sequence[Word]

    def word(self, logic: Logic, code: int) -> Word:
        """The summand with this code."""
        return self.words[abs(code) - 1].times(logic, code)


def in_planes(logic: SharedLogic, parts: Sequence[Part], size: int) -> list[Part]:
    """Each bit of the inputs by itself: groups of 3 or 7, summed by full adders to 2 or 3 bits.

    Sum bits have no pattern, all rows have the same up to complements, and are grouped again.
    """
    inputs = _order(parts, size)
    width = len(inputs[0].words[0].bits)
    columns: list[list[Part]] = [[] for _ in range(width + 2 * len(inputs).bit_length() + 2)]
    for plane in range(width):
        for part in inputs:
            word = part.words[0]
            columns[plane].append(Part(plane, part.codes, [Word(word.bits[plane : plane + 1], word.zero >> plane & 1)]))
    left: list[Part] = []
    for weight, column in enumerate(columns):
        alike = [part for part in column if len(part.words) == 1]
        left += [part for part in column if len(part.words) > 1]
        while len(alike) >= 7 and size == 7 and _worth(alike[:7]):
            s1, c1 = _full_adder(logic, *alike[:3])
            s2, c2 = _full_adder(logic, *alike[3:6])
            total, c3 = _full_adder(logic, s1, s2, alike[6])
            middle, high = _full_adder(logic, c1, c2, c3)
            alike = [*alike[7:], total]
            columns[weight + 1].append(middle)
            columns[weight + 2].append(high)
        while len(alike) >= 3 and size >= 3 and _worth(alike[:3]):
            total, carry = _full_adder(logic, *alike[:3])
            alike = [*alike[3:], total]
            columns[weight + 1].append(carry)
        left += alike
    return left


def in_words(logic: SharedLogic, parts: Sequence[Part], size: int) -> list[Part]:
    """Whole inputs: groups of ``size``, a power of two, summed in pairs, pairs of pairs and so on."""
    left: list[Part] = []
    ordered = _order(parts, size)
    for start in range(0, len(ordered), size):
        level = ordered[start : start + size]
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=False)
            odd = level[len(level) // 2 * 2 :]
            level = [_adder(logic, a, b) for a, b in pairs] + odd
        left += level
    return left


def _full_adder(logic: SharedLogic, a: Part, b: Part, c: Part) -> tuple[Part, Part]:
    """Sum and carry of three bits of equal weight."""
    classes, codes = _join((a, b, c))
    sums, carries = [], []
    for row in classes:
        words = [part.word(logic, code) for part, code in zip((a, b, c), row, strict=True)]
        zero = sum(word.zero for word in words)
        total, carry = logic.gates(*(word.bits[0] for word in words))
        sums.append(Word([total], zero & 1))
        carries.append(Word([carry], zero >> 1))
    return _reduced(logic, a.weight, codes, sums), _reduced(logic, a.weight + 1, codes, carries)


def _adder(logic: SharedLogic, a: Part, b: Part) -> Part:
    """Sum of two words of equal weight."""
    classes, codes = _join((a, b))
    words = []
    for i, j in classes:
        p, q = a.word(logic, i), b.word(logic, j)
        width = max(len(p.bits), len(q.bits)) + 1
        # The 1 that makes a complement a negative costs nothing here, and leaves smaller constants to the rows.
        one = int(j < 0)
        bits = compress(logic, [*enumerate(p.bits), *enumerate(q.bits)], one, width)
        words.append(Word(bits, p.zero + q.zero + one))
    return Part(a.weight, codes, words)


def _join(parts: Sequence[Part]) -> tuple[list[list[int]], Ints]:
    """The combinations of codes that occur, up to a common sign, and which of them each row has."""
    joint = np.stack([part.codes for part in parts])
    sign = np.sign(joint[0])
    classes, which = np.unique(joint * sign, axis=1, return_inverse=True)
    which = which.reshape(-1)
    most = np.where(np.bincount(which, sign) < 0, -1, 1)  # the sign that most of its rows have
    return (classes * most).T.tolist(), sign * most[which] * (which + 1)


def _worth(parts: Sequence[Part]) -> bool:
    return len(_join(parts)[0]) <= WORTH * len(parts[0].codes)


def _reduced(logic: SharedLogic, weight: int, codes: Ints, words: list[Word]) -> Part:
    """The part with every bit once: classes that differ by nothing or a complement become one."""
    place: dict[Bit, int] = {}
    kept: list[Word] = []
    new = []
    for word in words:
        root, negative = logic.signed(word.bits[0])
        if root not in place:
            kept.append(Word([root], word.zero ^ negative))
            place[root] = len(kept)
        new.append(-place[root] if negative else place[root])
    return Part(weight, np.sign(codes) * np.array(new)[np.abs(codes) - 1], kept)


def _order(parts: Sequence[Part], size: int) -> list[Part]:
    """The inputs such that ``size`` after ``size`` have few patterns: swaps, kept where they do no harm."""
    negative = np.stack([part.codes < 0 for part in parts]).astype(np.int64)
    inputs, groups, all_ones = len(parts), len(parts) // size, (1 << size) - 1
    if size < 3 or inputs < 2 * size or 1 << (size - 1) > 64 * len(parts[0].codes):
        return list(parts)

    def patterns(key: Ints) -> int:
        occurs = np.zeros(all_ones + 1, bool)
        occurs[np.minimum(key, all_ones - key)] = True
        return int(occurs.sum())

    place = np.arange(inputs)
    # The last group holds what is left over, and has no patterns to count.
    keys = [sum(negative[g * size + k] << k for k in range(size)) for g in range(groups)]
    count = [*map(patterns, keys), 0]
    for a, b in np.random.default_rng(0).integers(0, inputs, (SWAPS * inputs, 2)).tolist():
        g, h = min(a // size, groups), min(b // size, groups)
        if g == h:
            continue
        change = negative[place[b]] - negative[place[a]]
        one = keys[g] + (change << (a - g * size)) if g < groups else None
        two = keys[h] - (change << (b - h * size)) if h < groups else None
        first, second = (0 if key is None else patterns(key) for key in (one, two))
        if first + second <= count[g] + count[h]:
            place[[a, b]] = place[[b, a]]
            count[g], count[h] = first, second
            keys = [one if k == g else two if k == h else key for k, key in enumerate(keys)]
    return [parts[k] for k in place]


Share = Callable[[SharedLogic, Sequence[Part], int], list[Part]]
Plan = tuple[Share, int]  #: a way to share, and the size of its groups

#: ways to share by name, with the sizes of groups to choose from
FORMS: dict[str, tuple[Share, Sequence[int]]] = {
    "planes": (in_planes, (1, 3, 7)),
    "words": (in_words, (2, 4, 8, 16)),
}
