"""What a step may be: any number, a power of two (a shift in hardware), or a fixed-point number (a small constant)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from model.stepsize.errors import StepSizeError

MAX_FRAC = 32


class Kind(StrEnum):
    """Which numbers."""

    FREE = "free"
    POW2 = "pow2"
    FIXED = "fixed"


@dataclass(frozen=True, kw_only=True)
class StepRule:
    """Which numbers steps are rounded to.

    Parameters
    ----------
    kind
        Any, powers of two, or multiples of 2^-frac from 1 of them on.
    frac
        Fraction bits of FIXED, 1 to 32; else 0.

    Raises
    ------
    StepSizeError
        If ``frac`` is out of range.
    """

    kind: Kind = Kind.FREE
    frac: int = 0

    def __post_init__(self) -> None:
        low, high = (1, MAX_FRAC) if self.kind is Kind.FIXED else (0, 0)
        if not low <= self.frac <= high:
            raise StepSizeError(f"Fraction bits of {self.kind} steps must be {low} to {high}, not {self.frac!r}")

    @classmethod
    def parse(cls, text: str) -> StepRule:
        """``free``, ``pow2``, or ``fixed:F`` with F fraction bits."""
        name, colon, frac = text.partition(":")
        if name == Kind.FIXED and colon and frac.isdecimal():
            return cls(kind=Kind.FIXED, frac=int(frac))
        if colon or name not in (Kind.FREE, Kind.POW2):
            raise StepSizeError(f"Steps must be free, pow2 or fixed:F with F fraction bits, not {text!r}")
        return cls(kind=Kind(name))

    def __str__(self) -> str:
        return f"{self.kind}:{self.frac}" if self.kind is Kind.FIXED else self.kind.value

    def neighbours(self, steps: Tensor) -> tuple[Tensor, ...]:
        """The numbers allowed next to each of ``steps``, below and above."""
        if self.kind is Kind.FREE:
            return (steps,)
        if self.kind is Kind.POW2:
            return tuple(torch.exp2(exponent) for exponent in (steps.log2().floor(), steps.log2().ceil()))
        units = steps * 2.0**self.frac
        return tuple(whole.clamp(min=1) * 2.0**-self.frac for whole in (units.floor(), units.ceil()))

    def round(self, steps: Tensor) -> Tensor:
        """The number allowed that is nearest to each of ``steps``."""
        found = self.neighbours(steps)
        return torch.where(steps - found[0] <= found[-1] - steps, found[0], found[-1])
