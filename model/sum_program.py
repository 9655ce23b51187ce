"""What is left to do of a sum of products in a written order, once all that cannot overflow is one matrix product."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from model.spec import Overflow, SumSpec
from model.spec.adder_tree import limited

Span = tuple[int, int]  #: products from the first to before the last


@dataclass(frozen=True)
class Step:
    """One node: it adds what is on a stack and exact sums of products, and puts the result on the stack.

    Parameters
    ----------
    spans
        The products that are added exactly, each span one matrix product.
    held
        How many results are taken from the stack.
    size
        Largest size of the exact sum of ``spans``.
    shift
        Bits dropped.
    limited
        Whether the overflow rule may change the sum.
    level
        The node's level.
    """

    spans: tuple[Span, ...]
    held: int
    size: int
    shift: int = 0
    limited: bool = False
    level: int = 0


@dataclass(frozen=True, eq=False)
class Program:
    """Steps in the order in which a stack machine takes them, level by level as little at once as can be.

    Parameters
    ----------
    steps
        The last one leaves the sum. A run of steps that each add products to the one result of the step before, and
        saturate (so does a sequence), is a tuple of them: most of it may turn out not to overflow.
    size
        Largest size of any number on the way.
    """

    steps: tuple[Step | tuple[Step, ...], ...]
    size: int

    @functools.cached_property
    def flat(self) -> tuple[Step, ...]:
        """The steps one by one."""
        return tuple(each for step in self.steps for each in ((step,) if isinstance(step, Step) else step))

    @functools.cached_property
    def count(self) -> int:
        """Number of steps."""
        return len(self.flat)

    @functools.cached_property
    def terms(self) -> int:
        """Number of products."""
        return sum(end - start for step in self.flat for start, end in step.spans)

    @functools.cached_property
    def depth(self) -> int:
        """The most results that are on the stack at once."""
        return max(itertools.accumulate(1 - step.held for step in self.flat))

    @property
    def plain(self) -> bool:
        """Whether there is nothing but a matrix product."""
        only = self.steps[-1]
        return isinstance(only, Step) and not (only.held or only.shift or only.limited)


@dataclass(frozen=True)
class _Partial:
    """A sum that is not yet made: products, and results of nodes; its range, and the largest size on the way to it."""

    spans: tuple[Span, ...]
    nodes: tuple[_Node, ...]
    low: int
    high: int
    size: int


@dataclass(frozen=True, eq=False)
class _Node:
    """A node that must be made, and those it takes the results of."""

    step: Step
    needs: tuple[_Node, ...] = field(repr=False)


@functools.lru_cache(maxsize=256)
def sum_program(rule: SumSpec, terms: int, largest: int, last: int | None = None) -> Program:
    """The program of a sum of ``terms`` products of size up to ``largest``; the last one up to ``last``, if given."""
    sizes = [largest] * terms
    if last is not None:
        sizes[-1] = last
    sums = [0, *itertools.accumulate(sizes)]
    biggest = 0
    turn = 0 if rule.limit is None or rule.overflow is Overflow.SATURATE else -rule.limit.min
    if rule.linear:
        limit, total = rule.limit, sums[-1]
        step = Step(((0, terms),), 0, total, limited=limit is not None and total > limit.max)
        return Program((step,), total + turn)

    def node(members: Sequence[_Partial], shift: int, level: int) -> _Partial:
        nonlocal biggest
        spans = _merged([span for member in members for span in member.spans])
        nodes = tuple(node for member in members for node in member.nodes)
        low, high = sum(member.low for member in members), sum(member.high for member in members)
        size = sum(member.size for member in members)
        before = low >> shift, high >> shift
        after = limited(before, rule)
        if not shift and after == before:
            return _Partial(spans, nodes, low, high, size)
        biggest = max(biggest, size + turn)
        products = sum(sums[end] - sums[start] for start, end in spans)
        step = Step(spans, len(nodes), products, shift, after != before, level)
        return _Partial((), (_Node(step, nodes),), *after, max(-after[0], after[1]))

    leaves = [_Partial(((i, i + 1),), (), -size, size, size) for i, size in enumerate(sizes)]
    total = rule.walk(leaves, node)
    root = total.nodes[0] if not total.spans and len(total.nodes) == 1 else None
    if root is None:
        products = sum(sums[end] - sums[start] for start, end in total.spans)
        root = _Node(Step(total.spans, len(total.nodes), products), total.nodes)
    return Program(tuple(_chained(_postorder(root))), max(biggest, total.size))


def limits(rule: SumSpec) -> tuple[int, int, int]:
    """Least and largest number of a node, and how far it wraps around; of nodes without limits none are used."""
    return (0, 0, 1) if rule.limit is None else (rule.limit.min, rule.limit.max, 2**rule.limit.width)


def _merged(spans: Sequence[Span]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for start, end in spans:
        if merged and merged[-1][1] == start:
            merged[-1] = merged[-1][0], end
        else:
            merged.append((start, end))
    return tuple(merged)


def _postorder(root: _Node) -> list[Step]:
    """The steps, each after those of which it takes the results; without recursion, because sequences are deep."""
    steps, todo = [], [(root, False)]
    while todo:
        node, ready = todo.pop()
        if ready or not node.needs:
            steps.append(node.step)
        else:
            todo += [(node, True), *((need, False) for need in reversed(node.needs))]
    return steps


def _chained(steps: Sequence[Step]) -> list[Step | tuple[Step, ...]]:
    def adds_on(step: Step) -> bool:
        return step.held == 1 and len(step.spans) == 1 and not step.shift and step.limited

    chained: list[Step | tuple[Step, ...]] = []
    for chain, group in itertools.groupby(steps, adds_on):
        run = tuple(group)
        chained += [run] if chain and len(run) > 1 else run
    return chained
