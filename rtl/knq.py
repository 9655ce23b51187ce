"""Quantization of the layers of a network to centroids: quantizer (QK) and reconstruction (CK)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from model.spec import KnqSpec, LayersQuantizerSpec, LayersReconstructSpec
from rtl.decisions import Staged, chosen_threshold_code, table_code
from rtl.nonuniform import Form, LayersUnit


class KnqQuantizer(LayersUnit):
    """QK: ``o`` is the last k with ``d_k <= x``, 0 if there is none.

    ``small`` finds the bits of the code from the highest on, two at once, by comparing x with constants that the layer
    and the bits found so far choose. ``fast`` is a decision diagram for each layer, equal parts built once, and
    multiplexers behind them. Measured: ``docs/results/nonuniform_units.md``.

    Latency ``stages`` cycles, throughput one a cycle. Exact. A wide x saturates. What an index beyond the last does:
    :meth:`model.spec.LayersSpec.taken_index`.

    Source: as :class:`rtl.enq.EnqQuantizer`, unit QK.

    Parameters
    ----------
    spec
        Layers of KNQ, and the width of x.
    stages
        Ranks of registers between input and output.
    form
        What it is built for.

    Ports
    -----
    x : In, ``spec.source``
    layer : In, ``index_bits``; none of one layer
    o : Out, ``code_bits``
    """

    KIND = KnqSpec
    x: Value
    spec: LayersQuantizerSpec

    def __init__(self, spec: LayersQuantizerSpec, stages: int = 0, form: Form = "small") -> None:
        super().__init__(spec, stages, form)

    def build(self) -> Module:
        m = Module()
        width = self.spec.layers.code_bits
        if self.variant == ("fast",):
            found = chosen_threshold_code(m, self.index, self.x, self.spec.thresholds, width, self.latency)
        else:
            found = _Search(m, self.x, self.index, self.spec.thresholds, width, self.latency).code()
        m.d.comb += self.o.eq(found)
        return m


class _Search:
    """The code by comparisons with constants, ``stages`` registers on, after equally many steps each."""

    def __init__(
        self, m: Module, x: Value, index: Value, thresholds: Sequence[Sequence[int]], width: int, stages: int
    ) -> None:
        self._m, self._rows, self._width, self._stages = m, thresholds, width, stages
        self._x = Staged(0, x)
        self._index = Staged(0, index)
        self._code: list[Staged] = []  # highest bit first

    def code(self) -> Value:
        """The whole code, lowest bit in place 0."""
        steps = list(_steps(self._width))
        for number, bits in enumerate(steps):
            self._step(bits, number * (self._stages + 1) // len(steps))
        return Cat(bit.at(self._m, self._stages) for bit in reversed(self._code))

    def _step(self, bits: int, stage: int) -> None:
        """The next ``bits`` bits: how many of ``2**bits - 1`` thresholds in a row x reaches."""
        m, x = self._m, self._x.at(self._m, stage)
        known = [bit.at(m, stage) for bit in self._code]
        index = self._index.at(m, stage)
        reached = [
            _reaches(m, x, table_code(m, [*known, index], self._thresholds(bits, nth), len(x) + 1))
            for nth in range(1, 1 << bits)
        ]
        self._code += [Staged(stage, bit) for bit in _binary(m, reached)]

    def _thresholds(self, bits: int, nth: int) -> list[int]:
        """The ``nth`` threshold of a step, for all values of the code so far and of the index."""
        left = self._width - len(self._code)
        offset = nth << (left - bits)
        starts = range(0, 1 << self._width, 1 << left)
        return [row[start + offset - 1] for start in starts for row in self._rows]


def _steps(width: int) -> Iterator[int]:
    """Bits of each step: two, but one in the middle of an odd number of bits."""
    pairs = width // 2
    yield from [2] * (pairs - pairs // 2)
    yield from [1] * (width % 2)
    yield from [2] * (pairs // 2)


def _reaches(m: Module, x: Value, threshold: Value) -> Signal:
    """Whether an unsigned x is at least a threshold of one bit more: a carry from bit to bit."""
    carry: Value = Const(1, 1)
    for a, b in zip(x, threshold, strict=False):
        following = Signal(name="carry")
        m.d.comb += following.eq((a & ~b) | ((a | ~b) & carry))
        carry = following
    reached = Signal(name="reached")
    m.d.comb += reached.eq(carry & ~threshold[len(x)])
    return reached


def _binary(m: Module, reached: Sequence[Value]) -> list[Value]:
    """How many of the comparisons hold, of which none holds after one that does not; highest bit first."""
    if not reached:
        return []
    middle = len(reached) // 2
    below, above = _binary(m, reached[:middle]), _binary(m, reached[middle + 1 :])
    bits: list[Value] = [reached[middle]]
    for low, high in zip(below, above, strict=True):
        bit = Signal(name="bit")
        m.d.comb += bit.eq(Mux(reached[middle], high, low))
        bits.append(bit)
    return bits


class KnqReconstruct(LayersUnit):
    """CK: ``o = d_code``, ``2**q_m - 1`` for a centroid one past the range; a table as a decision diagram.

    ``small`` tests the code first and then the layer, ``fast`` the layer after two bits of the code.

    Latency ``stages`` cycles, throughput one a cycle. Exact; bits of the code that a layer has not are ignored. What
    an index beyond the last does: :meth:`model.spec.LayersSpec.taken_index`.

    Source: as :class:`rtl.enq.EnqQuantizer`, unit CK.

    Parameters
    ----------
    spec
        Layers of KNQ.
    stages
        Ranks of registers between input and output.
    form
        What it is built for.

    Ports
    -----
    code : In, ``code_bits``
    layer : In, ``index_bits``; none of one layer
    o : Out, q_m bits
    """

    KIND = KnqSpec
    code: Value
    spec: LayersReconstructSpec

    def __init__(self, spec: LayersReconstructSpec, stages: int = 0, form: Form = "small") -> None:
        super().__init__(spec, stages, form)

    def build(self) -> Module:
        m = Module()
        layers, code = self.spec.layers, self.code
        low = max(layers.code_bits - 2, 0) if self.variant == ("fast",) else 0
        rows = self.spec.tables
        table = [
            row[start + offset]
            for start in range(0, 1 << layers.code_bits, 1 << low)
            for row in rows
            for offset in range(1 << low)
        ]
        m.d.comb += self.o.eq(table_code(m, [code[low:], self.index, code[:low]], table, layers.q_bits, self.latency))
        return m
