"""Runs of the tables: trained once, and again if anything that their figures depend on is another."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from model.config import TrainConfig, TrainingError
from model.data import Dataset
from model.family import Family
from model.spec import Datapath, Folding
from scripts import runs, table_accuracy
from scripts.runs import figures

CONFIG = TrainConfig(activation_levels=1, weight_levels=1, hidden=1, epochs_float=1, epochs=1)
X = np.random.default_rng(0).normal(size=(24, 2, 2)).astype(np.float32)
DATA = Dataset(name="mine", x=X, y=np.arange(24) % 2, split=np.arange(24) // 2 % 3)
FOLDING = Folding(pe=1, simd=8)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run: its figures, their file, and what has been trained since."""
    found, trained = figures(CONFIG, DATA, tmp_path, folding=FOLDING), []
    original = runs.train_to_bundle

    def told(*args, **options):
        trained.append(args)
        return original(*args, **options)

    monkeypatch.setattr(runs, "train_to_bundle", told)
    return found, tmp_path / "figures.json", trained


def test_a_finished_run_is_not_trained_again(run):
    found, file, trained = run
    assert figures(CONFIG, DATA, file.parent, folding=FOLDING) == found == json.loads(file.read_text())
    assert trained == []


@pytest.mark.parametrize(
    "change", [{"folding": Folding(pe=1, simd=1)}, {"datapath": Datapath.THRESHOLD}], ids=["folding", "datapath"]
)
def test_other_hardware_is_made_again(run, change):
    _, file, trained = run
    figures(CONFIG, DATA, file.parent, **{"folding": FOLDING, **change})
    assert len(trained) == 1
    figures(CONFIG, DATA, file.parent, **{"folding": FOLDING, **change})
    assert len(trained) == 1


@pytest.mark.parametrize(
    "change",
    [{"x": X + 1}, {"y": 1 - DATA.y}, {"split": (DATA.split + 1) % 3}, {"name": "other"}],
    ids=["x", "y", "split", "name"],
)
def test_other_data_is_refused_and_old_figures_stay(run, change):
    _, file, trained = run
    kept = file.read_bytes()
    with pytest.raises(TrainingError, match="must be continued with data"):
        figures(CONFIG, dataclasses.replace(DATA, **change), file.parent, folding=FOLDING)
    assert len(trained) == 1
    assert file.read_bytes() == kept


@pytest.mark.parametrize("key", ["run", "data", "data digest", "folding", "datapath"])
def test_figures_that_do_not_say_of_what_they_are_count_as_none(run, key):
    found, file, trained = run
    file.write_text(json.dumps({name: value for name, value in found.items() if name != key}))
    again = figures(CONFIG, DATA, file.parent, folding=FOLDING)
    assert {**again, "seconds": 0} == {**found, "seconds": 0}
    assert len(trained) == 1


def test_a_bundle_that_is_gone_is_made_again(run):
    _, file, trained = run
    shutil.rmtree(file.parent / "bundle")
    figures(CONFIG, DATA, file.parent, folding=FOLDING)
    assert len(trained) == 1
    assert (file.parent / "bundle").exists()


def test_a_float_network_has_no_bundle_and_is_not_trained_again(run, tmp_path):
    _, _, trained = run
    config = dataclasses.replace(CONFIG, family=Family.FLOAT)
    for _ in range(2):
        assert figures(config, DATA, tmp_path / "float", folding=FOLDING)["bundle"] is None
    assert len(trained) == 1


def test_the_bundle_of_a_table_is_of_the_data_that_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(table_accuracy, "config_of", lambda *_: CONFIG)
    found = table_accuracy.trained("digits", (1, 1), DATA, tmp_path)
    assert found.network.features == 2
    with pytest.raises(TrainingError, match="must be continued with data digest"):
        table_accuracy.trained("digits", (1, 1), dataclasses.replace(DATA, x=X + 1), tmp_path)
