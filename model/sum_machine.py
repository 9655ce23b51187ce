"""The stack machine that makes sums of products node by node, for all outputs of many samples at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.spec import Format, Overflow, SumSpec
from model.sum_program import Program, Span, Step

#: Products that are added one by one rather than by a matrix product: a call for so few is dear.
SINGLES = 2
#: Steps of a sequence that are looked at together, whether any of them can overflow.
LOOK_AHEAD = 64


@dataclass(frozen=True)
class Record:
    """What a step did: the products and results that it added, the bits it dropped, and its sum where it saturated."""

    spans: tuple[Span, ...]
    held: int
    shift: int
    level: int
    before: Tensor | None


@dataclass
class Tape:
    """What a machine did, in order; with the sums that saturated, if they are to be kept."""

    keep: bool
    records: list[Record] = field(default_factory=list)
    saturated: bool = False  #: whether any step did

    def count(self, counts: Tensor, limit: Format | None) -> None:
        """Add the number of saturations to ``counts`` (levels, outputs)."""
        for record in self.records:
            if record.before is not None and limit is not None:
                counts[record.level] += ((record.before < limit.min) | (record.before > limit.max)).sum(0)

    def spread(self, grad: Tensor, limit: Format | None) -> Iterator[tuple[Span, Tensor, float]]:
        """The gradient (rows, outputs) of the sum as it comes to spans of products: each with its factor.

        The sums that were kept are overwritten.
        """
        waiting = [(grad, 0)]
        span, passed, dropped = (0, 0), grad, 0
        for record in reversed(self.records):
            g, shift = waiting.pop()
            if record.before is not None and limit is not None:
                g = _where_it_fits(g, record.before, limit)
            shift += record.shift
            for start, end in reversed(record.spans):
                if passed is g and dropped == shift and end == span[0]:
                    span = start, span[1]
                    continue
                if span[0] < span[1]:
                    yield span, passed, 2.0**-dropped
                span, passed, dropped = (start, end), g, shift
            waiting += [(g, shift)] * record.held
        yield span, passed, 2.0**-dropped


class SumMachine:
    """Runs the steps of a program on the rows of ``w`` (outputs, terms), integers in a type that is exact for them.

    It keeps the memory of its intermediate results: to ask for it anew costs more than many a step.
    """

    def __init__(self, rule: SumSpec, program: Program, w: Tensor) -> None:
        self.rule, self.limit, self._program, self._w = rule, rule.limit, program, w
        self._columns: Tensor | None = None
        self._spare: list[Tensor] = []

    def run(self, x: Tensor, out: Tensor | None, tape: Tape | None = None) -> None:
        """Sums of ``x`` (rows, terms) to ``out`` (rows, outputs), if it is given; what happens goes on the ``tape``."""
        stack: list[Tensor] = []
        if out is not None:
            self._spare.append(out)  # the first result is its, and what is added to a result replaces it
        for step in self._program.steps:
            if isinstance(step, Step):
                held = stack[len(stack) - step.held :]
                del stack[len(stack) - step.held :]
                stack.append(self._finish(self._sum(x, held, step.spans), step, tape))
            else:
                for first in range(0, len(step), LOOK_AHEAD):
                    stack.append(self._chain(x, stack.pop(), step[first : first + LOOK_AHEAD], tape))
        if out is None:
            self._spare.append(stack[0])
        elif out is not stack[0]:
            out.copy_(stack[0])

    def release(self, tape: Tape) -> None:
        """Take back the memory of the sums that were kept."""
        self._spare += [record.before for record in tape.records if record.before is not None]

    def _room(self, rows: int) -> Tensor:
        if not self._spare:
            return self._w.new_empty(rows, len(self._w))
        room = self._spare.pop()
        return room[:rows] if len(room) >= rows else self._w.new_empty(rows, len(self._w))

    def _chain(self, x: Tensor, total: Tensor, steps: Sequence[Step], tape: Tape | None) -> Tensor:
        """A run of steps that each add to ``total``: at once where none can overflow, else by halves."""
        assert self.limit is not None
        if self.rule.overflow is Overflow.SATURATE and len(steps) > 4:
            size, (low, high) = sum(step.size for step in steps), _range(total)
            if low - size >= self.limit.min and high + size <= self.limit.max:
                together = Step(((steps[0].spans[0][0], steps[-1].spans[0][1]),), 1, size)
                return self._finish(self._sum(x, [total], together.spans), together, tape)
            middle = len(steps) // 2
            return self._chain(x, self._chain(x, total, steps[:middle], tape), steps[middle:], tape)
        for step in steps:
            total = self._finish(self._sum(x, [total], step.spans), step, tape)
        return total

    def _sum(self, x: Tensor, held: Sequence[Tensor], spans: Sequence[Span]) -> Tensor:
        """Results, the first of which is overwritten, and products."""
        total = held[0] if held else None
        for other in held[1:]:
            assert total is not None
            total.add_(other)
            self._spare.append(other)
        for start, end in spans:
            if end - start <= SINGLES:
                columns = self._transposed()
                for i in range(start, end):
                    column = x[:, i : i + 1]
                    if total is None:
                        total = torch.mul(column, columns[i], out=self._room(len(x)))
                    else:
                        total.addcmul_(column, columns[i])
            elif total is None:
                total = torch.mm(x[:, start:end], self._w[:, start:end].T, out=self._room(len(x)))
            else:
                total.addmm_(x[:, start:end], self._w[:, start:end].T)
        assert total is not None
        return total

    def _transposed(self) -> Tensor:
        if self._columns is None:
            self._columns = self._w.T.contiguous()
        return self._columns

    def _finish(self, total: Tensor, step: Step, tape: Tape | None) -> Tensor:
        """The bits dropped and the overflow rule."""
        before, limit = None, self.limit
        if step.shift:
            _drop(total, step.shift)
        if step.limited and limit is not None:
            if self.rule.overflow is Overflow.WRAP:
                wrap_(total, limit, room := self._room(len(total)))
                self._spare.append(room)
            elif tape is None:
                total.clamp_(limit.min, limit.max)
            elif not _within(_range(total), limit):
                tape.saturated = True
                if tape.keep:
                    before, total = total, torch.clamp(total, limit.min, limit.max, out=self._room(len(total)))
                else:
                    total.clamp_(limit.min, limit.max)
        if tape is not None:
            tape.records.append(Record(step.spans, step.held, step.shift, step.level, before))
        return total


def _range(values: Tensor) -> tuple[int, int]:
    if not values.numel():
        return 0, 0
    low, high = values.aminmax()
    return int(low), int(high)


def _within(found: tuple[int, int], limit: Format) -> bool:
    return limit.min <= found[0] and found[1] <= limit.max


def _drop(total: Tensor, bits: int) -> None:
    if total.is_floating_point():
        total.mul_(2.0**-bits).floor_()
    else:
        total.bitwise_right_shift_(bits)


def _where_it_fits(grad: Tensor, before: Tensor, limit: Format) -> Tensor:
    """``grad`` where ``before``, which it replaces, is within the limits, else 0: integers are not on these borders."""
    low, high = limit.min - 0.5, limit.max + 0.5
    return torch.ops.aten.hardtanh_backward.grad_input(grad, before, low, high, grad_input=before)


def wrap_(total: Tensor, limit: Format, room: Tensor | None = None) -> None:
    """Reduce integers to a signed format, as two's complement, in place; ``room`` of the same shape may be lent."""
    if total.is_floating_point():
        turns = torch.sub(total, limit.min, out=room).mul_(2.0**-limit.width).floor_()
        total.add_(turns, alpha=-(2.0**limit.width))
    else:
        total.sub_(limit.min).bitwise_and_(2 * limit.max + 1).add_(limit.min)


def holds(dtype: torch.dtype, size: int) -> bool:
    """Whether a floating type holds every integer up to ``size``."""
    return size * torch.finfo(dtype).eps <= 2
