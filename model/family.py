"""The family of networks: which quantities are binarized in each, and the formats of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from model.spec import GATES, FixedSpec, Format, PwlSpec, Rounding


class Family(StrEnum):
    """A kind of network. All but the first have hardware."""

    FLOAT = "float"  #: ``torch.nn.LSTM``, the baseline of accuracy
    FIXED32 = "fixed32"  #: words of 32 bits, the baseline of hardware
    B_LSTM = "b_lstm"  #: x and W_x are binarized by sign alone: one level, factor 1
    MUBINN1 = "mubinn1"  #: x and W_x are binarized with powers of two
    MUBINN2 = "mubinn2"  #: everything is binarized


class FactorRule(StrEnum):
    """What a scaling factor may be."""

    FREE = "free"  #: any fixed-point number
    POW2 = "pow2"  #: a power of two


WEIGHTS = ("wx", "wh", "b", "dense_w", "dense_b")

#: What is binarized; everything else is in fixed point.
BINARIZED: Mapping[Family, tuple[str, ...]] = {
    Family.FIXED32: (),
    Family.B_LSTM: ("x", "wx"),
    Family.MUBINN1: ("x", "wx"),
    Family.MUBINN2: ("x", "h", "c", "gates", *WEIGHTS),
}

#: Rules for the factors of each family, the default first; elsewhere there is no choice.
FACTOR_RULES: Mapping[Family, tuple[FactorRule, ...]] = {
    Family.MUBINN1: (FactorRule.POW2,),
    Family.MUBINN2: (FactorRule.FREE, FactorRule.POW2),
}


def _activation(function: str, source: Format, target: Format, segments: int) -> PwlSpec:
    return PwlSpec.fit(function, source=source, target=target, segments=segments)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class NumberChoice:
    """The formats of a network that training does not learn.

    Parameters
    ----------
    source
        Format of the input samples (standardized, so that one unit is one standard deviation).
    activation_frac, weight_frac
        Fraction bits of the scaling factors of activations and of weights.
    factor_bits
        Width of a scaling factor.
    gate_offset
        Offset of the sigmoid gates' binarization, a multiple of ``2**-activation_frac``. 0.5 centres it on
        the sigmoid's range; 0 is the paper's, whose first sign is then always +1.
    word
        Format of what is stored in fixed point.
    unit
        The same for gates and h, which never exceed 1: the word without the bits that only repeat the sign.
    sigmoid, tanh
        The activation functions.
    """

    source: Format = Format(8, 5)
    activation_frac: int = 6
    weight_frac: int = 8
    factor_bits: int = 10
    gate_offset: float = 0.5
    word: Format = Format(32, 20)
    unit: Format = Format(22, 20)
    sigmoid: PwlSpec = field(
        default_factory=lambda: _activation("sigmoid", Format(10, 6), Format(8, 8, signed=False), 32)
    )
    tanh: PwlSpec = field(default_factory=lambda: _activation("tanh", Format(9, 6), Format(8, 7), 32))

    @classmethod
    def of(cls, family: Family, word: Format = word) -> NumberChoice:
        """The choice for a family; where gates are in fixed point, the activations are as fine as ``word``."""
        if "gates" in BINARIZED[family]:
            return cls()
        unit, fine = Format(word.frac + 2, word.frac), min(word.frac, 12)
        source = Format(fine + 4, fine)  # -8 to 8
        return cls(
            source=cls.source if "x" in BINARIZED[family] else word,
            word=word,
            unit=unit,
            sigmoid=_activation("sigmoid", source, Format(word.frac + 1, word.frac, signed=False), 256),
            tanh=_activation("tanh", source, unit, 256),
        )

    def offset(self, gate: int) -> int:
        """Stored integer of the offset of a gate's binarization."""
        return 0 if GATES[gate] == "g" else round(self.gate_offset * (1 << self.activation_frac))

    def fixed(self, name: str) -> FixedSpec:
        """How a quantity is stored that is not binarized."""
        rounding = Rounding.NEAREST_EVEN if name in WEIGHTS else Rounding.FLOOR
        return FixedSpec(format=self.unit if name in ("gates", "h") else self.word, rounding=rounding)
