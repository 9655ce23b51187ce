"""Sum of several integers in a written order."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Value
from amaranth.lib.wiring import In, Out

from model.spec import Format, Overflow, SumNode, SumSpec
from rtl.compressor import FinalAdder
from rtl.logic import ZERO, Bit, Logic, LogicUnit, known
from rtl.saturation import Word, exact_sum, saturating_sum
from rtl.shapes import shape_of

#: Levels of clamps that have small adders in a balanced tree: three quarters of all nodes.
SMALL_LEVELS = 2


@dataclass(frozen=True)
class _Part:
    """What has been added up so far: words that wait for a common compressor, ``level`` clamps behind the inputs."""

    words: list[Word]
    level: int = 0


class AdderTree(LogicUnit):
    """``o`` = ``x0``, ``x1``, ... and the constant, added in the order of ``spec``.

    Latency ``stages`` cycles, throughput one a cycle. Rounding and overflow of every node are those of ``spec``. What
    can be added exactly (everything, in an exact or a wrapping sum) goes into one carry-save compressor; a node
    that its range shows cannot overflow has no clamp.

    Parameters
    ----------
    spec
        Ranges, order, node width, overflow rule and shift.
    stages
        Pipeline registers between input and output.
    final
        The adder that ends a compressor and that of a saturating node: small, balanced or fast. Balanced saturating
        trees have small adders in the lower levels, where the nodes are many, and fast ones above.
    prune
        Leave idle clamps and the adders before them out; False for proofs of just that.

    Ports
    -----
    x0, x1, ... : In, the narrowest format of each range
    o : Out, ``spec.format``
    """

    o: Value

    def __init__(self, spec: SumSpec, stages: int = 0, final: FinalAdder = "small", prune: bool = True) -> None:
        self.spec, self.latency, self.variant = spec, stages, (final, prune)
        summands = {f"x{i}": In(shape_of(Format.covering(*r))) for i, r in enumerate(spec.ranges)}
        super().__init__({**summands, "o": Out(shape_of(spec.format))})

    def bits(self, logic: Logic) -> list[Bit]:
        spec, nodes = self.spec, iter(self.spec.nodes)
        final: FinalAdder = self.variant[0]
        summands = [_Part([self._input(logic, i)]) for i in range(len(spec.ranges))]
        if spec.constant:
            number = Format.covering(spec.constant, spec.constant)
            summands.append(_Part([Word([*known(spec.constant, number.width), *([] if number.signed else [ZERO])])]))
        total = spec.walk(summands, lambda a, b: self._join(logic, next(nodes), a, b))
        return exact_sum(logic, total.words, spec.format.width, final)

    def _input(self, logic: Logic, i: int) -> Word:
        x: Value = getattr(self, f"x{i}")
        return Word(logic.inputs(x) if x.shape().signed else [*logic.inputs(x), ZERO])

    def _join(self, logic: Logic, node: SumNode, a: _Part, b: _Part | None) -> _Part:
        spec, (final, prune) = self.spec, self.variant
        words, level = (a.words, a.level) if b is None else (a.words + b.words, max(a.level, b.level))
        if spec.shift:
            low, high = node.before[0] << spec.shift, ((node.before[1] + 1) << spec.shift) - 1
            # One bit more, so that it is a signed number whatever the range; two numbers that fit, halved, fit.
            width = Format.covering(min(low, -1), high).width
            return _Part([Word(exact_sum(logic, words, width, final)[spec.shift :])])
        clamped = node.overflows if prune else spec.node is not None
        if not clamped or spec.overflow is Overflow.WRAP:
            return _Part(words, level)
        assert spec.node is not None
        above, below = (node.before[1] > node.after[1], node.before[0] < node.after[0]) if prune else (True, True)
        small = final == "small" or (final == "balanced" and level < SMALL_LEVELS)
        total = saturating_sum(logic, words, spec.node, above, below, "small" if small else final)
        return _Part([total], level + 1)
