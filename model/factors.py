"""Scaling factors: learned ones, and powers of two that are searched."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from model.family import FactorRule
from model.spec import MlbSpec

SEARCH_SAMPLES = 4096  #: values of a quantity that a search of its factors looks at


class Factors(nn.Module):
    """Learned scaling factors: float masters, used as stored integers of ``frac`` fraction bits.

    ``forward`` gives them rounded, shape (groups, levels), with the gradient passed straight through. By
    ``FactorRule.POW2`` they are rounded to the power of two that is nearest in its logarithm.
    """

    def __init__(
        self,
        ranges: tuple[float, ...],
        levels: int,
        frac: int,
        bits: int,
        offset: tuple[int, ...] | None = None,
        rule: FactorRule = FactorRule.FREE,
    ) -> None:
        super().__init__()
        self.frac, self.bits, self.rule = frac, bits, rule
        self.offset = offset or (0,) * len(ranges)
        # ``a_i = range * 2**-i``: 2**levels equally spaced values across -range .. range.
        self.master = nn.Parameter(torch.tensor(ranges)[:, None] * 2.0 ** -torch.arange(1, levels + 1))

    @property
    def groups(self) -> int:
        """How many sets of factors there are: one, or one a gate."""
        return len(self.master)

    @torch.no_grad()
    def initialize(self, samples: list[Tensor]) -> None:
        """Greedy residual factors of one tensor of values a group: ``a_i = mean |r|``, then ``r -= s_i a_i``."""
        for group, values in enumerate(samples):
            rest = values.detach().double()
            for level in range(self.master.shape[1]):
                a = rest.abs().mean().clamp(min=2.0**-self.frac)
                self.master[group, level] = a
                rest = rest - torch.where(rest >= 0, 1.0, -1.0) * a

    def stored(self) -> Tensor:
        """The stored integers."""
        scaled = self.master.detach().double() * 2.0**self.frac
        if self.rule is FactorRule.POW2:
            exponent = scaled.clamp(min=1.0).log2().round().clamp(0, self.bits - 1)
            return torch.bitwise_left_shift(torch.ones_like(exponent, dtype=torch.long), exponent.long())
        return scaled.round().clamp(1, (1 << self.bits) - 1).long()

    def specs(self) -> tuple[MlbSpec, ...]:
        """One specification a group."""
        return tuple(
            MlbSpec(factors=tuple(row), frac=self.frac, offset=offset)
            for row, offset in zip(self.stored().tolist(), self.offset, strict=True)
        )

    def forward(self) -> Tensor:
        exact = self.stored().to(self.master.dtype) * 2.0**-self.frac
        return exact + (self.master - self.master.detach())


class SearchedFactors(Factors):
    """Factors that are a set of different powers of two, searched once and not learned.

    There are ``bits`` powers, from ``2**-frac`` on: of as many as there are levels, :meth:`initialize` takes the set
    whose greedy binarization has the smallest mean squared error. With one bit there is one set, {2**-frac}.
    """

    def __init__(self, groups: int, levels: int, frac: int, bits: int) -> None:
        super().__init__((1.0,) * groups, levels, frac, bits, rule=FactorRule.POW2)
        self.master.requires_grad_(False)
        # Until there are samples: the finest powers up to 1.
        self.master.copy_(torch.tensor([2.0**-level for level in range(levels)]).clamp(min=2.0**-frac))

    @torch.no_grad()
    def initialize(self, samples: list[Tensor]) -> None:
        """The best set of powers for one tensor of values a group."""
        for group, values in enumerate(samples):
            flat = values.detach().double().flatten().numpy()
            flat = flat[:: -(-len(flat) // SEARCH_SAMPLES)]
            best = min(self._sets(), key=lambda powers: _error(flat, powers))
            self.master[group] = torch.tensor(best)

    def _sets(self) -> list[tuple[float, ...]]:
        powers = [2.0 ** (exponent - self.frac) for exponent in reversed(range(self.bits))]
        return list(itertools.combinations(powers, self.master.shape[1]))


def _error(values: np.ndarray, factors: tuple[float, ...]) -> float:
    """Mean squared error of the greedy binarization."""
    rest = values
    for a in factors:
        rest = rest - np.where(rest >= 0, a, -a)
    return float(np.mean(rest * rest))
