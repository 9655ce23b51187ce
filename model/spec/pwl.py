"""Piecewise-linear activation functions with uniform segments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import Format, Ints

FunctionName = Literal["sigmoid", "tanh"]

FUNCTIONS: dict[FunctionName, Callable[[float], float]] = {
    "sigmoid": lambda v: 0.5 * (1.0 + math.tanh(0.5 * v)),
    "tanh": math.tanh,
}


@dataclass(frozen=True, kw_only=True)
class PwlSpec:
    """A function as ``len(bases)`` chords over equal segments of the input range::

        segment = x >> low_bits;  low = x & (2**low_bits - 1)
        y = clamp((bases[segment] + slopes[segment] * low) >> guard)

    The integers are part of the specification, so that a stored network does not depend on how some
    machine computes ``tanh``; :meth:`fit` makes them.

    Parameters
    ----------
    function
        What is approximated; for people and for error figures.
    source, target
        Formats of x and y. y is floored to ``target`` and saturates.
    bases, slopes
        Stored integers with ``target.frac + guard`` fraction bits; segment 0 begins at ``source.min``.
    guard
        Extra fraction bits kept until the end.

    Raises
    ------
    ValueError
        If the tables differ in length, or are no power of two, or finer than the input, or overflow 64 bits.
    """

    function: FunctionName
    source: Format
    target: Format
    bases: tuple[int, ...]
    slopes: tuple[int, ...]
    guard: int

    def __post_init__(self) -> None:
        n = len(self.bases)
        if n != len(self.slopes):
            raise ValueError(f"PWL slopes must be as many as bases ({n}), not {len(self.slopes)!r}")
        if n < 2 or n & (n - 1) or n > 1 << self.source.width:
            raise ValueError(f"PWL segments must be a power of two from 2 to {1 << self.source.width}, not {n!r}")
        if not 0 <= self.guard <= 16:
            raise ValueError(f"PWL guard bits must be 0 to 16, not {self.guard!r}")
        last = (1 << self.low_bits) - 1
        largest = max(max(abs(b), abs(b + s * last)) for b, s in zip(self.bases, self.slopes, strict=True))
        if largest >= 1 << 62:
            raise ValueError(f"PWL values must be below 2**62 in size, not {largest!r}")

    @classmethod
    def fit(cls, function: FunctionName, *, source: Format, target: Format, segments: int, guard: int = 4) -> PwlSpec:
        """Chords of ``function`` between the ends of ``segments`` equal segments, rounded to nearest.

        Continuous up to the rounding and never decreasing, because slopes are floored.
        """
        if segments < 1 or (1 << source.width) % segments:
            raise ValueError(f"PWL segments must divide {1 << source.width}, not {segments!r}")
        f, width, one = FUNCTIONS[function], (1 << source.width) // segments, 1 << (target.frac + guard)
        ends = [round(f((source.min + k * width) * source.step) * one) for k in range(segments + 1)]
        half = (1 << guard) >> 1  # floors to the nearest value of the target
        return cls(
            function=function,
            source=source,
            target=target,
            guard=guard,
            bases=tuple(e + half for e in ends[:-1]),
            slopes=tuple((b - a) // width for a, b in itertools.pairwise(ends)),
        )

    @property
    def low_bits(self) -> int:
        """Input bits below the segment number."""
        return self.source.width - (len(self.bases).bit_length() - 1)

    @property
    def line_range(self) -> tuple[int, int]:
        """Smallest and largest value before the clamp: each at an end of a segment."""
        last = (1 << self.low_bits) - 1
        ends = [(b + s * low) >> self.guard for b, s in zip(self.bases, self.slopes, strict=True) for low in (0, last)]
        return min(ends), max(ends)

    def compute(self, x: ArrayLike) -> Ints:
        """Golden function: stored integers of ``source`` in, of ``target`` out; any shape."""
        u = np.asarray(x, np.int64) - self.source.min
        segment, low = u >> self.low_bits, u & ((1 << self.low_bits) - 1)
        y = np.asarray(self.bases, np.int64)[segment] + np.asarray(self.slopes, np.int64)[segment] * low
        return np.clip(y >> self.guard, self.target.min, self.target.max)

    def max_error(self) -> float:
        """Largest distance from the real function over every input, in units of the function's value."""
        x = np.arange(self.source.min, self.source.max + 1)
        real = np.array([FUNCTIONS[self.function](v * self.source.step) for v in x.tolist()])
        return float(np.max(np.abs(self.compute(x) * self.target.step - real)))
