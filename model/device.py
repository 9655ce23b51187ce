"""Where tensors are: a CPU, or a GPU that PyTorch knows."""

from __future__ import annotations

import torch

from model.config import TrainingError


def on(name: str) -> torch.device:
    """The device of that name, ``cpu`` or such as ``cuda``.

    Raises
    ------
    TrainingError
        If there is none here.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        there = f"cpu or cuda ({torch.cuda.get_device_name()})" if torch.cuda.is_available() else "cpu on this machine"
        raise TrainingError(f"Device must be {there}, not {name!r}") from None
    return device


def named(device: torch.device) -> str:
    """For people: ``cpu``, or what kind of GPU it is."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
