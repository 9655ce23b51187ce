"""Constant matrix of +-1 times a vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import SignMatrixSpec
from rtl.compressor import FinalAdder, compress
from rtl.logic import Bit, Logic, pipelined
from rtl.shapes import shape_of
from rtl.sharing import SharedLogic
from rtl.sign_patterns import FORMS, Part, Word
from rtl.unit import Unit

Sharing = Literal["best", "planes", "words", "rows"]


class SignMatrix(Unit):
    """``o = W x`` for a constant matrix W of +1 and -1, all outputs at once.

    Latency ``stages`` cycles, throughput one vector a cycle. Exact.

    Sums of groups of inputs are shared between rows (`rtl.sign_patterns`), each row adds up its own in one compressor
    with all its constants.

    Parameters
    ----------
    spec
        The matrix and the format of the inputs.
    stages
        Pipeline registers between input and output.
    final
        The adder at the end of each row: small, balanced or fast.
    sharing
        What rows share: groups in each bit plane, kept as carry and sum (planes), groups of whole inputs, added up
        (words), nothing (rows), or whichever takes fewest adders (best).

    Ports
    -----
    x : In, array of ``spec.inputs`` numbers in ``spec.source``
    o : Out, array of ``spec.outputs`` numbers in ``spec.format``
    """

    x: data.View
    o: data.View

    def __init__(
        self, spec: SignMatrixSpec, stages: int = 0, final: FinalAdder = "small", sharing: Sharing = "best"
    ) -> None:
        self.spec, self.latency, self.variant = spec, stages, (final, sharing)
        super().__init__(
            {
                "x": In(data.ArrayLayout(shape_of(spec.source), spec.inputs)),
                "o": Out(data.ArrayLayout(shape_of(spec.format), spec.outputs)),
            }
        )

    def build(self) -> Module:
        m = Module()
        form, size = self.plan()
        m.d.comb += self.o.as_value().eq(
            pipelined(m, self.latency, lambda logic: self._outputs(SharedLogic(logic), form, size))
        )
        return m

    def plan(self) -> tuple[str, int]:
        """The form of sharing and the size of its groups, 1 for none, that take the fewest adders."""
        _, sharing = self.variant
        plans = [("planes", 1)] if sharing in ("best", "rows") else []
        plans += [(form, size) for form, (_, sizes) in FORMS.items() for size in sizes if sharing in ("best", form)]

        def adders(plan: tuple[str, int]) -> int:
            self._outputs(logic := SharedLogic(Logic(None)), *plan)
            return logic.counters

        return min(plans, key=adders) if len(plans) > 1 else plans[0]

    def _outputs(self, logic: SharedLogic, form: str, size: int) -> list[Bit]:
        """All outputs, lowest bit of the first one first."""
        width, (final, _) = self.spec.format.width, self.variant
        rows, which = np.unique(self.spec.matrix, axis=0, return_inverse=True)
        source = self.spec.source
        bits = logic.inputs(self.x.as_value())
        inputs = []
        for column, low in zip(rows.T, range(0, len(bits), source.width), strict=True):
            word = bits[low : low + source.width]
            if source.signed:
                # As a number from 0 on: its top bit is the complement, and it is too large by 2**(width - 1).
                word = [*word[:-1], logic.invert(word[-1])]
            inputs.append(Part(0, column, [Word(word, 0)]))
        share, _ = FORMS[form]
        parts = share(logic, inputs, size)
        outputs = []
        for row, too_large in enumerate((rows.sum(axis=1) * source.min).tolist()):
            words = [(part.weight, part.word(logic, int(part.codes[row]))) for part in parts]
            constant = too_large - sum(word.zero << weight for weight, word in words)
            outputs.append(compress(logic, _weighted(words), constant, width, final))
        return [bit for row in which.reshape(-1) for bit in outputs[row]]


def _weighted(words: Sequence[tuple[int, Word]]) -> list[tuple[int, Bit]]:
    return [(weight + place, bit) for weight, word in words for place, bit in enumerate(word.bits)]
