"""The small-pipeline rule: whether the sums of a network's layers are short enough for their adders; a proof beside it.

Source of the rule, w h c <= (1 + eta) 2**bits: Li, Wang, Liu, Han, Li, "Simulate-the-hardware: Training Accurate
Binarized Neural Networks for Low-Precision Neural Accelerators".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.rnn import RNNBase, RNNCellBase
from torch.nn.parameter import is_lazy

from model.aggregated import AggregatedConv2d, AggregatedLinear
from model.overflow_layers import OverflowConv2d, OverflowLinear
from model.spec import AdderTreeSpec, Format, SumSpec
from model.spec.step_size import largest_weight

_JUDGED = (_ConvNd, nn.Linear, RNNBase, RNNCellBase)  #: whose weights all are in a sum that is looked at
_SUMLESS = (nn.Embedding, nn.LayerNorm, nn.RMSNorm)  #: weights of several axes, and yet no sum of products of them
MAX_ETA = 1000


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What sums are held against.

    Parameters
    ----------
    bits
        Of an adder, 2 to 32.
    eta
        How much more than ``2**bits`` summands may be, 0 to 1000.
    activation_bits, signed
        Format of what is summed, 1 to 16 bits.
    weight_bits
        Of layers that do not say their own: 1 for +-1; 2 to 8 for integers up to ``2**(weight_bits - 1) - 1`` in size.

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
        if not 0 <= self.eta <= MAX_ETA:
            raise ValueError(f"Eta must be 0 to {MAX_ETA}, not {self.eta!r}")

    def limit(self, bits: int | None = None) -> int:
        """Most summands that adders of so many bits may be given, of ``bits`` if not told."""
        return math.floor((1 + self.eta) * 2 ** (self.bits if bits is None else bits))

    def largest(self, weight_bits: int) -> int:
        """Largest size of a product with a weight of so many bits."""
        x = Format(self.activation_bits, signed=self.signed)
        return max(-x.min, x.max) * largest_weight(weight_bits)


@dataclass(frozen=True, kw_only=True)
class Sums:
    """The sums of one layer.

    Parameters
    ----------
    name, kind
        Of the module, and of its class.
    width, height, depth, channels
        Products of one sum: a kernel over channels; 1 x 1 x 1 where there is none. Of a transposed convolution, the
        part of the kernel that meets in one output.
    convolves
        Whether a kernel of another size would be another layer of the kind.
    order
        Of the adders; their width is the rule's.
    weight_bits
        As the layer says; None for those of the rule.
    parts, shift
        Of an aggregated layer: of what its ``channels`` summands are sums, which are divided by ``2**shift``.
    """

    name: str
    kind: str
    width: int = 1
    height: int = 1
    depth: int = 1
    channels: int
    convolves: bool = False
    order: SumSpec = SumSpec()
    weight_bits: int | None = None
    parts: Sums | None = None
    shift: int = 0

    @property
    def kernel(self) -> int:
        """Products of a channel."""
        return self.width * self.height * self.depth

    @property
    def terms(self) -> int:
        """w h c, times the depth where the kernel has one."""
        return self.kernel * self.channels


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
        each = self.channels
        return math.ceil(self.sums.channels / each) if each else None

    @property
    def channels(self) -> int:
        """Most channels of this kernel with which it would be kept, 0 if none."""
        return self.rule.limit() // self.sums.kernel

    @property
    def kernel(self) -> int | None:
        """Side of the largest square kernel of this depth that would keep it, 0 if none; None if there is no kernel."""
        return math.isqrt(self.rule.limit() // (self.sums.channels * self.sums.depth)) if self.sums.convolves else None

    @property
    def weight_bits(self) -> int:
        """The layer's own, or else those of the rule."""
        parts = self.sums.parts or self.sums
        return self.rule.weight_bits if parts.weight_bits is None else parts.weight_bits

    @property
    def can_overflow(self) -> bool:
        """Whether inputs and weights exist with which some node of the sum overflows: exact, by its ranges."""
        return self._sum(self.rule.bits).overflows

    @property
    def exact_bits(self) -> int:
        """Fewest bits of an adder with which no node can overflow, for any inputs and weights."""
        return max(Format.covering(*node.before).width for node in self._sum(None).nodes)

    def _sum(self, width: int | None) -> AdderTreeSpec:
        sums = self.sums
        if sums.parts is None:
            largest = self.rule.largest(self.weight_bits)
            low, high = -largest, largest
        else:
            low, high = (end >> sums.shift for end in replace(self, sums=sums.parts)._sum(width).nodes[-1].after)
        return AdderTreeSpec(ranges=((low, high),) * sums.terms, rule=replace(sums.order, width=width))


def sums_of(model: nn.Module) -> Iterator[Sums]:
    """The sums of products of every layer of a model that has some; by the names of the modules.

    Layers are linear, convolutions, transposed ones, recurrent ones and their cells (W_ih x and W_hh h each by itself),
    and aggregated ones (the sum of each group, and that of the groups). :func:`unjudged` are the others.
    """
    for path, module in model.named_modules():
        name, kind = path or type(module).__name__, type(module).__name__
        own = isinstance(module, OverflowLinear | OverflowConv2d)
        order, weight_bits = (module.spec, module.weight_bits) if own else (SumSpec(), None)
        if isinstance(module, _ConvNd):
            transposed = isinstance(module, _ConvTransposeNd)
            depth, height, width = (1, 1, *(_meeting(module) if transposed else module.kernel_size))[-3:]
            yield Sums(
                name=name,
                kind=kind,
                width=width,
                height=height,
                depth=depth,
                channels=module.in_channels // module.groups,
                convolves=not transposed,
                order=order,
                weight_bits=weight_bits,
            )
        elif isinstance(module, nn.Linear):
            yield Sums(name=name, kind=kind, channels=module.in_features, order=order, weight_bits=weight_bits)
        elif isinstance(module, RNNBase | RNNCellBase):
            for key in getattr(module, "_flat_weights_names", ("weight_ih", "weight_hh")):
                if key.startswith("weight"):
                    yield Sums(name=f"{name}.{key}", kind=kind, channels=getattr(module, key).shape[1])
        elif isinstance(module, AggregatedLinear | AggregatedConv2d):
            part, spec = next(sums_of(module.parts[0])), module.spec
            yield Sums(name=name, kind=kind, channels=spec.groups, order=spec.rule, parts=part, shift=spec.shift)


def _meeting(module: _ConvTransposeNd) -> tuple[int, ...]:
    """How much of the kernel of a transposed convolution meets in one output at most, axis by axis.

    Tap k of an input i lands on output i stride + k dilation - padding. Taps k and l meet in one if (k - l) dilation is
    a multiple of the stride: every (stride / gcd(stride, dilation))th does.
    """
    axes = zip(module.kernel_size, module.stride, module.dilation, strict=True)
    return tuple(math.ceil(size / (stride // math.gcd(stride, dilation))) for size, stride, dilation in axes)


def unjudged(model: nn.Module) -> dict[str, str]:
    """Modules of which :func:`sums_of` cannot say how they add, though they own weights; their kinds by their names.

    Weights are parameters of two axes or more: those of one are biases and scales. A table of embeddings and a
    normalization add no products of theirs. What ``forward`` computes without a module (a product of two activations)
    is not seen.
    """
    found = {}
    modules = dict(model.named_modules())
    for path, module in modules.items():
        name = path.split("parametrizations.")[0].rstrip(".")  # where a parametrization holds what another module uses
        owner = modules[name]
        weights = {key for key, parameter in module.named_parameters(recurse=False) if parameter.ndim > 1}
        if isinstance(owner, _JUDGED):
            weights = {key for key in weights if owner is module and not key.startswith("weight")}
        if weights and not isinstance(owner, _SUMLESS):
            found[name or type(owner).__name__] = type(owner).__name__
    return found


def check(model: nn.Module, rule: Rule) -> list[Verdict]:
    """Every layer of :func:`sums_of` beside the rule.

    Raises
    ------
    ValueError
        If the model has no such layer, or the weights of one have no shape yet (a lazy module).
    """
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise ValueError(f"Model must have weights of known shapes, and {name!r} has none yet")
    found = [Verdict(sums=sums, rule=rule) for sums in sums_of(model)]
    if not found:
        raise ValueError(f"Model must have a layer with a sum of products, not only {type(model).__name__!r}")
    return found
