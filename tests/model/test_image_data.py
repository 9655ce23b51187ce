"""Images: presets, files, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from model.data import DataError
from model.image_data import Images, load
from tests.sentences import is_one_sentence

X = np.linspace(0, 1, 24 * 3 * 4 * 5).reshape(24, 3, 4, 5)
Y = np.arange(24) % 2


def test_digits_are_images_of_8_by_8():
    images = load("digits")
    assert (images.x.shape, images.classes) == ((1797, 1, 8, 8), 10)
    assert (images.x.min(), images.x.max()) == (0, 1)
    assert images.sizes == {"train": 1077, "val": 270, "test": 450}


def prepared(name: str, folder, training: int = 6000, **changes) -> None:
    """A small file as the presets are prepared."""
    shape = {"mnist": (28, 28), "cifar10_subset": (32, 32, 3)}[name]
    chance = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", training), ("test", 20)):
        arrays[f"x_{part}"] = chance.integers(0, 256, (count, *shape)).astype(np.uint8)
        arrays[f"y_{part}"] = np.arange(count) % 10
    (folder / name).mkdir()
    np.savez(folder / name / f"{name}.npz", **(arrays | changes))


@pytest.mark.parametrize(
    ("name", "shape", "validation"), [("mnist", (1, 28, 28), 5000), ("cifar10_subset", (3, 32, 32), 1000)]
)
def test_presets(name, shape, validation, tmp_path):
    prepared(name, tmp_path)
    images = load(name, tmp_path)
    assert images.x.shape[1:] == shape
    assert images.sizes == {"train": 6000 - validation, "val": validation, "test": 20}
    raw = np.load(tmp_path / name / f"{name}.npz")
    last = raw["x_train"][-1] / 255
    assert np.allclose(images.part("val")[0][-1], last[None] if last.ndim == 2 else np.moveaxis(last, 2, 0))
    assert images.part("test")[1].tolist() == raw["y_test"].tolist()


def test_a_file(tmp_path):
    np.savez(tmp_path / "mine.npz", x=X, y=Y)
    images = load(str(tmp_path / "mine.npz"))
    assert isinstance(images, Images)
    assert images.x.shape == X.shape
    assert sum(images.sizes.values()) == 24


def broken(**changes):
    return lambda folder: prepared("mnist", folder, 20, **changes)


BAD = {
    "another name": (
        "mnost",
        None,
        "Images must be digits, mnist, cifar10_subset or a file ending in .npz, not 'mnost'",
    ),
    "no folder": ("mnist", None, "Data set mnist must be in PATH/mnist/mnist.npz, and that file is not there"),
    "floats": (
        "mnist",
        broken(x_test=np.zeros((20, 28, 28))),
        "Images of mnist must be uint8 of shape (images, (28, 28))",
    ),
    "shape": ("mnist", broken(x_train=np.zeros((20, 28, 29), np.uint8)), "not uint8 (20, 28, 29)"),
    "labels": ("mnist", broken(y_train=np.arange(19)), "Labels of mnist must be one a image (20), not (19,)"),
    "no training images left": ("mnist", broken(), "The train split of mnist must not be empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case, tmp_path):
    name, make, expected = BAD[case]
    if make is not None:
        make(tmp_path)
    with pytest.raises(DataError) as caught:
        load(name, tmp_path)
    assert is_one_sentence(str(caught.value))
    assert expected.replace("PATH", str(tmp_path)) in str(caught.value)


@pytest.mark.parametrize("x", [X[0], X[:0], X[:, 0], X[None]])
def test_a_file_of_other_axes_is_one_sentence(x, tmp_path):
    np.savez(tmp_path / "mine.npz", x=x, y=Y)
    with pytest.raises(DataError) as caught:
        load(str(tmp_path / "mine.npz"))
    assert "must be (images, channels, height, width), not (" in str(caught.value)
