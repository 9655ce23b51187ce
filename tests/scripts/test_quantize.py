"""The command quantize: results, files, and every bad input as one sentence."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
import torch

from model.classifier import FitConfig, fit
from model.cnn import digits_net
from model.image_data import load, part
from model.nonuniform import EnqSpec, KnqSpec
from model.spec.nonuniform_file import load as load_layers
from tests.scripts.test_cli import answer, files, refusal, run

NET = "model.cnn:digits_net"
MODELS = """
import torch
from torch import nn

def functional():
    class Net(nn.Module):
        def forward(self, x):
            return torch.relu(x).flatten(1)
    return Net()

def needs(width): ...
def nothing(): return 3
def fails(): raise RuntimeError("no weights here. Sorry")
def other(): return nn.Sequential(nn.Flatten(), nn.Linear(9, 10), nn.ReLU())
def signed(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.ReLU())
def nan():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10))
    net[1].weight.data[0, 0] = float("nan")
    return net
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Weights of a network that reads most digits."""
    torch.manual_seed(0)
    network = digits_net()
    fit(network, *part(load("digits"), "train", None), FitConfig(epochs=6))
    path = tmp_path_factory.mktemp("state") / "net.pt"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with some models, as the current one."""
    (tmp_path / "quantize_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("scheme", "kind"), [("uniform", None), ("clnq", None), ("enq", EnqSpec), ("knq-saturated", KnqSpec)]
)
def test_search(scheme, kind, state, tmp_path):
    found = answer("quantize", NET, "--state", state, "--scheme", scheme, "--delta", 0.02, "--out", tmp_path / "out")
    assert found["accuracy_val"] >= found["accuracy_float_val"] - 0.02
    assert found["bits"] == sum(row["bits"] * row["activations"] for row in found["layers"])
    assert [(row["name"], row["activations"]) for row in found["layers"]] == [("1", 512), ("5", 32)]
    assert found["normalized"]["half"] == pytest.approx(found["bits"] / (16 * 544), abs=1e-4)
    assert found["search"]["tried"] > 0
    if scheme == "clnq":
        assert found["normalized"]["clnq"] == 1
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == found
    made = [name for name in files(tmp_path / "out") if not name.startswith("evaluations/")]
    assert made == ["activations.svg", *(["layers.json"] if kind else []), "result.json"]
    if kind:
        layers, names = load_layers(tmp_path / "out" / "layers.json")
        assert names == ("1", "5")
        assert all(isinstance(layer, kind) for layer in layers.layers)
        assert [layer.bits for layer in layers.layers] == [row["bits"] for row in found["layers"]]


def test_the_same_command_again_evaluates_nothing_anew(state, tmp_path):
    words = ("quantize", NET, "--state", state, "--scheme", "enq", "--out", tmp_path)
    first = answer(*words)
    kept = {path: path.read_bytes() for path in (tmp_path / "evaluations").iterdir()}
    assert len(kept) == 2  # of the validation and of the test images
    assert answer(*words) == first
    assert {path: path.read_bytes() for path in (tmp_path / "evaluations").iterdir()} == kept


def test_bits_given_and_layers_by_name(state, tmp_path):
    words = ("quantize", NET, "--state", state, "--out", tmp_path, "--no-compare", "--layer", "5", "--layer", "2")
    found = answer(*words, "--scheme", "knq-floor", "--bits", "3,2")
    assert [(row["name"], row["bits"]) for row in found["layers"]] == [("2", 3), ("5", 2)]
    assert found["layers"][0]["activations"] == 128
    assert [len(row["centroids"]) for row in found["layers"]] == [8, 4]
    assert found["search"] is None
    assert set(found["normalized"]) == {"half", "float"}


def test_for_people_and_fine_tuned(state, tmp_path):
    tuning = ("--finetune", 1, "--weight-bits", 6)
    result = run("quantize", NET, "--state", state, "--out", tmp_path, "--bits", "2", "--scheme", "enq", *tuning)
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "result.json").read_text())
    assert f"{100 * found['finetuned']['accuracy_test']:.2f} %" in result.stdout
    assert f"Next: xnorforge synth --unit enq_quantizer --set layers={tmp_path / 'layers.json'}" in result.stdout
    weights = torch.load(tmp_path / "finetuned.pt", weights_only=True)
    digits_net().load_state_dict(weights)
    assert max(len(each.unique()) for each in weights.values()) <= 1 << 6
    assert [name for name in files(tmp_path) if name.startswith("tuned-")]  # where it would go on


def test_what_it_writes_can_be_synthesized(state, tmp_path):
    answer("quantize", NET, "--state", state, "--out", tmp_path, "--bits", "2", "--scheme", "enq", "--no-compare")
    unit = ("--unit", "enq_quantizer", "--set", f"layers={tmp_path / 'layers.json'}")
    assert answer("generate", *unit, "--out", tmp_path / "rtl")


BAD = {
    "nothing": "Model must be module:function such as model.cnn:lenet, not 'nothing'",
    "model.cnm:lenet": "Model model.cnm:lenet must be importable, and is not: No module named 'model.cnm'",
    "model.cnn:lenett": "Model model.cnn:lenett must be importable, and is not: module 'model.cnn' has no attribute",
    "quantize_models:needs": "must be made without arguments, and is not: needs() missing 1",
    "quantize_models:fails": "must be made without arguments, and is not: no weights here",
    "quantize_models:nothing": "Model quantize_models:nothing must return an nn.Module, not 'int'",
    "quantize_models:functional": "Model Net must have ReLU modules, and has none (a functional relu cannot be hooked)",
    "quantize_models:other": "Model must take images of (1, 8, 8), and does not: mat1 and mat2 shapes cannot be mult",
    "quantize_models:nan": "Weights 1.weight must be finite, and they are not",
    "quantize_models:signed --layer 1": "Activations of layer 1 must be at least 0, not -",
    f"{NET} --state nowhere.pt": "State must be an existing file, not 'nowhere.pt'",
    f"{NET} --state quantize_models.py": "State must be a file of weights by torch.save, not 'quantize_models.py'",
    "model.cnn:lenet --state @state": "must fit the model model.cnn:lenet, and does not: ",
    f"{NET} --data digitz": "Images must be digits, mnist, cifar10_subset or a file ending in .npz, not 'digitz'",
    f"{NET} --data mnist --data-root nowhere": "Data set mnist must be in nowhere/mnist/mnist.npz, and that file",
    f"{NET} --data @sequences": "must be (images, channels, height, width), not (40, 3, 2)",
    f"{NET} --delta -0.1": "Loss of accuracy delta must be 0 to 1, not -0.1",
    f"{NET} --delta 2": "Loss of accuracy delta must be 0 to 1, not 2.0",
    f"{NET} --calibration 0": "Number of calibration images must be at least 1, not 0",
    f"{NET} --validation 0": "Number of validation images must be at least 1, not 0",
    f"{NET} --weight-bits 1": "Bits of weights must be 2 to 24, not 1",
    f"{NET} --q-bits 0": "Activation width q_m must be 1 to 16 bits, not 0",
    f"{NET} --q-bits 17": "Activation width q_m must be 1 to 16 bits, not 17",
    f"{NET} --layer conv1": "Layer must be a module of the model, such as 0, 1, 2, 3, 4, 5, 6, not 'conv1'",
    f"{NET} --scheme enq --q-bits 6 --bits 7": "Bits E of ENQ must be 1 to q_m = 6, not 7",
    f"{NET} --scheme knq-floor --q-bits 6 --bits 7": "Bits T of KNQ must be 1 to 6, not 7",
    f"{NET} --bits 13": "Bits T of KNQ must be 1 to 12, not 13",
    f"{NET} --scheme uniform --bits 17": "Activation width q_m must be 1 to 16 bits, not 17",
    f"{NET} --bits 3,3,3": "Bits must be one number, or one a layer (2), not 3",
    f"{NET} --bits x": "Bits must be a number, or numbers separated by commas, not 'x'",
    f"{NET} --bits 3,": "Bits must be a number, or numbers separated by commas, not '3,'",
    f"{NET} --finetune -1": "Number of epochs must be 0 to 100000, not -1",
    f"{NET} --rate 0.1": "Options --rate and --seed must go with --finetune of at least 1 epoch",
    f"{NET} --seed 0": "Options --rate and --seed must go with --finetune of at least 1 epoch",
    f"{NET} --finetune 1 --rate 0": "Learning rate must be above 0 and at most 1, not 0.0",
    f"{NET} --scheme enq --q-bits 1 --delta 0 --state @state": "Loss of accuracy must be allowed to be above 0.0 with",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_sentence(line, state, here):
    np.savez(here / "sequences.npz", x=np.ones((40, 3, 2)), y=np.arange(40) % 2)
    words = shlex.split(line.replace("@state", str(state)).replace("@sequences", "sequences.npz"))
    sentence = refusal("quantize", *words, "--out", "out")
    assert BAD[line] in sentence
    assert [name for name in files(here / "out") if not name.startswith("evaluations/")] == []
