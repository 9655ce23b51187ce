"""How a network with weights of few bits is retrained."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from model.classifier import FitConfig
from model.stepsize.best_step import Per
from model.stepsize.errors import StepSizeError
from model.stepsize.quantizer import top_code
from model.stepsize.rounding import StepRule

GRADES = (6, 4, 3, 2)  #: bits of the stages of GRADUAL


class Scheme(StrEnum):
    """The schemes of Shin, Boo and Sung, and LSQ (Esser et al. 2020)."""

    DIRECT = "direct"
    CONVENTIONAL = "conventional"
    ADAPTIVE = "adaptive"
    GRADUAL = "gradual"
    ADAPTIVE_GRADUAL = "adaptive-gradual"
    LSQ = "lsq"

    @property
    def adaptive(self) -> bool:
        """Whether steps are found again for the weights as they move."""
        return self in (Scheme.ADAPTIVE, Scheme.ADAPTIVE_GRADUAL)

    @property
    def searched(self) -> bool:
        """Whether steps are searched by evaluation, before a stage, in which they stay."""
        return self in (Scheme.CONVENTIONAL, Scheme.GRADUAL)


class Update(StrEnum):
    """When the adaptive schemes find steps again: before every epoch of a stage, or only behind its first."""

    EPOCH = "epoch"
    ONCE = "once"


@dataclass(frozen=True, kw_only=True)
class RetrainConfig:
    """What a network is retrained with.

    Parameters
    ----------
    scheme, update
        How, and when an adaptive scheme acts.
    bits
        Of a weight at the end, 2 to 16.
    per
        What has a step of its own.
    steps
        What steps may be.
    search_samples
        Samples of the validation split on which steps are searched (``Scheme.searched``).
    fit
        Epochs in all, batches, largest learning rate (cosine to zero in each stage), augmentation, seed.

    Raises
    ------
    StepSizeError
        If a number is out of range, or there are fewer epochs than stages.
    """

    scheme: Scheme = Scheme.ADAPTIVE
    update: Update = Update.EPOCH
    bits: int = 3
    per: Per = Per.LAYER
    steps: StepRule = field(default_factory=StepRule)
    search_samples: int = 1000
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        top_code(self.bits)
        if self.search_samples < 1:
            raise StepSizeError(f"Number of samples of the search must be at least 1, not {self.search_samples!r}")
        if self.fit.epochs < len(self.stages):
            raise StepSizeError(
                f"Number of epochs of {self.scheme} to {self.bits} bits must be at least {len(self.stages)}, "
                f"one a stage, not {self.fit.epochs!r}"
            )

    @property
    def stages(self) -> tuple[int, ...]:
        """Bits of each; none where nothing is retrained."""
        if self.scheme is Scheme.DIRECT:
            return ()
        if self.scheme in (Scheme.GRADUAL, Scheme.ADAPTIVE_GRADUAL):
            return (*(bits for bits in GRADES if bits > self.bits), self.bits)
        return (self.bits,)

    @property
    def epochs(self) -> tuple[int, ...]:
        """Of each stage: equal shares, what is left over to the last."""
        if not self.stages:
            return ()
        each, rest = divmod(self.fit.epochs, len(self.stages))
        return (*(each,) * (len(self.stages) - 1), each + rest)
