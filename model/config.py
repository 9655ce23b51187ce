"""What a training run is."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum

from model.family import ADDERS, FACTOR_RULES, FactorRule, Family
from model.spec import MAX_BITS, MAX_LAYERS, MAX_LEVELS, Pool, SumSpec


class TrainingError(ValueError):
    """A run that cannot be trained or continued; one sentence."""


def check_run(*, decay: float, seed: int) -> None:
    """Raises TrainingError if weight decay or seed, which every run has, are out of range."""
    if not 0 <= decay <= 100:
        raise TrainingError(f"Weight decay must be 0 to 100, not {decay!r}")
    if not 0 <= seed < 1 << 32:
        raise TrainingError(f"Seed must be 0 to {(1 << 32) - 1}, not {seed!r}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What a training run is, apart from its data.

    Parameters
    ----------
    family
        What is trained. FLOAT ends with the float network; FIXED32 takes its weights as they are.
    activation_levels, weight_levels
        A and W, 1 to 5, of what MuBiNN1 and MuBiNN2 binarize.
    weight_bits
        Of FIXED and MLP, 2 to 8.
    factors
        What scaling factors or steps may be; of MuBiNN1 powers of two.
    layers, hidden
        Layers (LSTM, or of MLP dense with ReLU), and units of each.
    epochs_float, epochs
        Epochs of the float network and of the one for hardware.
    seed
        Of initial weights and of the order of the samples.
    pool
        Which hidden state the dense layer reads.
    batch, rate_float, rate
        Sequences a step, and the largest learning rates (cosine, to zero), at most 1.
    factor_rate
        Learning rate of the scaling factors, as a multiple of ``rate``.
    decay
        Weight decay (AdamW) of both phases.
    distill, temperature
        Share of the loss of the network for hardware, 0 to 1, that is its distance from what the float network says
        (Hinton, Vinyals, Dean 2015), and the temperature of both there.
    adders
        How BLSTM and FIXED add the products of a layer; units of 16 by a tree, if not told.
    epochs_adders, rate_adders
        Of these once more under these adders, after ``epochs`` with exact ones, where they can overflow. A rate as in
        the phase before them throws the network out of what it has learned: most gradients are cut at first.
    jitter
        Largest number of places by which the training sequences of a step are turned in time, all by the same random
        number: samples where steps are frames of one signal (``Dataset.hop``), else steps. 0 where each has a label.
    """

    family: Family = Family.MUBINN2
    activation_levels: int = 3
    weight_levels: int = 3
    weight_bits: int = 3
    factors: FactorRule = FactorRule.FREE
    layers: int = 1
    hidden: int = 32
    epochs_float: int = 60
    epochs: int = 60
    seed: int = 0
    pool: Pool = Pool.LAST
    batch: int = 32
    rate_float: float = 1e-2
    rate: float = 1e-2
    factor_rate: float = 0.05
    decay: float = 1e-4
    distill: float = 0.7
    temperature: float = 2.0
    jitter: int = 0
    adders: SumSpec = ADDERS[Family.BLSTM]
    epochs_adders: int = 20
    rate_adders: float = 1e-3

    def __post_init__(self) -> None:
        for name, value in (("activation", self.activation_levels), ("weight", self.weight_levels)):
            if not 1 <= value <= MAX_LEVELS:
                raise TrainingError(f"Number of {name} levels must be 1 to {MAX_LEVELS}, not {value!r}")
        if not 2 <= self.weight_bits <= MAX_BITS:
            raise TrainingError(f"Bits of a weight must be 2 to {MAX_BITS}, not {self.weight_bits!r}")
        if (rules := FACTOR_RULES.get(self.family)) and self.factors not in rules:
            raise TrainingError(f"Factors of {self.family.value} must be {rules[0].value}, not {self.factors.value!r}")
        for name, value, high in (
            ("layers", self.layers, MAX_LAYERS),
            ("hidden units", self.hidden, 1024),
            ("epochs", self.epochs, 100_000),
            ("float epochs", self.epochs_float, 100_000),
            ("epochs with adders", self.epochs_adders, 100_000),
            ("sequences a batch", self.batch, 65536),
        ):
            if not 1 <= value <= high:
                raise TrainingError(f"Number of {name} must be 1 to {high}, not {value!r}")
        rates = (("", self.rate), (" of the float network", self.rate_float), (" with adders", self.rate_adders))
        for name, value in rates:
            if not 0 < value <= 1:
                raise TrainingError(f"Learning rate{name} must be above 0 and at most 1, not {value!r}")
        if not 0 <= self.factor_rate <= 100:
            raise TrainingError(f"Rate of scaling factors must be 0 to 100, not {self.factor_rate!r}")
        if not 0 <= self.distill <= 1:
            raise TrainingError(f"Share of distillation must be 0 to 1, not {self.distill!r}")
        if not 1 <= self.temperature <= 100:
            raise TrainingError(f"Temperature of distillation must be 1 to 100, not {self.temperature!r}")
        if not 0 <= self.jitter <= 1 << 20:
            raise TrainingError(f"Jitter must be 0 to {1 << 20} places, not {self.jitter!r}")
        if self.jitter and self.pool is Pool.EACH:
            raise TrainingError(f"Jitter must be 0 where each step has a result, not {self.jitter!r}")
        check_run(decay=self.decay, seed=self.seed)

    def plain(self) -> dict[str, int | float | str]:
        """The configuration as plain values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        plain = {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}
        return {**plain, "adders": str(self.adders)}
