"""What a bench inside the simulator is given and gives back. Imports neither torch nor the generators."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cocotb.types import Logic
from numpy.typing import NDArray


def load() -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The vectors and settings of this run."""
    job = json.loads(Path(os.environ["XNORFORGE_JOB"]).read_text())
    with np.load(Path(job["folder"]) / "vectors.npz", allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}, job["settings"]


def save(**arrays: NDArray[Any]) -> None:
    """Hand arrays back; complete or not at all."""
    folder = Path(json.loads(Path(os.environ["XNORFORGE_JOB"]).read_text())["folder"])
    np.savez(folder / "observed.partial.npz", allow_pickle=False, **arrays)
    os.replace(folder / "observed.partial.npz", folder / "observed.npz")


UNKNOWN = np.iinfo(np.int64).min  #: stands for a value with X bits, or one never seen


def stored(handle: Any, signed: bool) -> int:
    """The stored integer on a signal; ``UNKNOWN`` if a bit is X or Z."""
    value = handle.value
    try:
        if isinstance(value, Logic):  # a signal of one bit
            return -int(value) if signed else int(value)
        return value.to_signed() if signed else value.to_unsigned()
    except ValueError:
        return int(UNKNOWN)


def field(handle: Any, low: int, width: int, signed: bool) -> int:
    """The stored integer in bits ``low`` to ``low + width - 1`` of a signal; ``UNKNOWN`` if a bit of it is X or Z."""
    word = stored(handle, signed=False)
    if word == UNKNOWN:
        return word
    sign = (1 << width - 1) if signed else 0
    return ((word >> low & ((1 << width) - 1)) ^ sign) - sign


def stalls(seed: int, stream: str) -> np.random.Generator:
    """Decides when a stream waits. ``sim/bulk.cpp`` draws the same numbers from the same state."""
    return np.random.Generator(np.random.PCG64([seed, ord(stream)]))


def output(handle: Any, signed: bool, elements: Sequence[int] | None) -> int | list[int]:
    """The stored integer on a signal, or those of an array of (width, number of) ``elements``, first one lowest."""
    if elements is None:
        return stored(handle, signed)
    width, number = elements
    bits = str(handle.value)
    words = [bits[len(bits) - (k + 1) * width : len(bits) - k * width] for k in range(number)]
    return [
        int(word, 2) - (int(word[0]) << width if signed else 0) if set(word) <= {"0", "1"} else int(UNKNOWN)
        for word in words
    ]
