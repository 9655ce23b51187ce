"""Labelled images: the digits that come with scikit-learn, a user's ``.npz``, MNIST and a part of CIFAR-10."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model import data
from model.data import DataError, Dataset, check_labels, load_file, open_archive


@dataclass(frozen=True, kw_only=True)
class Images(Dataset):
    """A :class:`model.data.Dataset` whose ``x`` is float32 of shape (images, channels, height, width)."""

    axes: ClassVar[str] = "images, channels, height, width"
    one: ClassVar[str] = "image"
    labelled: ClassVar[int] = 1


def load(source: str, data_root: Path | None = None) -> Images:
    """Read ``digits``, ``mnist``, ``cifar10_subset``, or a ``.npz`` file; pixels of the first three are 0 to 1.

    Raises
    ------
    DataError
        If there is no such source, its data is not there, or it cannot be used.
    """
    if source in PRESETS:
        return PRESETS[source](data_root)
    if source.endswith(".npz"):
        return load_file(Path(source), Images)
    raise DataError(f"Images must be {', '.join(PRESETS)} or a file ending in .npz, not {source!r}")


def _digits(_: Path | None) -> Images:
    """1,797 handwritten digits of 8 x 8 pixels, with the split of the sequences of that name."""
    rows = data.load("digits")
    return Images(name="digits", x=rows.x[:, None] / np.float32(16), y=rows.y, split=rows.split)


def _mnist(data_root: Path | None) -> Images:
    """60,000 + 3,000 handwritten digits of 28 x 28 pixels; the last 5,000 of the training images are for validation."""
    return _prepared("mnist", data_root, (28, 28), 5000)


def _cifar10_subset(data_root: Path | None) -> Images:
    """6,000 + 1,000 images of 3 x 32 x 32 of CIFAR-10; the last 1,000 of the training images are for validation."""
    return _prepared("cifar10_subset", data_root, (32, 32, 3), 1000)


def _prepared(name: str, data_root: Path | None, shape: tuple[int, ...], validation: int) -> Images:
    keys = ("x_train", "y_train", "x_test", "y_test")
    arrays = open_archive(name, data_root, Path(name) / f"{name}.npz", keys)
    parts: dict[str, tuple[NDArray, NDArray]] = {}
    for part in ("train", "test"):
        x = arrays[f"x_{part}"]
        if x.shape[1:] != shape or x.dtype != np.uint8:
            raise DataError(f"Images of {name} must be uint8 of shape (images, {shape}), not {x.dtype} {x.shape!r}")
        parts[part] = (x, check_labels(name, arrays[f"y_{part}"], x.shape[:1], Images.one))
    pixels = np.concatenate([x for x, _ in parts.values()]).astype(np.float32) / np.float32(255)
    training, test = (len(x) for x, _ in parts.values())
    split = np.repeat([0, 1, 2], [max(0, training - validation), min(validation, training), test])
    return Images(
        name=name,
        x=np.ascontiguousarray(pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)),
        y=np.concatenate([y for _, y in parts.values()]),
        split=split,
    )


PRESETS: dict[str, Callable[[Path | None], Images]] = {
    "digits": _digits,
    "mnist": _mnist,
    "cifar10_subset": _cifar10_subset,
}


def pixels(source: str, data_root: Path | None = None) -> Dataset:
    """One of ``PRESETS`` as sequences of one step, of which each pixel is a feature: for feed-forward networks."""
    images = PRESETS[source](data_root)
    x = images.x.reshape(len(images.x), 1, -1)
    return Dataset(name=images.name, x=x, y=images.y, split=images.split, alike=True)


def part(images: Images, name: str, count: int | None) -> tuple[Tensor, Tensor]:
    """The first ``count`` images of a split, all if None, and their labels."""
    x, y = images.part(name)
    return torch.from_numpy(x[:count]), torch.from_numpy(y[:count])
