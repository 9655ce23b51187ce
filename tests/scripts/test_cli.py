"""The command line: help, one JSON object, and every bad input as one sentence that leaves nothing behind."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from model import bundle as bundles
from rtl.network import Network
from rtl.rom_files import FORMATS
from rtl.weight_memory import WeightStorage
from scripts.cli import app
from scripts.table import _print
from sim.simulators import SimulationError, choose_quick
from synth.energy.measure import Energy
from synth.flow import SynthReport, synthesize_text
from synth.liberty import GENERIC
from synth.units import UNITS
from tests import audio
from tests.needs import needs_osu, needs_sta
from tests.sentences import is_one_sentence

ROOT = Path(__file__).resolve().parent.parent.parent
COMMANDS = ("train", "generate", "simulate", "write", "synth", "rom", "info", "units", "quantize", "retrain")


def run(*words: object, env: dict[str, str] | None = None) -> Any:
    """A command in this process: ``exit_code``, ``stdout`` and ``stderr``; a traceback fails the test."""
    result = CliRunner().invoke(app, [str(w) for w in words], env=env)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def answer(*words: object) -> dict[str, Any]:
    """The JSON object that a command prints; nothing else is on standard output."""
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def refusal(*words: object, env: dict[str, str] | None = None) -> str:
    """The one sentence on standard error of a command that fails."""
    result = run(*words, env=env)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.endswith("\n")
    sentence = result.stderr.removeprefix("error: ").removesuffix("\n")
    assert is_one_sentence(sentence)
    return sentence


def files(folder: Path) -> list[str]:
    """Every file in a folder, which need not exist."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """What ``train --json`` says of a tiny network of digits; its bundle is shared."""
    folder = tmp_path_factory.mktemp("run")
    options = ["--hidden", 4, "--levels", "2,2", "--epochs", 2, "--epochs-float", 2, "--out", folder]
    return answer("train", "--data", "digits", *options)


@pytest.fixture
def bundle(trained):
    """A bundle that nobody changes."""
    return Path(trained["bundle"])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_that_can_be_typed(name):
    text = run(name, "--help").stdout
    assert f"Usage: xnorforge {name}" in " ".join(text.replace("root", "xnorforge").split())
    (example,) = re.findall(r"Example: xnorforge (.*?)\s*$", text, re.MULTILINE)
    command, *words = shlex.split(example)
    group: Any = typer.main.get_command(app)
    assert group.commands[command].make_context(command, words).params


def test_help_names_every_command():
    text = run("--help").stdout
    assert all(re.search(rf"\b{name}\b", text) for name in COMMANDS)
    assert run().exit_code == 2


def test_train(trained, bundle):
    assert set(trained) >= {"accuracy_float", "accuracy_golden", "split_sizes", "seconds", "bundle", "seed"}
    assert trained["split_sizes"] == {"train": 1077, "val": 270, "test": 450}
    assert 0 < trained["accuracy_golden"] <= 1
    assert 0 < trained["accuracy_float"] <= 1
    assert trained["seconds"] > 0
    assert files(bundle.parent) == [
        "bundle/design.json",
        "bundle/samples.npz",
        "bundle/weights.npz",
        "checkpoint.pt",
    ]


def test_train_for_people_says_the_same(trained, bundle):
    options = ["--hidden", 4, "--levels", "2,2", "--epochs", 2, "--epochs-float", 2, "--out", bundle.parent]
    result = run("train", *options)  # continues the finished run
    assert result.exit_code == 0
    assert f"{100 * trained['accuracy_golden']:.2f} %" in result.stdout
    assert f"Next: xnorforge simulate {bundle}" in result.stdout


def test_train_on_a_file(tmp_path):
    np.savez(tmp_path / "mine.npz", x=np.random.default_rng(0).normal(size=(40, 3, 2)), y=np.arange(40) % 2)
    options = ["--hidden", 1, "--levels", "1,5", "--epochs", 2, "--epochs-float", 2, "--pool", "mean"]
    found = answer("train", "--data", tmp_path / "mine.npz", *options, "--out", tmp_path / "run")
    assert sum(found["split_sizes"].values()) == 40
    about = answer("info", found["bundle"])
    assert (about["data"], about["features"], about["hidden"], about["classes"]) == ("mine.npz", 2, [1], 2)
    assert (about["activation_levels"], about["weight_levels"], about["pool"]) == (1, 5, "mean")


def test_train_on_noisy_audio(tmp_path):
    """The bundle says at which ratio noise was mixed in."""
    audio.write(tmp_path, "fsdd", audio.fsdd())
    options = ["--hidden", 2, "--levels", "1,1", "--epochs", 1, "--epochs-float", 1, "--pool", "mean"]
    found = answer("train", "--data", "fsdd", "--snr", -5, "--data-root", tmp_path, *options, "--out", tmp_path / "run")
    about = answer("info", found["bundle"])
    assert (about["data"], about["features"], about["steps"], about["classes"]) == ("fsdd at -5 dB", 40, 100, 10)


def test_info(trained, bundle):
    about = answer("info", bundle)
    assert (about["features"], about["hidden"], about["classes"], about["steps"]) == (8, [4], 10, 8)
    assert about["metrics"]["golden_test"] == trained["accuracy_golden"]
    assert sum(about["weight_bits"].values()) == 2 * (4 * 4 * (8 + 4 + 1) + 10 * (4 + 1))
    assert "LSTM 8 -> 4, dense -> 10" in run("info", bundle).stdout
    assert re.search(r"trained on +digits, seed 0 *\n", run("info", bundle).stdout)


def test_info_of_a_bundle_whose_settings_are_not_known(bundle, tmp_path):
    loaded = bundles.load(bundle)
    loaded.design.provenance.settings.clear()
    bundles.save(loaded, tmp_path / "bundle")
    assert answer("info", tmp_path / "bundle")["settings"] == {}
    assert re.search(r"trained on +digits *\n", run("info", tmp_path / "bundle").stdout)


def test_weights_of_few_bits(tmp_path):
    """Two layers of ternary weights on the whole road; info says what their products are."""
    np.savez(tmp_path / "mine.npz", x=np.random.default_rng(0).normal(size=(60, 3, 2)), y=np.arange(60) % 2)
    options = ["--layers", 2, "--hidden", 3, "--weights", "2bit", "--epochs", 2, "--epochs-float", 2]
    made = answer("train", "--data", tmp_path / "mine.npz", *options, "--out", tmp_path / "run")
    about = answer("info", made["bundle"])
    assert (made["family"], about["family"], about["bits_of_a_weight"]) == ("fixed", "fixed", [2])
    assert about["weight_bits"]["wx_l0"] == 4 * 3 * 2 * 2
    assert about["ternary_products_per_step"] == 4 * 3 * (2 + 3 + 3 + 3)
    assert about["xnor_operations_per_step"] == about["multiplications_per_step"] == 0
    assert list(about["weight_steps"]) == ["wx_l0", "wh_l0", "wx_l1", "wh_l1", "dense_w"]
    assert "ternary products a step" in run("info", made["bundle"]).stdout
    found = answer("simulate", made["bundle"], "--simulator", choose_quick(), "--out", tmp_path / "simulation")
    assert found["differing"] == 0
    images = {Path(name).name for name in answer("rom", made["bundle"], "--out", tmp_path / "rom")["files"]}
    assert {"lstm_weights_l1.hex", "dense_weights.hex"} < images


def test_a_multilayer_perceptron(tmp_path):
    """The whole road; pixels of a digit are one step, and a file's steps are samples of their own."""
    options = ["--family", "mlp", "--weights", "2bit", "--layers", 2, "--epochs", 2, "--epochs-float", 2]
    made = answer("train", "--data", "digits", *options, "--hidden", 4, "--pe", 3, "--out", tmp_path / "run")["bundle"]
    about = answer("info", made)
    assert (about["family"], about["features"], about["hidden"], about["steps"]) == ("mlp", 64, [4, 4], 1)
    assert about["ternary_products_per_step"] == 4 * (64 + 4)
    assert about["weight_bits"] == {"w_l0": 512, "b_l0": 64, "w_l1": 32, "b_l1": 64, "dense_w": 80, "dense_b": 120}
    assert about["state_bits"] == {"x_l0": 512, "h_l0": 32, "x_l1": 32, "h_l1": 32}
    assert list(about["weight_steps"]) == ["w_l0", "w_l1", "dense_w"]
    shown = run("info", made, "--saturations", 3).stdout
    assert "MLP 64 -> 4 -> 4, dense -> 10" in shown
    assert "every sum is exact" in shown
    found = answer("simulate", made, "--sequences", 3, "--simulator", choose_quick(), "--out", tmp_path / "simulation")
    assert (found["differing"], found["compared"]) == (0, 3 * (64 + 2 * 4 + 4 + 2 * 4 + 10 + 1))
    assert found["cycles_of_all"] == found["cycles_of_all_predicted"]
    images = {f"relu_{kind}_l{k}.hex" for kind in ("weights", "biases") for k in (0, 1)}
    written = {Path(name).name for name in answer("rom", made, "--out", tmp_path / "rom")["files"]}
    assert written == {*images, "dense_weights.hex", "dense_biases.hex", "manifest.json"}
    report = answer("synth", made, "--pe", 1, "--simd", 4, "--generic", "--datapath", "auto")
    assert report["datapath"] == "arithmetic"
    assert report["rom_bits"] == sum(about["weight_bits"].values())

    np.savez(tmp_path / "mine.npz", x=np.random.default_rng(0).normal(size=(60, 3, 2)), y=np.arange(60) % 2)
    made = answer("train", "--data", tmp_path / "mine.npz", *options, "--pool", "mean", "--out", tmp_path / "file")
    assert answer("info", made["bundle"])["features"] == 2


@pytest.fixture(scope="module")
def of_text(tmp_path_factory):
    """What ``train --json`` says of a tiny network of a text of four symbols."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "a.txt").write_text("abc " * 1200)
    options = ["--pool", "each", "--weights", "3bit", "--hidden", 4, "--batch", 4, "--epochs", 8, "--epochs-float", 8]
    return answer("train", "--data", folder / "a.txt", *options, "--out", folder / "run")


def test_text(of_text, simulator, tmp_path):
    """The test windows, and text behind a prompt; info shows the symbols."""
    about = answer("info", of_text["bundle"])
    assert (about["symbols"], about["pool"], about["features"], about["steps"]) == (" abc", "each", 4, 100)
    assert about["metrics"]["golden_bits"] == of_text["bits_golden"]
    shown = run("info", of_text["bundle"]).stdout
    assert "symbols" in shown
    assert f"{of_text['bits_golden']:.3f} a character" in shown
    found = answer("simulate", of_text["bundle"], "--simulator", simulator, "--out", tmp_path / "simulation")
    assert (found["differing"], found["sequences"]) == (0, 1)
    assert found["cycles_per_sequence"] == found["cycles_per_sequence_predicted"]
    assert found["accuracy_rtl"] == found["accuracy_golden"] == of_text["accuracy_golden"]
    options = ["--prompt", "cab", "--symbols", 20, "--simulator", simulator, "--out", tmp_path / "writing"]
    written = answer("write", of_text["bundle"], *options, "--temperature", 2)
    assert (written["differing"], written["symbols_differing"], written["first_difference"]) == (0, 0, None)
    assert written["text_rtl"] == written["text_golden"]
    assert len(written["text_rtl"]) == 20
    assert set(written["text_rtl"]) <= set(" abc")
    assert written["cycles_per_symbol"] == written["cycles_per_symbol_predicted"]
    shown = run("write", of_text["bundle"], *options)
    assert shown.exit_code == 0
    assert re.search(r"Golden model\n(cab[ abc]{20})\n\nRTL\n\1\n", shown.stdout)


def test_text_that_differs_is_shown_and_fails(of_text, simulator, tmp_path, monkeypatch):
    """The hardware says " " where the golden function says anything else."""

    def faulty(schedule: Any, weights: Any, *more: Any) -> Network:
        return Network(schedule, {**weights, "dense_b": np.array([4000, 0, 0, 0], np.int32)}, *more)

    monkeypatch.setattr("sim.network.Network", faulty)
    options = ["--prompt", "cab", "--symbols", 6, "--simulator", simulator, "--out", tmp_path]
    result = run("write", of_text["bundle"], *options, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["text_rtl"]) == (1, " " * 6)
    assert found["symbols_differing"] == 6 - found["text_golden"].count(" ") > 0
    assert found["first_difference"]["value"] == "logits"
    shown = run("write", of_text["bundle"], *options)
    assert shown.exit_code == 1
    place = re.search(r"[^ ]", found["text_golden"])
    assert place is not None
    assert f"First symbol that differs: number {place.start()}, expected {place[0]!r}, got ' '" in shown.stdout
    assert "First difference: logits at sequence 0, step 0, class 0, cycle " in shown.stdout


def test_counters_of_saturation(tmp_path, monkeypatch):
    """Written and simulated on request; one that differs is shown and fails."""
    np.savez(tmp_path / "mine.npz", x=np.random.default_rng(0).normal(size=(60, 3, 2)), y=np.arange(60) % 2)
    options = ["--family", "blstm", "--adders", 5, "--hidden", 2, "--epochs", 1, "--epochs-float", 1]
    made = answer("train", "--data", tmp_path / "mine.npz", *options, "--out", tmp_path / "run")["bundle"]
    counts = answer("info", made, "--saturations", 4)["saturations"]
    expected = [level["saturated"] for levels in counts.values() for level in levels]
    simulated = ["simulate", made, "--counters", "--sequences", 4, "--pe", 1, "--simulator", choose_quick()]
    simulated += ["--out", tmp_path / "simulation"]
    found = answer(*simulated)
    assert found["differing"] == 0
    assert [each["expected"] for each in found["counters"]] == [each["got"] for each in found["counters"]] == expected
    assert sum(expected) > 0
    assert found["counters"][0] == {"layer": 0, "sum": "x", "level": 0, "expected": expected[0], "got": expected[0]}

    assert next_of(run(*simulated)) == ["synth", made, "--pe", "1", "--counters"]
    counting = run("generate", made, "--counters", "--out", tmp_path / "counting")
    assert next_of(counting) == ["synth", made, "--counters"]
    answer("generate", made, "--out", tmp_path / "plain")
    texts = [(tmp_path / name / "network.v").read_text() for name in ("counting", "plain")]
    assert [re.findall(r"output \[\d+:0\] (saturations\w+)", text) for text in texts] == [
        ["saturations__h_l0", "saturations__x_l0"],
        [],
    ]

    monkeypatch.setattr("sim.network.saturations_of", lambda *_: {"x_l0": np.full((len(counts["x_l0"]), 4, 2), 1000)})
    shown = run(*simulated)
    assert shown.exit_code == 1
    assert f"layer 0, sum over x, level 0  RTL {expected[0]}, golden model 8,000: differs" in shown.stdout
    assert "Next:" not in shown.stdout


def test_layers(tmp_path):
    """Two of them on the whole road."""
    np.savez(tmp_path / "mine.npz", x=np.random.default_rng(0).normal(size=(60, 3, 2)), y=np.arange(60) % 2)
    options = ["--layers", 2, "--hidden", 3, "--levels", "1,2", "--epochs", 2, "--epochs-float", 2]
    made = answer("train", "--data", tmp_path / "mine.npz", *options, "--out", tmp_path / "run")["bundle"]
    about = answer("info", made)
    assert (about["hidden"], about["settings"]["layers"]) == ([3, 3], 2)
    assert set(about["weight_bits"]) == {f"{n}_l{k}" for n in ("wx", "wh", "b") for k in (0, 1)} | {
        "dense_w",
        "dense_b",
    }
    assert {"x_l0", "h_l0", "h_l1"} < set(about["factors"])
    assert about["factors"]["x_l1"] == about["factors"]["h_l0"]
    assert about["xnor_operations_per_step"] == 4 * 3 * (2 + 3 + 3 + 3) * 1 * 2
    assert "LSTM 2 -> 3 -> 3, dense -> 2" in run("info", made).stdout
    found = answer("simulate", made, "--sequences", 3, "--simulator", choose_quick(), "--out", tmp_path / "simulation")
    assert (found["differing"], found["sequences"]) == (0, 3)
    assert found["cycles_per_sequence"] == found["cycles_per_sequence_predicted"]
    assert found["cycles_of_all"] == found["cycles_of_all_predicted"]
    images = {f"lstm_{kind}_l{k}.hex" for kind in ("weights", "biases") for k in (0, 1)}
    written = {Path(name).name for name in answer("rom", made, "--out", tmp_path / "rom")["files"]}
    assert written == {*images, "dense_weights.hex", "dense_biases.hex", "manifest.json"}


def test_units():
    found = answer("units")["units"]
    assert [u["name"] for u in found] == list(UNITS)
    assert all(u["summary"] and u["parameters"] for u in found)
    assert all(name in run("units").stdout for name in UNITS)


@pytest.mark.parametrize("weights", [None, *WeightStorage])
def test_generate_a_network(bundle, tmp_path, weights):
    options = ["--weights", weights, "--pe", 4, "--simd", 3] if weights else []
    (tmp_path / "lstm_weights_l1.hex").write_text("of a larger network")
    found = answer("generate", bundle, "--out", tmp_path, *options)
    assert found["top"] == "network"
    assert sorted(Path(f).name for f in found["files"]) == files(tmp_path)
    assert "module network(" in (tmp_path / "network.v").read_text()
    images = [f"{name}.hex" for name in ("dense_biases", "dense_weights", "lstm_biases_l0", "lstm_weights_l0")]
    beside = {"readmemh": [*images, "xnorforge_rom.v"], "load": ["weights.load"]}.get(weights, [])
    assert files(tmp_path) == sorted(["network.v", *beside])


def test_the_next_command_is_of_the_same_unit(tmp_path):
    said = run("generate", "--unit", "popcount", "--set", "n=8", "--set", "final=fast", "--out", tmp_path).stdout
    assert "Next: xnorforge synth --unit popcount --set n=8 --set final=fast\n" in said


@pytest.mark.parametrize(
    ("goal", "title", "following"),
    [
        ([], "effort area", ["--effort", "speed"]),
        (["--effort", "speed"], "effort speed", ["--delay", "5.5"]),
        (["--delay", "9"], "at most 9 ns", ["--effort", "speed"]),
    ],
)
def test_the_next_goal_is_another(goal, title, following):
    result = run("synth", "--unit", "xnor_dot", "--set", "n=3", "--liberty", GENERIC, *goal)
    assert f"xnor_dot on generic, {title}" in result.stdout
    words = next_of(result)
    assert words[-2:] == following
    next_of(run(*words))


def test_the_next_goal_is_not_a_delay_where_there_are_no_ns():
    said = run("synth", "--unit", "xnor_dot", "--set", "n=3", "--generic", "--effort", "speed")
    assert next_of(said)[-2:] == ["--effort", "area"]


def next_of(result: Any) -> list[str]:
    """The words of the command that is printed as the next one, as a shell reads them."""
    assert result.exit_code == 0, result.stderr
    (line,) = re.findall(r"^Next: xnorforge (.*)$", result.stdout, re.MULTILINE)
    return shlex.split(line)


OTHER = ["--pe", 1, "--simd", 3, "--datapath", "arithmetic"]  #: than the bundle's own design


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("generate", []),
        ("generate", [*OTHER, "--weights", "load"]),
        ("generate", ["--pe", 4, "--weights", "rom"]),
        ("simulate", [*OTHER, "--weights", "load"]),
        ("synth", [*OTHER, "--weights", "load", "--liberty", GENERIC]),
        ("synth", ["--generic"]),
    ],
)
def test_the_next_command_is_of_the_same_design(name, options, bundle, tmp_path, monkeypatch):
    """Verilog and netlists are left out here."""
    made: list[Any] = []
    report = synthesize_text("module top(input a, output o); assign o = ~a; endmodule", "top", liberty=GENERIC)

    def noted(*arguments: Any) -> Network:
        made.append(arguments)
        return Network(*arguments)

    def synthesized(*_: Any, **asked: Any) -> SynthReport:
        made.append(asked["liberty"])
        return report

    for module in ("generate", "synth"):
        monkeypatch.setattr(f"scripts.{module}.emit", lambda *_: "")
    for module in ("scripts.generate", "scripts.synth", "sim.network"):
        monkeypatch.setattr(f"{module}.Network", noted)
    monkeypatch.setattr("scripts.synth.synthesize", synthesized)
    place = Path(shutil.copytree(bundle, tmp_path / "with a space"))
    own = ["--sequences", 1, "--simulator", choose_quick()] if name == "simulate" else []
    words = next_of(run(name, place, *options, *own, "--out", tmp_path / "out"))
    assert words[:2] == ["synth", str(place)]
    next_of(run(*words))
    (schedule, _, storage, _), (again, _, next_storage, _) = (each for each in made if isinstance(each, tuple))
    assert schedule == again
    assert next_storage is (storage if name == "synth" or "--weights" in options else WeightStorage.EXTERNAL)
    if name == "synth":
        first, second = (each for each in made if not isinstance(each, tuple))
        assert first == second == (None if "--generic" in options else GENERIC)


@pytest.mark.parametrize(("kind", "image"), [("load", "weights.load"), ("hex", "lstm_weights_l0.hex")])
def test_the_next_command_fits_the_rom_images(kind, image, bundle, tmp_path):
    """They depend on the folding."""
    said = run("rom", bundle, "--format", kind, "--pe", 1, "--simd", 3, "--out", tmp_path / "rom")
    answer(*next_of(said), "--out", tmp_path / "verilog")
    answer("rom", bundle, "--format", kind, "--out", tmp_path / "own")
    text, other, own = ((tmp_path / name / image).read_text() for name in ("rom", "verilog", "own"))
    assert text == other != own


@pytest.mark.parametrize("unit", UNITS)
def test_generate_every_unit(unit, tmp_path):
    found = answer("generate", "--unit", unit, "--out", tmp_path)
    assert found == {"files": [str(tmp_path / f"{unit}.v")], "top": unit}
    assert f"module {unit}(" in (tmp_path / f"{unit}.v").read_text()


@pytest.mark.parametrize("kind", FORMATS)
def test_rom(bundle, tmp_path, kind):
    found = answer("rom", bundle, "--format", kind, "--out", tmp_path)
    names = ["dense_biases", "dense_weights", "lstm_biases_l0", "lstm_weights_l0"]
    assert files(tmp_path) == sorted(["manifest.json", *(f"{n}.{kind}" for n in names)])
    assert sorted(found["bits"]) == names
    assert sorted(Path(f).name for f in found["files"]) == files(tmp_path)
    memories = json.loads((tmp_path / "manifest.json").read_text())["memories"]
    assert {m["name"]: m["width_bits"] * m["depth_words"] for m in memories} == found["bits"]


def test_rom_to_load(bundle, tmp_path):
    answer("rom", bundle, "--format", "load", "--out", tmp_path / "rom")
    assert files(tmp_path / "rom") == ["manifest.json", "weights.load"]
    answer("generate", bundle, "--weights", "load", "--out", tmp_path / "verilog")
    stream = (tmp_path / "rom" / "weights.load").read_text()
    assert stream == (tmp_path / "verilog" / "weights.load").read_text()


def test_simulate(bundle, simulator, tmp_path):
    found = answer("simulate", bundle, "--sequences", 2, "--simulator", simulator, "--out", tmp_path, "--pe", 4)
    assert found["weights"] == "rom"
    assert (found["sequences"], found["differing"], found["first_difference"]) == (2, 0, None)
    assert found["datapath"] == "table"  # what train writes for two levels
    assert found["compared"] == 2 * (8 * (8 + (2 * 4 + 2) * 4) + 10 + 1)
    assert found["accuracy_rtl"] == found["accuracy_golden"] <= 1
    assert found["cycles_per_sequence"] == found["cycles_per_sequence_predicted"] > 0
    assert found["cycles"] >= 2 * found["cycles_per_sequence"]
    assert (found["simulator"], found["folder"]) == (simulator, str(tmp_path))
    assert found["seconds"] > 0
    assert min(found["cycles_per_second"], found["cycles_per_second_with_build"]) > 0


def test_simulate_the_whole_test_set(bundle, tmp_path, monkeypatch):
    """What runs is left out here: 450 sequences of cocotb take a minute."""
    asked = {}

    def instead(*arguments: Any, **options: Any) -> Any:
        asked.update(options, samples=arguments[2])
        raise SimulationError("enough")

    monkeypatch.setattr("scripts.simulate.run", instead)
    refusal("simulate", bundle, "--all", "--out", tmp_path)
    assert (len(asked["samples"]), asked["simulator"]) == (450, "bulk")
    refusal("simulate", bundle, "--all", "--simulator", "verilator", "--out", tmp_path)
    assert (len(asked["samples"]), asked["simulator"]) == (450, "verilator")
    refusal("simulate", bundle, "--out", tmp_path)
    assert len(asked["samples"]) == 100


#: what the Verilog of each datapath has behind z, of these modules
BEHIND_Z = {
    "arithmetic": {"pwl_activation", "mac"},
    "threshold": {"threshold_activation", "pwl_activation", "mac"},
    "table": {"threshold_activation", "table_product"},
}


@pytest.mark.parametrize("datapath", BEHIND_Z)
def test_generate_every_datapath(datapath, bundle, tmp_path):
    assert answer("generate", bundle, "--out", tmp_path, "--datapath", datapath)["datapath"] == datapath
    modules = set(re.findall(r"^module (\w+)", (tmp_path / "network.v").read_text(), re.MULTILINE))
    assert modules & set().union(*BEHIND_Z.values()) == BEHIND_Z[datapath]


def test_auto_takes_the_smallest_and_says_so(bundle, tmp_path):
    result = run("generate", bundle, "--out", tmp_path, "--datapath", "auto", "--json")
    said = re.search(r"Datapath (\w+) is the smallest: (.*?) (?:um2|NAND2 equivalents) a hidden unit", result.stderr)
    assert said is not None
    areas = {name: float(area.replace(",", "")) for name, area in re.findall(r"(\w+) ([\d,.]+\d)", said[2])}
    assert set(areas) == {"arithmetic", "threshold", "table"}
    assert said[1] == min(areas, key=lambda name: areas[name]) == json.loads(result.stdout)["datapath"]


def test_a_difference_is_shown_and_fails(bundle, simulator, tmp_path, monkeypatch):
    """The hardware gets one other weight than the golden function."""

    def faulty(schedule: Any, weights: Any, *more: Any) -> Network:
        wx = weights["wx_l0"].copy()
        wx[1, 3, 4] ^= 1
        return Network(schedule, {**weights, "wx_l0": wx}, *more)

    monkeypatch.setattr("sim.network.Network", faulty)
    options = ["--sequences", 2, "--simulator", simulator, "--out", tmp_path]
    result = run("simulate", bundle, *options, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["differing"] > 0
    first = found["first_difference"]
    assert [first[k] for k in ("value", "sequence", "step", "layer", "unit", "gate")] == ["z", 0, 0, 0, 3, "f"]
    assert first["expected"] != first["got"]
    shown = run("simulate", bundle, *options)
    assert shown.exit_code == 1
    assert f"First difference: z at sequence 0, step 0, layer 0, unit 3, gate f, cycle {first['cycle']}" in shown.stdout


def test_synth(tmp_path):
    found = answer("synth", "--unit", "popcount", "--set", "n=3", "--generic", "--out", tmp_path)
    assert set(found) >= {
        *("area", "area_unit", "cells", "depth", "delay_ns", "library", "effort", "tools", "seconds"),
    }
    assert (found["area_unit"], found["library"], found["effort"]) == ("NAND2 equivalents", "generic", "area")
    assert (found["delay_ns"], found["delay_unit"]) == (None, "gate delays")
    assert found["area"] > 0
    assert found["depth"] >= 2  # a full adder
    assert sum(found["cells"].values()) > 0
    assert {"yosys", "abc"} <= set(found["tools"])
    assert "netlist.v" in files(tmp_path)


def test_synth_of_a_loadable_network(bundle):
    """In the area are the registers of the writable memories."""
    found = answer("synth", bundle, "--generic", "--pe", 1, "--simd", 1, "--weights", "load")
    assert found["sequential_cells"] > found["rom_bits"] > 500


def npz(folder: Path, x: Any) -> Path:
    """A data set whose samples are ``x``."""
    np.savez(folder / "data.npz", x=x, y=np.arange(len(x)) % 2)
    return folder / "data.npz"


def damaged(bundle: Path, folder: Path) -> Path:
    """A copy of a bundle with one changed byte."""
    copy = Path(shutil.copytree(bundle, folder / "damaged"))
    blob = bytearray((copy / "weights.npz").read_bytes())
    blob[len(blob) // 2] ^= 1
    (copy / "weights.npz").write_bytes(blob)
    return copy


NOTHING = "nothing/to/see"  #: a path that is not there

SETTINGS_OF_POPCOUNT = "Setting of popcount must be one of n=..., stages=..., final=..., groups=..."
#: command line -> words of the refusal; words with @ stand for paths
BAD: dict[str, str] = {
    "train --family b_lstm --levels 1,1": "Option --levels must go with mubinn1 or mubinn2, not with b_lstm",
    "train --family fixed32 --factors free": "Option --factors must go with fixed or mlp or blstm or mubinn1 or",
    "train --family mubinn1 --factors free": "Factors of mubinn1 must be pow2, not 'free'",
    "train --family fixed32 --datapath table": "Datapath must be arithmetic, not 'table': Quantity must be binarized",
    "train --family mubinn2 --weights 3bit": "Option --weights must go with fixed or mlp, not with mubinn2",
    "train --weights 3bit --levels 3,3": "Option --levels must go with mubinn1 or mubinn2, not with fixed",
    "train --family mlp --weights 1bit": "Bits of a weight must be 2 to 8, not 1",
    "train --family mlp --levels 2,2": "Option --levels must go with mubinn1 or mubinn2, not with mlp",
    "train --family mlp --adders 12": "Option --adders must go with blstm or fixed, not with mlp",
    "train --family mlp --datapath threshold": "Datapath must be arithmetic, not 'threshold': A layer with ReLU has no",
    "train --family float --datapath table": "Option --datapath must go with a family for hardware, not with float",
    "train --epochs-adders 3": "must go with adders of blstm or fixed that can overflow, not with mubinn2",
    "train --weights 3bit --rate-adders 0.01": "fixed that can overflow, not with exact ones of fixed",
    "train --family blstm --rate-adders 0": "Learning rate with adders must be above 0 and at most 1, not 0.0",
    "train --family mlp --data digits --snr 3": "Noise (snr) must go with audio",
    f"train --family mlp --data mnist --data-root {NOTHING}": f"Data set mnist must be in {NOTHING}/mnist/mnist.npz",
    "train --family fixed --data mnist": "Images of mnist must go with mlp, not with fixed",
    "train --weights 9bit": "Bits of a weight must be 2 to 8, not 9",
    "train --weights 3": "Weights must be 2bit to 8bit, not '3'",
    "train --weights ³bit": "Weights must be 2bit to 8bit, not '³bit'",
    "train --weights 3bit --datapath table": "Datapath must be arithmetic, not 'table': Quantity must be binarized",
    "train --levels 0,3": "Number of activation levels must be 1 to 5, not 0",
    "train --levels 9,9": "Number of activation levels must be 1 to 5, not 9",
    "train --levels 3,6": "Number of weight levels must be 1 to 5, not 6",
    "train --levels 3": "Levels must be two numbers A,W such as 3,3, not '3'",
    "train --levels a,b": "Levels must be two numbers A,W such as 3,3, not 'a,b'",
    "train --levels 3,3,3": "Levels must be two numbers A,W such as 3,3, not '3,3,3'",
    "train --levels --3,3": "Levels must be two numbers A,W such as 3,3, not '--3,3'",
    "train --levels ³,3": "Levels must be two numbers A,W such as 3,3, not '³,3'",
    "train --layers 0": "Number of layers must be 1 to 8, not 0",
    "train --layers 9": "Number of layers must be 1 to 8, not 9",
    "train --hidden 0": "Number of hidden units must be 1 to 1024, not 0",
    "train --epochs 0": "Number of epochs must be 1 to 100000, not 0",
    "train --seed -1": "Seed must be 0 to 4294967295, not -1",
    "train --rate nan": "Learning rate must be above 0 and at most 1, not nan",
    "train --pe 0": "Folding pe must be 1 to 8192, not 0",
    "train --simd 0": "Folding simd must be 1 to 8192, not 0",
    f"train --data {NOTHING}.npz": f"File must be an existing .npz archive, not '{NOTHING}.npz'",
    "train --data digitz": "Data must be digits, bonn, bonn3, motor, fsdd, fsdd_keywords, speech_commands, shakespeare",
    "train --adders 10": "Option --adders must go with blstm or fixed, not with mubinn2",
    "train --family blstm --adders wide": "Field width of a sum must be a number, not 'wide'",
    "train --family blstm --adders 0": "Node width of a sum must be 1 to 62 bits, not 0",
    "train --family blstm --levels 2,2": "Option --levels must go with mubinn1 or mubinn2, not with blstm",
    "train --snr 10": "Noise (snr) must go with audio (fsdd, fsdd_keywords, speech_commands), not with 'digits'",
    "train --data @nan": "must be finite in float32, not nan at (1, 0, 0)",
    f"train --data bonn --data-root {NOTHING}": f"Data set bonn must be in {NOTHING}/eeg_bonn/eeg_bonn.npz",
    f"generate {NOTHING}": f"Bundle must be a folder, not '{NOTHING}'",
    "generate @damaged": "Bundle file @damaged/weights.npz must have the SHA-256 written in design.json",
    "generate": "Exactly one of BUNDLE and --unit must be given, not neither",
    "generate @bundle --unit popcount": "Exactly one of BUNDLE and --unit must be given, not both",
    "generate @bundle --set n=3": "Option --set must go with --unit, not with a bundle: 'n=3'",
    "synth --unit popcount --pe 2": "Options --pe, --simd, --datapath, --weights and --counters must go with a bundle",
    "synth --unit popcount --pe 0": "Options --pe, --simd, --datapath, --weights and --counters must go with a bundle",
    "synth --unit popcount --counters": "and --counters must go with a bundle, not with --unit 'popcount'",
    "synth --unit popcount --weights external": "and --counters must go with a bundle, not with --unit 'popcount'",
    "generate --unit popcount --weights rom": "and --counters must go with a bundle, not with --unit 'popcount'",
    "generate --unit popcount --datapath auto": "and --counters must go with a bundle, not with --unit 'popcount'",
    "synth --unit popcount --generic --liberty @file": "Option --generic must come without --liberty, not with '@file'",
    "generate @bundle --counters": "Sums of a network with counters must be able to saturate, not 'exact'",
    "simulate @bundle --counters": "Sums of a network with counters must be able to saturate, not 'exact'",
    "synth @bundle --counters": "Sums of a network with counters must be able to saturate, not 'exact'",
    "train --levels 5,1 --datapath table": "Datapath must be arithmetic or threshold, not 'table': Table must have",
    "generate --unit popcont": "Unit must be one of popcount, bit_sum, xnor_dot, ",
    "generate --unit popcount --set m=3": f"{SETTINGS_OF_POPCOUNT}, not 'm=3'",
    "generate --unit popcount --set n": f"{SETTINGS_OF_POPCOUNT}, not 'n'",
    "generate --unit popcount --set groups=3": "Unit popcount: Groups of a popcount must be a power of two up to its "
    "128 bits, not 3",
    "generate --unit popcount --set stages=-1": "Unit popcount: Pipeline stages must be 0 to 64, not -1",
    "generate --unit popcount --set final=tiny": "Final adder must be small, balanced, fast, not 'tiny'",
    "generate --unit mlb_dot --set x=-4": "Scaling factor must be from 1 to",
    "generate --unit mlb_dot --set weights=0,1": "Number of constant weights must be 40, not 2",
    "generate --unit adder_tree --set node=63": "Node width of a sum must be 1 to 62 bits, not 63",
    "generate --unit sign_matrix --set width=9": "Inputs of a sign matrix must be 1 to 8 bits, not 9",
    "generate --unit popcount --set n=": "Setting n of popcount must be a whole number, not ''",
    "generate --unit popcount --set n=x": "Setting n of popcount must be a whole number, not 'x'",
    "generate --unit popcount --set n=1.5": "Setting n of popcount must be a whole number, not '1.5'",
    "generate --unit popcount --set n=1,2": "Setting n of popcount must be a whole number, not '1,2'",
    "generate --unit popcount --set n=0": "Unit popcount: Length of a popcount must be at least 1, not 0",
    "generate --unit xnor_dot --set n=-1": "Unit xnor_dot: Length of an XNOR dot product must be at least 1, not -1",
    f"generate --unit popcount --set n={10**9}": "Setting n of popcount must be at most 16384, not 1000000000",
    f"generate --unit adder_tree --set n={10**31}": "Setting n of adder_tree must be at most 16384, not 1000000",
    "generate --unit adder_tree --set n=0": "Unit adder_tree: Number of summands must be at least 1, not 0",
    "generate --unit mac --set a=4,,2": "Setting a of mac must be whole numbers separated by commas, not '4,,2'",
    "generate --unit mac --set width=63": "Unit mac: Format width must be 1 to 62 bits, not 63",
    "generate --unit reconstruct --set factors=-3": "Scaling factor must be from 1 to 16777215, not -3",
    "generate --unit mlb_dot --set x=6,5,4,3,2,1": "Unit mlb_dot: Number of levels must be 1 to 5, not 6",
    "generate --unit narrow --set rounding=up": "Unit narrow: 'up' is not a valid Rounding",
    "generate --unit narrow --set to_frac=15": "Narrowing target must have at most 14 fraction bits, not 15",
    "generate --unit pwl_activation --set function=cos": "Activation function must be sigmoid or tanh, not 'cos'",
    "generate --unit pwl_activation --set segments=3": "PWL segments must divide 1024, not 3",
    "generate --unit pwl_activation --set to_frac=62": "PWL values must be below 2**62 in size",
    "generate --unit enq_quantizer --set bits=13": "Unit enq_quantizer: Bits E of ENQ must be 1 to q_m = 12, not 13",
    "generate --unit enq_quantizer --set x_bits=9": "Input width of a quantizer must be q_m = 12 to 48 bits, not 9",
    "generate --unit enq_quantizer --set tables=ram": "Tables must be const or writable, not 'ram'",
    "generate --unit enq_quantizer --set stream=2": "Setting stream must be 0 or 1, not 2",
    f"generate --unit enq_quantizer --set layers={NOTHING}": "Hardware configuration must be a file that can be read",
    "generate --unit enq_quantizer --set layers=x --set bits=3": "Setting layers must come without q_bits, bits and",
    "generate --unit knq_quantizer --set form=tiny": "Form must be small or fast, not 'tiny'",
    "generate --unit knq_quantizer --set centroids=0,1,2": "must be a multiple of 2**bits, bits from 1 to q_m, not 3",
    "generate --unit knq_quantizer --set bits=2 --set centroids=0,2,1,3": "Centroids must never decrease, not from 2",
    "generate --unit knq_quantizer --set q_bits=7": "Centroids of 7-bit activations must be 0 to 128, not 150",
    "generate --unit knq_quantizer --set q_bits=40": "Activation width q_m must be 1 to 32 bits, not 40",
    "generate --unit knq_reconstruct --set tables=writable --set stages=1": "Stages of a unit with memories must be 0",
    "generate @bundle --pe 0": "Folding pe must be 1 to 8192, not 0",
    "generate @bundle --simd 0": "Folding simd must be 1 to 8192, not 0",
    "generate @bundle --pe -1": "Folding pe must be 1 to 8192, not -1",
    f"simulate {NOTHING}": f"Bundle must be a folder, not '{NOTHING}'",
    "simulate @damaged": "Bundle file @damaged/weights.npz must have the SHA-256 written in design.json",
    "simulate @bundle --simulator modelsim": "Simulator must be icarus, verilator or bulk, not 'modelsim'",
    "simulate @bundle --all --sequences 3": "Exactly one of --all and --sequences must be given, not both: 3",
    "simulate @bundle --all --waves": "Waves must be recorded with icarus or verilator, not 'bulk'",
    "simulate @bundle --pe 0": "Folding pe must be 1 to 8192, not 0",
    "simulate @bundle --simd 0": "Folding simd must be 1 to 8192, not 0",
    f"write {NOTHING} --prompt a": f"Bundle must be a folder, not '{NOTHING}'",
    "write @bundle --prompt a": "Bundle must be of a network of a text, not of digits",
    "write @text --prompt ''": "Prompt must have at least one symbol, not none",
    "write @text --prompt abd": "Prompt must be made of the 4 symbols ' abc', not of 'd'",
    "write @text --prompt a --symbols 0": "Number of symbols to write must be 1 to 100000, not 0",
    "write @text --prompt a --temperature 1000": "Temperature must be 0 or 0.01 to 100, not 1000.0",
    "write @text --prompt a --seed -1": "Seed must be at least 0, not -1",
    "write @text --prompt a --simulator bulk": "Text must be written with icarus or verilator, not 'bulk'",
    "train --pool each": "Pool must be last or mean for digits, which has a label a sequence, not 'each'",
    "train --pool each --jitter 1": "Jitter must be 0 where each step has a result, not 1",
    f"train --data {NOTHING}.txt": f"Text must be an existing file, not '{NOTHING}.txt'",
    f"synth {NOTHING}": f"Bundle must be a folder, not '{NOTHING}'",
    "synth @damaged": "Bundle file @damaged/weights.npz must have the SHA-256 written in design.json",
    "synth": "Exactly one of BUNDLE and --unit must be given, not neither",
    "synth @bundle --unit popcount": "Exactly one of BUNDLE and --unit must be given, not both",
    "synth --unit popcont": "Unit must be one of popcount, bit_sum, xnor_dot, ",
    "synth --unit popcount --set n=0": "Unit popcount: Length of a popcount must be at least 1, not 0",
    "synth --unit popcount --set m=3": f"{SETTINGS_OF_POPCOUNT}, not 'm=3'",
    "synth --unit reconstruct --set factors=-3": "Scaling factor must be from 1 to 16777215, not -3",
    f"synth --unit popcount --set n=3 --liberty {NOTHING}.lib": "Liberty file must be an existing file, not ",
    "synth --unit popcount --set n=3 --liberty @file": "Liberty file must be a Liberty cell library, not '@file'",
    "synth --unit popcount --set n=3 --generic --energy": "Energy must be measured on a Liberty file, because the gen",
    "synth @bundle --pe 0": "Folding pe must be 1 to 8192, not 0",
    "synth @bundle --simd 0": "Folding simd must be 1 to 8192, not 0",
    f"rom {NOTHING}": f"Bundle must be a folder, not '{NOTHING}'",
    "rom @damaged": "Bundle file @damaged/weights.npz must have the SHA-256 written in design.json",
    "rom @bundle --format bin": "ROM format must be hex, mem, mif, coe, c, load, not 'bin'",
    "rom @bundle --pe 0": "Folding pe must be 1 to 8192, not 0",
    f"info {NOTHING}": f"Bundle must be a folder, not '{NOTHING}'",
    "info @damaged": "Bundle file @damaged/weights.npz must have the SHA-256 written in design.json",
    "info @file": "Bundle must be a folder, not '@file'",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_sentence(line, bundle, of_text, tmp_path):
    nan = np.ones((40, 3, 2))
    nan[1, 0, 0] = np.nan
    paths = {
        "@bundle": bundle,
        "@text": of_text["bundle"],
        "@damaged": damaged(bundle, tmp_path) if "@damaged" in line else "",
        "@nan": npz(tmp_path, nan),
        "@file": __file__,
    }
    expected = BAD[line]
    for name, path in paths.items():
        line, expected = line.replace(name, str(path)), expected.replace(name, str(path))
    before = files(bundle.parent)
    words = shlex.split(line)
    for options in ([], ["--json"]):
        target = [] if words[0] == "info" else ["--out", tmp_path / "out"]
        assert expected in refusal(*words, *target, *options)
        assert files(tmp_path / "out") == []
        assert files(bundle.parent) == before


@pytest.mark.parametrize("name", [None, "icarus", "verilator", "bulk"])
def test_no_simulator_is_one_sentence(name, bundle, tmp_path):
    words = ["simulate", bundle, "--out", tmp_path / "out", *(["--simulator", name] if name else [])]
    sentence = refusal(*words, env={"PATH": ""})
    assert "type apt install " in sentence
    assert (name or "Simulator") in sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "line",
    [
        "simulate",
        "simulate @bundle --sequences 0",
        "simulate @bundle --stall 1",
        "simulate @bundle --pe two",
        "train --datapath fastest",
        "generate @bundle --datapath fastest",
        "simulate @bundle --datapath Table",
        "synth @bundle --datapath fastest",
        "generate @bundle --weights flash",
        "simulate @bundle --weights inline",
        "synth @bundle --roms",
        "synth @bundle --effort most",
        "synth @bundle --timeout nan",
        "synth @bundle --delay soon",
        "train --pool first",
        "train --hiden 4",
        "write @bundle",
        "rom",
        "info",
        "nothing",
    ],
)
def test_a_mistyped_command_is_a_usage_error(line, bundle):
    result = run(*shlex.split(line.replace("@bundle", str(bundle))))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("words", [("generate", "--unit", "popcount"), ("generate", "BUNDLE"), ("rom", "BUNDLE")])
def test_an_output_folder_that_is_a_file(words, bundle, tmp_path):
    (tmp_path / "out").write_text("mine")
    refusal(*[bundle if w == "BUNDLE" else w for w in words], "--out", tmp_path / "out")
    assert files(tmp_path) == ["out"]
    assert (tmp_path / "out").read_text() == "mine"


def test_another_run_in_the_same_folder(bundle):
    before = files(bundle.parent)
    options = ["--hidden", 4, "--levels", "2,2", "--epochs", 3, "--epochs-float", 2, "--out", bundle.parent]
    assert "must be continued with epochs = 2, not 3; give another --out for a new run" in refusal("train", *options)
    assert files(bundle.parent) == before


def test_brackets_in_a_path_are_no_markup(bundle, tmp_path):
    path = tmp_path / "[bold]x[/bold] :warning:"
    assert str(path) in refusal("info", path)
    shutil.copytree(bundle, path)
    assert f"Next: xnorforge simulate {shlex.quote(str(path))}\n" in run("info", path).stdout


def start(*words: object) -> subprocess.Popen[str]:
    """A command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.cli", *map(str, words)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell starts background jobs with Ctrl-C ignored, and their children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_the_process_fails_with_one_sentence(tmp_path):
    npz(tmp_path, np.full((40, 3, 2), 1e300))
    process = start("train", "--data", tmp_path / "data.npz", "--out", tmp_path / "out", "--json")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    assert err == "error: Samples of data.npz must be finite in float32, not inf at (0, 0, 0)\n"
    assert files(tmp_path) == ["data.npz"]


def test_control_c_keeps_the_finished_epochs(tmp_path):
    npz(tmp_path, np.random.default_rng(0).normal(size=(40, 3, 2)))
    options = ["--hidden", 2, "--epochs", 100_000, "--epochs-float", 100_000]
    process = start("train", "--data", tmp_path / "data.npz", *options, "--out", tmp_path / "out")
    try:
        until = time.monotonic() + 120
        while not (tmp_path / "out" / "checkpoint.pt").exists() and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out) == (130, "")
    assert f"Stopped; {tmp_path / 'out'} holds every finished epoch, and the same command continues." in err
    assert "Traceback" not in err
    assert files(tmp_path / "out") == ["checkpoint.pt"]


def test_the_delay_table_adds_up(monkeypatch, capsys):
    """Every unit 10 gates deep, 2 ns and 5 um2: then a cell operation is 10 times its uses deep, and so on."""
    report = SimpleNamespace(depth=10, delay=2.0, delay_unit="ns", area=5.0, library="none")
    monkeypatch.setattr("scripts.table.synthesize_text", lambda *_, **__: report)
    found = answer("table", "delay", "--cell", "1,1", "--features", "2", "--hidden", "3", "--jobs", "1")
    cells = {(c["activation"], c["weight"], c["datapath"]): c for c in found["cells"]}
    assert set(cells) == {(1, 1, "arithmetic"), (1, 1, "threshold"), (1, 1, "table"), ("FP", "FP", "arithmetic")}
    base, table = cells["FP", "FP", "arithmetic"], cells[1, 1, "table"]
    # 4 x 5 multiply-accumulates, 5 activations, 3 products, a sum; 4 dot products, 4 gates, two tables.
    assert (base["delay_depth"], base["delay_sta_ns"], base["area"]) == (290, 58.0, 25.0)
    assert (table["delay_depth"], table["delay_sta_ns"], table["area"]) == (100, 20.0, 25.0)
    assert (table["ratio_depth"], table["ratio_sta"], table["ratio_area_delay"]) == (2.9, 2.9, 2.9)
    assert "energy_pj" not in table
    # With 2 pJ a use and 3 uW a unit.
    each = Energy(switching=0.5e-12, internal=1.5e-12, leakage=3e-6, cycles=1)
    for name, value in {"require": "sta", "load_library": None, "measure": each}.items():
        monkeypatch.setattr(f"scripts.table.{name}", lambda *_, value=value, **__: value)
    options = ("--cell", "1,1", "--features", "2", "--hidden", "3", "--liberty", GENERIC)
    serial = answer("table", "delay", *options, "--accounting", "serial", "--energy")["cells"]
    (table,) = (c for c in serial if c["datapath"] == "table")
    assert (table["delay_depth"], table["energy_pj"], table["leakage_uw"], table["ratio_energy"]) == (260, 52, 15, 1.12)
    _print(serial, "")
    assert "x energy" in capsys.readouterr().out


@needs_sta
@needs_osu
@pytest.mark.parametrize(("stages", "per"), [(0, "vector"), (1, "clock cycle")])
def test_energy_of_a_unit(tmp_path, stages, per):
    words = ("synth", "--unit", "popcount", "--set", "n=7", "--set", f"stages={stages}", "--energy")
    found = answer(*words, "--out", tmp_path)
    assert found["energy_pj"] == pytest.approx(found["energy_switching_pj"] + found["energy_internal_pj"])
    assert min(found["energy_switching_pj"], found["energy_internal_pj"], found["leakage_uw"]) > 0
    assert f" a {per}, mean of {found['energy_cycles']:,} random ones" in " ".join(run(*words).stdout.split())
    assert "energy_pj" not in answer(*words[:-1])


def test_a_cell_that_cannot_be_is_one_sentence():
    assert refusal("table", "delay", "--cell", "3") == "Cell must be two of 1, 2, 3, 4, 5, FP such as 3,3, not '3'"
