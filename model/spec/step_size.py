"""A weight as a small integer times a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import Format, Ints

MAX_BITS = 8


def top_code(bits: int) -> int:
    """(M - 1) / 2, the largest of the ``M = 2**bits - 1`` integers that a weight of so many bits may be."""
    return (1 << (bits - 1)) - 1


def largest_weight(bits: int) -> int:
    """Largest size of a weight of so many bits: of a sign, which is one bit, 1."""
    return 1 if bits == 1 else top_code(bits)


@dataclass(frozen=True, kw_only=True)
class StepSpec:
    """Uniform symmetric quantization (Shin, Boo, Sung) to ``M = 2**bits - 1`` levels::

        code = sgn(w) min(floor(|w| / D + 0.5), (M - 1) / 2)        D = step * 2**-frac
        w^   = code * D

    The third way to store a quantity beside :class:`model.spec.MlbSpec` and :class:`model.spec.FixedSpec`, with the
    same properties; for weights. Source: "Fixed-point optimization of deep neural networks with adaptive step size
    retraining".

    Parameters
    ----------
    bits
        Of a code, a signed integer; 2 to 8. The most negative integer of so many bits is no code.
    step
        Stored integer, at least 1.
    frac
        Fraction bits of step and reconstruction.

    Raises
    ------
    ValueError
        If a parameter is outside its range.
    """

    bits: int
    step: int
    frac: int = 0

    offset: ClassVar[int] = 0  #: a reconstruction has none
    padding: ClassVar[int] = 0  #: the weight code of a lane that is not there
    dtype: ClassVar[type[np.generic]] = np.int8  #: of an array of codes

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= MAX_BITS:
            raise ValueError(f"Bits of an integer weight must be 2 to {MAX_BITS}, not {self.bits!r}")
        if not 1 <= self.step < 1 << 24:
            raise ValueError(f"Step of integer weights must be from 1 to {(1 << 24) - 1}, not {self.step!r}")
        if not 0 <= self.frac <= 24:
            raise ValueError(f"Fraction bits of a step must be 0 to 24, not {self.frac!r}")

    @property
    def top(self) -> int:
        """The largest code; the smallest is its negative."""
        return top_code(self.bits)

    @property
    def code_format(self) -> Format:
        """Format of a code as an integer."""
        return Format(self.bits)

    @property
    def code_range(self) -> tuple[int, int]:
        """The smallest and the largest code."""
        return -self.top, self.top

    @property
    def width(self) -> int:
        """Bits of a code."""
        return self.bits

    @property
    def unit(self) -> int:
        """A number of which every reconstruction is a multiple."""
        return self.step

    @property
    def bound(self) -> int:
        """Largest size of a reconstruction."""
        return self.top * self.step

    @property
    def format(self) -> Format:
        """The narrowest format of a reconstruction."""
        return Format.covering(-self.bound, self.bound, self.frac)

    def quantize(self, x: ArrayLike, frac: int) -> Ints:
        """Codes of stored integers ``x`` with ``frac`` fraction bits; any shape."""
        common = max(frac, self.frac)
        step = self.step << (common - self.frac)
        value = np.asarray(x, np.int64) << (common - frac)
        return np.sign(value) * np.minimum((2 * np.abs(value) + step) // (2 * step), self.top)

    def reconstruct(self, code: ArrayLike) -> Ints:
        """Stored integers (``frac`` fraction bits) of codes; any shape."""
        return np.asarray(code, np.int64) * self.step
