"""Data sets: what loads, how it is split, and that bad data is refused in one sentence."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import audio_data, eeg_data
from model.data import SPLITS, DataError, Dataset, load, split_groups
from tests.sentences import is_one_sentence

X = np.linspace(-1, 1, 24 * 4 * 2).reshape(24, 4, 2)
Y = np.arange(24) % 3
STEPS = np.arange(24 * 4).reshape(24, 4) % 5  #: labels of steps
WORDS = np.array(["train", "train", "train", "val", "test", "test"] * 4)


def write(folder: Path, **arrays: object) -> str:
    """``x`` and ``y`` with changes (None: without that array) as an ``.npz``."""
    kept = {k: np.asarray(v) for k, v in {"x": X, "y": Y, **arrays}.items() if v is not None}
    np.savez_compressed(folder / "data.npz", **kept)  # type: ignore[arg-type]
    return str(folder / "data.npz")


def refusal(source: str, data_root: Path | None = None) -> str:
    """The message of the DataError that loading raises: one sentence."""
    with pytest.raises(DataError) as caught:
        load(source, data_root)
    message = str(caught.value)
    assert is_one_sentence(message)
    return message


def test_digits():
    data = load("digits")
    assert (data.name, data.x.shape, data.classes) == ("digits", (1797, 8, 8), 10)
    assert (data.x.dtype, data.y.dtype) == (np.float32, np.int64)
    assert sum(data.sizes.values()) == 1797
    for name, share in zip(SPLITS, (0.6, 0.15, 0.25), strict=True):
        x, y = data.part(name)
        assert len(x) == len(y) == data.sizes[name] == pytest.approx(share * 1797, abs=2)
        # Stratified: every class has its share of every split, to within a sequence or so.
        assert np.abs(np.bincount(y, minlength=10) - share * np.bincount(data.y)).max() < 2
    again = load("digits")
    assert np.array_equal(data.split, again.split)


def test_a_sequence_is_in_one_split_only():
    data = load("digits")
    assert sum(len(data.part(name)[0]) for name in SPLITS) == len(data.x)
    assert sorted(np.concatenate([np.flatnonzero(data.split == i) for i in range(3)])) == list(range(len(data.x)))


def test_npz(tmp_path):
    data = load(write(tmp_path))
    assert (data.name, data.classes) == ("data.npz", 3)
    assert np.array_equal(data.x, X.astype(np.float32))
    assert np.array_equal(data.y, Y)
    assert min(data.sizes.values()) > 0


def test_npz_with_a_label_a_step(tmp_path):
    """-1 is a step without one; sequences are drawn into splits whatever their labels are."""
    y = np.where(np.arange(4) == 3, -1, STEPS)
    for more in ({}, {"split": WORDS}, {"group": np.arange(24) // 2}):
        data = load(write(tmp_path, y=y, **more))
        assert (data.y.tolist(), data.classes) == (y.tolist(), 5)
        assert sum(data.sizes.values()) == 24
        assert data.part("test")[1].shape == (data.sizes["test"], 4)


@pytest.mark.parametrize("kind", ["U", "S"])
def test_npz_with_its_own_split(tmp_path, kind):
    data = load(write(tmp_path, split=WORDS.astype(kind)))
    assert [SPLITS[i] for i in data.split] == WORDS.tolist()
    assert np.array_equal(data.part("val")[1], Y[WORDS == "val"])


def test_labels_and_samples_of_other_number_types(tmp_path):
    for x, y in ((X.astype(np.float16), Y.astype(np.float32)), ((100 * X).astype(np.int16), Y.astype(np.uint8))):
        data = load(write(tmp_path, x=x, y=y))
        assert np.array_equal(data.x, x.astype(np.float32))
        assert np.array_equal(data.y, Y)


def test_npz_with_groups(tmp_path):
    groups = np.repeat([f"person {i}" for i in range(6)], 4)
    data = load(write(tmp_path, group=groups))
    assert all(len(set(data.split[groups == g])) == 1 for g in groups)


@settings(max_examples=150)
@given(st.data(), st.integers(1, 10), st.integers(4, 40))
def test_a_group_never_straddles_two_splits(draw, classes, groups):
    of_sequence = draw.draw(st.lists(st.integers(0, groups - 1), min_size=4, max_size=120).map(np.array))
    labels = np.array(draw.draw(st.lists(st.integers(0, classes - 1), min_size=len(of_sequence), max_size=120)))
    of_sequence, labels = of_sequence[: len(labels)], labels[: len(of_sequence)]
    if len(set(of_sequence.tolist())) < 4:
        return
    split = split_groups(of_sequence, labels)
    for group in set(of_sequence.tolist()):
        assert len(set(split[of_sequence == group].tolist())) == 1
    assert set(split.tolist()) == {0, 1, 2}


@pytest.mark.parametrize(("classes", "each"), [(2, 5), (10, 5), (10, 6), (40, 5), (3, 7), (10, 100)])
def test_any_number_of_classes_can_be_split(classes, each):
    """Few sequences of many classes: a stratified validation split would be too small to hold each class."""
    split = split_groups(np.arange(classes * each), np.arange(classes * each) % classes)
    assert set(split.tolist()) == {0, 1, 2}


@pytest.mark.parametrize(("name", "classes"), [("bonn", 5), ("bonn3", 3)])
def test_bonn(data_root, name, classes):
    data = load(name, data_root)
    assert (data.x.shape, data.classes) == ((4000, 61, 32), classes)
    of_recording = data.split.reshape(500, 8)
    assert (of_recording == of_recording[:, :1]).all()
    assert data.sizes == {"train": 2400, "val": 600, "test": 1000}
    assert data.hop == 8
    assert (data.x[:, 1:, :24] == data.x[:, :-1, 8:]).all()


def test_motor(data_root):
    data = load("motor", data_root)
    assert (data.x.shape, data.classes, data.hop) == ((90, 20, 64), 2, 0)
    assert data.sizes == {"train": 45, "val": 15, "test": 30}


def test_motor_is_log_power_between_8_and_30_hz(tmp_path):
    """A channel that swings at 20 Hz with amplitude 8 has a power of 32, one at 3 Hz next to none."""
    seconds = np.arange(640) / 160
    x = np.zeros((12, 64, 640), np.float32)
    x[:, 5] = 8 * np.sin(2 * np.pi * 20 * seconds)
    x[:, 6] = 8 * np.sin(2 * np.pi * 3 * seconds)
    (tmp_path / "eeg_motor_imagery").mkdir()
    archive = tmp_path / "eeg_motor_imagery" / "eeg_motor_imagery_s001.npz"
    np.savez(archive, x=x, y=np.arange(12) % 4, run=np.repeat([3, 8, 11], 4))
    data = load("motor", tmp_path)
    assert (data.y.tolist(), data.sizes) == ([0, 1] * 3, {"train": 2, "val": 2, "test": 2})
    middle = np.exp(data.x[:, 5:15])
    assert np.allclose(middle[..., 5], 32, rtol=0.05)
    assert (middle[..., 6] < 0.1).all()
    good = {"x": x, "y": np.arange(12) % 4, "run": np.repeat([3, 8, 11], 4)}
    for change, words in (
        ({"x": x[:, :63]}, "Trials of motor must be numbers of shape (trials, 64, 640), not float32 (12, 63, 640)"),
        ({"x": x + 1j}, "Trials of motor must be numbers of shape (trials, 64, 640), not complex64 (12, 64, 640)"),
        ({"y": np.arange(11)}, "Labels of motor must be one a sequence (12), not (11,)"),
        ({"y": np.full(12, "left")}, "Labels of motor must be whole numbers, not "),
        ({"y": np.full(12, 3)}, "Trials of motor must be of a left (0) or right fist (1) in part, and none is"),
        ({"run": np.full(12, "3")}, "Runs of motor must be one whole number a trial (12), not <U1 (12,)"),
        ({"run": np.arange(3)}, "Runs of motor must be one whole number a trial (12), not int64 (3,)"),
    ):
        np.savez(archive, **{**good, **change})
        assert refusal("motor", tmp_path).startswith(words)


def changed(array: np.ndarray, value: object, place: int = 7) -> np.ndarray:
    """``array`` with one value replaced."""
    copy = array.astype(np.result_type(array, np.asarray(value)))
    copy.flat[place] = value
    return copy


BAD_ARRAYS = {
    "NaN sample": ({"x": changed(X, np.nan)}, "Samples of data.npz must be finite in float32, not nan at (0, 3, 1)"),
    "infinite sample": ({"x": changed(X, -np.inf)}, "must be finite in float32, not -inf at (0, 3, 1)"),
    "too large for float32": ({"x": changed(X, 1e39)}, "must be finite in float32, not inf"),
    "text samples": ({"x": X.astype(str)}, "Samples of PATH must be real numbers"),
    "complex samples": ({"x": X + 1j}, "Samples of PATH must be real numbers"),
    "no dimension": ({"x": 1.0}, "Samples of PATH must be (sequences, steps, features), not ()"),
    "two dimensions": ({"x": X[:, 0]}, "must be (sequences, steps, features), not (24, 2)"),
    "four dimensions": ({"x": X[None]}, "must be (sequences, steps, features), not (1, 24, 4, 2)"),
    "no sequence": ({"x": X[:0], "y": Y[:0]}, "must be (sequences, steps, features), not (0, 4, 2)"),
    "no step": ({"x": X[:, :0]}, "not (24, 0, 2)"),
    "no feature": ({"x": X[:, :, :0]}, "not (24, 4, 0)"),
    "too few labels": ({"y": Y[:-1]}, "Labels of PATH must be one a sequence (24) or a step (24, 4), not (23,)"),
    "labels of two dimensions": ({"y": Y[:, None]}, "must be one a sequence (24) or a step (24, 4), not (24, 1)"),
    "labels below -1": ({"y": changed(STEPS, -2)}, "whole numbers from -1 to classes - 1, not -2"),
    "no label at all": ({"y": 0 * STEPS - 1}, "Number of classes in data.npz must be at least 2, not 0"),
    "a gap in the labels of steps": ({"y": 2 * STEPS}, "Labels of data.npz must be 0, 1, ... without a gap, not [0, 2"),
    "no label in a split": (
        {"y": np.where(WORDS[:, None] == "test", -1, STEPS), "split": WORDS},
        "The test split of data.npz must not be empty",
    ),
    "negative label": ({"y": changed(Y, -1)}, "whole numbers from 0 to classes - 1, not -1"),
    "fractional label": ({"y": changed(Y, 0.5)}, "whole numbers from 0 to classes - 1, not 0.5"),
    "NaN label": ({"y": changed(Y, np.nan)}, "whole numbers from 0 to classes - 1, not nan"),
    "huge label": ({"y": changed(Y, 10**18)}, "whole numbers from 0 to classes - 1, not 1000000000000000000"),
    "huger label": ({"y": changed(Y, 1e300)}, "whole numbers from 0 to classes - 1, not 1e+300"),
    "text labels": ({"y": Y.astype(str)}, "Labels of PATH must be whole numbers"),
    "complex labels": ({"y": Y + 0j}, "Labels of PATH must be whole numbers, not dtype('complex128')"),
    "a gap in the labels": ({"y": 2 * Y}, "Labels of data.npz must be 0, 1, ... without a gap, not [0, 2, 4]"),
    "one class": ({"y": 0 * Y}, "Number of classes in data.npz must be at least 2, not 1"),
    "unknown split": (
        {"split": np.where(WORDS == "val", "valid", WORDS)},
        "must be train, val or test, one a sequence",
    ),
    "split of foreign letters": ({"split": changed(WORDS.astype("S5"), b"\xff")}, "must be train, val or test"),
    "split as numbers": ({"split": Y}, "Split of PATH must be train, val or test, one a sequence, not '0'"),
    "too few split words": ({"split": WORDS[:5]}, "one a sequence, not (5,)"),
    "no validation split": (
        {"split": np.where(WORDS == "val", "train", WORDS)},
        "The val split of data.npz must not be",
    ),
    "three groups": ({"group": Y}, "Number of groups in PATH must be at least 4 to split, not 3"),
    "too few group names": ({"group": Y[:5]}, "Group of PATH must be one a sequence (24), not (5,)"),
    "three sequences": ({"x": X[:3], "y": Y[:3]}, "must be at least 4 to split, not 3"),
    "x missing": ({"x": None}, "File PATH must hold an array 'x', not only y"),
    "y missing": ({"y": None}, "File PATH must hold an array 'y', not only x"),
    "nothing at all": ({"x": None, "y": None}, "not only nothing"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_arrays_are_refused(tmp_path, name):
    arrays, words = BAD_ARRAYS[name]
    path = write(tmp_path, **arrays)
    assert words.replace("PATH", path) in refusal(path)


def ragged(path: Path) -> None:
    """Sequences of unlike length, which NumPy can only pickle."""
    rows = np.empty(2, object)
    rows[:] = [[1.0], [1.0, 2.0]]
    np.savez(path, x=rows, y=Y)


def npy(path: Path) -> None:
    """One array under the name of an archive."""
    with path.open("wb") as handle:
        np.save(handle, X)


def truncated(path: Path) -> None:
    """The first half of an archive."""
    write(path.parent)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_arrays(path: Path) -> None:
    """A zip file with something else in it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "one")
        archive.writestr("y.npy", "two")


BAD_FILES = {
    "ragged": (ragged, "File must hold plain arrays, not pickled objects (ragged lists?): 'PATH'"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps([1])), "File must be a readable .npz archive, not 'PATH'"),
    "text": (lambda path: path.write_text("1, 2, 3\n"), "File must be a readable .npz archive, not 'PATH'"),
    "empty": (lambda path: path.touch(), "File must be a readable .npz archive, not 'PATH'"),
    ".npy renamed": (npy, "File must be a readable .npz archive, not 'PATH'"),
    "truncated": (truncated, "File must be a readable .npz archive, not 'PATH'"),
    "other zip": (no_arrays, "Samples of PATH must be real numbers"),
    "a folder": (Path.mkdir, "File must be an existing .npz archive, not 'PATH'"),
    "missing": (lambda path: None, "File must be an existing .npz archive, not 'PATH'"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused(tmp_path, name):
    make, words = BAD_FILES[name]
    path = tmp_path / "data.npz"
    make(path)
    assert words.replace("PATH", str(path)) in refusal(str(path))


@pytest.mark.parametrize("bit", [1, 128])
def test_no_changed_byte_gives_other_data(tmp_path, bit):
    """Zip, zlib and NumPy notice damage each in their own way: every 5th byte is changed once."""
    path = Path(write(tmp_path, split=WORDS))
    whole, expected, refused = path.read_bytes(), load(str(path)), 0
    for place in range(0, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        try:
            found = load(str(path))
        except DataError:
            refused += 1
        else:  # a time stamp or the name of an optional array
            assert np.array_equal(found.x, expected.x)
            assert np.array_equal(found.y, expected.y)
    assert refused > len(whole) / 10


@pytest.mark.parametrize("source", ["nothing", "", "digits.csv", "BONN"])
def test_unknown_sources_are_refused(source):
    known = "digits, bonn, bonn3, motor, fsdd, fsdd_keywords, speech_commands, shakespeare"
    assert refusal(source) == f"Data must be {known} or a file ending in .npz or .txt, not {source!r}"


FILES = {
    **dict.fromkeys(("bonn", "bonn3"), ("bonn", "eeg_bonn/eeg_bonn.npz")),
    "motor": ("motor", "eeg_motor_imagery/eeg_motor_imagery_s001.npz"),
    **dict.fromkeys(("fsdd", "fsdd_keywords"), ("fsdd", "fsdd/fsdd.npz")),
    "speech_commands": ("speech_commands", "speech_commands_v2_subset/speech_commands_v2_subset.npz"),
}


@pytest.mark.parametrize("preset", [*eeg_data.PRESETS, *audio_data.PRESETS])
def test_presets_without_their_data_are_refused(tmp_path, monkeypatch, preset):
    monkeypatch.delenv("XNORFORGE_DATA", raising=False)
    assert "give --data-root or set XNORFORGE_DATA" in refusal(preset)
    name, file = FILES[preset]
    missing = tmp_path / file
    assert refusal(preset, tmp_path) == f"Data set {name} must be in {missing}, and that file is not there"
    monkeypatch.setenv("XNORFORGE_DATA", str(tmp_path))
    assert str(missing) in refusal(preset)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.zeros((4, 100)), np.arange(4), "Recordings of bonn must be at least 4096 numbers each"),
        (np.zeros(4097), np.arange(4), "Recordings of bonn must be at least 4096 numbers each"),
        (np.full((4, 4097), "1"), np.arange(4), "Recordings of bonn must be at least 4096 numbers each"),
        (np.zeros((4, 4097)), np.arange(3), "Labels of bonn must be one a sequence (4), not (3,)"),
        (np.zeros((4, 4097)), np.full(4, np.nan), "Labels of bonn must be whole numbers"),
    ],
)
def test_preset_files_of_other_contents_are_refused(tmp_path, x, y, words):
    (tmp_path / "eeg_bonn").mkdir()
    np.savez(tmp_path / "eeg_bonn" / "eeg_bonn.npz", x=x, y=y)
    assert words in refusal("bonn", tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": np.zeros(24, np.int64)}, "The val split of mine must not be empty"),
        ({"y": Y[:-1]}, "Labels of mine must be one a sequence"),
        ({"split": np.zeros(3, np.int64)}, "Split of mine must be one a sequence (24), not (3,)"),
        ({"x": X.astype(np.float32)[0]}, "Samples of mine must be (sequences, steps, features)"),
        ({"y": Y - 1}, "Labels of mine must be 0, 1, ... without a gap"),
    ],
)
def test_a_data_set_checks_itself(change, words):
    parts = {"x": X.astype(np.float32), "y": Y, "split": np.array([SPLITS.index(w) for w in WORDS])}
    assert Dataset(name="mine", **parts).sizes == {"train": 12, "val": 4, "test": 8}
    with pytest.raises(DataError) as caught:
        Dataset(name="mine", **{**parts, **change})
    assert words in str(caught.value)
