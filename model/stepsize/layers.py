"""Weights of a network, quantized where its layers use them, with gradients for the float ones; nothing is edited."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.rnn import RNNBase, RNNCellBase
from torch.nn.utils import parametrize

from model.stepsize.best_step import Per, as_float64, group_steps
from model.stepsize.errors import StepSizeError
from model.stepsize.quantizer import codes, l2_error, spread, top_code
from model.stepsize.rounding import StepRule

KINDS = (nn.Linear, _ConvNd, RNNBase, RNNCellBase)
LEAST_STEP = 1e-8  #: below which a learned step does not fall


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Weights that are quantized together.

    Parameters
    ----------
    module, parameter
        Names, as in ``named_modules`` and within the module.
    weights
        How many there are.
    groups
        How many steps: of equal parts of the first axis.
    """

    module: str
    parameter: str
    weights: int
    groups: int

    @property
    def name(self) -> str:
        """As in ``named_parameters``."""
        return f"{self.module}.{self.parameter}" if self.module else self.parameter


def find_layers(model: nn.Module, names: Sequence[str] | None = None, per: Per = Per.LAYER) -> tuple[Layer, ...]:
    """The weights of all linear, convolutional and recurrent modules, or those that ``names`` mean; biases are none.

    names: modules, parameters, or patterns of either such as ``features.*``. per: ``gate`` acts on recurrent weights,
    others have one step; ``output`` is a row, which of a transposed convolution is an input.

    Raises
    ------
    StepSizeError
        If there are none, a name matches none, or a weight is not finite or they are all 0.
    """
    found: dict[str, Layer] = {}
    for module_name, module in model.named_modules():
        for name, weight in module.named_parameters(recurse=False):
            if not isinstance(module, KINDS) or not name.startswith("weight"):
                continue
            gates = len(weight) // _hidden(module, name) if isinstance(module, RNNBase | RNNCellBase) else 1
            groups = {Per.LAYER: 1, Per.GATE: gates, Per.OUTPUT: len(weight)}[per]
            layer = Layer(module=module_name, parameter=name, weights=weight.numel(), groups=groups)
            found[layer.name] = layer
    if not found:
        raise StepSizeError(
            f"Model {type(model).__name__} must have linear, convolutional or recurrent weights, and has none"
        )
    chosen = found if names is None else {}
    for pattern in names or ():
        matching = {
            name: layer for name, layer in found.items() if any(fnmatchcase(n, pattern) for n in (name, layer.module))
        }
        if not matching:
            known = ", ".join(list(found)[:8])
            raise StepSizeError(f"Layer must be one with weights, such as {known}, not {pattern!r}")
        chosen |= matching
    for layer in found.values():
        if layer.name in chosen:
            _check(layer, model.get_parameter(layer.name))
    return tuple(layer for layer in found.values() if layer.name in chosen)  # in the order of the model


def _hidden(module: nn.Module, name: str) -> int:
    """Rows of a gate in a recurrent weight; of a projection, all of them."""
    projection = getattr(module, "proj_size", 0)
    return projection if projection and name.startswith("weight_hr") else int(module.hidden_size)  # type: ignore[arg-type]


def _check(layer: Layer, weight: Tensor) -> None:
    if not weight.isfinite().all():
        raise StepSizeError(f"Weights {layer.name} must be finite, and they are not")
    if not weight.reshape(layer.groups, -1).any(1).all():
        raise StepSizeError(f"Weights {layer.name} with one step must not all be 0, and they are")


class Quantized(nn.Module):
    """What a weight becomes: Q(w), with gradients passed straight through; as it is while ``bits`` is None.

    ``step`` (groups,) is float64. If it ``requires_grad`` it is learned (LSQ), and the gradient of weights beyond the
    largest level is 0.
    """

    def __init__(self, layer: Layer, rule: StepRule) -> None:
        super().__init__()
        self.layer, self.rule, self.bits = layer, rule, None
        self.step = nn.Parameter(torch.ones(layer.groups, dtype=torch.float64), requires_grad=False)

    bits: int | None

    def forward(self, w: Tensor) -> Tensor:
        """Q(w), in the type of ``w``."""
        return w if self.bits is None else _StraightThrough.apply(w, self.step, self.bits, self.rule)  # type: ignore[return-value]

    @property
    def used(self) -> Tensor:
        """The steps as they are used: rounded, where there is a rule."""
        return self.rule.round(self.step.detach())

    @torch.no_grad()
    def adapt(self, w: Tensor) -> None:
        """Take the steps with the least squared error for ``w``, or of the two allowed next to each the better one."""
        assert self.bits is not None
        steps = torch.from_numpy(group_steps(as_float64(w), self.bits, self.layer.groups)).to(w.device)
        near = [self.rule.round(each) for each in self.rule.neighbours(steps)]
        errors = torch.stack([self._errors(w, each) for each in near])
        self.step.copy_(torch.stack(near).gather(0, errors.argmin(0, keepdim=True))[0])

    def _errors(self, w: Tensor, steps: Tensor) -> Tensor:
        """Squared error of each group."""
        assert self.bits is not None
        off = w.detach().double() - codes(w, steps, self.bits) * spread(steps, w)
        return off.reshape(self.layer.groups, -1).square().sum(1)

    def codes(self, w: Tensor) -> Tensor:
        """Integers in float64."""
        assert self.bits is not None
        return codes(w, self.used, self.bits)

    def error(self, w: Tensor) -> float:
        """Squared error of all weights."""
        assert self.bits is not None
        return l2_error(w, self.used, self.bits)


class _StraightThrough(torch.autograd.Function):
    """Q(w) forwards; backwards its gradient for w, and for a step that is learned that of LSQ (Esser et al. 2020)."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, step: Tensor, bits: int, rule: StepRule) -> Tensor:
        used = rule.round(step.detach())
        ctx.bits = bits
        ctx.save_for_backward(w, used)
        return (codes(w, used, bits) * spread(used, w)).to(w.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        (grad,) = grads
        if not ctx.needs_input_grad[1]:
            return grad, None, None, None
        w, used = ctx.saved_tensors
        limit = top_code(ctx.bits)
        units = w.double() / spread(used, w)
        inside = units.abs() <= limit
        slope = codes(w, used, ctx.bits) - torch.where(inside, units, 0.0)
        scale = (len(used) / (w.numel() * limit)) ** 0.5  # 1 / sqrt(weights of a step times the largest level)
        of_step = (grad.double() * slope).reshape(len(used), -1).sum(1) * scale
        return grad * inside, of_step, None, None


class Attached:
    """A network whose weights are quantized in every forward pass, until :meth:`released`.

    The float weights stay in the network (``parametrizations.*.original``); its ``state_dict`` holds the steps too.
    Within ``torch.nn.utils.parametrize.cached()`` each weight is quantized once, else as often as a module reads it.
    """

    def __init__(self, model: nn.Module, layers: Sequence[Layer], rule: StepRule) -> None:
        self.model, self.layers = model, tuple(layers)
        self.quantized = [Quantized(layer, rule) for layer in layers]
        self._plain = copy.deepcopy(model)
        modules = dict(model.named_modules())
        for layer, quantized in zip(layers, self.quantized, strict=True):
            quantized.to(model.get_parameter(layer.name).device)
            parametrize.register_parametrization(modules[layer.module], layer.parameter, quantized, unsafe=True)

    @property
    def masters(self) -> list[Tensor]:
        """The float weights, layer by layer."""
        modules = dict(self.model.named_modules())
        chains: list[Any] = [modules[each.module].parametrizations for each in self.layers]
        return [chain[each.parameter].original for chain, each in zip(chains, self.layers, strict=True)]

    def set_bits(self, bits: int | None) -> None:
        """Of all layers; None for float."""
        for each in self.quantized:
            each.bits = bits

    def adapt(self) -> None:
        """The best steps for the float weights as they are."""
        for each, master in zip(self.quantized, self.masters, strict=True):
            each.adapt(master)

    def learn(self) -> None:
        """Steps are learned from here on."""
        for each in self.quantized:
            each.step.requires_grad_(True)

    @property
    def steps(self) -> list[list[float]]:
        """As used, layer by layer."""
        return [each.used.tolist() for each in self.quantized]

    @torch.no_grad()
    def released(self) -> nn.Module:
        """A network of the original kind whose weights are the quantized ones; this one goes on as it is."""
        state, modules = self.model.state_dict(), dict(self.model.named_modules())
        for layer in self.layers:
            prefix = f"{layer.module}.parametrizations.{layer.parameter}.".lstrip(".")
            state = {name: each for name, each in state.items() if not name.startswith(prefix)}
            state[layer.name] = getattr(modules[layer.module], layer.parameter)
        # Parametrizations cannot be taken from a copy: it shares its class with what it was copied from.
        model = copy.deepcopy(self._plain)
        model.load_state_dict(state)
        return model
