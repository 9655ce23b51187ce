"""The bundle: what is saved is what loads, atomically, and every kind of damage is refused by name."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model import bundle as bundles
from model.bundle import DESIGN, FILES, SCHEMA_VERSION, Bundle, BundleError, Design, Provenance, load, save, seal
from model.family import Family
from model.random_network import random_network, stored
from model.scaling import Scaling
from model.spec import Datapath, Folding, Pool, SumSpec
from tests.sentences import is_one_sentence

NAMES = (DESIGN, *FILES)


def make(datapath: Datapath = Datapath.TABLE, symbols: str | None = None, **choice: Any) -> Bundle:
    """A bundle of a random network of 3 features, 5 hidden units and 3 classes."""
    network, x = random_network(batch=6, **choice)
    design = Design(
        schema_version=SCHEMA_VERSION,
        network=network.spec(),
        folding=Folding(pe=2, simd=4),
        datapath=datapath,
        scaling=Scaling(mean=(0.1, -2e-30, 3.0), scale=(1.0, 1 / 3, 1e20)),
        provenance=Provenance(
            data="mine.npz",
            sizes={"train": 3, "val": 2, "test": 6},
            settings={"seed": 7, "rate": 0.01, "pool": "last"},
            metrics={"golden_test": 2 / 3},
        ),
        symbols=symbols,
    )
    labels = np.array([0, 1, 2, 2, 1, 0])
    if choice.get("pool") is Pool.EACH:
        labels = np.stack([labels, labels, 2 - labels, 0 * labels - 1], 1)  # of four steps
    return Bundle(design=design, weights=network.weights(), samples=stored(network, x), labels=labels)


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    """A saved bundle that nobody changes."""
    folder = tmp_path_factory.mktemp("intact") / "bundle"
    save(make(), folder)
    return folder


@pytest.fixture(scope="module", params=["binarized", "limited sums", "steps"])
def either(request, intact, tmp_path_factory):
    """The same, or one of words whose sums are limited, or of weights with a step."""
    if request.param == "binarized":
        return intact
    folder = tmp_path_factory.mktemp("limited") / "bundle"
    family = Family.BLSTM if request.param == "limited sums" else Family.FIXED
    save(make(Datapath.ARITHMETIC, family=family, sums=SumSpec(width=9, unit=2)), folder)
    return folder


@pytest.fixture
def folder(intact, tmp_path):
    """A copy to damage."""
    return Path(shutil.copytree(intact, tmp_path / "bundle"))


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of every file in a folder, by path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def entries(folder: Path) -> list[str]:
    """Names in a folder."""
    return sorted(p.name for p in folder.iterdir())


def refusal(folder: Path) -> str:
    """The message of the BundleError that loading raises: one sentence."""
    with pytest.raises(BundleError) as caught:
        load(folder)
    assert is_one_sentence(str(caught.value))
    return str(caught.value)


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"a": 5, "w": 1, "pool": Pool.MEAN, "hidden": 1, "datapath": Datapath.THRESHOLD},
        {"a": 1, "w": 4, "datapath": Datapath.ARITHMETIC},
        {"a": 1, "w": 2, "pool": Pool.EACH, "symbols": "\n\u00e9\U0001f98a"},
    ],
)
def test_round_trip(tmp_path, choice):
    made = make(**choice)
    save(made, tmp_path / "new" / "bundle")
    read = load(tmp_path / "new" / "bundle")
    assert set(read.design.sha256) == set(NAMES)
    assert dataclasses.replace(read.design, sha256={}) == made.design
    assert set(read.weights) == set(made.weights)
    for name, array in made.weights.items():
        assert read.weights[name].dtype == np.uint8
        assert np.array_equal(read.weights[name], array)
    assert read.samples.dtype == read.labels.dtype == np.int64
    assert np.array_equal(read.samples, made.samples)
    assert np.array_equal(read.labels, made.labels)


def test_saving_again_gives_the_same_bytes(intact, tmp_path):
    save(make(), tmp_path / "again")
    save(load(intact), tmp_path / "loaded")
    assert contents(tmp_path / "again") == contents(tmp_path / "loaded") == contents(intact)
    assert set(contents(intact)) == set(NAMES)


def test_an_older_bundle_is_replaced(folder):
    newer = make(seed=1)
    (folder / "weights.npz").write_bytes(b"a damaged one can be replaced too")
    save(newer, folder)
    assert np.array_equal(load(folder).weights["wx_l0"], newer.weights["wx_l0"])
    assert entries(folder.parent) == [folder.name]


@pytest.mark.parametrize("files", [[], ["thesis.tex"], ["design.json", "thesis.tex"], ["weights.npz"]])
def test_a_foreign_folder_is_not_replaced(tmp_path, files):
    target = tmp_path / "precious"
    target.mkdir()
    for name in files:
        (target / name).write_text(name)
    with pytest.raises(BundleError, match="Bundle folder must be new, or an older bundle and nothing else"):
        save(make(), target)
    assert entries(target) == sorted(files)
    assert entries(tmp_path) == ["precious"]


class DiskFullError(Exception):
    """Stands for whatever may go wrong while writing."""


@pytest.mark.parametrize("call", range(3))
@pytest.mark.parametrize("before", ["nothing", "an older bundle"])
@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_nothing_half_written_is_left(tmp_path, monkeypatch, function, before, call):
    """The ``call``-th call of a system function fails: everything is as before, or (a later call) complete."""
    target, older, newer = tmp_path / "runs" / "bundle", make(), make(seed=1)
    if before == "an older bundle":
        save(older, target)
    original, calls = getattr(os, function), 0

    def failing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call + 1:
            raise DiskFullError
        return original(*arguments)

    was = contents(tmp_path)
    monkeypatch.setattr(bundles.os, function, failing)
    try:
        save(newer, target)
    except DiskFullError:
        assert contents(tmp_path) == was
        assert entries(target.parent) == (["bundle"] if was else [])
    else:
        assert calls <= call
        assert entries(target.parent) == ["bundle"]
        assert np.array_equal(load(target).weights["wx_l0"], newer.weights["wx_l0"])


def test_a_bundle_that_would_not_load_is_not_saved(tmp_path):
    made = make()
    for bad in (
        dataclasses.replace(made, labels=made.labels + 1),
        dataclasses.replace(made, labels=made.labels[:-1]),
        dataclasses.replace(made, samples=made.samples + 1000),
        dataclasses.replace(made, weights={**made.weights, "b_l0": made.weights["b_l0"] + 4}),
        dataclasses.replace(made, weights={k: v for k, v in made.weights.items() if k != "wh_l0"}),
    ):
        with pytest.raises(BundleError):
            save(bad, tmp_path / "bundle")
        assert entries(tmp_path) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert refusal(folder) == f"Bundle {folder} must hold {name}, and it is not there"


@pytest.mark.parametrize("name", NAMES)
def test_one_changed_byte_is_seen(folder, name):
    blob = (folder / name).read_bytes()
    for place in range(0, len(blob), max(1, len(blob) // 60)):
        (folder / name).write_bytes(blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :])
        assert str(folder / name) in refusal(folder)
    (folder / name).write_bytes(blob)
    assert load(folder)


def test_a_changed_figure_is_seen(folder):
    """No range or type tells that this is not what training wrote; the digest of the text does."""
    text = (folder / DESIGN).read_text()
    (folder / DESIGN).write_text(text.replace("0.6666666666666666", "0.9666666666666666"))
    assert (folder / DESIGN).read_text() != text
    assert refusal(folder).startswith(f"Bundle file {folder / DESIGN} must have the SHA-256 written in design.json")


@pytest.mark.parametrize("text", ["", "{", "nothing", "\0", "[" * 100_000, '{"schema_version": 1', "\udcff"])
def test_a_design_that_is_no_json_is_refused(folder, text):
    (folder / DESIGN).write_bytes(text.encode(errors="surrogateescape"))
    assert refusal(folder) == f"Bundle file {folder / DESIGN} must be JSON text, and it is not"


@pytest.mark.parametrize("text", ["[]", "1", "null", "{}", '{"schema_version": 2}', '{"schema_version": "3"}'])
def test_a_design_of_another_schema_is_refused(folder, text):
    (folder / DESIGN).write_text(text)
    assert refusal(folder).startswith(f"Bundle schema version of {folder / DESIGN} must be {SCHEMA_VERSION}, not ")


def test_no_folder_is_refused(folder, tmp_path):
    for path in (tmp_path / "missing", folder / DESIGN):
        assert refusal(path) == f"Bundle must be a folder, not {str(path)!r}"


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object] = lambda design: None, **files: Any) -> None:
    """Damage by somebody who makes the digests right again: ``files`` maps ``weights`` or ``samples`` to arrays."""
    for name, arrays in files.items():
        np.savez_compressed(folder / f"{name}.npz", **arrays)
    design = json.loads((folder / DESIGN).read_text())
    change(design)
    (folder / DESIGN).write_bytes(seal(design, {name: (folder / name).read_bytes() for name in FILES}))


def test_rewriting_alone_does_no_damage(folder):
    before = contents(folder)
    rewrite(folder)
    assert contents(folder) == before


def paths(value: Any, *, keys: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every field and element inside a JSON value; of a list the first only."""
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = [(0, value[0])] if value else []
    else:
        return [keys]
    return [*([keys] if keys else []), *(p for k, v in inside for p in paths(v, keys=(*keys, k)))]


def at(design: Any, keys: tuple[Any, ...]) -> Any:
    """The object that holds the last of ``keys``."""
    for key in keys[:-1]:
        design = design[key]
    return design


FREE = ("sizes", "settings", "metrics")  #: maps whose keys are free, so that none can be missing or unknown


def fields(design: Any) -> list[tuple[Any, ...]]:
    """Fields whose name the schema fixes."""
    return [p for p in paths(design) if isinstance(p[-1], str) and not (len(p) > 1 and p[-2] in (*FREE, "sha256"))]


NULLABLE = (("symbols",), ("sums",), ("sums", "width"), ("sums", "unit"))  #: ends of fields that may be null


def test_every_missing_field_is_named(either, tmp_path):
    folder = Path(shutil.copytree(either, tmp_path / "bundle"))
    design = json.loads((either / DESIGN).read_text())
    checked = [p for p in fields(design) if p not in [("schema_version",), ("sha256",)]]
    if design["network"]["layers"][0]["sums"]:
        checked = [p for p in checked if "sums" in p[:-1]]  # which quantity a word without format was, nobody knows
    exactly = 0
    for keys in checked:
        shutil.copyfile(either / DESIGN, folder / DESIGN)
        rewrite(folder, lambda d, keys=keys: at(d, keys).pop(keys[-1]))
        message, where = refusal(folder), ".".join(map(str, keys))
        exactly += message.startswith(f"Bundle field {where} of {folder / DESIGN}")
        # A field with a default may be missed first by the part of the network that it is in.
        assert where.startswith(message.removeprefix("Bundle field ").split(" of ")[0])
    assert exactly >= (70 if either.parent.name.startswith("intact") else 6)


def test_every_wrong_type_is_named(either, tmp_path):
    """A text for a number, a number for a text, an object for a list."""
    folder = Path(shutil.copytree(either, tmp_path / "bundle"))
    design = json.loads((either / DESIGN).read_text())
    for keys in [p for p in paths(design) if p[0] not in ("schema_version", "sha256") and "settings" not in p]:
        value = at(design, keys)[keys[-1]]
        for wrong in (None, [1] if not isinstance(value, list) else {}, 1 if isinstance(value, str | bool) else "1"):
            if wrong is None and (keys[-1:] in NULLABLE or keys[-2:] in NULLABLE):
                continue
            shutil.copyfile(either / DESIGN, folder / DESIGN)
            rewrite(folder, lambda d, keys=keys, wrong=wrong: at(d, keys).__setitem__(keys[-1], wrong))
            assert f"Bundle field {'.'.join(map(str, keys))}" in refusal(folder), (keys, wrong)


@pytest.mark.parametrize(
    "keys", [(), ("network",), ("network", "layers", 0, "x"), ("folding",), ("network", "layers", 0, "b", 2)]
)
def test_an_unknown_field_is_named(folder, keys):
    rewrite(folder, lambda d: at(d, (*keys, "")).update(secret=1))
    where = ".".join(map(str, (*keys, "secret")))
    assert refusal(folder) == (
        f"Bundle field {where} of {folder / DESIGN} must be one of schema version {SCHEMA_VERSION}, and it is unknown"
    )


#: path and value -> words of the refusal
WRONG_VALUES: list[tuple[str, Any, str]] = [
    ("schema_version", 2, "schema version of"),
    ("schema_version", float(SCHEMA_VERSION), "field schema_version of"),
    ("network.layers.0.x.factors.0", 0, "Scaling factor must be from 1 to 16777215, not 0"),
    ("network.layers.0.wh.2.factors.1", -5, "Scaling factor must be from 1 to 16777215, not -5"),
    ("network.dense.b.factors.0", 1 << 24, "Scaling factor must be from 1 to 16777215, not 16777216"),
    ("network.layers.0.x.factors", [], "Number of levels must be 1 to 5, not 0"),
    ("network.layers.0.x.factors", [6, 5, 4, 3, 2, 1], "Number of levels must be 1 to 5, not 6"),
    ("network.layers.0.x.factors", [9], "Number of levels must be the same for x, h, c and the gate outputs"),
    (
        "network.layers.0.gates.3.factors",
        [9, 8, 7],
        "Number of levels must be the same for x, h, c and the gate outputs",
    ),
    ("network.layers.0.wx.0.factors", [9], "Number of levels must be the same for wx, wh and b"),
    ("network.dense.w.factors", [9], "Code of b must be as wide as that of w (1), not 2"),
    ("network.layers.0.c.frac", 9, "Fraction bits of f + c must be those of i + g"),
    ("network.layers.0.b.1.frac", 3, "Fraction bits of b must be 8, not 3"),
    ("network.layers.0.wx.1.offset", 3, "Offset of weights must be 0, not 3"),
    ("network.layers.0.x.frac", -1, "Fraction bits of scaling factors must be 0 to 24, not -1"),
    ("network.layers.0.hidden", 0, "Number of hidden units must be 1 to 4096, not 0"),
    ("network.source.width", 63, "Format width must be 1 to 62 bits, not 63"),
    ("network.layers.0.rounding", "up", "Bundle field network.layers.0.rounding of"),
    ("network.layers.0.sigmoid.bases", [1, 2, 3], "PWL slopes must be as many as bases (3), not 32"),
    ("network.layers.0.sigmoid.slopes.0", 1 << 60, "PWL values must be below 2**62 in size"),
    ("network.layers.0.sigmoid.bases.3", -(10**30), "PWL values must be below 2**62 in size"),
    ("network.dense.classes", 1, "Number of classes must be 2 to 4096, not 1"),
    ("network.dense.pool", "first", "Bundle field network.dense.pool of"),
    ("network.dense.max_steps", 0, "Longest sequence must be 1 to 1048576 steps, not 0"),
    ("network.layers.0.hidden", 6, "Weights wx_l0 must be uint8 of shape (4, 6, 3), not uint8 (4, 5, 3)"),
    ("network.dense.classes", 4, "Weights dense_w must be uint8 of shape (4, 5), not uint8 (3, 5)"),
    ("network.source.width", 3, "Samples must be from -4 to 3, not "),
    ("datapath", "auto", "Bundle field datapath of"),
    ("symbols", "abc", "Symbols must go with a result a step, not with pool 'last'"),
    ("symbols", 3, "Bundle field symbols of"),
    (
        "network.layers.0.overflow",
        "wrap",
        "Datapath must be arithmetic, not 'table': Overflow of a narrowing before thr",
    ),
    ("folding.pe", 0, "Folding pe must be 1 to 8192, not 0"),
    ("folding.simd", 8193, "Folding simd must be 1 to 8192, not 8193"),
    ("scaling.mean", [0.0, 0.0], "scaling must be one mean and scale a feature, not 2 and 3"),
    ("scaling", {"mean": [0.0], "scale": [1.0]}, "scaling must be one mean and scale a feature, not 1 and 1"),
    ("scaling.scale", [], "scaling must be one mean and scale a feature, not 3 and 0"),
    ("scaling.scale.1", float("nan"), "Bundle field scaling.scale.1 of"),
    ("provenance.metrics.golden_test", "high", "Bundle field provenance.metrics.golden_test of"),
    ("provenance.settings.seed", [], "Bundle field provenance.settings.seed."),
]


@pytest.mark.parametrize(("where", "value", "words"), WRONG_VALUES, ids=lambda v: str(v)[:40])
def test_a_wrong_value_is_named(folder, where, value, words):
    keys = tuple(int(k) if k.isdigit() else k for k in where.split("."))
    rewrite(folder, lambda d: at(d, keys).__setitem__(keys[-1], value))
    assert words in refusal(folder)


def changed(array: np.ndarray, value: int) -> np.ndarray:
    """``array`` with its second value replaced."""
    copy = array.copy()
    copy.flat[1] = value
    return copy


#: damage to the weight arrays -> words of the refusal; None takes an array away
WRONG_WEIGHTS: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "code too large": (lambda w: {"b_l0": changed(w["b_l0"], 4)}, "Weights b_l0 must be codes below 4, not 4"),
    "other shape": (
        lambda w: {"wh_l0": w["wh_l0"][:, :4]},
        "Weights wh_l0 must be uint8 of shape (4, 5, 5), not uint8 (4, 4",
    ),
    "transposed": (
        lambda w: {"wx_l0": w["wx_l0"].transpose(0, 2, 1)},
        "Weights wx_l0 must be uint8 of shape (4, 5, 3)",
    ),
    "other type": (lambda w: {"dense_b": w["dense_b"].astype(float)}, "Weights dense_b must be uint8"),
    "signed": (lambda w: {"dense_b": w["dense_b"].astype(np.int8)}, "Weights dense_b must be uint8"),
    "missing": (lambda w: {"dense_w": None}, "must hold an array 'dense_w'"),
    "unknown": (lambda w: {"more": w["b_l0"]}, "Weight arrays must be wx_l0, wh_l0, b_l0, dense_w, dense_b, not "),
}


@pytest.mark.parametrize("name", WRONG_WEIGHTS)
def test_wrong_weights_are_named(folder, name):
    change, words = WRONG_WEIGHTS[name]
    weights = {**make().weights}
    rewrite(folder, weights={k: v for k, v in {**weights, **change(weights)}.items() if v is not None})
    assert words in refusal(folder)


def test_a_family_in_fixed_point(tmp_path):
    """Both kinds of quantity in one bundle: what is saved loads, and what is wrong is named, not its kind."""
    made, folder = make(Datapath.ARITHMETIC, family=Family.B_LSTM), tmp_path / "bundle"
    save(made, folder)
    read = load(folder)
    assert read.network == made.network
    assert {name: array.dtype.name for name, array in read.weights.items()} == {
        name: "uint8" if name == "wx_l0" else "int32" for name in made.weights
    }
    assert all(np.array_equal(read.weights[name], array) for name, array in made.weights.items())
    text = (folder / DESIGN).read_bytes()
    for where, value, words in (
        ("network.layers.0.h.format.width", 33, "Bundle field network.layers.0.h of"),
        ("network.layers.0.h.format.width", 33, "Width of a fixed-point quantity must be 2 to 32 bits, not 33"),
        ("network.layers.0.h.format.signed", False, "Format of a word of an LSTM layer must be signed, not 'u22.20'"),
        ("network.layers.0.c.format.frac", "20", "Bundle field network.layers.0.c.format.frac of"),
        ("network.layers.0.c.format", None, "Bundle field network.layers.0.c.format of"),
        ("network.layers.0.c.overflow", "bounce", "Bundle field network.layers.0.c.overflow of"),
        ("network.layers.0.c.factors", [1], "Bundle field network.layers.0.c.factors of"),
        ("network.layers.0.wh.2.format.frac", 19, "Fraction bits of wh must be 20, not 19"),
        ("network.layers.0.wh.2.format.width", 31, "Storage of wh must be of one kind and width for all gates"),
        ("network.layers.0.x.factors.0", 0, "Scaling factor must be from 1 to 16777215, not 0"),
        (
            "network.layers.0.b.0",
            {"factors": [1], "frac": 20, "offset": 0},
            "Storage of b must be of one kind and width",
        ),
        (
            "datapath",
            "threshold",
            "Datapath must be arithmetic, not 'threshold': Quantity must be binarized, not fixed",
        ),
    ):
        (folder / DESIGN).write_bytes(text)
        keys = tuple(int(k) if k.isdigit() else k for k in where.split("."))
        rewrite(folder, lambda d, keys=keys, value=value: at(d, keys).__setitem__(keys[-1], value))
        assert words in refusal(folder), where
    (folder / DESIGN).write_bytes(text)
    for name, array, words in (
        ("wx_l0", made.weights["wx_l0"].astype(np.int32), "Weights wx_l0 must be uint8 of shape"),
        ("wh_l0", made.weights["wh_l0"].astype(np.int64), "Weights wh_l0 must be int32 of shape"),
        ("wh_l0", np.full_like(made.weights["wh_l0"], -(2**31)), None),
    ):
        rewrite(folder, weights={**made.weights, name: array})
        assert words is None or words in refusal(folder)
    assert np.array_equal(load(folder).weights["wh_l0"], array)


def test_layers_that_do_not_fit_are_refused(tmp_path):
    """Each of the three rules of :class:`model.spec.NetworkSpec`, and the datapath of a layer above."""
    folder = tmp_path / "bundle"
    save(make(layers=2), folder)
    assert load(folder).network == make(layers=2).network
    text = (folder / DESIGN).read_bytes()
    for where, value, words in (
        ("network.layers", [], "Number of layers must be 1 to 8, not 0"),
        ("network.layers.1.features", 4, "Features of layer 1 must be the hidden units of the one below (5), not 4"),
        ("network.layers.1.x.factors.0", 9, "Storage of x of layer 1 must be that of h of the one below, not another"),
        ("network.layers.1.x.frac", 5, "Storage of x of layer 1 must be that of h of the one below, not another"),
        ("network.layers.1.overflow", "wrap", "Datapath must be arithmetic, not 'table': Overflow of a narrowing "),
        ("network.layers.1.h.factors.0", -1, "Bundle field network.layers.1.h"),
    ):
        (folder / DESIGN).write_bytes(text)
        keys = tuple(int(k) if k.isdigit() else k for k in where.split("."))
        rewrite(folder, lambda d, keys=keys, value=value: at(d, keys).__setitem__(keys[-1], value))
        assert words in refusal(folder), where


def test_sums_that_could_leave_64_bits_are_refused(tmp_path):
    made = make(family=Family.FIXED32, hidden=64, features=64)
    made.weights["wx_l0"][:] = 2**31 - 1  # type: ignore[index]
    with pytest.raises(ValueError, match=r"Sums z_l0 must be at most 2305843009213693951 in size, not 29514"):
        made.network.check_weights(made.weights)


def test_results_of_steps_and_symbols(tmp_path):
    """A label a step, or -1; as many symbols as features and classes, each another one."""
    made, folder = make(pool=Pool.EACH, symbols="abc"), tmp_path / "bundle"
    save(made, folder)
    text = (folder / DESIGN).read_bytes()
    for symbols, words in (
        ("ab", "Symbols must be one a feature (3) and class (3), not 2 of 2 kinds"),
        ("aba", "Symbols must be one a feature (3) and class (3), not 3 of 2 kinds"),
    ):
        rewrite(folder, lambda d, symbols=symbols: d.__setitem__("symbols", symbols))
        assert words in refusal(folder)
        (folder / DESIGN).write_bytes(text)
    for labels, words in (
        (made.labels[:, 0], "labels must be 6 x 4 from -1 to 2, not [0, 1, 2, 2]..."),
        (changed(made.labels, -2), "labels must be 6 x 4 from -1 to 2, not [0, -2, 2, -1]..."),
    ):
        rewrite(folder, samples={"x": made.samples, "y": labels})
        assert words in refusal(folder)


WRONG_SAMPLES: dict[str, tuple[Callable[[Any, Any], dict[str, Any]], str]] = {
    "sample too large": (lambda x, y: {"x": changed(x, 128)}, "Samples must be from -128 to 127, not "),
    "sample too small": (lambda x, y: {"x": changed(x, -129)}, "Samples must be from -128 to 127, not -129"),
    "no whole sample": (lambda x, y: {"x": x + 0.5}, "Samples must be integers of format s8.5"),
    "text": (lambda x, y: {"x": x.astype(str)}, "Samples must be integers of format s8.5"),
    "other features": (lambda x, y: {"x": x[:, :, :2]}, "Samples must be of shape (batch, steps, 3)"),
    "no samples": (lambda x, y: {"x": x[:0], "y": y[:0]}, "Samples must be of shape (batch, steps, 3)"),
    "x missing": (lambda x, y: {"x": None}, "must hold an array 'x'"),
    "y missing": (lambda x, y: {"y": None}, "must hold an array 'y'"),
    "label too large": (lambda x, y: {"y": changed(y, 3)}, "labels must be 6 from 0 to 2, not [0, 3, 2, 2]..."),
    "label negative": (lambda x, y: {"y": changed(y, -1)}, "labels must be 6 from 0 to 2, not [0, -1, 2, 2]..."),
    "no whole label": (lambda x, y: {"y": y * 0.5}, "labels must be 6 from 0 to 2, not [0.0, 0.5, 1.0, 1.0]..."),
    "too few labels": (lambda x, y: {"y": y[:5]}, "labels must be 6 from 0 to 2"),
}


@pytest.mark.parametrize("name", WRONG_SAMPLES)
def test_wrong_samples_are_named(folder, name):
    change, words = WRONG_SAMPLES[name]
    x, y = make().samples, make().labels
    rewrite(folder, samples={k: v for k, v in {"x": x, "y": y, **change(x, y)}.items() if v is not None})
    message = refusal(folder)
    assert words in message
    assert str(folder) in message
