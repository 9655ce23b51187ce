"""Constant matrix of +-1 times a vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import Ints, SignMatrixSpec
from rtl.compressor import FinalAdder, compress
from rtl.logic import Bit, Logic, pipelined
from rtl.shapes import shape_of
from rtl.sharing import SharedLogic
from rtl.sign_patterns import FORMS, Part, Plan, Word
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
        plan = self.plan()
        m.d.comb += self.o.as_value().eq(
            pipelined(
                m, self.latency, lambda logic: self._outputs(SharedLogic(logic), plan) if plan else self._alone(logic)
            )
        )
        return m

    def plan(self) -> Plan | None:
        """How to share, by which groups, with the fewest adders; None for not at all."""
        _, sharing = self.variant
        plans = [(share, size) for name, (share, sizes) in FORMS.items() for size in sizes if sharing in ("best", name)]
        return min(plans, key=self.adders) if plans else None

    def adders(self, plan: Plan) -> int:
        """Number of full and half adders under a plan."""
        self._outputs(logic := SharedLogic(Logic(None)), plan)
        return logic.counters

    def _outputs(self, logic: SharedLogic, plan: Plan) -> list[Bit]:
        share, size = plan
        rows, which = np.unique(self.spec.matrix, axis=0, return_inverse=True)
        outputs = self._sums(logic, rows, share(logic, self._inputs(logic, rows), size))
        return [bit for row in which.reshape(-1) for bit in outputs[row]]

    def _alone(self, logic: Logic) -> list[Bit]:
        rows = self.spec.matrix
        return [bit for word in self._sums(logic, rows, self._inputs(logic, rows)) for bit in word]

    def _inputs(self, logic: Logic, rows: Ints) -> list[Part]:
        """Every input as a number from 0 on; a signed one is ``-source.min`` larger than it should be."""
        source = self.spec.source
        bits = logic.inputs(self.x.as_value())
        inputs = []
        for column, low in zip(rows.T, range(0, len(bits), source.width), strict=True):
            word = bits[low : low + source.width]
            if source.signed:
                word = [*word[:-1], logic.invert(word[-1])]
            inputs.append(Part(0, column, [Word(word, 0)]))
        return inputs

    def _sums(self, logic: Logic, rows: Ints, parts: Sequence[Part]) -> list[list[Bit]]:
        """The sum of the parts of every row, and its constants."""
        width, (final, _) = self.spec.format.width, self.variant
        sums = []
        for row, too_large in enumerate((rows.sum(axis=1) * self.spec.source.min).tolist()):
            words = [(part.weight, part.word(logic, int(part.codes[row]))) for part in parts]
            bits = [(weight + place, bit) for weight, word in words for place, bit in enumerate(word.bits)]
            constant = too_large - sum(word.zero << weight for weight, word in words)
            sums.append(compress(logic, bits, constant, width, final))
        return sums
