"""A claim that :mod:`scripts.proofs` proves, and the network of whose units it does where none is given."""

from __future__ import annotations

from dataclasses import dataclass

from model.family import NumberChoice
from model.spec import LstmSpec, MlbSpec
from rtl.unit import Unit


@dataclass(frozen=True, kw_only=True)
class Claim:
    """``optimized`` equals ``plain``, or its golden function where that is None (every input is simulated)."""

    claim: str
    size: str
    optimized: Unit
    plain: Unit | None = None


def example_lstm(levels: int = 3) -> LstmSpec:
    """A network with at most three levels everywhere and the formats that training uses."""

    numbers = NumberChoice()

    def gate(*factors: int, offset: int = numbers.offset(0)) -> MlbSpec:
        return MlbSpec(factors=factors[:levels], frac=numbers.activation_frac, offset=offset)

    weight = MlbSpec(factors=(90, 41, 20)[:levels], frac=numbers.weight_frac)
    weights = (weight, weight, weight, weight)
    return LstmSpec(
        features=8,
        hidden=32,
        x=gate(72, 33, 19, offset=0),
        h=gate(37, 22, 8, offset=0),
        c=gate(66, 33, 16, offset=0),
        gates=(gate(27, 9, 4), gate(20, 12, 3), gate(44, 21, 6, offset=0), gate(28, 11, 6)),
        wx=weights,
        wh=weights,
        b=weights,
        sigmoid=numbers.sigmoid,
        tanh=numbers.tanh,
    )
