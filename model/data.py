"""Labelled sequences: the digits that come with scikit-learn, a user's ``.npz``; prepared data is in ``*_data.py``."""

from __future__ import annotations

import hashlib
import math
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SPLITS = ("train", "val", "test")
SPLIT_SEED = 0  #: splits belong to the data, not to a training run, so that seeds can be compared


class DataError(ValueError):
    """Data that cannot be used; the message says which and why, in one sentence."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Labelled sequences in three splits.

    Parameters
    ----------
    name
        Where they are from.
    x
        Samples, finite float32, shape (sequences, steps, features).
    y
        Labels from 0 to ``classes - 1``, int64, shape (sequences,), or (sequences, steps): then -1 is a step without
        one, which is not scored.
    split
        Index into ``SPLITS``, shape (sequences,); no split is empty.
    hop
        Where a step is a frame of successive samples of one signal: by how many the next one lies further on. Else 0.
    alike
        Whether features are of one kind (pixels) and so are standardized together; one that hardly ever changes, as a
        pixel of the border, stays small then.
    symbols
        Where x are one-hot codes of the characters of a text: these, in the order of features and classes. Else None.
    """

    name: str
    x: NDArray[np.float32]
    y: NDArray[np.int64]
    split: NDArray[np.int64]
    hop: int = 0
    alike: bool = False
    symbols: str | None = None

    axes: ClassVar[str] = "sequences, steps, features"
    one: ClassVar[str] = "sequence"  #: what a sample is called
    labelled: ClassVar[int] = 2  #: the first so many axes, or fewer, have labels

    def __post_init__(self) -> None:
        check_shape(self.name, self.x, self.axes)
        _check_label_shape(self.name, self.y, self.x.shape[: self.labelled], self.one)
        if self.split.shape != self.x.shape[:1]:
            raise DataError(f"Split of {self.name} must be one a {self.one} ({len(self.x)}), not {self.split.shape!r}")
        if not np.isfinite(self.x).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(self.x))[0])
            raise DataError(
                f"Samples of {self.name} must be finite in float32, not {float(self.x[where])!r} at {where}"
            )
        found = set(np.unique(self.y).tolist()) - ({-1} if self.y.ndim > 1 else set())
        if found != set(range(self.classes)) and not (self.symbols and found < set(range(self.classes))):
            raise DataError(
                f"Labels of {self.name} must be 0, 1, ... without a gap, not {np.unique(self.y)[:8].tolist()!r}"
            )
        if self.classes < 2:
            raise DataError(f"Number of classes in {self.name} must be at least 2, not {self.classes!r}")
        if not 0 <= self.hop <= self.x.shape[2]:
            raise DataError(f"Hop of {self.name} must be 0 to {self.x.shape[2]} samples, not {self.hop!r}")
        for index, name in enumerate(SPLITS):
            if not (self.y[self.split == index] >= 0).any():
                raise DataError(f"The {name} split of {self.name} must not be empty")

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.symbols) if self.symbols else int(self.y.max()) + 1

    @property
    def sizes(self) -> dict[str, int]:
        """Sequences in each split."""
        return {name: int((self.split == index).sum()) for index, name in enumerate(SPLITS)}

    @property
    def digest(self) -> str:
        """SHA-256 of samples, labels and splits."""
        return hashlib.sha256(b"".join(a.tobytes() for a in (self.x, self.y, self.split))).hexdigest()

    def part(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Samples and labels of one split."""
        chosen = self.split == SPLITS.index(name)
        return self.x[chosen], self.y[chosen]


Kind = TypeVar("Kind", bound=Dataset)


def check_shape(name: str, x: NDArray, axes: str) -> None:
    """Raises DataError if samples have other axes, or none are there."""
    if x.ndim != len(axes.split(", ")) or 0 in x.shape:
        raise DataError(f"Samples of {name} must be ({axes}), not {x.shape!r}")


def load(source: str, data_root: Path | None = None, snr: float | None = None) -> Dataset:
    """Read ``digits``, a prepared data set, a ``.npz`` file, or a text.

    Parameters
    ----------
    source
        Its name; a file ends in ``.npz`` or ``.txt``.
    data_root
        Folder of prepared data, else ``XNORFORGE_DATA``.
    snr
        Of audio: signal-to-noise ratio in dB at which noise is mixed into every clip (:func:`model.audio_data.mix`).

    Raises
    ------
    DataError
        If there is no such source, its data is not there, or it cannot be used.
    """
    from model import audio_data, eeg_data, text_data  # here, since each kind of data builds on this module

    if source in audio_data.PRESETS:
        return audio_data.PRESETS[source](data_root, snr)
    if snr is not None:
        raise DataError(f"Noise (snr) must go with audio ({', '.join(audio_data.PRESETS)}), not with {source!r}")
    if source == "digits":
        return _digits()
    if source in eeg_data.PRESETS:
        return eeg_data.PRESETS[source](data_root)
    if source.endswith(".npz"):
        return load_file(Path(source), Dataset)
    if (text := text_data.named(source, data_root)) is not None:
        return text_data.windows(text)
    known = ", ".join(("digits", *eeg_data.PRESETS, *audio_data.PRESETS, text_data.PRESET))
    raise DataError(f"Data must be {known} or a file ending in .npz or .txt, not {source!r}")


def find_root(data_root: Path | None) -> Path | None:
    """The folder of prepared data: the one given, or ``XNORFORGE_DATA``, or none."""
    return data_root or (Path(os.environ["XNORFORGE_DATA"]) if os.environ.get("XNORFORGE_DATA") else None)


def split_groups(groups: NDArray[np.generic], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """About 60, 15 and 25 % of the groups of each class to train, val and test; a group stays whole."""
    names, first = np.unique(groups, return_index=True)
    of_group = labels[first]
    val_groups = math.ceil(0.2 * (len(names) - math.ceil(0.25 * len(names))))
    rare = np.bincount(of_group).min() < 5 or val_groups < len(np.unique(of_group))
    rest, test = train_test_split(
        np.arange(len(names)), test_size=0.25, random_state=SPLIT_SEED, stratify=None if rare else of_group
    )
    _, val = train_test_split(rest, test_size=0.2, random_state=SPLIT_SEED, stratify=None if rare else of_group[rest])
    of = np.zeros(len(names), np.int64)
    of[val], of[test] = 1, 2
    return of[np.searchsorted(names, groups)]


def _digits() -> Dataset:
    """1,797 handwritten digits of 8 x 8 pixels, read row by row."""
    images, y = load_digits(return_X_y=True)
    y = y.astype(np.int64)
    return Dataset(
        name="digits",
        x=images.reshape(-1, 8, 8).astype(np.float32),
        y=y,
        split=split_groups(np.arange(len(y)), y),
    )


def open_archive(preset: str, data_root: Path | None, path: Path, keys: tuple[str, ...]) -> dict[str, NDArray]:
    """The arrays of a preset's file. Raises DataError if there is no folder of prepared data, or no such file."""
    root = find_root(data_root)
    if root is None:
        raise DataError(f"Data set {preset} needs a folder of prepared data: give --data-root or set XNORFORGE_DATA")
    if not (root / path).is_file():
        raise DataError(f"Data set {preset} must be in {root / path}, and that file is not there")
    return read_npz(root / path, keys)


def read_npz(path: Path, required: tuple[str, ...]) -> dict[str, NDArray]:
    """All arrays of an ``.npz`` without pickles.

    Raises
    ------
    DataError
        If the file is missing or damaged, holds pickled objects, or lacks an array.
    """
    if not path.is_file():
        raise DataError(f"File must be an existing .npz archive, not {str(path)!r}")
    unreadable = DataError(f"File must be a readable .npz archive, not {str(path)!r}")
    if not zipfile.is_zipfile(path):
        raise unreadable
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in archive.files}
    except Exception as error:  # a damaged archive shows in many ways: zlib, zipfile and NumPy each have their own
        if "pickle" in str(error):
            raise DataError(
                f"File must hold plain arrays, not pickled objects (ragged lists?): {str(path)!r}"
            ) from None
        raise unreadable from None
    for name in required:
        if name not in arrays:
            raise DataError(f"File {path} must hold an array {name!r}, not only {', '.join(arrays) or 'nothing'}")
    return arrays


def load_file(path: Path, kind: type[Kind]) -> Kind:
    """``x`` with the axes of ``kind``, and ``y``, one a sample or a step; optionally ``split`` (words) or ``group``.

    Raises
    ------
    DataError
        If the file is not there or cannot be used.
    """
    arrays = read_npz(path, ("x", "y"))
    x, y = arrays["x"], arrays["y"]
    if not np.issubdtype(x.dtype, np.number) or np.iscomplexobj(x):
        raise DataError(f"Samples of {path} must be real numbers, not {x.dtype!r}")
    check_shape(str(path), x, kind.axes)
    y = check_labels(str(path), y, x.shape[: kind.labelled], kind.one)
    if "split" in arrays:
        words = arrays["split"]
        words = (np.char.decode(words, "ascii", "replace") if words.dtype.kind == "S" else words).astype(str)
        unknown = sorted(set(words.ravel().tolist()) - set(SPLITS))
        if unknown or words.shape != y.shape[:1]:
            raise DataError(
                f"Split of {path} must be train, val or test, one a {kind.one}, "
                f"not {unknown[0] if unknown else words.shape!r}"
            )
        split = np.array([SPLITS.index(w) for w in words], np.int64)
    else:
        groups = arrays.get("group", np.arange(len(y)))
        if groups.shape != y.shape[:1]:
            raise DataError(f"Group of {path} must be one a {kind.one} ({len(y)}), not {groups.shape!r}")
        if len(np.unique(groups)) < 4:
            raise DataError(f"Number of groups in {path} must be at least 4 to split, not {len(np.unique(groups))!r}")
        # Labels of steps are of no class that a sequence could be drawn by.
        split = split_groups(groups, y if y.ndim == 1 else np.zeros(len(y), np.int64))
    with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite and is refused as such
        return kind(name=path.name, x=x.astype(np.float32), y=y, split=split)


def check_labels(name: str, y: NDArray, samples: tuple[int, ...], one: str = "sequence") -> NDArray[np.int64]:
    """``y`` as int64, if it can be labels at all; that no class is missing is seen later.

    samples: how many, and, if each step of one may have its label, how many steps.
    """
    _check_label_shape(name, y, samples, one)
    if y.dtype.kind not in "iuf":
        raise DataError(f"Labels of {name} must be whole numbers, not {y.dtype!r}")
    exact = y.astype(np.float64)
    lowest = 0 if y.ndim == 1 else -1
    wrong = y[~((exact == np.rint(exact)) & (exact >= lowest) & (exact < y.size))]
    if len(wrong):
        raise DataError(f"Labels of {name} must be whole numbers from {lowest} to classes - 1, not {wrong[0].item()!r}")
    return y.astype(np.int64)


def _check_label_shape(name: str, y: NDArray, samples: tuple[int, ...], one: str) -> None:
    number, *steps = samples
    if y.shape not in ((number,), samples):
        or_steps = f" or a step {samples}" if steps else ""
        raise DataError(f"Labels of {name} must be one a {one} ({number}){or_steps}, not {y.shape!r}")
