"""Dot product of vectors, multi-level binarized or in fixed point."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from amaranth.hdl import Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import FixedSpec, Format, MlbDotSpec, MlbSpec, StepSpec, binarized
from rtl.compressor import Compressor, FinalAdder, compress, signed_digits
from rtl.logic import Bit, Logic, LogicUnit, known
from rtl.mac import add_signed
from rtl.multiplier import add_product
from rtl.shapes import codes, shape_of, sign


class MlbDot(LogicUnit):
    """``o = sum_ab g_ab (2 popcount(xnor(x_a, w_b)) - n) + bias``: all plane products in one compressor.

    The ``-n`` of all planes and the bias are one constant. With constant weights there are no XNOR gates, and each
    input sign may instead enter times its whole weight, where that takes fewer adders. An operand in fixed point enters
    as words: with signs of the other, or with the bits of its words.

    Latency ``stages`` cycles, throughput one a cycle. Exact.

    Parameters
    ----------
    spec
        Length, factors, and the weights if they are constants.
    stages
        Pipeline registers between input and output.
    final
        The adder at the end: small, balanced or fast.

    Ports
    -----
    x : In, n codes
    w : In, n codes; absent if the weights are constants
    o : Out, ``spec.format``
    """

    x: data.View
    w: data.View
    o: Value

    def __init__(self, spec: MlbDotSpec, stages: int = 0, final: FinalAdder = "small") -> None:
        self.spec, self.latency, self.variant = spec, stages, (final,)
        ports = {"x": In(codes(spec.x, spec.n)), "o": Out(shape_of(spec.format))}
        if spec.weights is None:
            ports["w"] = In(codes(spec.w, spec.n))
        super().__init__(ports)

    def bits(self, logic: Logic) -> list[Bit]:
        total = Compressor(logic, self.spec.format.width)
        add_dot(logic, total, self.spec, self.x, getattr(self, "w", None))
        return total.total(*self.variant)


def add_dot(
    logic: Logic, total: Compressor, spec: MlbDotSpec, x: data.View, w: data.View | None, shift: int = 0
) -> None:
    """Add ``2**shift`` times the dot product of ``x`` and ``w`` (None: the constants of ``spec``) to ``total``.

    A plane whose gain is a power of two enters bit by bit, any other is counted first and enters as its count
    times the canonical signed digits of the gain.
    """
    form = _add_planes if spec.binarized else _add_words
    if spec.binarized and spec.weights is not None:
        form = min(_add_planes, _add_weighted, key=lambda each: _adders(each, spec, x))
    form(logic, total, spec, x, w, shift)
    total.add_constant(spec.bias << shift)


def _weights(logic: Logic, spec: MlbDotSpec, w: data.View | None) -> list[list[Bit]]:
    """The bits of every weight code."""
    if w is None:
        return [known(code, spec.w.width) for code in spec.weights or ()]
    return [logic.inputs(w[lane]) for lane in range(spec.n)]


def _add_words(
    logic: Logic, total: Compressor, spec: MlbDotSpec, x: data.View, w: data.View | None, shift: int
) -> None:
    """Lane by lane, where one operand or both are in fixed point."""
    if w is None and isinstance(spec.x, FixedSpec):
        for lane, value in enumerate(spec.w.reconstruct(spec.weights or ()).tolist()):
            total.add_multiple(value << shift, logic.inputs(x[lane]), signed=True)
        return
    if isinstance(spec.w, StepSpec):
        raise ValueError("Weights of a dot product must be binarized or words, not integers times a step")
    for lane, weight in enumerate(_weights(logic, spec, w)):
        first, second, kinds = logic.inputs(x[lane]), weight, (spec.x, spec.w)
        if isinstance(spec.w, MlbSpec):
            first, second, kinds = second, first, (spec.w, spec.x)
        if isinstance(kinds[0], MlbSpec):
            add_signed(logic, total, kinds[0], first, second, shift)
        else:
            add_product(logic, total, first, second, (True, True), shift)


def _planes(lanes: Sequence[list[Bit]], levels: int) -> list[list[Bit]]:
    """For each level, s_1 first, the signs of all lanes."""
    return [[sign(code, level) for code in lanes] for level in range(levels)]


def _add_planes(
    logic: Logic, total: Compressor, spec: MlbDotSpec, x: data.View, w: data.View | None, shift: int
) -> None:
    """Plane by plane, as XNORs."""
    x_planes = _planes([logic.inputs(x[lane]) for lane in range(spec.n)], spec.x.width)
    weights = _weights(logic, spec, w)
    for x_plane, gains in zip(x_planes, spec.gains, strict=True):
        for w_plane, product in zip(_planes(weights, spec.w.width), gains, strict=True):
            gain = product << shift
            equal = [logic.xnor(p, q) for p, q in zip(x_plane, w_plane, strict=True)]
            if len(signed_digits(gain)) > 1:
                total.add_multiple(2 * gain, compress(logic, [(0, bit) for bit in equal], 0, spec.n.bit_length()))
            else:
                for bit in equal:
                    total.add_multiple(2 * gain, [bit])
            total.add_constant(-gain * spec.n)


def _add_weighted(
    logic: Logic, total: Compressor, spec: MlbDotSpec, x: data.View, _: data.View | None, shift: int
) -> None:
    """Each input sign times the whole value of its constant weight, level by level."""
    values = [int(value) for value in spec.w.reconstruct(spec.weights or ())]
    number = Format.covering(sum(min(v, 0) for v in values), sum(max(v, 0) for v in values))
    x_planes = _planes([logic.inputs(x[lane]) for lane in range(spec.n)], spec.x.width)
    for a, plane in zip(binarized(spec.x).factors, x_planes, strict=True):
        factor = a << shift
        counted = len(signed_digits(factor)) > 1
        level = Compressor(logic, number.width) if counted else total
        for value, bit in zip(values, plane, strict=True):
            level.add_multiple(value if counted else 2 * factor * value, [bit])
        if counted:
            total.add_multiple(2 * factor, level.total(), signed=number.signed)
        total.add_constant(-factor * sum(values))


def _adders(form: Callable[..., None], spec: MlbDotSpec, x: data.View) -> int:
    """Counters that a form takes."""
    logic = Logic(None)
    total = Compressor(logic, spec.format.width)
    form(logic, total, spec, x, None, 0)
    total.total()
    return logic.counters
