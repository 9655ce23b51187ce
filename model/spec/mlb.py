"""Multi-level binarization (MLB): a value as a sum of signed scaling factors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import FixedSpec, Format, Ints
from model.spec.step_size import StepSpec
from model.spec.steps import search_thresholds

MAX_LEVELS = 5


@dataclass(frozen=True, kw_only=True)
class MlbSpec:
    """Greedy residual binarization with ``levels`` scaling factors ``a_1 .. a_M`` (MuBiNN)::

        r = x - offset;  for i in 1..M:  s_i = sign(r);  r = r - s_i a_i
        x^ = offset + sum_i s_i a_i                                   sign(0) = +1

    The code holds ``s_1`` in its most significant bit, +1 as 1 and -1 as 0, and is then a monotone
    function of ``x`` whatever the factors are.

    ``offset`` is 0 in the paper. A quantity that is never negative (a sigmoid) has ``s_1 = +1``
    always; that sign is a constant, and ``offset`` is its factor, so that no stored bit is spent on it.

    Parameters
    ----------
    factors
        Stored integers ``a_i``, each at least 1; 1 to 5 of them.
    frac
        Fraction bits of factors, offset and reconstruction.
    offset
        Stored integer, added to every reconstruction.

    Raises
    ------
    ValueError
        If there are no or too many factors, or one is not positive.
    """

    factors: tuple[int, ...]
    frac: int = 0
    offset: int = 0

    dtype: ClassVar[type[np.generic]] = np.uint8  #: of an array of codes

    def __post_init__(self) -> None:
        if not 1 <= len(self.factors) <= MAX_LEVELS:
            raise ValueError(f"Number of levels must be 1 to {MAX_LEVELS}, not {len(self.factors)!r}")
        for a in self.factors:
            if not 1 <= a < 1 << 24:
                raise ValueError(f"Scaling factor must be from 1 to {(1 << 24) - 1}, not {a!r}")
        if abs(self.offset) >= 1 << 24:
            raise ValueError(f"Offset must be below {1 << 24} in size, not {self.offset!r}")
        if not 0 <= self.frac <= 24:
            raise ValueError(f"Fraction bits of scaling factors must be 0 to 24, not {self.frac!r}")

    @property
    def levels(self) -> int:
        """M, the number of code bits."""
        return len(self.factors)

    @property
    def code_format(self) -> Format:
        """Format of a code as an integer."""
        return Format(self.levels, 0, signed=False)

    @property
    def code_range(self) -> tuple[int, int]:
        """The smallest and the largest code."""
        return 0, self.code_format.max

    @property
    def width(self) -> int:
        """Bits of a code."""
        return self.levels

    @property
    def unit(self) -> int:
        """A number of which every reconstruction is a multiple; with one level and no offset the factor."""
        return math.gcd(*self.factors, self.offset)

    @property
    def padding(self) -> int:
        """The weight code of a lane that is not there: all signs +."""
        return (1 << self.levels) - 1

    @property
    def bound(self) -> int:
        """Largest size of a reconstruction."""
        return self.total + abs(self.offset)

    @property
    def total(self) -> int:
        """Sum of the factors: the largest distance of a reconstruction from ``offset``."""
        return sum(self.factors)

    @cached_property
    def values(self) -> tuple[int, ...]:
        """The reconstruction of every code, indexed by code."""
        return tuple(
            self.offset + sum(a if code >> (self.levels - 1 - i) & 1 else -a for i, a in enumerate(self.factors))
            for code in range(1 << self.levels)
        )

    @property
    def format(self) -> Format:
        """The narrowest format of a reconstruction."""
        return Format.covering(min(self.values), max(self.values), self.frac)

    def quantize(self, x: ArrayLike, frac: int) -> Ints:
        """Codes (0 to ``2**levels - 1``) of stored integers ``x`` with ``frac`` fraction bits; any shape."""
        common = max(frac, self.frac)
        up = common - self.frac
        r = (np.asarray(x, np.int64) << (common - frac)) - (self.offset << up)
        code = np.zeros_like(r)
        for a in self.factors:
            sign = r >= 0
            code = (code << 1) | sign
            r = np.where(sign, r - (a << up), r + (a << up))
        return code

    def reconstruct(self, code: ArrayLike) -> Ints:
        """Stored integers (``frac`` fraction bits) of codes; any shape."""
        return np.asarray(self.values, np.int64)[np.asarray(code)]


Quantity = MlbSpec | FixedSpec  #: how a quantity is stored: multi-level binarized, or as a fixed-point number
Weight = Quantity | StepSpec  #: how a weight is: as any quantity, or as an integer times a step


def binarized(quantity: Weight) -> MlbSpec:
    """``quantity``, where only a binarized one will do.

    Raises
    ------
    ValueError
        If it is a fixed-point number.
    """
    if not isinstance(quantity, MlbSpec):
        raise ValueError(f"Quantity must be binarized, not fixed-point {quantity.format}")
    return quantity


@dataclass(frozen=True, kw_only=True)
class MlbQuantizerSpec:
    """A quantizer: ``source`` is the format of what comes in, ``mlb`` what it is binarized to."""

    source: Format
    mlb: MlbSpec

    def __post_init__(self) -> None:
        up = max(0, self.mlb.frac - self.source.frac)
        if self.source.width + up > 62:
            raise ValueError(f"Quantizer input must be at most {62 - up} bits wide, not {self.source.width!r}")

    @cached_property
    def thresholds(self) -> tuple[int, ...]:
        """For each code k from 1 on the smallest input whose code is at least k (``source.max + 1``: none)."""
        return search_thresholds(self.compute, self.source, 1 << self.mlb.levels)

    def compute(self, x: ArrayLike) -> Ints:
        """Golden function: stored integers of ``source`` in, codes out; any shape."""
        return self.mlb.quantize(x, self.source.frac)


@dataclass(frozen=True, kw_only=True)
class ReconstructSpec:
    """The way back: a code to its value, in the format ``mlb.format``."""

    mlb: MlbSpec

    def compute(self, code: ArrayLike) -> Ints:
        """Golden function: codes in, stored integers of ``mlb.format`` out; any shape."""
        return self.mlb.reconstruct(code)
