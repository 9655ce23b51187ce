"""What is added to a loss so that weights come near to +1 and -1, where binarization does not change them.

Source: Li, Wang, Liu, Han, Li, "Simulate-the-hardware", which has the cosine and compares it with 1 - w**2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn

from model.overflow_layers import OverflowConv2d, OverflowLinear


def cosine_penalty(weights: Iterable[Tensor], strength: float) -> Tensor:
    """``strength * (cos(pi w) + 1)``, summed over all weights, each clipped to -1 ... 1: 0 at both ends, flat there."""
    return strength * _total(torch.cos(math.pi * w) + 1 for w in _clipped(weights))


def parabola_penalty(weights: Iterable[Tensor], strength: float) -> Tensor:
    """``strength * (1 - w**2)``, summed over all weights, each clipped to -1 ... 1: 0 at both ends, steepest there."""
    return strength * _total(1 - w.square() for w in _clipped(weights))


class Kind(StrEnum):
    """Which penalty."""

    COSINE = "cosine"
    PARABOLA = "parabola"


@dataclass(frozen=True)
class Regularizer:
    """A penalty of the binarized weights of a network, for :func:`model.classifier.fit`."""

    kind: Kind
    strength: float

    def __call__(self, network: nn.Module) -> Tensor:
        """What is added to the loss."""
        penalty = cosine_penalty if self.kind is Kind.COSINE else parabola_penalty
        return penalty(binarized_weights(network), self.strength)


def binarized_weights(model: nn.Module) -> Iterator[Tensor]:
    """The weights of those layers of a model that multiply by +-1."""
    for module in model.modules():
        if isinstance(module, OverflowLinear | OverflowConv2d) and module.weight_bits == 1:
            yield module.weight


def _clipped(weights: Iterable[Tensor]) -> Iterator[Tensor]:
    return (w.clamp(-1, 1) for w in weights)


def _total(values: Iterable[Tensor]) -> Tensor:
    return torch.stack([value.sum() for value in values] or [torch.zeros(())]).sum()
