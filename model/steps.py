"""Steps of weights that are small integers times a step: those with the least squared error, found again and again."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.family import FactorRule
from model.spec import StepSpec
from model.stepsize import qstep
from model.stepsize.quantizer import codes, l2_error, spread
from model.stepsize.rounding import Kind, StepRule


class Steps(nn.Module):
    """The steps of some groups of weights, as stored integers of ``frac`` fraction bits; not learned.

    :meth:`initialize` finds them; training calls it after every epoch (Shin, Boo, Sung). ``forward`` gives them, shape
    (groups, 1), as :class:`model.factors.Factors` gives factors of one level.

    Parameters
    ----------
    groups
        One, or one a gate.
    bits
        Of a weight, 2 to 8.
    frac, step_bits
        Fraction bits and width of a step.
    rule
        What a step may be.
    """

    stored: Tensor

    def __init__(self, groups: int, bits: int, frac: int, step_bits: int, rule: FactorRule = FactorRule.FREE) -> None:
        super().__init__()
        self.groups, self.bits, self.frac = groups, bits, frac
        pow2 = rule is FactorRule.POW2
        self._rule = StepRule(kind=Kind.POW2) if pow2 else StepRule(kind=Kind.FIXED, frac=frac)
        self._largest = 1 << (step_bits - 1) if pow2 else (1 << step_bits) - 1
        self.register_buffer("stored", torch.ones(groups, dtype=torch.int64))

    @torch.no_grad()
    def initialize(self, samples: list[Tensor]) -> None:
        """The steps for one tensor of weights a group; of weights that are all 0, any."""
        for group, weights in enumerate(samples):
            self.stored[group] = self._best(weights.detach()) if weights.any() else 1

    def _best(self, weights: Tensor) -> int:
        """Of the numbers next to the exact step, below and above, the one with the smaller error."""
        near = self._rule.neighbours(torch.tensor([qstep(weights, self.bits)], dtype=torch.float64))
        units = sorted({int((step * 2.0**self.frac).round().clamp(1, self._largest)) for step in near})
        return min(units, key=lambda unit: l2_error(weights, unit * 2.0**-self.frac, self.bits))

    def specs(self) -> tuple[StepSpec, ...]:
        """One specification a group."""
        return tuple(StepSpec(bits=self.bits, step=step, frac=self.frac) for step in self.stored.tolist())

    def forward(self) -> Tensor:
        return self.stored[:, None].double() * 2.0**-self.frac

    def quantized(self, weights: Tensor) -> Tensor:
        """Weights, the groups along the first axis, as they are stored; gradients pass straight through."""
        steps = self().flatten()
        exact = (codes(weights, steps, self.bits) * spread(steps, weights)).to(weights.dtype)
        return exact + (weights - weights.detach())
