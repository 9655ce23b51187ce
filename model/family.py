"""The family of networks: which quantities are binarized in each, and the formats of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from model.spec import GATES, FixedSpec, Format, PwlSpec, Rounding, SumSpec


class Family(StrEnum):
    """A kind of network. All but the first have hardware."""

    FLOAT = "float"  #: ``torch.nn.LSTM``, the baseline of accuracy of all LSTM families
    FIXED32 = "fixed32"  #: words of 32 bits, the baseline of hardware
    B_LSTM = "b_lstm"  #: x and W_x are binarized by sign alone: one level, factor 1
    FIXED = "fixed"  #: weights are integers of 2 to 8 bits times a step; x and h are words of 8 bits
    MLP = "mlp"  #: the same, but dense layers with ReLU in place of LSTM layers: a multilayer perceptron
    BLSTM = "blstm"  #: W_x and W_h are signs; x and h are words of 8 bits, added by limited adders
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
    Family.FIXED: (),
    Family.MLP: (),
    Family.B_LSTM: ("x", "wx"),
    Family.BLSTM: ("wx", "wh"),
    Family.MUBINN1: ("x", "wx"),
    Family.MUBINN2: ("x", "h", "c", "gates", *WEIGHTS),
}

#: What is an integer times a step.
STEPPED: Mapping[Family, tuple[str, ...]] = {Family.FIXED: ("wx", "wh", "dense_w"), Family.MLP: ("w", "dense_w")}

#: Families whose layers add by the nodes of a rule, and that rule, if none is asked for.
ADDERS: Mapping[Family, SumSpec] = {Family.BLSTM: SumSpec(width=16, unit=16), Family.FIXED: SumSpec(width=None)}

#: Rules for the factors (or steps) of each family, the default first; elsewhere there is no choice.
FACTOR_RULES: Mapping[Family, tuple[FactorRule, ...]] = {
    Family.FIXED: (FactorRule.FREE, FactorRule.POW2),
    Family.MLP: (FactorRule.FREE, FactorRule.POW2),
    Family.BLSTM: (FactorRule.POW2, FactorRule.FREE),
    Family.MUBINN1: (FactorRule.POW2,),
    Family.MUBINN2: (FactorRule.FREE, FactorRule.POW2),
}


def _activation(function: str, source: Format, target: Format, segments: int) -> PwlSpec:
    return PwlSpec.fit(function, source=source, target=target, segments=segments)  # type: ignore[arg-type]


STEP_FRAC = 6  #: fraction bits of a step, but for one more for each bit of the weights

RELU_WORD = Format(8, 4, signed=False)  #: of what a layer with ReLU gives

WORD = Format(32, 20)  #: of a quantity in fixed point, where a family asks for no other


def plain_words(word: Format) -> dict[str, Format]:
    """``word`` for all; of gates and h, which never exceed 1, without the bits that only repeat the sign."""
    unit = Format(word.frac + 2, word.frac)
    return {"gates": unit, "h": unit, **dict.fromkeys(("x", "c", *WEIGHTS), word)}


def _fitted(unit: Format) -> dict[str, PwlSpec]:
    """sigmoid and tanh whose results are as fine as ``unit``, the format of a gate."""
    fine = min(unit.frac, 12)
    source = Format(fine + 4, fine)  # -8 to 8
    results = {"sigmoid": Format(unit.frac + 1, unit.frac, signed=False), "tanh": Format(unit.frac + 2, unit.frac)}
    return {function: _activation(function, source, result, 256) for function, result in results.items()}


@dataclass(frozen=True, kw_only=True)
class NumberChoice:
    """The formats of a network that training does not learn.

    Parameters
    ----------
    source
        Format of the input samples (standardized, so that one unit is one standard deviation).
    activation_frac, weight_frac
        Fraction bits of the scaling factors of activations, and of the factors or steps of weights.
    factor_bits
        Width of a scaling factor or step.
    gate_offset
        Offset of the sigmoid gates' binarization, a multiple of ``2**-activation_frac``. 0.5 centres it on
        the sigmoid's range; 0 is the paper's, whose first sign is then always +1.
    words
        Formats of what is stored in fixed point, by name: x, h, c, gates and those of ``WEIGHTS``.
    sigmoid, tanh
        The activation functions.
    """

    source: Format = Format(8, 5)
    activation_frac: int = 6
    weight_frac: int = 8
    factor_bits: int = 10
    gate_offset: float = 0.5
    words: Mapping[str, Format] = field(default_factory=lambda: plain_words(WORD))
    sigmoid: PwlSpec = field(
        default_factory=lambda: _activation("sigmoid", Format(10, 6), Format(8, 8, signed=False), 32)
    )
    tanh: PwlSpec = field(default_factory=lambda: _activation("tanh", Format(9, 6), Format(8, 7), 32))

    @classmethod
    def of(cls, family: Family, word: Format = WORD, weight_bits: int = 3) -> NumberChoice:
        """The choice for a family; where gates are in fixed point, the activations are as fine as ``word``.

        weight_bits: of weights that are integers times a step.
        """
        if "gates" in BINARIZED[family]:
            return cls()
        if family is Family.BLSTM:
            return cls._bytes()
        if family in STEPPED:
            # A step, and so the fraction bits it needs, halves with each bit; this leaves it 6 to 7 significant bits.
            frac = STEP_FRAC + weight_bits
            choice = cls._bytes()
            words = {**choice.words, "dense_b": Format(frac + 4, frac)}
            if family is Family.MLP:
                words["h"] = RELU_WORD
            return replace(choice, weight_frac=frac, words=words)
        words = plain_words(word)
        functions = _fitted(words["gates"])
        source = cls.source if "x" in BINARIZED[family] else word
        return cls(source=source, words=words, sigmoid=functions["sigmoid"], tanh=functions["tanh"])

    @classmethod
    def _bytes(cls) -> NumberChoice:
        """Activations of 8 bits: x in standard deviations up to 4, gates and h up to 1, c up to 16."""
        byte, c, bias, dense = Format(8, 7), Format(12, 7), Format(16, 10), Format(8, 5)
        words = {"x": cls.source, "h": byte, "c": c, "gates": byte, "b": bias, "dense_w": dense, "dense_b": dense}
        functions = _fitted(byte)
        return cls(words=words, sigmoid=functions["sigmoid"], tanh=functions["tanh"])

    def of_bits(self) -> NumberChoice:
        """The same for samples that are bits; a word has a sign, so one of these is two bits wide."""
        words = {**self.words, "x": Format(2)}
        # A bias must not be finer than the products, which have no fraction bits but those of the weights.
        words["b"] = Format(words["b"].width, min(words["b"].frac, self.weight_frac))
        return replace(self, source=Format(1, 0, signed=False), words=words)

    def offset(self, gate: int) -> int:
        """Stored integer of the offset of a gate's binarization."""
        return 0 if GATES[gate] == "g" else round(self.gate_offset * (1 << self.activation_frac))

    def fixed(self, name: str) -> FixedSpec:
        """How a quantity is stored that is not binarized."""
        rounding = Rounding.NEAREST_EVEN if name in WEIGHTS else Rounding.FLOOR
        return FixedSpec(format=self.words[name], rounding=rounding)
