"""The nodes of a sum in a written order, as logic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from amaranth.hdl import Cat, Module, Value

from model.spec import AdderTreeSpec, Format, Overflow, SumNode
from model.spec.adder_tree import Range
from rtl.compressor import FinalAdder
from rtl.logic import ZERO, Bit, Logic, LogicUnit, known, pipelined
from rtl.saturation import Clamped, Word, exact_sum, saturating_sum

#: Levels of clamps that have small adders in a balanced tree: three quarters of all nodes.
SMALL_LEVELS = 2


@dataclass(frozen=True)
class _Part:
    """What has been added up so far: words that wait for a common compressor, ``depth`` clamps behind the inputs."""

    words: Sequence[Word]
    depth: int = 0


@dataclass(frozen=True, kw_only=True)
class SumNodes:
    """Builds the sum of a specification from the bits of its summands.

    What can be added exactly (everything, in an exact or a wrapping sum) goes into one carry-save compressor; a node
    that its range shows cannot overflow has no clamp.

    Parameters
    ----------
    spec
        The sum.
    final
        The adder that ends a compressor and that of a saturating node: small, balanced or fast. Balanced saturating
        trees have small adders in the lower levels, where the nodes are many, and fast ones above.
    prune
        Leave idle clamps and the adders before them out; False for proofs of just that.
    """

    logic: Logic
    spec: AdderTreeSpec
    final: FinalAdder
    prune: bool = True
    saturated: list[Bit] = field(default_factory=list)  #: of ``spec.saturating``, after ``total`` with ``flags``

    def total(self, summands: Sequence[Sequence[Word]], flags: bool = False) -> list[Bit]:
        """The sum, lowest bit first, of summands that are themselves sums of words; the constant comes by itself."""
        spec, nodes = self.spec, iter(self.spec.nodes)
        parts = [_Part(words) for words in summands]
        if spec.constant:
            number = Format.covering(spec.constant, spec.constant)
            parts.append(_Part([Word([*known(spec.constant, number.width), *([] if number.signed else [ZERO])])]))

        def join(members: Sequence[_Part], shift: int, level: int) -> _Part:
            words = [word for part in members for word in part.words]
            node, depth = next(nodes), max(part.depth for part in members)
            clamped = self._clamped(node, words, depth)
            if clamped is None:
                return _Part(self._exact(node, words), depth)
            if flags and node.overflows:
                self.saturated.append(clamped.saturated(self.logic))
            return _Part([clamped.word], depth + 1)

        words = spec.rule.walk(parts, join).words
        return exact_sum(self.logic, words, spec.format.width, self.final)

    def _exact(self, node: SumNode, words: list[Word]) -> list[Word]:
        """The sum of a node without a clamp: its words, unless bits are dropped."""
        if not node.shift:
            return words
        kept = exact_sum(self.logic, words, _width(node.exact), self.final)[node.shift :]
        # Unlike in a sum, what is above the width counts where bits below it are dropped later.
        return [Word(kept[: self.spec.rule.width] if node.overflows else kept)]

    def _clamped(self, node: SumNode, words: list[Word], depth: int) -> Clamped | None:
        """The sum of a node behind its clamp; None if it has none."""
        rule = self.spec.rule
        if rule.width is None or rule.overflow is Overflow.WRAP or (self.prune and not node.overflows):
            return None
        above, below = node.before[1] > node.after[1], node.before[0] < node.after[0]
        small = self.final == "small" or (self.final == "balanced" and depth < SMALL_LEVELS)
        adder: FinalAdder = "small" if small else self.final
        if node.shift:
            words = [Word(exact_sum(self.logic, words, _width(node.exact), adder)[node.shift :])]
        exact, whole = max(_width(node.before), rule.width + 1), not self.prune
        return saturating_sum(self.logic, words, exact, rule.width, above or whole, below or whole, adder)


class SumUnit(LogicUnit):
    """Base of the units of one sum: with a port ``saturated``, the flags lie behind ``o`` among the bits."""

    saturated: Value

    def build(self) -> Module:
        m = Module()
        outputs = Cat(self.o, self.saturated) if "saturated" in self.signature.members else self.o
        m.d.comb += Value.cast(outputs).eq(pipelined(m, self.latency, self.bits))
        return m


def _width(values: Range) -> int:
    """Bits of a signed number, whatever the range."""
    return Format.covering(min(values[0], -1), max(values[1], 0)).width
