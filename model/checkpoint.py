"""Checkpoints of training runs."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
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


def difference(stored: dict[str, Any], wanted: dict[str, Any], among: Collection[str] | None = None) -> str | None:
    """The first thing in which a stored run is not the one wanted, of those in ``among``; None if it is."""
    for key in wanted | stored:
        if (among is None or key in among) and stored.get(key) != wanted.get(key):
            return key
    return None


def refuse_other(stored: dict[str, Any], wanted: dict[str, Any], place: Path) -> None:
    """Raises TrainingError if what is stored in ``place`` is not the run wanted."""
    if key := difference(stored, wanted):
        was, now = (_short(run.get(key)) for run in (stored, wanted))
        raise TrainingError(
            f"Run in {place} must be continued with {key} = {was}, not {now}; give another --out for a new run"
        )


def _short(value: object) -> str:
    """A value for a message; a network in words is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
