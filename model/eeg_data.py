"""EEG recordings: Bonn, and left against right fist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import signal

from model.data import DataError, Dataset, check_labels, open_archive, split_groups


def _bonn(data_root: Path | None) -> Dataset:
    """Bonn EEG, 5 classes: 500 recordings, 8 pieces of 512 samples each, split by recording.

    A piece is 61 frames of 32 samples, one every 8.
    """
    archive = open_archive("bonn", data_root, Path("eeg_bonn") / "eeg_bonn.npz", ("x", "y"))
    x = archive["x"]
    if x.ndim != 2 or x.shape[1] < 4096 or x.dtype.kind not in "iuf":
        raise DataError(f"Recordings of bonn must be at least 4096 numbers each, not {x.dtype} {x.shape!r}")
    pieces = x[:, :4096].astype(np.float32).reshape(-1, 512)
    frames = np.ascontiguousarray(sliding_window_view(pieces, 32, axis=1)[:, ::8])
    y = np.repeat(check_labels("bonn", archive["y"], x.shape[:1]), 8)
    split = split_groups(np.repeat(np.arange(len(y) // 8), 8), y)
    return Dataset(name="bonn", x=frames, y=y, split=split, hop=8)


def _bonn3(data_root: Path | None) -> Dataset:
    """Bonn EEG, 3 classes: healthy (Z, O), between seizures (N, F), seizure (S)."""
    five = _bonn(data_root)
    return replace(five, name="bonn3", y=np.array([0, 0, 1, 1, 2])[five.y])


def _motor(data_root: Path | None) -> Dataset:
    """Left against right fist, moved or imagined (PhysioNet EEGMMIDB, subject 1): 90 trials in 6 runs, split by run.

    20 steps of 0.2 s; features: log power between 8 and 30 Hz of 64 channels.
    """
    path = Path("eeg_motor_imagery") / "eeg_motor_imagery_s001.npz"
    archive = open_archive("motor", data_root, path, ("x", "y", "run"))
    x, y, run = archive["x"], archive["y"], archive["run"]
    if x.ndim != 3 or x.shape[1:] != (64, 640) or x.dtype.kind not in "iuf":
        raise DataError(f"Trials of motor must be numbers of shape (trials, 64, 640), not {x.dtype} {x.shape!r}")
    if run.shape != (len(x),) or run.dtype.kind not in "iu":
        raise DataError(f"Runs of motor must be one whole number a trial ({len(x)}), not {run.dtype} {run.shape!r}")
    y = check_labels("motor", y, x.shape[:1])
    fist = y < 2
    if not fist.any():
        raise DataError("Trials of motor must be of a left (0) or right fist (1) in part, and none is")
    band = signal.butter(4, (8, 30), "bandpass", fs=160, output="sos")
    power = signal.sosfiltfilt(band, x[fist].astype(np.float64)).reshape(-1, 64, 20, 32).var(3)
    run = run[fist]
    return Dataset(
        name="motor",
        x=np.log(power + 1e-3).transpose(0, 2, 1).astype(np.float32),
        y=y[fist],
        split=np.where(run < 8, 0, np.where(run == 8, 1, 2)),
    )


PRESETS: dict[str, Callable[[Path | None], Dataset]] = {"bonn": _bonn, "bonn3": _bonn3, "motor": _motor}
