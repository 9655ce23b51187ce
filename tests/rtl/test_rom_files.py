"""Files of a run take the place of those of an earlier one, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.family import Family
from model.random_network import random_network
from model.spec import Folding, MemoryImage, Schedule, memory_images
from rtl.rom_files import KINDS, beside, remove_earlier, write_all, write_images
from rtl.weight_memory import WeightStorage

MINE = ("lstm_weights_l0.hex.bak", "my_lstm_weights_l0.hex", "dense.hex", "conv_weights_l0.hex", "network.sv")


def images(layers: int, family: Family) -> tuple[MemoryImage, ...]:
    network, _ = random_network(layers=layers, family=family)
    return memory_images(Schedule(network=network.spec(), folding=Folding(pe=1, simd=2)), network.weights())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files of a user."""
    folder = tmp_path / "out"
    write_all(dict.fromkeys(MINE, "mine"), folder)
    (folder / "dense_weights.mem").mkdir()
    return folder


def made(folder: Path) -> set[str]:
    """Files in a folder, but for the user's, which must be as they were."""
    assert all((folder / name).read_text() == "mine" for name in MINE)
    assert (folder / "dense_weights.mem").is_dir()
    return {path.name for path in folder.iterdir() if path.is_file()} - {*MINE}


def generate(folder: Path, found: tuple[MemoryImage, ...], storage: WeightStorage) -> set[str]:
    contents = {"network.v": "", **beside(found, storage)}
    write_all(contents, folder)
    remove_earlier(folder, contents)
    return set(contents)


def test_an_error_leaves_the_older_files_and_nothing_else(folder):
    write_all({"a.hex": "old", "b.hex": "old"}, folder)
    with pytest.raises(UnicodeEncodeError):
        write_all({"a.hex": "new", "b.hex": "\ud800", "c.hex": "new"}, folder)
    assert made(folder) == {"a.hex", "b.hex"}
    assert [(folder / name).read_text() for name in ("a.hex", "b.hex")] == ["old", "old"]


@pytest.mark.parametrize("family", [Family.MUBINN2, Family.MLP])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mem"])
def test_rom_images_of_an_earlier_run_go(kind, family, folder):
    for other, layers in ((kind, 2), (kind, 1), ("hex", 2), ("load", 1)):
        written = {path.name for path in write_images(images(layers, family), other, folder)}
        assert made(folder) == written


@pytest.mark.parametrize("family", [Family.MUBINN2, Family.MLP])
def test_files_beside_earlier_verilog_go(family, folder):
    for storage, layers in (("readmemh", 2), ("readmemh", 1), ("load", 1), ("rom", 1), ("readmemh", 2), ("const", 1)):
        expected = generate(folder, images(layers, family), WeightStorage(storage))
        assert made(folder) == expected


def test_verilog_and_rom_images_in_one_folder_leave_each_other_alone(folder):
    two, one = images(2, Family.MUBINN2), images(1, Family.MUBINN2)
    roms = {path.name for path in write_images(two, "hex", folder)}
    generated = generate(folder, one, WeightStorage.ROM)
    assert made(folder) == roms | generated
    read = generate(folder, two, WeightStorage.READMEMH)
    assert made(folder) == roms | read
    assert {path.name for path in write_images(one, "mif", folder)} | read == made(folder)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"memories": 1}', '{"memories": [{"file": "MINE"}, {"file": "../dense_biases.mem"}]}']
)
def test_a_manifest_of_somebody_else_removes_nothing(text, folder):
    (folder / "manifest.json").write_text(text.replace("MINE", MINE[0]))
    (folder.parent / "dense_biases.mem").write_text("mine")
    write_images(images(1, Family.MUBINN2), "hex", folder)
    made(folder)
    assert (folder.parent / "dense_biases.mem").exists()
