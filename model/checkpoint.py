"""Checkpoints of training runs."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from model.config import TrainingError
from model.spec.files import replacing


def save(state: object, path: Path) -> None:
    """Write a checkpoint; an older one is replaced only when the new one is complete."""
    with replacing(path) as partial:
        torch.save(state, partial)


def load(path: Path, *fields: str) -> dict[str, Any]:
    """A checkpoint with dictionaries of those names.

    Raises
    ------
    TrainingError
        If it is damaged or lacks one.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # PyTorch does not check its own checksums
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(damaged)
        stored = torch.load(path, map_location="cpu", weights_only=True)
        return {**stored, **{name: dict(stored[name]) for name in fields}}
    except Exception:  # a damaged archive shows in many ways
        raise TrainingError(f"Checkpoint must be a readable one, not {str(path)!r}; remove it to begin again") from None
