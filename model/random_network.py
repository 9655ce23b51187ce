"""Random networks, untrained but with every part at work: for checks of what is built from a network."""

from __future__ import annotations

import numpy as np
import torch

from model.family import WORD, FactorRule, Family, NumberChoice
from model.layers import HardwareNetwork
from model.mlp import networks_of
from model.scaling import Scaling, stored_samples
from model.spec import Pool


def random_network(
    *,
    features=3,
    hidden=5,
    classes=3,
    a=2,
    w=2,
    pool=Pool.LAST,
    steps=4,
    batch=3,
    seed=0,
    gain=2.0,
    family=Family.MUBINN2,
    factors=FactorRule.FREE,
    word=WORD,
    layers=1,
    sums=None,
    bits=3,
) -> tuple[HardwareNetwork, torch.Tensor]:
    """A network warm-started from a random float one, in ``eval()``, and standardized samples for it."""
    torch.manual_seed(seed)
    float_network, hardware_network = networks_of(family)
    network = float_network(features, hidden, classes, pool, layers)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(gain).add_(0.1 * torch.randn_like(parameter))
    x = 1.5 * torch.randn(batch, steps, features)
    mlb = hardware_network(
        features=features,
        hidden=hidden,
        classes=classes,
        activation_levels=a,
        weight_levels=w,
        pool=pool,
        max_steps=2 * steps,
        family=family,
        factors=factors,
        weight_bits=bits,
        numbers=NumberChoice.of(family, word, bits),
        layers=layers,
        sums=sums,
    )
    mlb.warm_start(network, x)
    return mlb.eval(), x


def stored(network: HardwareNetwork, x: torch.Tensor) -> np.ndarray:
    """Standardized samples as the stored integers of the input format."""
    return stored_samples(Scaling.identity(x.shape[2]), network.numbers.source, x.numpy())
