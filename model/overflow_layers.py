"""Drop-in layers whose sums are made by adders of limited width, and counts of where those saturate.

    layer = OverflowLinear(256, 10, spec=SumSpec(width=12))
    with counting(model) as counts:
        model(x)
    counts["features.0"].counts  # saturations, (levels, outputs)

Source: Li, Wang, Liu, Han, Li, "Simulate-the-hardware: Training Accurate Binarized Neural Networks for Low-Precision
Neural Accelerators".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.spec import SumSpec
from model.spec.step_size import largest_weight
from model.straight_through import through
from model.sum_conv import summed_convolution, windows_of
from model.sums import saturation_counts, summed_product


@dataclass
class SaturationCount:
    """Saturations of a layer.

    Attributes
    ----------
    counts
        How many nodes saturated, int64, shape (levels, outputs): levels of the sum from the summands on, and units of
        the layer (channels of a convolution).
    sums
        How many sums of each unit were made: samples, times places of a convolution.
    """

    counts: Tensor
    sums: int = 0


class _OverflowLayer(nn.Module):
    """What the layers share: integer weights with straight-through gradients, the product, the count."""

    weight: Tensor
    bias: Tensor | None
    count: SaturationCount | None

    def _set_up(self, spec: SumSpec, weight_bits: int, x_max: int | None) -> None:
        if not 1 <= weight_bits <= 8:
            raise ValueError(f"Weight bits of a layer must be 1 to 8, not {weight_bits!r}")
        self.spec, self.weight_bits, self.x_max, self.count = spec, weight_bits, x_max, None
        with torch.no_grad():
            self.weight.uniform_(-self.largest_weight, self.largest_weight)
            if self.bias is not None:
                self.bias.zero_()

    @property
    def largest_weight(self) -> int:
        """Largest size of a weight as an integer."""
        return largest_weight(self.weight_bits)

    def integer_weight(self) -> Tensor:
        """The weights that multiply, shape of ``weight``: signs (0 is +1), or rounded and clamped."""
        size, w = self.largest_weight, self.weight
        kept = w.clamp(-size, size)
        with torch.no_grad():
            integers = torch.where(w >= 0, 1.0, -1.0).to(w.dtype) if self.weight_bits == 1 else kept.round()
        return through(kept, integers)

    @staticmethod
    def _check(x: Tensor) -> None:
        if not bool((x.detach().floor() == x.detach()).all()):
            raise ValueError("Inputs of an overflow layer must be integers, not fractions")

    def levels(self) -> int:
        """Levels of nodes of a sum."""
        return self.spec.levels(self.weight[0].numel() + (self.bias is not None))


class OverflowLinear(_OverflowLayer, nn.Linear):
    """``nn.Linear`` on integers, its sums made by the nodes of ``spec``.

    Weights are +-1 by the sign of ``weight``, or integers; gradients pass straight through where ``weight`` is within
    the range of those, and through nodes as :func:`model.sums.summed_product` says. The bias is rounded, and the
    last summand of each sum.

    Parameters
    ----------
    in_features, out_features, bias, device, dtype
        As for ``nn.Linear``; but weights begin uniform over their range, and the bias at 0.
    spec
        The rule of the sums.
    weight_bits
        1 for +-1; 2 to 8 for integers of up to ``2**(weight_bits - 1) - 1`` in size.
    x_max
        Largest size of an input; taken from the inputs if not given.

    Shapes are those of ``nn.Linear``: integers (..., in_features), 1 to 8 bits is what is fast, to integers
    (..., out_features).

    Raises
    ------
    ValueError
        If the weight bits are out of range; in ``forward`` if an input is no integer or larger than ``x_max``.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        spec: SumSpec,
        weight_bits: int = 1,
        x_max: int | None = None,
    ) -> None:
        nn.Linear.__init__(self, in_features, out_features, bias, device, dtype)
        self._set_up(spec, weight_bits, x_max)

    def forward(self, input: Tensor) -> Tensor:
        """Integers (..., in_features) to integers (..., out_features)."""
        self._check(input)
        rows = input.reshape(-1, self.in_features)
        if self.count is not None:
            self.count.sums += len(rows)
        w, bias = self.integer_weight(), None if self.bias is None else through(self.bias, self.bias.detach().round())
        if self.count is not None:
            self.count.counts += saturation_counts(rows, w, self.spec, bias=bias).to(self.count.counts.device)
        sums = summed_product(rows, w, self.spec, bias=bias, x_max=self.x_max)
        return sums.view(*input.shape[:-1], self.out_features)


class OverflowConv2d(_OverflowLayer, nn.Conv2d):
    """``nn.Conv2d`` on integers, its sums made by the nodes of ``spec``.

    The summands of an output are in the order of ``weight[output].flatten()``: channel, row, column; padding
    counts as zeros. All else as in :class:`OverflowLinear`.

    Parameters
    ----------
    in_channels, ..., dtype
        As for ``nn.Conv2d``; of groups, each has its own sums.
    spec, weight_bits, x_max
        As for :class:`OverflowLinear`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Any = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        spec: SumSpec,
        weight_bits: int = 1,
        x_max: int | None = None,
    ) -> None:
        more = (stride, padding, dilation, groups, bias, padding_mode, device, dtype)
        nn.Conv2d.__init__(self, in_channels, out_channels, kernel_size, *more)
        self._set_up(spec, weight_bits, x_max)

    def forward(self, input: Tensor) -> Tensor:
        """Integers (batch, in_channels, height, width), or without batch, to integers of ``nn.Conv2d``'s shape."""
        if input.ndim == 3:
            return self.forward(input[None])[0]
        self._check(input)
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        padded = functional.pad(input, self._reversed_padding_repeated_twice, mode=mode)
        bias = None if self.bias is None else through(self.bias, self.bias.detach().round())
        w, each, sums = self.integer_weight(), self.out_channels // self.groups, []
        for group, channels in enumerate(padded.chunk(self.groups, 1)):
            outputs = slice(group * each, (group + 1) * each)
            sums.append(self._convolved(channels, w[outputs], None if bias is None else bias[outputs], outputs))
        if self.count is not None:
            self.count.sums += sums[0][:, 0].numel()
        return sums[0] if self.groups == 1 else torch.cat(sums, 1)

    def _convolved(self, x: Tensor, w: Tensor, bias: Tensor | None, outputs: slice) -> Tensor:
        """Sums of these outputs of the layer, from their channels."""
        places: dict[str, Any] = {"stride": self.stride, "dilation": self.dilation}
        if self.count is not None:
            rows = windows_of(x, (w.shape[2], w.shape[3]), **places)
            self.count.counts[:, outputs] += saturation_counts(rows, w.flatten(1), self.spec, bias=bias).to(
                self.count.counts.device
            )
        return summed_convolution(x, w, self.spec, bias=bias, x_max=self.x_max, **places)


@contextmanager
def counting(model: nn.Module) -> Iterator[dict[str, SaturationCount]]:
    """Count the saturations of every overflow layer in ``model`` while this lasts; by the layer's name in it.

    Outside nothing is counted, and nothing is spent on it.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, _OverflowLayer)}
    for layer in layers.values():
        counts = torch.zeros(layer.levels(), len(layer.weight), dtype=torch.int64, device=layer.weight.device)
        layer.count = SaturationCount(counts)
    try:
        yield {name: layer.count for name, layer in layers.items() if layer.count is not None}
    finally:
        for layer in layers.values():
            layer.count = None
