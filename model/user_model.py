"""A user's own network, by the name of the function that makes it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import torch
from torch import nn


class ModelError(ValueError):
    """A network that cannot be made or a state that does not fit it; one sentence."""


def load_model(name: str, state: Path | None = None) -> nn.Module:
    """The network that ``module:function`` returns, with the weights of a state file; in ``eval()`` mode.

    Modules of the current folder are found too.

    Raises
    ------
    ModelError
        If there is no such function, it fails or returns something else, or the state is not of this network.
    """
    module_name, colon, function_name = name.partition(":")
    if not (colon and module_name and function_name):
        raise ModelError(f"Model must be module:function such as model.cnn:lenet, not {name!r}")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except Exception as error:
        raise ModelError(f"Model {name} must be importable, and is not: {short(error)}") from None
    try:
        model = function()
    except Exception as error:
        raise ModelError(f"Model {name} must be made without arguments, and is not: {short(error)}") from None
    if not isinstance(model, nn.Module):
        raise ModelError(f"Model {name} must return an nn.Module, not {type(model).__name__!r}")
    if state is not None:
        if not state.is_file():
            raise ModelError(f"State must be an existing file, not {str(state)!r}")
        try:
            weights = torch.load(state, weights_only=True, map_location="cpu")
        except Exception:  # a damaged file shows in many ways
            raise ModelError(f"State must be a file of weights by torch.save, not {str(state)!r}") from None
        try:
            model.load_state_dict(weights)
        except Exception as error:
            raise ModelError(f"State {state} must fit the model {name}, and does not: {short(error)}") from None
    return model.eval()


def short(error: Exception) -> str:
    """The first line that says something, without what would make a second sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    line = lines[1] if len(lines) > 1 and lines[0].startswith("Error(s) in loading") else lines[0]
    return line.split(". ")[0].rstrip(".:")[:160]
