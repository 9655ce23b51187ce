"""Binarized convolutional networks with sums by limited adders: that of the small-pipeline rule, and a plain one.

Source: Li, Wang, Liu, Han, Li, "Simulate-the-hardware", whose network is eight 3 x 3 convolutions of 16 channels and a
fully connected layer; where it pools is ours.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from torch import Tensor, nn

from model.overflow_layers import OverflowConv2d, OverflowLinear
from model.pipeline_rule import Rule
from model.shift_norm import ShiftNorm
from model.spec import Format, SumSpec
from model.straight_through import through

#: Format of an exact sum where no adder has limits.
EXACT = Format(20)
#: Classes are compared by their sums; a loss takes them by so much smaller.
LOGIT_SCALE = 1 / 16


class Norm(StrEnum):
    """What stands between a sum and the next convolution."""

    SHIFT = "shift"  #: :class:`model.shift_norm.ShiftNorm`
    BATCH = "batch"  #: batch normalization in floating point, then the same narrowing


@dataclass(frozen=True, kw_only=True)
class CnnConfig:
    """A network of 3 x 3 convolutions, each normalized to unsigned activations, pooled by 2 where ``pools`` says.

    Parameters
    ----------
    channels
        Of each convolution.
    pools
        After which of them, counted from 1, the maximum of 2 x 2 sums is taken.
    adders
        The rule of all sums; without a width they are exact.
    norm
        What follows each convolution.
    frac
        Fraction bits of the activations, which have 8 bits.
    image
        Channels, height and width.
    classes
        How many.
    float_weights
        Whether it is the float network of the same shape instead: ``nn.Conv2d``, batch normalization and ReLU.
    """

    channels: tuple[int, ...]
    pools: tuple[int, ...]
    adders: SumSpec = SumSpec(width=8)
    norm: Norm = Norm.SHIFT
    frac: int = 2
    image: tuple[int, int, int] = (3, 32, 32)
    classes: int = 10
    float_weights: bool = False

    @property
    def format(self) -> Format:
        """Of an activation."""
        return Format(8, self.frac, signed=False)


def rule_config(eta: float | None = None, bits: int = 8, **settings: object) -> CnnConfig:
    """Eight convolutions of 16 channels (K3S1C16), or as many as the rule allows with ``eta``.

    Pooled behind the first, third and fifth: the last sums of images of 28 x 28 then are as long as the others.
    """
    channels = 16 if eta is None else Rule(bits=bits, eta=eta).limit() // 9
    return replace(CnnConfig(channels=(channels,) * 8, pools=(1, 3, 5)), **settings)  # type: ignore[arg-type]


def plain_config(**settings: object) -> CnnConfig:
    """Four convolutions of 64 channels, of 576 products a sum; pooled three times."""
    return replace(CnnConfig(channels=(64,) * 4, pools=(1, 2, 3)), **settings)  # type: ignore[arg-type]


def overflow_cnn(config: CnnConfig) -> nn.Sequential:
    """The network, for images of pixels from 0 to 1."""
    channels, *sides = config.image
    layers: list[nn.Module] = [Pixels()]
    for number, outputs in enumerate(config.channels, 1):
        layers.append(_convolution(channels, outputs, config))
        if number in config.pools:
            layers.append(nn.MaxPool2d(2))
            sides = [side // 2 for side in sides]
        layers += _norm(outputs, config)
        channels = outputs
    inputs = channels * sides[0] * sides[1]
    if config.float_weights:
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs, config.classes))
    classes = OverflowLinear(inputs, config.classes, spec=config.adders)
    return nn.Sequential(*layers, nn.Flatten(), classes, Scale())


def rule_network() -> nn.Sequential:
    """K3S1C16 with adders of 8 bits, for images of 3 x 32 x 32."""
    return overflow_cnn(rule_config())


def plain_network() -> nn.Sequential:
    """The plain one with adders of 8 bits, for images of 3 x 32 x 32."""
    return overflow_cnn(plain_config())


def on_adders(network: nn.Sequential, adders: SumSpec) -> nn.Sequential:
    """A copy with the same weights whose sums are made by other adders."""
    changed = copy.deepcopy(network)
    for module in changed.modules():
        if isinstance(module, OverflowConv2d | OverflowLinear):
            module.spec = adders
        if isinstance(module, ShiftNorm):
            module.source = adders.limit or EXACT
    return changed


class Pixels(nn.Module):
    """Pixels from 0 to 1 as signed integers of 8 bits: 255 steps, minus 128."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) of both."""
        return (x * 255).round() - 128


class Scale(nn.Module):
    """Sums of classes, made smaller for the loss."""

    def forward(self, x: Tensor) -> Tensor:
        """Integers to multiples of ``LOGIT_SCALE``."""
        return x * LOGIT_SCALE


class StoredBatchNorm(nn.BatchNorm2d):
    """Batch normalization in floating point, rounded down and clamped to a format: stored integers."""

    def __init__(self, channels: int, target: Format) -> None:
        super().__init__(channels)
        self.target = target

    def forward(self, input: Tensor) -> Tensor:
        """Stored integers (batch, channels, height, width) to those of ``target``."""
        exact = super().forward(input) * 2.0**self.target.frac
        return through(exact, exact.detach().floor()).clamp(self.target.min, self.target.max)


def _convolution(channels: int, outputs: int, config: CnnConfig) -> nn.Module:
    if config.float_weights:
        return nn.Conv2d(channels, outputs, 3, padding=1, bias=False)
    return OverflowConv2d(channels, outputs, 3, padding=1, bias=False, spec=config.adders)


def _norm(channels: int, config: CnnConfig) -> Sequence[nn.Module]:
    if config.float_weights:
        return nn.BatchNorm2d(channels), nn.ReLU()
    if config.norm is Norm.BATCH:
        return (StoredBatchNorm(channels, config.format),)
    return (ShiftNorm(channels, source=config.adders.limit or EXACT, target=config.format),)
