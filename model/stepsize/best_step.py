"""QStep: the step with the least squared error, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from model.stepsize.errors import StepSizeError
from model.stepsize.quantizer import top_code

Reals = NDArray[np.floating]

CHUNK = 1 << 16  #: changes of assignment that are sorted at once
TRIED = 24  #: candidates too near to each other to be told apart by their sums, of which the error is taken itself


class Per(StrEnum):
    """What has a step of its own: all weights of a tensor, a gate of an LSTM, or an output (a row)."""

    LAYER = "layer"
    GATE = "gate"
    OUTPUT = "output"


@overload
def qstep(w: Reals | Tensor, bits: int) -> float: ...
@overload
def qstep(
    w: Reals | Tensor, bits: int, per: Literal["gate", "output", Per.GATE, Per.OUTPUT]
) -> NDArray[np.float64]: ...
@overload
def qstep(w: Reals | Tensor, bits: int, per: Per | str) -> float | NDArray[np.float64]: ...
def qstep(w: Reals | Tensor, bits: int, per: Per | str = Per.LAYER) -> float | NDArray[np.float64]:
    """The step D > 0 with the least sum of (w - Q(w))^2; the largest of several whose errors are equal in float64.

    w: finite numbers, not all of them 0. bits: 2 to 16; above 10, large tensors take seconds to minutes. per: ``layer``
    for one step; ``gate`` for four, (4,), of the equal parts of the first axis; ``output`` for one a row, (rows,). Of
    weights that are all the same but for their sign it is that magnitude.

    Raises
    ------
    StepSizeError
        If there is no such step, or ``bits`` or ``per`` is something else.
    """
    try:
        kind = Per(per)
    except ValueError:
        raise StepSizeError(f"Steps must be per {', '.join(Per)}, not {per!r}") from None
    values = as_float64(w)
    if kind is Per.LAYER:
        return float(group_steps(values, bits, 1)[0])
    return group_steps(values, bits, 4 if kind is Per.GATE else len(values) if values.ndim else 1)


def as_float64(w: Reals | Tensor) -> NDArray[np.float64]:
    """Weights as a numpy array.

    Raises
    ------
    StepSizeError
        If they are no real numbers.
    """
    if isinstance(w, Tensor):
        if w.is_complex():
            raise StepSizeError(f"Weights must be real numbers, not {w.dtype}")
        return w.detach().cpu().double().numpy()
    values = np.asarray(w)
    if values.dtype.kind not in "fiu":
        raise StepSizeError(f"Weights must be real numbers, not {values.dtype}")
    return values.astype(np.float64, copy=False)


def group_steps(w: NDArray[np.float64], bits: int, groups: int) -> NDArray[np.float64]:
    """QStep of each of so many equal parts of the first axis, (groups,).

    Raises
    ------
    StepSizeError
        As :func:`qstep`.
    """
    limit = top_code(bits)
    if not w.size:
        raise StepSizeError("Weights must be at least 1 number, not 0")
    if not np.isfinite(w).all():
        raise StepSizeError(f"Weights must be finite, not {float(w[~np.isfinite(w)][0])!r}")
    if (rows := len(w) if w.ndim else 1) % groups:
        raise StepSizeError(f"Rows of weights must be a multiple of {groups}, one part a step, not {rows!r}")
    parts = np.abs(w.reshape(groups, -1))
    if not (live := parts.any(axis=1)).all():
        which = "all of them" if groups == 1 else f"all of part {int(np.argmin(live))} of {groups}"
        raise StepSizeError(f"Weights with a step must not all be 0, and {which} are")
    return np.array([_least(part, limit) for part in parts])


def _least(magnitudes: NDArray[np.float64], limit: int) -> float:
    """QStep of one group.

    Each weight has the code next to it, so for every D the error is the least of sum (a - D k)^2 over all assignments
    of codes k to magnitudes a, and the least of all is that of the assignment with the largest A^2 / B, at D = A / B,
    where A = sum a k and B = sum k^2. As D falls, a code becomes j where D passes a / (j - 1/2): A grows by a and B by
    2j - 1. So a sweep over these places in order, with running sums, meets every assignment that a D has.
    """
    scale = 2.0 ** -int(np.frexp(magnitudes.max())[1])  # exact, and squares stay in range
    sweep = _Sweep(magnitudes * scale, limit)
    found = [sweep.candidates(low, high) for low, high in sweep.intervals()]
    a, b = (np.concatenate([each[place] for each in found]) for place in (0, 1))
    near = _near_best(a, b)
    steps = np.unique((a[near] / b[near]).astype(np.float64))[::-1]
    return sweep.settled(float(steps[np.argmin([sweep.error(step) for step in steps])])) / scale


def _near_best(a: Reals, b: Reals) -> NDArray[np.intp]:
    """Places of the largest A^2 / B, as far as rounded sums can tell: the nearest to it, and those of the largest D."""
    score = a * a / b
    near = np.flatnonzero(score >= score.max() * (1 - 1e-15))
    best = near[np.argsort(-score[near], kind="stable")[:TRIED]]
    largest = near[np.argsort(-(a[near] / b[near]), kind="stable")[:TRIED]]
    return np.union1d(best, largest)


@dataclass(frozen=True)
class _Sweep:
    """Distinct magnitudes of one group, and sums over their codes at any step.

    Sums are kept in extended precision where the machine has it: where there are many levels, A^2 / B is nearly all of
    sum a^2, and the error is what is left.
    """

    magnitudes: NDArray[np.float64]
    limit: int

    @cached_property
    def _distinct(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        values, counts = np.unique(self.magnitudes, return_counts=True)
        return (values[1:], counts[1:]) if values[0] == 0 else (values, counts)

    @cached_property
    def _from(self) -> tuple[Reals, NDArray[np.int64]]:
        """Sum and number of the magnitudes from each place on."""
        a, counts = self._distinct
        sums = np.cumsum((a * counts)[::-1], dtype=np.longdouble)[::-1]
        return np.append(sums, 0), np.append(np.cumsum(counts[::-1])[::-1], 0)

    @cached_property
    def _halves(self) -> NDArray[np.float64]:
        return np.arange(1, self.limit + 1, dtype=np.float64) - 0.5

    def error(self, step: float) -> float:
        """Sum of (a - Q(a))^2."""
        a, counts = self._distinct
        k = np.minimum(np.floor(a / step + 0.5), self.limit)
        return float((counts * (a - k * step) ** 2).sum())

    def settled(self, step: float) -> float:
        """A / B of the codes at ``step``, as the float64 next to it: sums of float64 would miss it by a few.

        Codes that are all multiples of a number stand for the same weights divided by it, with a larger step.
        """
        a, counts = self._distinct
        k = np.minimum(np.floor(a / step + 0.5), self.limit).astype(np.int64)
        k //= np.gcd.reduce(k)
        total, part = 0, a
        for _ in range(3):  # 21 bits at a time: sums of integers are exact
            part = part * 2.0**21
            whole = np.floor(part)
            total, part = (total << 21) + int((whole.astype(np.int64) * (k * counts)).sum()), part - whole
        return float(Fraction(total, int((k * k * counts).sum()) << 63))

    def _first(self, steps: NDArray[np.float64]) -> NDArray[np.intp]:
        """(limit, steps): the place of the first magnitude with code j or more at each step."""
        return np.searchsorted(self._distinct[0], self._halves[:, None] * steps)

    def _sums(self, first: NDArray[np.intp]) -> tuple[Reals, Reals]:
        """A and B of each step."""
        sums, numbers = self._from
        return sums[first].sum(0), (2 * self._halves) @ numbers[first]

    def intervals(self) -> list[tuple[float, float]]:
        """Intervals of D that together hold the optimum, with at most about ``CHUNK`` changes of assignment each.

        Few changes: one interval. Many: a grid of D, and only intervals whose error may be below the least one seen,
        halved and halved again. The derivative of the error is 2 (D B - A). A and B only fall with growing D, so in an
        interval it is bounded by their values at the ends, and so is the error.
        """
        a, _ = self._distinct
        if len(a) * self.limit <= CHUNK:
            return [(0.0, np.inf)]
        least = np.inf
        margin = 1e-12 * float((self.magnitudes**2).sum())
        grid = np.geomspace(a[0] / self.limit, 2.01 * a[-1], max(64, CHUNK // self.limit))
        low, high = grid[:-1], grid[1:]
        while True:
            (below, above), events = self._errors_at_ends(low, high)
            least = min(least, float(below[0].min()), float(above[0].min()))
            width = high - low
            rising = np.maximum(0, 2 * (high * below[2] - above[1]))
            falling = np.minimum(0, 2 * (low * above[2] - below[1]))
            may = np.maximum(above[0] - width * rising, below[0] + width * falling) <= least + margin
            low, high, events = low[may], high[may], events[may]
            if events.sum() <= 4 * CHUNK or (events.max() <= CHUNK and len(low) * self.limit > 4 * CHUNK):
                break
            middle = np.sqrt(low * high)
            low, high = np.stack([low, middle], 1).ravel(), np.stack([middle, high], 1).ravel()
        return _joined(low, high, events)

    def _errors_at_ends(
        self, low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> tuple[tuple[tuple[Reals, Reals, Reals], ...], NDArray[np.int64]]:
        """Error, A and B at both ends of intervals, and the number of changes of assignment within."""
        total = (self._distinct[0].astype(np.longdouble) ** 2 * self._distinct[1]).sum()
        firsts = self._first(low), self._first(high)
        ends = []
        for steps, first in zip((low, high), firsts, strict=True):
            a, b = self._sums(first)
            ends.append((total - 2 * steps * a + steps * steps * b, a, b))
        return tuple(ends), (firsts[1] - firsts[0]).sum(0)

    def candidates(self, low: float, high: float) -> tuple[Reals, Reals]:
        """A and B of the best assignments that a D of ``low`` to ``high`` has."""
        values, counts = self._distinct
        begin, end = self._first(np.array([low, high])).T if high < np.inf else self._everything()
        lengths = end - begin
        code = np.repeat(np.arange(self.limit), lengths)
        place = np.arange(len(code)) + np.repeat(begin - np.cumsum(lengths) + lengths, lengths)
        order = np.argsort(-values[place] / self._halves[code], kind="stable")
        place, code = place[order], code[order]
        start_a, start_b = self._sums(end[:, None])
        a = np.cumsum(np.append(start_a, values[place] * counts[place]), dtype=np.longdouble)
        b = np.cumsum(np.append(start_b, (2 * code + 1) * counts[place]), dtype=np.longdouble)
        a, b = a[b > 0], b[b > 0]
        near = _near_best(a, b)
        return a[near], b[near]

    def _everything(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return np.zeros(self.limit, np.int64), np.full(self.limit, len(self._distinct[0]))


def _joined(
    low: NDArray[np.float64], high: NDArray[np.float64], events: NDArray[np.int64]
) -> list[tuple[float, float]]:
    """Intervals that touch as one, as long as it holds no more than ``CHUNK`` changes."""
    joined: list[tuple[float, float]] = []
    held = 0
    for start, stop, within in zip(low.tolist(), high.tolist(), events.tolist(), strict=True):
        if joined and joined[-1][1] == start and held + within <= CHUNK:
            joined[-1], held = (joined[-1][0], stop), held + within
        else:
            joined.append((start, stop))
            held = within
    return joined
