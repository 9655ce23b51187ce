"""Dot product of numbers with weights of few bits, summed in a written order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from amaranth.hdl import Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import IntegerDotSpec
from rtl.compressor import FinalAdder, signed_digits
from rtl.logic import ONE, ZERO, Bit, Logic
from rtl.saturation import Word
from rtl.shapes import shape_of
from rtl.sum_nodes import SumNodes, SumUnit


class IntegerDot(SumUnit):
    """``o = sum_i w_i x_i`` with integers ``w_i`` of few bits, added in the order of ``spec.rule``.

    Latency ``stages`` cycles, throughput one a cycle. Rounding and overflow of every node are those of the rule.
    A product is a few words in the compressor of its node: ``-x`` is ``not x`` and a one beside it.

    - Signs (``weight_bits`` = 1): XNORs.
    - Up to 3 bits: x or -x, chosen by the sign of the weight, once for each bit of its size; so of a ternary weight it
      is one word.
    - From 4 bits on: x, 2x or their negatives for each two bits of the weight (Booth, 1951; MacSorley, 1961).
    - Constants: x or -x for each nonzero canonical signed digit; no gate.

    Parameters
    ----------
    spec
        Length, format of x, bits of the weights, constant weights if any, bias, rule.
    stages, final, flags
        As for :class:`rtl.adder_tree.AdderTree`.

    Ports
    -----
    x : In, array of n numbers in ``spec.source``
    w : In, array of n codes, see :class:`model.spec.IntegerDotSpec`; unless the weights are constants
    o : Out, ``spec.format``
    saturated : Out, with flags; a bit for each of ``spec.sum.saturating``: whether that node just did
    """

    x: data.View
    w: data.View
    o: Value

    def __init__(self, spec: IntegerDotSpec, stages: int = 0, final: FinalAdder = "small", flags: bool = False) -> None:
        self.spec, self.latency, self.variant = spec, stages, (final, flags and bool(spec.sum.saturating))
        told = {"saturated": Out(len(spec.sum.saturating))} if self.variant[1] else {}
        weights = {} if spec.weights else {"w": In(data.ArrayLayout(shape_of(spec.weight_format), spec.n))}
        x = In(data.ArrayLayout(shape_of(spec.source), spec.n))
        super().__init__({"x": x, **weights, "o": Out(shape_of(spec.format)), **told})

    def bits(self, logic: Logic) -> list[Bit]:
        """The dot product, lowest bit first, and behind it the flags if there are any."""
        spec: IntegerDotSpec = self.spec
        final, flags = self.variant
        nodes = SumNodes(logic=logic, spec=spec.sum, final=final)
        bits, width = logic.inputs(self.x.as_value()), spec.source.width
        x = [bits[i * width :][:width] + ([] if spec.source.signed else [ZERO]) for i in range(spec.n)]
        if spec.weights:
            products = [constant_product(logic, *each) for each in zip(x, spec.integers(spec.weights), strict=True)]
        else:
            form = product_form(spec.weight_bits)
            codes, width = logic.inputs(self.w.as_value()), spec.weight_bits
            products = [form(logic, each, codes[i * width :][:width]) for i, each in enumerate(x)]
        return [*nodes.total(products, flags), *nodes.saturated]


def constant_product(logic: Logic, x: Sequence[Bit], weight: int) -> list[Word]:
    """Words whose sum is a signed number times a constant."""
    words = []
    for shift, digit in signed_digits(int(weight)):
        words += _negated(logic, x, ZERO if digit > 0 else ONE, shift)
    return words


def product_form(bits: int) -> Callable[[Logic, Sequence[Bit], Sequence[Bit]], list[Word]]:
    """How a signed number times a weight of so many bits, both lowest bit first, becomes words."""
    return sign_product if bits == 1 else size_product if bits <= 3 else booth_product


def sign_product(logic: Logic, x: Sequence[Bit], code: Sequence[Bit]) -> list[Word]:
    """x or -x, by a bit that is 1 for +."""
    return _negated(logic, x, logic.invert(code[0]))


def size_product(logic: Logic, x: Sequence[Bit], code: Sequence[Bit]) -> list[Word]:
    """x or -x for each bit of the weight's size."""
    *low, negative = code
    turned = _flipped(logic, x, negative)
    words, ones = [], []
    for place, bit in enumerate(low):
        size = _size_bit(logic, low[:place], bit, negative)
        words.append(_shifted([logic.both(each, size) for each in turned], place))
        # What is negative is not 0: of two bits, the sign tells that the other is 1.
        ones.append(logic.both(negative, size) if len(low) > 1 else negative)
    return [*words, Word([*ones, ZERO])]


def _size_bit(logic: Logic, below: Sequence[Bit], bit: Bit, negative: Bit) -> Bit:
    """A bit of the size of a number: of a negative one, those above the lowest 1 are inverted."""
    if not below:
        return bit
    return logic.gate(lambda b, n, a: b ^ (n & a), bit, negative, logic.any(below), levels=2)


def booth_product(logic: Logic, x: Sequence[Bit], code: Sequence[Bit]) -> list[Word]:
    """A digit from -2 to 2 for each two bits of the weight, times x."""
    words, below = [], ZERO
    for place in range(0, len(code), 2):
        low, high = code[place], code[min(place + 1, len(code) - 1)]
        one = logic.invert(logic.xnor(low, below))
        row = [logic.both(one, bit) for bit in x]
        if high is not low:  # else the digit is from -1 to 1
            two = logic.gate(lambda h, l, o: (h ^ l) & ~o, high, low, one, levels=2)
            row = [row[0], *(_either(logic, one, bit, two, half) for bit, half in zip([*x[1:], x[-1]], x, strict=True))]
        words += _negated(logic, row, high, place)
        below = high
    return words


def _either(logic: Logic, one: Bit, a: Bit, two: Bit, b: Bit) -> Bit:
    """``a`` where ``one`` is set, ``b`` where ``two`` is."""
    return logic.gate(lambda o, p, t, q: (o & p) | (t & q), one, a, two, b, levels=2)


def _negated(logic: Logic, x: Sequence[Bit], negative: Bit, shift: int = 0) -> list[Word]:
    """``2**shift`` times x or, where ``negative`` is set, -x."""
    word = _shifted(_flipped(logic, x, negative), shift)
    return [word] if negative is ZERO else [word, _shifted([negative, ZERO], shift)]


def _flipped(logic: Logic, bits: Sequence[Bit], flip: Bit) -> list[Bit]:
    return [logic.xnor(bit, logic.invert(flip)) for bit in bits]


def _shifted(bits: Sequence[Bit], places: int) -> Word:
    return Word([*[ZERO] * places, *bits])
