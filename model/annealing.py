"""Chance and learning rate of a training loop that is the same, continued after any epoch, as an unbroken one."""

from __future__ import annotations

import math

import torch


def chance_of(seed: int, epoch: int) -> torch.Generator:
    """Random numbers of an epoch; they depend on nothing that happened before it."""
    return torch.Generator().manual_seed(seed * 100_003 + epoch)


def anneal(optimizer: torch.optim.Optimizer, rate: float, step: int, steps: int) -> None:
    """Learning rates of one of all the steps: a cosine from ``rate`` to zero, times the ``ratio`` of a group."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("ratio", 1.0) * 0.5 * (1 + math.cos(math.pi * (step / steps)))
