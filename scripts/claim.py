"""A claim that :mod:`scripts.proofs` proves."""

from __future__ import annotations

from dataclasses import dataclass

from rtl.unit import Unit


@dataclass(frozen=True, kw_only=True)
class Claim:
    """``optimized`` equals ``plain``, or its golden function where that is None (every input is simulated)."""

    claim: str
    size: str
    optimized: Unit
    plain: Unit | None = None
