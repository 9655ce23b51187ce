"""Aggregated layers: the division of a normalization is inside the sum, so that less of it overflows.

Source: equations (4) to (7) of Li, Wang, Liu, Han, Li, "Simulate-the-hardware: Training Accurate Binarized Neural
Networks for Low-Precision Neural Accelerators".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from model.overflow_layers import OverflowConv2d, OverflowLinear
from model.spec import AggregatedSumSpec, Overflow
from model.straight_through import through
from model.sum_machine import wrap_


class _Aggregated(nn.Module):
    """What the layers share: one overflow layer a group of inputs, and the sum of their quotients."""

    def _set_up(self, parts: Sequence[nn.Module], outputs: int, bias: bool, spec: AggregatedSumSpec) -> None:
        self.spec, self.parts = spec, nn.ModuleList(parts)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Integers of the layer without aggregation to integers of the same shape."""
        inputs = x.chunk(len(self.parts), 1)
        sums = [part(channels) for part, channels in zip(self.parts, inputs, strict=True)]
        divisor = 2.0**self.spec.shift
        quotients = [through(total / divisor, (total.detach() / divisor).floor()) for total in sums]
        if self.bias is not None:
            bias = through(self.bias, self.bias.detach().round())
            quotients.append(bias.view(-1, *[1] * (x.ndim - 2)).expand_as(quotients[0]))
        return self.spec.rule.walk(quotients, self._node).clamp(*self.spec.ends)

    def _node(self, members: Sequence[Tensor], shift: int, level: int) -> Tensor:
        """A node as :class:`SumSpec` says; gradients as :func:`model.sums.summed_product` has them."""
        rule = self.spec.rule
        total = sum(members[1:], members[0]) / 2.0**shift
        total = through(total, total.detach().floor()) if shift else total
        if rule.limit is None:
            return total
        if rule.overflow is Overflow.SATURATE:
            return total.clamp(rule.limit.min, rule.limit.max)
        wrapped = total.detach().clone()
        wrap_(wrapped, rule.limit)
        return through(total, wrapped)


class AggregatedLinear(_Aggregated):
    """A fully connected layer and the division behind it, as :class:`AggregatedSumSpec` says; on (batch, in_features).

    All as in :class:`AggregatedConv2d`; a group is a run of ``in_features / G`` inputs.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, spec: AggregatedSumSpec, **settings: Any
    ) -> None:
        super().__init__()
        each = spec.size(in_features, "inputs")
        layers = [OverflowLinear(each, out_features, False, spec=spec.rule, **settings) for _ in range(spec.groups)]
        self._set_up(layers, out_features, bias, spec)


class AggregatedConv2d(_Aggregated):
    """A convolution and the division behind it, as :class:`AggregatedSumSpec` says; (batch, channels, height, width).

    Exactly this is computed, for each output: the input channels are G contiguous groups. The products of each (in the
    order channel, row, column) are summed by the nodes of ``spec.rule``; the sum is divided by ``2**spec.shift``,
    rounded down. These G quotients, and then the rounded bias (in place of -mean / ``2**shift``), are summed by
    the nodes of the same rule. ReLU or HardTanh follows. Gradients pass straight through what is rounded, and are 0
    where a node or the HardTanh is clipped.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, bias
        As for ``nn.Conv2d``; the bias begins at 0.
    spec
        Groups, divisor, form and nodes.
    settings
        More for :class:`model.overflow_layers.OverflowConv2d`: ``padding``, ``stride``, ``weight_bits``, ...

    Raises
    ------
    ValueError
        If the channels are no multiple of the groups, or as said there.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        bias: bool = True,
        *,
        spec: AggregatedSumSpec,
        **settings: Any,
    ) -> None:
        super().__init__()
        each = spec.size(in_channels, "channels")
        layers = [
            OverflowConv2d(each, out_channels, kernel_size, bias=False, spec=spec.rule, **settings)
            for _ in range(spec.groups)
        ]
        self._set_up(layers, out_channels, bias, spec)
