"""Sum of several integers in a written order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import AdderTreeSpec, Format, Overflow, SumNode
from model.spec.adder_tree import Range
from rtl.compressor import FinalAdder
from rtl.logic import ZERO, Bit, Logic, LogicUnit, known, pipelined
from rtl.saturation import Clamped, Word, exact_sum, saturating_sum
from rtl.shapes import shape_of

#: Levels of clamps that have small adders in a balanced tree: three quarters of all nodes.
SMALL_LEVELS = 2


@dataclass(frozen=True)
class _Part:
    """What has been added up so far: words that wait for a common compressor, ``depth`` clamps behind the inputs."""

    words: list[Word]
    depth: int = 0


class AdderTree(LogicUnit):
    """``o`` = ``x0``, ``x1``, ... and the constant, added in the order of ``spec``.

    Latency ``stages`` cycles, throughput one a cycle. Rounding and overflow of every node are those of ``spec``. What
    can be added exactly (everything, in an exact or a wrapping sum) goes into one carry-save compressor; a node
    that its range shows cannot overflow has no clamp.

    Parameters
    ----------
    spec
        Ranges, and the rule: order, fan-in, node width, overflow, shift, chunks.
    stages
        Pipeline registers between input and output.
    final
        The adder that ends a compressor and that of a saturating node: small, balanced or fast. Balanced saturating
        trees have small adders in the lower levels, where the nodes are many, and fast ones above.
    prune
        Leave idle clamps and the adders before them out; False for proofs of just that.
    flags
        Whether there is a port ``saturated``.

    Ports
    -----
    x0, x1, ... : In, the narrowest format of each range
    o : Out, ``spec.format``
    saturated : Out, a bit for each of ``spec.saturating``: whether that node just did
    """

    o: Value
    saturated: Value

    def __init__(
        self,
        spec: AdderTreeSpec,
        stages: int = 0,
        final: FinalAdder = "small",
        prune: bool = True,
        flags: bool = False,
    ) -> None:
        self.spec, self.latency, self.variant = spec, stages, (final, prune, flags)
        summands = {f"x{i}": In(shape_of(Format.covering(*r))) for i, r in enumerate(spec.ranges)}
        told = {"saturated": Out(len(spec.saturating))} if flags else {}
        super().__init__({**summands, "o": Out(shape_of(spec.format)), **told})

    def build(self) -> Module:
        m = Module()
        outputs = Cat(self.o, self.saturated) if self.variant[2] else self.o
        m.d.comb += Value.cast(outputs).eq(pipelined(m, self.latency, self.bits))
        return m

    def bits(self, logic: Logic) -> list[Bit]:
        """The sum, and behind it the flags if there are any."""
        spec, nodes = self.spec, iter(self.spec.nodes)
        final, _, flags = self.variant
        saturated: list[Bit] = []
        summands = [_Part([self._input(logic, i)]) for i in range(len(spec.ranges))]
        if spec.constant:
            number = Format.covering(spec.constant, spec.constant)
            summands.append(_Part([Word([*known(spec.constant, number.width), *([] if number.signed else [ZERO])])]))

        def join(members: Sequence[_Part], shift: int, level: int) -> _Part:
            words = [word for part in members for word in part.words]
            node, depth = next(nodes), max(part.depth for part in members)
            clamped = self._clamped(logic, node, words, depth)
            if clamped is None:
                return _Part(self._exact(logic, node, words), depth)
            if flags and node.overflows:
                saturated.append(clamped.saturated(logic))
            return _Part([clamped.word], depth + 1)

        total = spec.rule.walk(summands, join)
        return [*exact_sum(logic, total.words, spec.format.width, final), *saturated]

    def _input(self, logic: Logic, i: int) -> Word:
        x: Value = getattr(self, f"x{i}")
        return Word(logic.inputs(x) if x.shape().signed else [*logic.inputs(x), ZERO])

    def _exact(self, logic: Logic, node: SumNode, words: list[Word]) -> list[Word]:
        """The sum of a node without a clamp: its words, unless bits are dropped."""
        if not node.shift:
            return words
        kept = exact_sum(logic, words, _width(node.exact), self.variant[0])[node.shift :]
        # Unlike in a sum, what is above the width counts where bits below it are dropped later.
        return [Word(kept[: self.spec.rule.width] if node.overflows else kept)]

    def _clamped(self, logic: Logic, node: SumNode, words: list[Word], depth: int) -> Clamped | None:
        """The sum of a node behind its clamp; None if it has none."""
        rule, (final, prune, _) = self.spec.rule, self.variant
        if rule.width is None or rule.overflow is Overflow.WRAP or (prune and not node.overflows):
            return None
        above, below = (node.before[1] > node.after[1], node.before[0] < node.after[0]) if prune else (True, True)
        small = final == "small" or (final == "balanced" and depth < SMALL_LEVELS)
        adder: FinalAdder = "small" if small else final
        if node.shift:
            words = [Word(exact_sum(logic, words, _width(node.exact), adder)[node.shift :])]
        exact = max(_width(node.before), rule.width + 1)
        return saturating_sum(logic, words, exact, rule.width, above, below, adder)


def _width(values: Range) -> int:
    """Bits of a signed number, whatever the range."""
    return Format.covering(min(values[0], -1), max(values[1], 0)).width
