"""The command retrain, its table and its benchmark: results, files, and every bad input as one sentence."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
import torch

from model import checkpoint
from model.classifier import FitConfig
from model.cnn import digits_net
from model.image_data import load
from model.stepsize.networks import CharacterLstm, weights
from model.stepsize.retrain import train_float
from model.stepsize.tasks import ImageTask
from scripts import bench_qstep, table_stepsize
from scripts.table_stepsize import SCHEMES, Cells, Network, print_table, targets
from tests.scripts.test_cli import answer, files, refusal, run

NET = "model.cnn:digits_net"
MODELS = """
from torch import nn

def none(): return nn.Sequential(nn.Flatten(), nn.ReLU())
def other(): return nn.Linear(9, 10)
def zeros():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    net[1].weight.data.zero_()
    return net
def nan():
    net = zeros()
    net[1].weight.data.fill_(float("nan"))
    return net
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Weights of a network that reads most digits."""
    torch.manual_seed(0)
    network = digits_net()
    train_float(network, ImageTask(load("digits")), FitConfig(epochs=5, rate=1e-2))
    path = tmp_path_factory.mktemp("state") / "net.pt"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with some models, as the current one."""
    (tmp_path / "retrain_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_what_it_says_and_writes(state, tmp_path):
    words = ("retrain", NET, "--state", state, "--bits", 2, "--epochs", 2, "--steps", "fixed:10", "--out", tmp_path)
    found = answer(*words)
    assert found["error_retrained_val"] < found["error_direct_val"]
    assert found["error_float_test"] < 0.2
    assert [(row["name"], row["weights"], row["bits"]) for row in found["layers"]] == [
        ("0.weight", 72, 2),
        ("4.weight", 4096, 2),
        ("6.weight", 320, 2),
    ]
    assert json.loads((tmp_path / "result.json").read_text()) == found
    (kept,) = tmp_path.glob("retrained-*.pt")
    assert files(tmp_path) == sorted(["result.json", kept.name, "retrained.pt", "steps.svg", "weights.npz"])
    network = digits_net()
    network.load_state_dict(torch.load(tmp_path / "retrained.pt", weights_only=True))
    with np.load(tmp_path / "weights.npz") as stored:
        assert stored["bits"] == 2
        for row in found["layers"]:
            codes, steps = stored[row["name"]], stored[f"{row['name']}.step"]
            assert codes.dtype == np.int8
            assert set(np.unique(codes)) == {-1, 0, 1}
            assert steps.tolist() == row["steps"]
            assert steps[0] * 1024 == round(steps[0] * 1024)
            weights = network.get_parameter(row["name"]).detach().numpy()
            assert ((codes * steps).astype(np.float32) == weights).all()
            assert row["zeros"] == (codes == 0).mean()
    assert ImageTask(load("digits")).evaluate(network, "test").error == found["error_retrained_test"]
    before = kept.stat().st_mtime_ns
    assert answer(*words) == found
    assert kept.stat().st_mtime_ns == before  # nothing was trained again


def test_for_people(state, tmp_path):
    options = ("--scheme", "gradual", "--bits", 3, "--epochs", 3, "--per", "output", "--layer", "4")
    result = run("retrain", NET, "--state", state, *options, "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "result.json").read_text())
    assert "(mean of 32)" in result.stdout
    for phase in ("float", "direct", "retrained"):
        assert f"accuracy {100 * (1 - found[f'error_{phase}_test']):.2f} %" in result.stdout
    picture = (tmp_path / "steps.svg").read_text()
    assert "4.weight" in picture
    assert picture.count("bits") >= 2  # lines where 4 and 3 bits begin


def test_direct_takes_no_epochs(state, tmp_path):
    found = answer("retrain", NET, "--state", state, "--scheme", "direct", "--bits", 4, "--out", tmp_path)
    assert found["epochs"] == 0
    assert found["error_direct_test"] == found["error_retrained_test"]
    assert [name for name in files(tmp_path) if name.startswith("retrained-")] == []


def test_ctrl_c_loses_nothing(state, tmp_path, monkeypatch):
    words = ("retrain", NET, "--state", state, "--scheme", "lsq", "--bits", 2, "--epochs", 3)
    whole = answer(*words, "--out", tmp_path / "whole")
    save, saved = checkpoint.save, []

    def stopping(what, path):
        save(what, path)
        saved.append(path.name)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", stopping)
    result = run(*words, "--out", tmp_path / "broken")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "stopped\n")
    assert files(tmp_path / "broken") == [saved[0]]
    again = answer(*words, "--out", tmp_path / "broken")
    assert saved == [saved[0]] * 3 + ["retrained.pt"]
    paths = ("state", "codes", "picture")
    assert {**again, **dict.fromkeys(paths)} == {**whole, **dict.fromkeys(paths)}


def test_text(here):
    (here / "a.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 120)
    torch.manual_seed(0)
    torch.save(CharacterLstm(64).state_dict(), here / "net.pt")
    options = (
        "--state",
        "net.pt",
        "--data",
        "a.txt",
        "--epochs",
        1,
        "--per",
        "gate",
        "--scheme",
        "lsq",
        "--out",
        "out",
    )
    found = answer("retrain", "model.stepsize.networks:lstm64", *options)
    assert found["metric"] == "bits per character"
    assert 0 < found["bits_per_character_retrained_test"] < found["bits_per_character_direct_test"] < 7
    assert [len(row["steps"]) for row in found["layers"]] == [4] * 6 + [1]
    result = run("retrain", "model.stepsize.networks:lstm64", *options)
    assert f"{found['bits_per_character_retrained_test']:.4f} bits per character" in result.stdout


BAD = {
    f"{NET} --bits 1": "Bits of a weight must be 2 to 16, not 1",
    f"{NET} --bits 17": "Bits of a weight must be 2 to 16, not 17",
    f"{NET} --scheme gradual --bits 2 --epochs 3": "Number of epochs of gradual to 2 bits must be at least 4",
    f"{NET} --scheme lsq --update epoch": "Option --update must go with adaptive or adaptive-gradual, not with lsq",
    f"{NET} --data a.txt --flip": "Options --shift and --flip must go with images, not with text 'a",
    f"{NET} --epochs 0": "Number of epochs of adaptive to 3 bits must be at least 1, one a stage, not 0",
    f"{NET} --epochs -1": "Number of epochs must be 0 to 100000, not -1",
    f"{NET} --rate 0": "Learning rate must be above 0 and at most 1, not 0.0",
    f"{NET} --decay nan": "Weight decay must be 0 to 100, not nan",
    f"{NET} --seed {10**20}": "Seed must be 0 to 4294967295, not 100000000000000000000",
    f"{NET} --shift 257": "Shift of images must be 0 to 256, not 257",
    f"{NET} --batch 0": "Number of images a batch must be 1 to 65536, not 0",
    f"{NET} --steps small": "Steps must be free, pow2 or fixed:F with F fraction bits, not 'small'",
    f"{NET} --steps fixed:x": "Steps must be free, pow2 or fixed:F with F fraction bits, not 'fixed:x'",
    f"{NET} --steps fixed:40": "Fraction bits of fixed steps must be 1 to 32, not 40",
    f"{NET} --layer conv1": "Layer must be one with weights, such as 0.weight, 4.weight, 6.weight, not 'conv1'",
    f"{NET} --state nowhere.pt": "State must be an existing file, not 'nowhere.pt'",
    f"{NET} --data digitz": "Images must be digits, mnist, cifar10_subset or a file ending in .npz, not 'digitz'",
    f"{NET} --data mnist --data-root nowhere": "Data set mnist must be in nowhere/mnist/mnist.npz, and that file",
    f"{NET} --data none.txt": "Text must be an existing file, not 'none.txt'",
    f"{NET} --data a.txt": "Model must take symbols as integers of (sequences, length), and does not: ",
    f"{NET} --data b.txt": "Part val of text b must be over 100 characters, not 100",
    f"{NET} --data shakespeare --data-root nowhere": "Text must be an existing file, not 'nowhere/text/tinysh",
    "nothing": "Model must be module:function such as model.cnn:lenet, not 'nothing'",
    "retrain_models:none": "Model Sequential must have linear, convolutional or recurrent weights, and has none",
    "retrain_models:other": "Model must take images of (1, 8, 8), and does not: mat1 and mat2 shapes cannot be mult",
    "retrain_models:zeros": "Weights 1.weight with one step must not all be 0, and they are",
    "retrain_models:nan": "Weights 1.weight must be finite, and they are not",
    "model.cnn:lenet --state @state": "must fit the model model.cnn:lenet, and does not: ",
}  # fmt: skip


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_sentence(line, state, here):
    (here / "a.txt").write_text("abc" * 2000)
    (here / "b.txt").write_text("abc" * 1336)  # 4,008 characters: long enough for a text, not for its windows
    sentence = refusal("retrain", *shlex.split(line.replace("@state", str(state))), "--out", "out")
    assert BAD[line] in sentence
    assert files(here / "out") == []


def test_a_damaged_checkpoint_is_refused(state, tmp_path):
    words = ("retrain", NET, "--state", state, "--epochs", 1, "--out", tmp_path)
    answer(*words)
    (kept,) = tmp_path.glob("retrained-*.pt")
    kept.write_bytes(kept.read_bytes()[:-100])
    assert "Checkpoint must be a readable one, not" in refusal(*words)


def test_cells_of_the_table_are_computed_once(tmp_path, monkeypatch, capsys):
    fit = FitConfig(epochs=4)
    network = Network(
        name="tiny", make=lambda _: digits_net(), data="digits", float_fit=FitConfig(epochs=2, rate=1e-2), fit=fit
    )
    task = ImageTask(load("digits"), 300)
    found = Cells(network, 0, task, tmp_path).all(list(SCHEMES))
    assert len(files(tmp_path)) == 1 + 1 + 3 * len(SCHEMES)  # the float network and its figures, and a file a cell
    monkeypatch.setattr(table_stepsize, "retrain", None)
    assert Cells(network, 0, task, tmp_path).all(list(SCHEMES)) == found
    print_table("digits", {"tiny": [found, found]}, list(SCHEMES), 100.0)
    printed = capsys.readouterr().out
    assert f"| 2 | {100 * found['direct 2']['test']:.2f} ± 0.00 |" in printed


def test_what_is_aimed_at_is_counted():
    def cell(value):
        return {"val": value, "test": value}

    cells = {f"{scheme} {bits}": cell(0.5) for scheme in SCHEMES for bits in (2, 3, 4)}
    cells |= {"float": cell(0.1), "adaptive 2": cell(0.4), "LSQ 4": cell(0.13), "gradual 3": cell(0.6)}
    said = list(targets({"net": [cells]}, list(SCHEMES), 100.0))
    assert "adaptive: less error than conventional in 1 of 2 cells of 2 and 3 bits (50 %)" in said
    assert "gradual: less error than conventional in 0 of 2 cells of 2 and 3 bits (0 %)" in said
    assert said[-1] == "net: at 4 bits LSQ, the best on validation data, is +3.00 from float"


def test_networks_of_the_table():
    found = [len(table_stepsize.networks(each, "mnist")) for each in table_stepsize.Experiment]
    assert found == [8, 3, 3]
    task = ImageTask(load("digits"))
    made = [each.make(task) for each in table_stepsize.networks(table_stepsize.Experiment.FEEDFORWARD, "digits")]
    assert [model(torch.zeros(2, 1, 8, 8)).shape for model in made] == [(2, 10)] * 8
    assert [weights(model) for model in made[:2]] == [64 * 64 * 4 + 640, 64 * 128 + 3 * 128**2 + 1280]
    task.classes = 7
    made = [each.make(task) for each in table_stepsize.networks(table_stepsize.Experiment.TEXT, "digits")]
    assert [each.get_parameter("lstm.weight_hh_l2").shape[1] for each in made] == [64, 128, 256]
    assert made[0](torch.zeros(2, 3, dtype=torch.int64)).shape == (2, 3, 7)


def test_the_benchmark_sees_a_step_that_is_not_the_best(monkeypatch):
    rows = bench_qstep.exactness(20)
    assert sum(row["tensors"] for row in rows) == 20
    assert all(row["above"] == 0 for row in rows)
    monkeypatch.setattr(bench_qstep, "qstep", lambda w, bits: 1.01 * bench_qstep.plain_search(w, bits))
    assert sum(row["above"] for row in bench_qstep.exactness(20)) > 10


def test_the_benchmark_times_both(monkeypatch):
    monkeypatch.setattr(bench_qstep, "SIZES", ((500, 3),))
    (row,) = bench_qstep.times(1)
    assert row["ratio"] == row["search_s"] / row["exact_s"] > 0
    assert row["search_excess"] >= -1e-12
    assert len(bench_qstep.cells(row)) == 6
