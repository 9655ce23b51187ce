"""Sum of several integers in a written order."""

from __future__ import annotations

from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from model.spec import AdderTreeSpec, Format
from rtl.compressor import FinalAdder
from rtl.logic import Bit, Logic
from rtl.saturation import input_word
from rtl.shapes import shape_of
from rtl.sum_nodes import SumNodes, SumUnit


class AdderTree(SumUnit):
    """``o`` = ``x0``, ``x1``, ... and the constant, added in the order of ``spec``.

    Latency ``stages`` cycles, throughput one a cycle. Rounding and overflow of every node are those of ``spec.rule``.
    What can be added exactly is one compressor, and idle clamps are left out: see :class:`rtl.sum_nodes.SumNodes`.

    Parameters
    ----------
    spec
        Ranges, and the rule: order, fan-in, node width, overflow, shift, chunks.
    stages
        Pipeline registers between input and output.
    final, prune
        As for :class:`rtl.sum_nodes.SumNodes`.
    flags
        Whether there is a port ``saturated``; without nodes that saturate there never is.

    Ports
    -----
    x0, x1, ... : In, the narrowest format of each range
    o : Out, ``spec.format``
    saturated : Out, a bit for each of ``spec.saturating``: whether that node just did
    """

    o: Value

    def __init__(
        self,
        spec: AdderTreeSpec,
        stages: int = 0,
        final: FinalAdder = "small",
        prune: bool = True,
        flags: bool = False,
    ) -> None:
        self.spec, self.latency, self.variant = spec, stages, (final, prune, flags and bool(spec.saturating))
        summands = {f"x{i}": In(shape_of(Format.covering(*r))) for i, r in enumerate(spec.ranges)}
        told = {"saturated": Out(len(spec.saturating))} if self.variant[2] else {}
        super().__init__({**summands, "o": Out(shape_of(spec.format)), **told})

    def bits(self, logic: Logic) -> list[Bit]:
        """The sum, and behind it the flags if there are any."""
        final, prune, flags = self.variant
        nodes = SumNodes(logic=logic, spec=self.spec, final=final, prune=prune)
        inputs = [[input_word(logic, getattr(self, f"x{i}"))] for i in range(len(self.spec.ranges))]
        return [*nodes.total(inputs, flags), *nodes.saturated]
