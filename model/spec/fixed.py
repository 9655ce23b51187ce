"""Fixed-point formats: every stored quantity is an integer times ``2**-frac``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]


class Rounding(StrEnum):
    """What happens to the bits below the last one kept."""

    FLOOR = "floor"  #: drop them: towards minus infinity, no hardware
    NEAREST_EVEN = "nearest_even"  #: to the nearest, a tie to the even neighbour


class Overflow(StrEnum):
    """What happens to a value outside the range of its format."""

    SATURATE = "saturate"  #: the nearest end of the range
    WRAP = "wrap"  #: the low bits, as two's complement


@dataclass(frozen=True)
class Format:
    """A fixed-point number format: ``width`` bits, of which ``frac`` lie behind the binary point.

    Parameters
    ----------
    width
        Bits in all, sign included; 1 to 62 (the golden functions compute in 64-bit integers).
    frac
        Fraction bits: the stored integer ``v`` means ``v * 2**-frac``. May exceed ``width``.
    signed
        Two's complement if true.

    Raises
    ------
    ValueError
        If a parameter is outside its range.
    """

    width: int
    frac: int = 0
    signed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 62:
            raise ValueError(f"Format width must be 1 to 62 bits, not {self.width!r}")
        if not 0 <= self.frac <= 62:
            raise ValueError(f"Format fraction bits must be 0 to 62, not {self.frac!r}")

    @property
    def min(self) -> int:
        """Smallest stored integer."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        """Largest stored integer."""
        return (1 << (self.width - 1)) - 1 if self.signed else (1 << self.width) - 1

    @property
    def step(self) -> float:
        """The value of the last bit, ``2**-frac``."""
        return 2.0**-self.frac

    @classmethod
    def covering(cls, low: int, high: int, frac: int = 0) -> Format:
        """The narrowest format that holds every integer from ``low`` to ``high`` (both included)."""
        if low > high:
            raise ValueError(f"Format range must be ordered, not {low!r} to {high!r}")
        signed = low < 0
        width = max(
            (~low).bit_length() if low < 0 else low.bit_length(),
            (~high).bit_length() if high < 0 else high.bit_length(),
        )
        return cls(max(1, width + signed), frac, signed)

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.width}.{self.frac}"


@dataclass(frozen=True, kw_only=True)
class NarrowSpec:
    """Narrowing of one format to another, with its rounding and overflow rule.

    Raises
    ------
    ValueError
        If the target has more fraction bits than the source (that would be widening).
    """

    source: Format
    target: Format
    rounding: Rounding = Rounding.FLOOR
    overflow: Overflow = Overflow.SATURATE

    def __post_init__(self) -> None:
        if self.shift < 0:
            raise ValueError(
                f"Narrowing target must have at most {self.source.frac} fraction bits, not {self.target.frac!r}"
            )

    @property
    def shift(self) -> int:
        """Fraction bits dropped."""
        return self.source.frac - self.target.frac

    @property
    def wraps(self) -> bool:
        """Whether some input comes out wrapped around, so that the narrowing is not monotone."""
        low, high = int(self.rounded(self.source.min)), int(self.rounded(self.source.max))
        return self.overflow is Overflow.WRAP and (low < self.target.min or high > self.target.max)

    def rounded(self, x: ArrayLike) -> Ints:
        """``x`` with ``target.frac`` fraction bits, before the overflow rule."""
        v = np.asarray(x, np.int64)
        if self.rounding is Rounding.NEAREST_EVEN and self.shift:
            v = v + (1 << (self.shift - 1)) - 1 + ((v >> self.shift) & 1)
        return v >> self.shift

    def compute(self, x: ArrayLike) -> Ints:
        """Golden function: stored integers of ``source`` in, of ``target`` out; any shape."""
        v, t = self.rounded(x), self.target
        if self.overflow is Overflow.SATURATE:
            return np.clip(v, t.min, t.max)
        wrapped = v & ((1 << t.width) - 1)
        return wrapped - ((wrapped > t.max).astype(np.int64) << t.width)


@dataclass(frozen=True, kw_only=True)
class FixedSpec:
    """A quantity stored as a fixed-point number; its code is the stored integer itself.

    The other way to store a quantity is :class:`model.spec.MlbSpec`; a third, for weights, is
    :class:`model.spec.StepSpec`. All have ``code_format``, ``code_range``, ``width``, ``dtype``, ``unit``, ``frac``,
    ``format``, ``offset``, ``bound``, ``padding``, ``quantize`` and ``reconstruct``.

    Parameters
    ----------
    format
        What is stored; 2 to 32 bits. Without a sign, and saturating, it is a ReLU.
    rounding, overflow
        The rule where a value is narrowed to it.

    Raises
    ------
    ValueError
        If the format is too wide.
    """

    format: Format
    rounding: Rounding = Rounding.FLOOR
    overflow: Overflow = Overflow.SATURATE

    offset: ClassVar[int] = 0  #: a reconstruction has none
    padding: ClassVar[int] = 0  #: the weight code of a lane that is not there
    unit: ClassVar[int] = 1  #: a number of which every reconstruction is a multiple
    dtype: ClassVar[type[np.generic]] = np.int32  #: of an array of codes

    def __post_init__(self) -> None:
        if not 2 <= self.format.width <= 32:
            raise ValueError(f"Width of a fixed-point quantity must be 2 to 32 bits, not {self.format.width!r}")

    @property
    def code_format(self) -> Format:
        """Format of a code as an integer."""
        return Format(self.format.width, signed=self.format.signed)

    @property
    def code_range(self) -> tuple[int, int]:
        """The smallest and the largest code."""
        return self.format.min, self.format.max

    @property
    def width(self) -> int:
        """Bits of a code."""
        return self.format.width

    @property
    def frac(self) -> int:
        """Fraction bits of a reconstruction."""
        return self.format.frac

    @property
    def bound(self) -> int:
        """Largest size of a reconstruction."""
        return max(-self.format.min, self.format.max)

    def widening(self, frac: int) -> int:
        """Fraction bits appended to a value that has only ``frac`` of them, before it is narrowed."""
        return max(0, self.frac - frac)

    def narrowing(self, source: Format) -> NarrowSpec:
        """From ``source``, with its ``widening`` appended, to the stored format."""
        up = self.widening(source.frac)
        wide = Format(source.width + up, source.frac + up, source.signed)
        return NarrowSpec(source=wide, target=self.format, rounding=self.rounding, overflow=self.overflow)

    def quantize(self, x: ArrayLike, frac: int) -> Ints:
        """Codes of stored integers ``x`` with ``frac`` fraction bits; any shape."""
        up = self.widening(frac)
        return self.narrowing(Format(62 - up, frac)).compute(np.asarray(x, np.int64) << up)

    def reconstruct(self, code: ArrayLike) -> Ints:
        """Stored integers (``frac`` fraction bits) of codes; any shape."""
        return np.asarray(code, np.int64)
