"""The hardware configuration file: what is written is read, and damage is refused with one sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from model.spec import EnqSpec, KnqSpec, LayersFileError, LayersSpec, nonuniform_file
from tests.sentences import is_one_sentence

ENQ = LayersSpec(layers=(EnqSpec(bits=4), EnqSpec(bits=6)))
KNQ = LayersSpec(layers=(KnqSpec(centroids=(0, 7, 7, 4096)), KnqSpec(centroids=(3, 1000))))
NAMES = ("conv1_1", "Schicht ü")


@pytest.mark.parametrize("layers", [ENQ, KNQ])
def test_what_is_saved_is_loaded(tmp_path, layers):
    path = tmp_path / "new" / "layers.json"
    nonuniform_file.save(path, layers, NAMES)
    nonuniform_file.save(path, layers, NAMES)  # over the older one
    assert nonuniform_file.load(path) == (layers, NAMES)
    assert [p.name for p in path.parent.iterdir()] == ["layers.json"]


def damaged(name: str, value: object = None) -> str:
    """The text of a KNQ configuration with one field, ``a.b.c``, changed; removed if the value is None."""
    whole: dict[str, Any] = {
        "schema_version": 1,
        "kind": "knq",
        "q_bits": 12,
        "layers": [{"name": NAMES[0], "centroids": [0, 7, 7, 4096]}, {"name": NAMES[1], "centroids": [3, 1000]}],
    }
    *path, last = (int(part) if part.isdecimal() else part for part in name.split("."))
    within: Any = whole
    for part in path:
        within = within[part]
    if value is None:
        del within[last]
    else:
        within[last] = value
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "must be JSON text"),
        ("[" * 100_000, "must be JSON text"),
        ("[1]", "Schema version must be 1, not None"),
        ('{"kind": 1, "kind": 2}', "Field kind must be there once"),
        (damaged("schema_version", 2), "Schema version must be 1, not 2"),
        (damaged("schema_version", True), "Schema version must be 1, not True"),
        (damaged("kind"), "Field kind must be there"),
        (damaged("kind", "clnq"), "Field kind must be enq or knq, not 'clnq'"),
        (damaged("colour", 1), "Field colour must be one of schema version 1, and it is unknown"),
        (damaged("q_bits", 12.0), "Field q_bits must be an integer, not 12.0"),
        (damaged("q_bits", 0), "Activation width q_m must be 1 to 32 bits, not 0"),
        (damaged("q_bits", 1), "Field layers.0: Number of centroids must be a power of two from 2 to 2, not 4"),
        (damaged("layers", 3), "Field layers must be a list, not 3"),
        (damaged("layers", []), "Layers of a nonuniform quantizer must be at least 1, not 0"),
        (damaged("layers.1", 3), "Field layers.1 must be an object, not 3"),
        (damaged("layers.1.centroids"), "Field layers.1.centroids must be there, and it is missing"),
        (damaged("layers.1.bits", 4), "Field layers.1.bits must be one of schema version 1"),
        (damaged("layers.1.centroids", 4), "Field layers.1.centroids must be a list, not 4"),
        (damaged("layers.1.centroids.1", True), "Field layers.1.centroids.1 must be an integer, not True"),
        (damaged("layers.1.centroids.1", 4097), "Field layers.1: Centroids of 12-bit activations must be 0 to 4096"),
        (damaged("layers.1.centroids.1", 2), "Field layers.1: Centroids must never decrease, not from 3 to 2"),
        (damaged("layers.1.name", 2), "Names of the layers of field layers must be printable text, not 2"),
        (damaged("layers.1.name", " "), "must be printable text, not ' '"),
        (damaged("layers.1.name", NAMES[0]), "must differ, not be 'conv1_1' twice"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, text, said):
    path = tmp_path / "layers.json"
    path.write_text(text)
    with pytest.raises(LayersFileError) as error:
        nonuniform_file.load(path)
    assert said in str(error.value)
    assert is_one_sentence(str(error.value))


def test_a_missing_file_and_names_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(LayersFileError, match="must be a file that can be read"):
        nonuniform_file.load(tmp_path)
    with pytest.raises(LayersFileError, match="must be as many as these, 2, not 1"):
        nonuniform_file.save(tmp_path / "x.json", ENQ, NAMES[:1])
    with pytest.raises(LayersFileError, match="twice"):
        nonuniform_file.save(tmp_path / "x.json", ENQ, NAMES[:1] * 2)
    assert list(tmp_path.iterdir()) == []
