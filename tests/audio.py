"""Small prepared audio sets, made of tones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def tone(rate: int, hertz: float, samples: int | None = None, amplitude: float = 0.1) -> NDArray[np.float64]:
    """One second, or so many samples, of a sine."""
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(rate if samples is None else samples) / rate)


def int16(clip: NDArray[np.float64]) -> NDArray[np.int16]:
    """Samples as a file has them."""
    return np.rint(32768 * clip).astype(np.int16)


def fsdd(**changes: Any) -> dict[str, NDArray]:
    """One speaker, 10 digits, recordings 0 to 11, of 0.1 s and more; digit d is a tone of 300 + 200 d Hz."""
    label, index = (part.ravel() for part in np.mgrid[:10, :12])
    clips = [
        int16(tone(8000, 300 + 200 * digit, 800 + 10 * int(take))) for digit, take in zip(label, index, strict=True)
    ]
    arrays = {
        "audio": np.concatenate(clips),
        "offset": np.cumsum([0, *map(len, clips)]),
        "label": label.astype(np.uint8),
        "index": index.astype(np.uint8),
        "is_test": index < 5,
        "sample_rate": np.int32(8000),
    }
    return {**arrays, **changes}


def speech_commands(**changes: Any) -> dict[str, NDArray]:
    """12 speakers (the last two for the test) of 11 classes at 200 Hz, and 18 clips of silence (6 for the test).

    Clip i of silence is a tone of 1000 x 1.1^i Hz.
    """
    label, speaker = (part.ravel() for part in np.mgrid[1:12, :12])
    spoken = np.repeat(int16(tone(16000, 200))[None], len(label), 0)
    silence = np.stack([int16(tone(16000, 1000 * 1.1**i)) for i in range(18)])
    arrays = {
        "audio": np.concatenate([silence, spoken]),
        "label": np.concatenate([np.zeros(18, np.uint8), label.astype(np.uint8)]),
        "speaker": np.concatenate([np.full(18, ""), [f"{i:08x}" for i in speaker]]),
        "is_test": np.concatenate([np.arange(18) >= 12, speaker >= 10]),
        "sample_rate": np.int32(16000),
    }
    return {**arrays, **changes}


def write(root: Path, folder: str, arrays: dict[str, NDArray]) -> Path:
    """The archive of a preset below ``root``."""
    (root / folder).mkdir(exist_ok=True)
    path = root / folder / f"{folder}.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path
