"""Shift normalization: batch normalization of which a subtraction and wires are left in hardware.

Source: Li, Wang, Liu, Han, Li, "Simulate-the-hardware: Training Accurate Binarized Neural Networks for Low-Precision
Neural Accelerators"; the learned gain and offset, which cost no hardware, are those of batch normalization.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.spec import Format, ShiftNormSpec
from model.straight_through import through

EPS = 1e-5  #: added to a variance
LEAST_GAIN = 2.0**-8
LEAST_EXPONENT = -8


class ShiftNorm(nn.Module):
    """``(x - mean) / 2**shift`` on stored integers, rounded down and clamped to ``target``.

    With batch mean m, deviation s, learned gain g (1 at first) and offset b (0 at first), ``2**shift`` is the power of
    two nearest to s / g (on the scale of logarithms), and ``mean`` the integer nearest to m - b ``2**shift`` in the
    range of ``source``. So an unsigned target is a ReLU too, and a signed one without integer bits a HardTanh.

    In training m is that of the batch, s the running one, and gradients pass straight through all that is rounded as if
    it were batch normalization: 0 only where the result is clamped. In ``eval()`` both are the running ones, and what
    is computed is :meth:`specs`, number for number.

    Parameters
    ----------
    channels
        Size of the second dimension of the inputs.
    source
        Format of x.
    target
        Format of the result.
    each
        Whether each channel has a shift and a mean of its own; else the layer has one of both.
    momentum
        Share of a batch in the running mean and variance; the first batch counts in full.

    Shapes: stored integers (batch, channels, ...) to stored integers of the same shape and type.

    Raises
    ------
    ValueError
        If a format has more than 23 bits (float32 holds their differences), or there is no channel.
    """

    running_mean: Tensor
    running_var: Tensor
    batches: Tensor

    def __init__(
        self, channels: int, *, source: Format, target: Format, each: bool = True, momentum: float = 0.1
    ) -> None:
        super().__init__()
        if channels < 1:
            raise ValueError(f"Number of channels must be at least 1, not {channels!r}")
        if (widest := max(source.width, target.width, target.frac)) > 23:
            raise ValueError(f"Formats of a normalization must have at most 23 bits, not {widest!r}")
        self.source, self.target, self.momentum = source, target, momentum
        self._units = channels if each else 1
        self.channels = channels
        self.gain = nn.Parameter(torch.ones(self._units))
        self.offset = nn.Parameter(torch.zeros(self._units))
        self.register_buffer("running_mean", torch.zeros(self._units))
        self.register_buffer("running_var", torch.ones(self._units))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Stored integers of ``source`` to those of ``target``."""
        shape = (1, self._units) + (1,) * (x.ndim - 2)
        mean, deviation = self._batch(x) if self.training else (self.running_mean, self._running_deviation())
        divisor = through(deviation / self._gain(), self._power())
        centre = through(mean - self.offset * divisor, self._centre(mean.detach()))
        exact = (x - centre.view(shape)) / (divisor * 2.0**-self.target.frac).view(shape)
        return through(exact, exact.detach().floor()).clamp(self.target.min, self.target.max)

    def specs(self) -> list[ShiftNormSpec]:
        """What ``eval()`` computes: one specification a channel, or one for all."""
        means, powers = self._centre(self.running_mean), self._exponent()
        return [
            ShiftNormSpec(source=self.source, mean=int(mean), shift=int(power) - self.source.frac, target=self.target)
            for mean, power in zip(means, powers, strict=True)
        ]

    def _batch(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of a batch, on which the running ones move."""
        across = [i for i in range(x.ndim) if i != 1 or self._units == 1]
        var, mean = (found.reshape(self._units) for found in torch.var_mean(x, across, correction=0))
        share = self.momentum if int(self.batches) else 1.0
        with torch.no_grad():
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(var, share)
            self.batches += 1
        return mean, (var + EPS).sqrt()

    def _running_deviation(self) -> Tensor:
        return (self.running_var + EPS).sqrt()

    def _gain(self) -> Tensor:
        return through(self.gain, self.gain.detach().clamp(min=LEAST_GAIN))

    def _exponent(self) -> Tensor:
        """Of the power of two that a stored integer is divided by; beyond the upper end all results would be alike."""
        nearest = (self._running_deviation() / self._gain()).detach().log2().round()
        return nearest.clamp(LEAST_EXPONENT, self.source.width + self.target.width)

    def _power(self) -> Tensor:
        return (2.0 ** self._exponent().double()).to(self.running_var.dtype)  # in float32 it need not be exact

    def _centre(self, mean: Tensor) -> Tensor:
        """Integers that are subtracted."""
        return (mean - self.offset.detach() * self._power()).round().clamp(self.source.min, self.source.max)

    def extra_repr(self) -> str:
        """What is printed of it."""
        return f"{self.channels}, source={self.source}, target={self.target}, each={self._units == self.channels}"
