"""The small-pipeline rule: whether the sums of a network's layers are short enough for their adders; a proof beside it.

Source of the rule, w h c <= (1 + eta) 2**bits: Li, Wang, Liu, Han, Li, "Simulate-the-hardware: Training Accurate
Binarized Neural Networks for Low-Precision Neural Accelerators".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import nn

from model.overflow_layers import OverflowConv2d, OverflowLinear
from model.spec import AdderTreeSpec, Format, SumSpec
from model.spec.step_size import largest_weight

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
_RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What sums are held against.

    Parameters
    ----------
    bits
        Of an adder, 2 to 32.
    eta
        How much more than ``2**bits`` summands may be, at least 0.
    activation_bits, signed
        Format of what is summed, 1 to 16 bits.
    weight_bits
        1 for +-1; 2 to 8 for integers of up to ``2**(weight_bits - 1) - 1`` in size.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    bits: int = 8
    eta: float = 0.0
    activation_bits: int = 8
    signed: bool = False
    weight_bits: int = 1

    def __post_init__(self) -> None:
        ranges = (
            ("Adder", self.bits, 2, 32),
            ("Activation", self.activation_bits, 1, 16),
            ("Weight", self.weight_bits, 1, 8),
        )
        for name, value, low, high in ranges:
            if not low <= value <= high:
                raise ValueError(f"{name} bits must be {low} to {high}, not {value!r}")
        if not 0 <= self.eta < math.inf:
            raise ValueError(f"Eta must be at least 0, not {self.eta!r}")

    def limit(self, bits: int | None = None) -> int:
        """Most summands that adders of so many bits may be given, of ``bits`` if not told."""
        return math.floor((1 + self.eta) * 2 ** (self.bits if bits is None else bits))

    @property
    def largest(self) -> int:
        """Largest size of a product."""
        x = Format(self.activation_bits, signed=self.signed)
        return max(-x.min, x.max) * largest_weight(self.weight_bits)


@dataclass(frozen=True, kw_only=True)
class Sums:
    """The sums of one layer: a kernel of ``width`` x ``height`` over ``channels``; 1 x 1 where there is none."""

    name: str
    kind: str
    width: int
    height: int
    channels: int
    convolves: bool = False
    order: SumSpec = SumSpec()

    @property
    def terms(self) -> int:
        """w h c."""
        return self.width * self.height * self.channels


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Sums of a layer beside a rule, and what is proven of them."""

    sums: Sums
    rule: Rule

    @property
    def excess(self) -> int:
        """Summands beyond the limit; 0 if the rule is kept."""
        return max(0, self.sums.terms - self.rule.limit())

    @property
    def bits(self) -> int:
        """Fewest bits of an adder with which the rule would be kept."""
        return next(bits for bits in range(1, 63) if self.sums.terms <= self.rule.limit(bits))

    @property
    def groups(self) -> int | None:
        """Fewest groups of channels with which it would be kept; None if one channel is too many."""
        each = self.rule.limit() // (self.sums.width * self.sums.height)
        return math.ceil(self.sums.channels / each) if each else None

    @property
    def channels(self) -> int:
        """Most channels of this kernel with which it would be kept, 0 if none."""
        return self.rule.limit() // (self.sums.width * self.sums.height)

    @property
    def kernel(self) -> int | None:
        """Side of the largest square kernel that would keep it, 0 if none; None of a layer that has no kernel."""
        return math.isqrt(self.rule.limit() // self.sums.channels) if self.sums.convolves else None

    @property
    def can_overflow(self) -> bool:
        """Whether inputs and weights exist with which some node of the sum overflows: exact, by its ranges."""
        return self._sum(self.rule.bits).overflows

    @property
    def exact_bits(self) -> int:
        """Fewest bits of an adder with which no node can overflow, for any inputs and weights."""
        return max(Format.covering(*node.before).width for node in self._sum(None).nodes)

    def _sum(self, width: int | None) -> AdderTreeSpec:
        ranges = ((-self.rule.largest, self.rule.largest),) * self.sums.terms
        return AdderTreeSpec(ranges=ranges, rule=replace(self.sums.order, width=width))


def sums_of(model: nn.Module) -> Iterator[Sums]:
    """The sums of products of every layer of a model that has some; by the names of the modules."""
    for path, module in model.named_modules():
        name, kind = path or type(module).__name__, type(module).__name__
        order = module.spec if isinstance(module, OverflowLinear | OverflowConv2d) else SumSpec()
        if isinstance(module, _CONVOLUTIONS):
            height, width = (1, *module.kernel_size)[-2:]
            channels = module.in_channels // module.groups
            yield Sums(name=name, kind=kind, width=width, height=height, channels=channels, convolves=True, order=order)
        elif isinstance(module, nn.Linear):
            yield Sums(name=name, kind=kind, width=1, height=1, channels=module.in_features, order=order)
        elif isinstance(module, _RECURRENT):
            for key, weight in module.named_parameters():
                if key.startswith("weight"):
                    yield Sums(name=f"{name}.{key}", kind=kind, width=1, height=1, channels=weight.shape[1])


def check(model: nn.Module, rule: Rule) -> list[Verdict]:
    """Every layer beside the rule.

    Raises
    ------
    ValueError
        If the model has no layer with a sum of products.
    """
    found = [Verdict(sums=sums, rule=rule) for sums in sums_of(model)]
    if not found:
        raise ValueError(f"Model must have a layer with a sum of products, not only {type(model).__name__!r}")
    return found
