"""Hooks on the layers of a network whose activations are stored; the network itself is not edited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

RELU = (nn.ReLU, nn.ReLU6)


class QuantizationError(ValueError):
    """A network, data or a choice that activations cannot be quantized with; one sentence."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Activations that are stored: one call of one module.

    Parameters
    ----------
    name
        The module's name; if it is called several times in a forward pass, with ``#0``, ``#1``, ... for each.
    module, call
        The module, and which of its calls in a forward pass, from 0.
    activations
        How many there are of one sample.
    """

    name: str
    module: str
    call: int
    activations: int


def find_layers(model: nn.Module, sample: Tensor, names: Sequence[str] | None = None) -> tuple[Layer, ...]:
    """The layers of ``model``, in the order of computation, found by a forward pass of ``sample``.

    sample: a batch of at least one. names: modules as in ``named_modules`` or patterns such as ``features.*``; all ReLU
    modules if not given. What a module puts out is what counts: activations behind a ReLU, before any pooling. Name the
    pooling instead where its output is what is stored; the values are the same, since quantization is monotone.

    Raises
    ------
    QuantizationError
        If no module is meant or computes anything, or one puts out something else than one tensor of numbers.
    """
    found: list[tuple[str, int, int]] = []

    def see(module: str, call: int, out: Tensor) -> None:
        if out.shape[:1] != sample.shape[:1]:
            raise QuantizationError(
                f"Layer {module} must put out one row a sample ({len(sample)}), not {tuple(out.shape)!r}"
            )
        found.append((module, call, out[0].numel()))

    _forward(model, sample, chosen_modules(model, names), see)
    if not found:
        raise QuantizationError("Layers to quantize must be used in the forward pass, and none of them is")
    calls = {module: sum(each == module for each, _, _ in found) for module, _, _ in found}
    return tuple(
        Layer(name=module if calls[module] == 1 else f"{module}#{call}", module=module, call=call, activations=size)
        for module, call, size in found
    )


def chosen_modules(model: nn.Module, names: Sequence[str] | None) -> dict[str, nn.Module]:
    """The modules meant, by name.

    Raises
    ------
    QuantizationError
        If a name matches none, or there is no ReLU module.
    """
    modules = dict(model.named_modules())
    if names is None:
        relus: dict[str, nn.Module] = {name: module for name, module in modules.items() if isinstance(module, RELU)}
        if not relus:
            raise QuantizationError(
                f"Model {type(model).__name__} must have ReLU modules, and has none "
                "(a functional relu cannot be hooked): name the layers to quantize"
            )
        return relus
    chosen: dict[str, nn.Module] = {}
    for pattern in names:
        # By a pattern only modules that hold no others: else the same activations would be stored twice.
        matching = {
            name: module
            for name, module in modules.items()
            if name and (name == pattern or (fnmatchcase(name, pattern) and not any(module.children())))
        }
        if not matching:
            known = ", ".join(name for name in list(modules)[1:9])
            raise QuantizationError(f"Layer must be a module of the model, such as {known}, not {pattern!r}")
        chosen |= matching
    if not chosen:
        raise QuantizationError("Number of layers to quantize must be at least 1, not 0")
    return chosen


class Hooked:
    """While it is entered, ``act(place, output)`` gets each output of ``layers[place]`` and may return another.

    A ReLU that works in place has its own output changed in place too, so that whoever else holds it sees the same; not
    where gradients are taken, which need it as it was. The hooks go when it is left, whatever happened.

    Raises
    ------
    QuantizationError
        In a forward pass that calls a module more or less often than the one that found the layers.
    """

    def __init__(self, model: nn.Module, layers: Sequence[Layer], act: Callable[[int, Tensor], Tensor | None]) -> None:
        self._model, self._layers, self._act = model, layers, act
        self._places = {(layer.module, layer.call): place for place, layer in enumerate(layers)}
        self._calls: dict[str, int] = {}
        self._handles: list[Any] = []

    def __enter__(self) -> Hooked:
        modules = dict(self._model.named_modules())
        self._handles = [self._model.register_forward_pre_hook(lambda *_: self._calls.clear())]
        for name in dict.fromkeys(layer.module for layer in self._layers):
            self._handles.append(modules[name].register_forward_hook(self._hook(name)))
        self._handles.append(self._model.register_forward_hook(lambda *_: self._check()))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], Tensor | None]:
        def hook(module: nn.Module, _: Any, out: Any) -> Tensor | None:
            call = self._calls.get(name, 0)
            self._calls[name] = call + 1
            if (place := self._places.get((name, call))) is None:
                return None
            new = self._act(place, _checked(name, out))
            if new is not None and getattr(module, "inplace", False) and not torch.is_grad_enabled():
                return out.copy_(new)
            return new

        return hook

    def _check(self) -> None:
        for name in {layer.module for layer in self._layers}:
            known = sum(layer.module == name for layer in self._layers)
            if self._calls.get(name, 0) != known:
                raise QuantizationError(
                    f"Layer {name} must be called as often in each forward pass, {known}, "
                    f"not {self._calls.get(name, 0)!r} times"
                )


def _checked(name: str, out: Any) -> Tensor:
    if not isinstance(out, Tensor) or not out.is_floating_point():
        what = str(out.dtype) if isinstance(out, Tensor) else type(out).__name__
        raise QuantizationError(f"Layer {name} must put out one tensor of real numbers, not {what!r}")
    return out


@torch.no_grad()
def _forward(
    model: nn.Module, x: Tensor, modules: dict[str, nn.Module], see: Callable[[str, int, Tensor], None]
) -> None:
    """A forward pass in ``eval()`` mode, in which ``see`` gets each output with the module's name and the call."""
    calls: dict[str, int] = {}

    def hook_of(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, out: Any) -> None:
            see(name, calls.get(name, 0), _checked(name, out))
            calls[name] = calls.get(name, 0) + 1

        return hook

    handles = [module.register_forward_hook(hook_of(name)) for name, module in modules.items()]
    training = model.training
    try:
        model.eval()(x)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
