"""Additions that saturate: the adders, and the clamps behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Value

from rtl.compressor import Compressor, FinalAdder
from rtl.logic import ONE, ZERO, Bit, Logic


@dataclass(frozen=True)
class Word:
    """A signed number, lowest bit first; if ``inverted``, the bits are those of -1 - number."""

    bits: Sequence[Bit]
    inverted: bool = False

    def upright(self, logic: Logic) -> Word:
        """The same number, not inverted."""
        return Word([logic.invert(bit) for bit in self.bits]) if self.inverted else self


def input_word(logic: Logic, x: Value) -> Word:
    """An input, signed or not."""
    return Word(logic.inputs(x) if x.shape().signed else [*logic.inputs(x), ZERO])


def exact_sum(logic: Logic, words: Sequence[Word], width: int, final: FinalAdder) -> list[Bit]:
    """Sum of any number of words, modulo ``2**width``, by one compressor."""
    if len(words) == 1:
        return _extended(words[0].upright(logic), width)
    compressor = Compressor(logic, width)
    for word in words:
        compressor.add_multiple(1, word.upright(logic).bits, signed=True)
    return compressor.total(final)


@dataclass(frozen=True)
class Clamped:
    """A sum behind its clamp, and what the clamp did: bits are set where too large, kept where not too small."""

    word: Word
    set_all: Bit
    keep: Bit

    def saturated(self, logic: Logic) -> Bit:
        """Whether the clamp changed the sum."""
        if self.keep.constant:
            return self.set_all
        if self.set_all.constant is not None:
            return logic.invert(self.keep)
        return logic.gate(lambda s, k: s | ~k, self.set_all, self.keep)


def saturating_sum(
    logic: Logic, words: Sequence[Word], exact: int, width: int, above: bool, below: bool, final: FinalAdder
) -> Clamped:
    """Sum of words of ``exact`` bits, clamped to ``width``, which is less.

    Two numbers of ``width`` bits overflow only if they have the same sign and the carry into it differs from it: so
    the clamp knows as soon as the carry out of the lower bits is there. All of it is the same for inverted numbers
    (not a + not b + 1 = not (a + b)), and the small adder takes and gives them as they come, because or-and-invert is
    the smallest clamp. Any other sum overflows if the bits above the lower ones differ from its sign.

    Parameters
    ----------
    above, below
        Whether it can exceed the largest and fall below the smallest number.
    """
    top = width - 1
    if len(words) == 2 and exact == width + 1 and all(len(word.bits) <= width for word in words):
        inverted = final == "small" and all(word.inverted for word in words)
        a, b = (_extended(word if inverted else word.upright(logic), width) for word in words)
        total, carry = _lower_sum(logic, a[:top], b[:top], inverted, final)
        x, y, some, every = a[top], b[top], carry, carry
    else:
        whole = exact_sum(logic, words, exact, final)
        total, x, y, higher = whole[:top], whole[-1], whole[-1], whole[top:-1]
        some, every = logic.any(higher), logic.all(higher)
        inverted = False
    # With the sign of one and the other number (for any other sum: its own, twice).
    ones, zeros = (below, above) if inverted else (above, below)
    set_all = logic.gate(lambda x, y, c: c & ~(x | y), x, y, some, levels=2) if ones else ZERO
    keep = logic.gate(lambda x, y, c: ~(~c & (x & y)), x, y, every, levels=2) if zeros else ONE
    sign = x if x is y else logic.gate(lambda x, y, c: (x & y) | ((x | y) & ~c), x, y, some, levels=2)
    flip = final == "small"

    def clamp(bit: Bit) -> Bit:
        bit = logic.gate(lambda s, a: s | a, bit, set_all) if ones else bit
        return logic.gate(lambda s, k: s & k, bit, keep) if zeros else bit

    bits = [*map(clamp, total), sign]
    word = Word([logic.invert(bit) for bit in bits], not inverted) if flip else Word(bits)
    return Clamped(word, set_all, keep)


def _extended(word: Word, width: int) -> list[Bit]:
    return [*word.bits, *([word.bits[-1]] * (width - len(word.bits)))][:width]


def _lower_sum(logic: Logic, a: list[Bit], b: list[Bit], one: bool, final: FinalAdder) -> tuple[list[Bit], Bit]:
    """Sum of two rows of equal length and of ``one``, and the carry out of it."""
    if final != "small":
        return _prefix_sum(logic, a, b)
    compressor = Compressor(logic, len(a) + 1)
    for weight, pair in enumerate(zip(a, b, strict=True)):
        for bit in pair:
            compressor.add(weight, bit)
    compressor.add_constant(int(one))
    *total, carry = compressor.total()
    return total, carry


def _prefix_sum(logic: Logic, a: list[Bit], b: list[Bit]) -> tuple[list[Bit], Bit]:
    """Sum of two rows of equal length and its carry, which comes before the higher bits of the sum.

    A binary tree finds the carry out; on the way back down it gives the other carries (Brent and Kung, 1982).
    """
    if not a:
        return [], ZERO
    both = [logic.gate(lambda p, q: p & q, p, q) for p, q in zip(a, b, strict=True)]
    either = [logic.gate(lambda p, q: p | q, p, q) for p, q in zip(a, b, strict=True)]
    differ = [logic.gate(lambda e, g: e & ~g, e, g) for e, g in zip(either, both, strict=True)]
    spans: dict[tuple[int, int], tuple[Bit, Bit]] = {}  # (first, end) -> carries by itself; hands a carry on
    sums = list(differ)

    def middle(first: int, end: int) -> int:
        return first + (1 << ((end - first - 1).bit_length() - 1))

    def carry_out(span: tuple[Bit, Bit], carry: Bit) -> Bit:
        return logic.gate(lambda g, p, c: g | (p & c), *span, carry, levels=2)

    def up(first: int, end: int) -> tuple[Bit, Bit]:
        if end - first == 1:
            span = both[first], either[first]
        else:
            low, high = up(first, middle(first, end)), up(middle(first, end), end)
            hands_on = logic.gate(lambda p, q: p & q, low[1], high[1]) if first else ZERO
            span = carry_out(high, low[0]), hands_on
        spans[first, end] = span
        return span

    def down(first: int, end: int, carry: Bit | None) -> None:
        if end - first == 1:
            sums[first] = logic.gate(lambda p, c: p ^ c, differ[first], carry) if carry else differ[first]
            return
        low = spans[first, middle(first, end)]
        down(first, middle(first, end), carry)
        down(middle(first, end), end, carry_out(low, carry) if carry else low[0])

    carry = up(0, len(a))[0]
    down(0, len(a), None)
    return sums, carry
