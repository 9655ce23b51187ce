"""Training: a run broken off and continued equals an unbroken one; another run or a damaged one is refused."""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model import bundle, checkpoint, golden, run, training, workflow
from model.config import TrainConfig, TrainingError
from model.data import Dataset, load
from model.family import FACTOR_RULES, STEPPED, FactorRule, Family
from model.layers import HardwareNetwork
from model.run import predictions
from model.scaling import Scaling
from model.spec import FixedSpec, Folding, MlbSpec, Pool, StepSpec, SumSpec
from model.training import Trained, train, untrained
from model.workflow import bits_each, golden_logits, train_to_bundle
from model.writing import Writing, encode, write
from tests.sentences import is_one_sentence

CONFIG = TrainConfig(activation_levels=2, weight_levels=2, hidden=4, epochs_float=3, epochs=3, batch=8)
FOLDING = Folding(pe=2, simd=8)


def data(seed: int = 0, name: str = "mine") -> Dataset:
    """72 noisy sequences of three classes that differ in their slope."""
    random, y = np.random.default_rng(seed), np.arange(72) % 3
    x = (y[:, None, None] - 1) * np.linspace(0, 2, 5)[None, :, None] + random.normal(size=(72, 5, 2))
    return Dataset(name=name, x=x.astype(np.float32), y=y, split=np.arange(72) // 3 % 4 % 3)


DATA = data()


def silent(*_: object) -> None:
    """No progress."""


def stop_after(phase: str, epoch: int) -> Any:
    """A progress callback that is Ctrl-C after an epoch."""

    def progress(now: str, done: int, *_: object) -> None:
        if (now, done) == (phase, epoch):
            raise KeyboardInterrupt

    return progress


def parameters(trained: Trained) -> dict[str, torch.Tensor]:
    """All trained numbers of both networks."""
    networks = {"float": trained.float_network, "hardware": network_of(trained)}
    return {f"{name} {key}": v for name, n in networks.items() for key, v in n.state_dict().items()}


def network_of(trained: Trained) -> HardwareNetwork:
    """The one for hardware."""
    assert trained.network is not None
    return trained.network


def equal(a: Trained, b: Trained) -> bool:
    """Bit for bit."""
    p, q = parameters(a), parameters(b)
    return p.keys() == q.keys() and all(torch.equal(p[k], q[k]) for k in p)


def files(folder: Path) -> dict[str, bytes]:
    """The bundle of a run."""
    return {p.name: p.read_bytes() for p in (folder / "bundle").iterdir()}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Steps this small are many times slower with threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A run without a break: folder and what training gives."""
    folder = tmp_path_factory.mktemp("unbroken")
    train_to_bundle(CONFIG, DATA, folder, FOLDING, silent)
    return folder, train(CONFIG, DATA, folder, silent)


@pytest.mark.parametrize(
    "breaks",
    [
        [("float", 1)],
        [("float", 3)],
        [("hardware", 1)],
        [("hardware", 2)],
        [("hardware", 3)],
        [("float", 2), ("hardware", 1), ("hardware", 2)],
    ],
    ids=str,
)
def test_a_continued_run_equals_an_unbroken_one(unbroken, tmp_path, breaks):
    for phase, epoch in breaks:
        with pytest.raises(KeyboardInterrupt):
            train_to_bundle(CONFIG, DATA, tmp_path, FOLDING, stop_after(phase, epoch))
        assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
        torch.manual_seed(99)  # whatever else the process did
    seen = []
    train_to_bundle(CONFIG, DATA, tmp_path, FOLDING, lambda phase, done, *_: seen.append((phase, done)))
    every = [(phase, epoch) for phase in ("float", "hardware") for epoch in (1, 2, 3)]
    assert seen == every[every.index(breaks[-1]) + 1 :]
    assert files(tmp_path) == files(unbroken[0])
    assert equal(train(CONFIG, DATA, tmp_path, silent), unbroken[1])


def test_a_logit_that_differs_is_an_error(unbroken, tmp_path, monkeypatch):
    """One of them, by the least it can, where every class is the same; no bundle is left."""
    shutil.copy(unbroken[0] / "checkpoint.pt", tmp_path)

    def moved(made: bundle.Bundle) -> np.ndarray:
        logits = golden_logits(made)
        logits[0, logits[0].argmin()] -= 1
        return logits

    monkeypatch.setattr(workflow, "golden_logits", moved)
    with pytest.raises(AssertionError, match=r"^eval\(\) must equal the golden function, and differs in 1 results$"):
        train_to_bundle(CONFIG, DATA, tmp_path, FOLDING, silent)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_break_while_the_checkpoint_is_written(unbroken, tmp_path, monkeypatch):
    """What is written half is not what a continued run reads."""
    original = torch.save

    def half(state: Any, path: Path) -> None:
        original(state, path)
        if state["phases"]["float"]["epoch"] == 2:
            path.write_bytes(path.read_bytes()[:1000])
            raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, DATA, tmp_path, silent)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert equal(train(CONFIG, DATA, tmp_path, silent), unbroken[1])


def test_the_same_seed_gives_the_same_network_and_another_another(unbroken, tmp_path):
    train_to_bundle(CONFIG, DATA, tmp_path / "again", FOLDING, silent)
    assert files(tmp_path / "again") == files(unbroken[0])
    other = train(dataclasses.replace(CONFIG, seed=1), DATA, tmp_path / "other", silent)
    here, there = parameters(other), parameters(unbroken[1])
    assert not any(torch.equal(here[k], there[k]) for k in here if "weight" in k or "masters" in k)


def test_what_training_says_is_what_the_bundle_does(unbroken):
    folder, trained = unbroken
    b = bundle.load(folder / "bundle")
    x, y = DATA.part("test")
    labels = golden.run(b.network, b.weights, b.samples).label
    assert np.array_equal(labels, predictions(network_of(trained), torch.from_numpy(trained.scaling.apply(x))).numpy())
    assert np.array_equal(b.labels, y)
    about = b.design.provenance
    assert about.metrics["golden_test"] == (labels == y).mean()
    assert about.metrics["float_val"] == trained.validation["float"]
    assert about.metrics["hardware_val"] == trained.validation["hardware"]
    assert (about.data, about.sizes) == ("mine", DATA.sizes)
    plain = {"pool": "last", "family": "mubinn2", "factors": "free", "adders": str(CONFIG.adders)}
    assert about.settings == {**dataclasses.asdict(CONFIG), **plain}
    assert all(type(value) in (int, float, str) for value in about.settings.values())
    assert b.design.folding == FOLDING


def test_it_learns(tmp_path):
    longer = dataclasses.replace(CONFIG, epochs_float=15, epochs=15)
    figures = train_to_bundle(longer, DATA, tmp_path, FOLDING, silent)
    assert figures["accuracy_float"] > 0.7
    assert figures["accuracy_golden"] > 0.7
    assert figures["split_sizes"] == DATA.sizes


@pytest.mark.parametrize("family", [family for family in Family if family is not Family.MLP])  # see test_mlp.py
def test_every_family_is_trained(tmp_path, family):
    """What is binarized, and that it learns; a float LSTM leaves no bundle, a fixed-point one scores the same."""
    rule = FACTOR_RULES.get(family, (FactorRule.FREE,))[-1]
    config = dataclasses.replace(CONFIG, family=family, factors=rule, epochs_float=15, epochs=15)
    figures = train_to_bundle(config, DATA, tmp_path, FOLDING, silent)
    if family is Family.FLOAT:
        assert figures["bundle"] is None
        assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
        assert "accuracy_golden" not in figures
        return
    assert figures["accuracy_golden"] > 0.6
    if family is Family.FIXED32:
        assert figures["accuracy_golden"] == figures["accuracy_float"]
        assert figures["accuracy_golden_val"] == figures["accuracy_float_val"]
    network = bundle.load(tmp_path / "bundle").network
    (lstm,), dense = network.lstms, network.dense
    stored = {"x": (lstm.x,), "wx": lstm.wx, "wh": lstm.wh, "dense_w": (dense.w,)}
    stored["rest"] = (lstm.h, lstm.c, *lstm.gates, *lstm.b, dense.b)
    binarized = {Family.B_LSTM: {"x", "wx"}, Family.BLSTM: {"wx", "wh"}, Family.MUBINN1: {"x", "wx"}}
    binarized[Family.MUBINN2] = set(stored)
    for name, quantities in stored.items():
        kind = MlbSpec if name in binarized.get(family, ()) else FixedSpec
        for quantity in quantities:
            assert isinstance(quantity, StepSpec if name in STEPPED.get(family, ()) else kind)
            if isinstance(quantity, StepSpec):
                assert (quantity.bits, quantity.step.bit_count()) == (3, 1)
            if isinstance(quantity, MlbSpec):
                assert quantity.levels == (1 if family in (Family.B_LSTM, Family.BLSTM) else 2)
                assert all(a.bit_count() == 1 for a in quantity.factors) or rule is FactorRule.FREE
                assert family is not Family.B_LSTM or (quantity.factors, quantity.frac) == ((1,), 0)
                assert family is not Family.MUBINN1 or len(set(quantity.factors)) == 2
    assert network.source.width == (32 if family is Family.FIXED32 else 8)


@pytest.mark.parametrize("family", [family for family in Family if family is not Family.FLOAT])
def test_every_logit_of_a_mean_is_the_golden_functions(tmp_path, family):
    """Of 5 steps, by which no sum is divided without rounding; training itself compares them."""
    rule = FACTOR_RULES.get(family, (FactorRule.FREE,))[0]
    more = {"family": family, "factors": rule, "pool": Pool.MEAN, "layers": 2, "epochs_float": 1, "epochs": 1}
    figures = train_to_bundle(dataclasses.replace(CONFIG, **more), DATA, tmp_path, FOLDING, silent)
    assert bundle.load(Path(figures["bundle"])).network.dense.pool is Pool.MEAN


def of_steps() -> Dataset:
    """72 sequences whose steps are to be told their sum so far, below zero or not; some have no label."""
    random = np.random.default_rng(0)
    x = random.normal(size=(72, 5, 2)).astype(np.float32)
    y = np.where(random.random((72, 5)) < 0.2, -1, x.sum(2).cumsum(1) > 0)
    return dataclasses.replace(DATA, x=x, y=y)


EACH = dataclasses.replace(CONFIG, pool=Pool.EACH, hidden=8)


def test_every_step_is_learned(tmp_path):
    config, steps = dataclasses.replace(EACH, epochs_float=40, epochs=40), of_steps()
    figures = train_to_bundle(config, steps, tmp_path, FOLDING, silent)
    b = bundle.load(tmp_path / "bundle")
    assert np.array_equal(b.labels, steps.part("test")[1])
    label = golden.run(b.network, b.weights, b.samples).label
    scored = b.labels >= 0
    assert figures["accuracy_golden"] == (label == b.labels)[scored].mean() > 0.7
    assert figures["accuracy_float"] > 0.7


def test_what_has_no_label_is_neither_learned_nor_scored(tmp_path):
    """Other samples behind the last label of each sequence change no number."""
    steps = of_steps()
    steps = dataclasses.replace(steps, y=np.where(np.arange(5) < 3, np.abs(steps.y), -1))
    other = dataclasses.replace(steps, x=np.where(np.arange(5)[:, None] < 3, steps.x, 1 - steps.x))
    scaling = Scaling.identity(2)
    found, right = [], -1.0
    for number, each in enumerate((steps, other)):
        config = dataclasses.replace(EACH, distill=0.0)
        training_run = run.Run(config, each, tmp_path / str(number))
        torch.manual_seed(0)
        network = untrained(config, each)
        x, y = torch.from_numpy(scaling.apply(each.x)).float(), torch.from_numpy(each.y)
        loss = training_run._loss(network, x, y, None)
        loss.backward()
        gradient = network.masters["wh_l0"].grad
        assert gradient is not None
        found.append((loss.item(), gradient, run.score(network, x, y)))
        right = (predictions(network, x)[:, :3] == y[:, :3]).double().mean().item()
    assert found[0][0] == found[1][0] == pytest.approx(math.log(2), abs=0.3)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-4, atol=1e-8)
    assert found[0][2] == found[1][2] == right


@pytest.mark.parametrize("family", Family)
def test_text_is_learned(tmp_path, family):
    """Each family says what follows better than the most frequent symbol does; in fixed point as well as in float."""
    (tmp_path / "a.txt").write_text("abc " * 1200)
    text = load(str(tmp_path / "a.txt"))
    rule = FACTOR_RULES.get(family, (FactorRule.FREE,))[0]
    config = dataclasses.replace(EACH, family=family, factors=rule, epochs_float=20, epochs=20)
    figures = train_to_bundle(config, text, tmp_path / "run", FOLDING, silent)
    assert figures["accuracy_float"] == 1
    assert figures["bits_float"] < 0.8
    if family is Family.FLOAT:
        return
    assert figures["accuracy_golden"] > 0.7
    assert figures["bits_golden"] < 1
    b = bundle.load(tmp_path / "run" / "bundle")
    assert b.design.symbols == " abc"
    assert b.design.provenance.metrics["golden_bits"] == figures["bits_golden"]
    if family is Family.FIXED32:
        assert figures["bits_golden"] == pytest.approx(figures["bits_float"], abs=1e-3)
    (prompt,) = encode("b", " abc")
    text = write(b.network, b.weights, bundle.alphabet(b), Writing(prompt=(prompt,), count=8))
    if figures["accuracy_golden"] == 1:
        assert "".join(" abc"[k] for k in text) == "bc abc ab"


def test_bits_of_a_label():
    """A label with probability 1/4 costs two bits, one without a label nothing."""
    logits = np.log(np.array([[[0.25, 0.75], [0.5, 0.5]], [[0.75, 0.25], [0.1, 0.9]]])) + 1000
    assert bits_each(logits, np.array([[0, 1], [1, -1]])) == pytest.approx((2 + 1 + 2) / 3)


def test_labels_must_be_what_the_dense_layer_says(tmp_path):
    for config, dataset, sentence in (
        (CONFIG, of_steps(), "Pool must be each for mine, which has a label a step, not 'last'"),
        (EACH, DATA, "Pool must be last or mean for mine, which has a label a sequence, not 'each'"),
    ):
        with pytest.raises(TrainingError) as caught:
            train(config, dataset, tmp_path, silent)
        assert str(caught.value) == sentence
        assert list(tmp_path.iterdir()) == []


def test_steps_are_found_again_after_every_epoch(tmp_path):
    """They are those of the masters as each epoch leaves them, also of a run that was broken off."""
    config = dataclasses.replace(CONFIG, family=Family.FIXED, adders=SumSpec(width=None))
    with pytest.raises(KeyboardInterrupt):
        train(config, DATA, tmp_path, stop_after("exact", 2))
    seen = []
    train(config, DATA, tmp_path, lambda phase, *_: seen.append(phase))
    assert seen == ["exact"]
    phase, network = checkpoint.load(tmp_path / "checkpoint.pt", "phases")["phases"]["exact"], untrained(config, DATA)
    before = network.state_dict()["factors.wx_l0.stored"].clone()
    for state in (phase["last"], phase["best"]):
        network.load_state_dict(state)
        stored = {name: value.clone() for name, value in network.state_dict().items() if name.endswith(".stored")}
        network.adapt()
        assert list(stored) == [f"factors.{name}.stored" for name in ("wx_l0", "wh_l0", "dense_w")]
        assert all(torch.equal(network.state_dict()[name], value) for name, value in stored.items())
        assert not torch.equal(stored["factors.wx_l0.stored"], before)
    whole = train(config, DATA, tmp_path / "whole", silent)
    assert equal(whole, train(config, DATA, tmp_path, silent))


def test_the_best_epoch_is_kept(tmp_path, monkeypatch):
    """The second epoch of each phase is made the best one: only there are all predictions right."""
    epochs, second = iter([0, 1, 0] * 2), {}
    right, wrong = torch.from_numpy(DATA.part("val")[1]), torch.full((DATA.sizes["val"],), -1)
    monkeypatch.setattr(run, "predictions", lambda *_: right if next(epochs) else wrong)

    def progress(phase: str, done: int, *_: object) -> None:
        if done == 2:
            second[phase] = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["phases"][phase]["last"]

    for trained in (train(CONFIG, DATA, tmp_path, progress), train(CONFIG, DATA, tmp_path, silent)):
        assert trained.validation == {"float": 1.0, "hardware": 1.0}
        for phase, network in (("float", trained.float_network), ("hardware", network_of(trained))):
            best = {**second[phase], **({"shift": torch.zeros(2)} if phase == "hardware" else {})}
            assert all(torch.equal(value, best[name]) for name, value in network.state_dict().items())
        shift = second["hardware"]["shift"].double().numpy()
        assert (shift != 0).all()
        moved = (np.array(trained.scaling.mean) - trained.float_scaling.mean) * trained.scaling.scale
        assert np.allclose(moved, shift)


def test_the_float_network_of_another_run_is_taken(unbroken, tmp_path):
    """The same float network comes out, without an epoch; what it depends on must agree."""
    config, phases = dataclasses.replace(CONFIG, activation_levels=1), []
    trained = train(config, DATA, tmp_path / "new", lambda phase, *_: phases.append(phase), unbroken[0])
    assert set(phases) == {"hardware"}
    theirs = unbroken[1].float_network.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in trained.float_network.state_dict().items())
    assert trained.validation["float"] == unbroken[1].validation["float"]
    other_family = dataclasses.replace(config, family=Family.FIXED32)
    train(other_family, DATA, tmp_path / "fixed32", silent, unbroken[0])  # no epoch follows
    with pytest.raises(TrainingError, match="must be continued with family = 'fixed32', not 'mubinn2'"):
        train(config, DATA, tmp_path / "fixed32", silent)
    with pytest.raises(KeyboardInterrupt):
        train(config, DATA, tmp_path / "begun", stop_after("float", 1))
    phases.clear()
    train(config, DATA, tmp_path / "begun", lambda phase, *_: phases.append(phase), unbroken[0])
    assert set(phases) == {"hardware"}
    for other, dataset, folder, words in (
        (dataclasses.replace(config, seed=1), DATA, unbroken[0], "must have seed = 1, and "),
        (dataclasses.replace(config, jitter=1), DATA, unbroken[0], "must have jitter = 1, and "),
        (config, data(seed=1), unbroken[0], "must have data digest = "),
        (config, DATA, tmp_path, "must hold checkpoint.pt, and "),
    ):
        with pytest.raises(TrainingError, match=words) as caught:
            train(other, dataset, tmp_path / "refused", silent, folder)
        assert is_one_sentence(str(caught.value))
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, DATA, tmp_path / "broken", stop_after("float", 1))
    with pytest.raises(TrainingError, match="must be complete, not at epoch 1"):
        train(config, DATA, tmp_path / "refused", silent, tmp_path / "broken")


@pytest.mark.parametrize("family", [Family.MUBINN2, Family.B_LSTM])
def test_samples_are_shifted_alike_in_network_and_scaling(family):
    """Before and after the shift becomes part of the scaling the same samples reach the hardware."""
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, family=family, activation_levels=1, weight_levels=1)
    network, scaling = training.untrained(config, DATA), Scaling.of(DATA.part("train")[0])
    with torch.no_grad():
        network.shift.copy_(torch.tensor([0.5, -0.25]))
    raw = DATA.x[:9]
    before = network.eval().named_values(torch.from_numpy(scaling.apply(raw)))
    unshifted = scaling
    scaling = scaling.shifted(network.take_shift())
    after = network.named_values(torch.from_numpy(scaling.apply(raw)))
    assert all(torch.equal(before[name], after[name]) for name in before)
    plain = network.named_values(torch.from_numpy(unshifted.apply(raw)))
    assert not torch.equal(plain["z_l0"], after["z_l0"])


def test_fixed_point_has_no_shift_to_learn():
    network = training.untrained(dataclasses.replace(CONFIG, family=Family.FIXED32), DATA)
    assert not network.shift.requires_grad


@pytest.mark.parametrize("hop", [0, 1, 2])
def test_jitter_turns_a_whole_batch_in_time(tmp_path, hop):
    """By steps, or the signal that the frames are of: of 2 samples each, which overlap if the hop is 1."""
    turned = run.Run(dataclasses.replace(CONFIG, jitter=2), dataclasses.replace(DATA, hop=hop), tmp_path)._turned
    signals, seen = torch.arange(2 * 10).view(2, 10)[:, : 4 * hop + 2 if hop else 10], set()

    def frames(signals: torch.Tensor) -> torch.Tensor:
        return signals.unfold(1, 2, hop or 2)

    for seed in range(60):
        y = turned(frames(signals), torch.Generator().manual_seed(seed))
        places = 1 if hop else 2
        shifts = [n for n in range(-2, 3) if torch.equal(y, frames(signals.roll(n * places, 1)))]
        assert len(shifts) == 1
        seen.update(shifts)
    assert seen == set(range(-2, 3))


@pytest.mark.parametrize("levels", [1, 3])
def test_frames_that_overlap_begin_with_thresholds_between_each_others(levels):
    """A sample that four features see, of hop 2, is on a side of four thresholds a step apart."""
    config = dataclasses.replace(CONFIG, activation_levels=levels)
    data = dataclasses.replace(DATA, x=DATA.x.repeat(4, 2), hop=DATA.x.shape[2])
    network, plain = (training.untrained(config, each) for each in (data, dataclasses.replace(data, hop=0)))
    shift, spacing = network.shift.detach().numpy(), 4.0 * 2.0**-levels
    assert (shift[0], shift[-1]) == (-spacing / 2, spacing / 2)
    assert np.ptp(np.diff(shift)) < 1e-6
    assert not plain.shift.any()
    # The weights of a float network mean the same: what the shift takes off x comes back with the bias.
    float_network = training.FloatNetwork(data.x.shape[2], config.hidden, data.classes, config.pool)
    network.warm_start(float_network)
    plain.warm_start(float_network)
    back = network.masters["wx_l0"] @ network.shift
    assert torch.equal(network.masters["b_l0"], plain.masters["b_l0"] + back)
    assert back.abs().max() > 0


def test_distillation_pulls_towards_the_teacher(tmp_path):
    """The loss is least, and its gradient nothing, where the network says what the teacher says."""
    training_run = run.Run(dataclasses.replace(CONFIG, distill=1.0, temperature=3.0), DATA, tmp_path)
    said = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 1.0]])
    y, teacher = torch.tensor([1, 1]), torch.nn.Linear(3, 3)
    torch.nn.init.eye_(teacher.weight)
    torch.nn.init.zeros_(teacher.bias)
    for start, alike in ((said.clone(), True), (-said, False)):
        logits = start.requires_grad_()
        training_run._loss(torch.nn.Identity(), logits, y, lambda x, t=teacher: t(said)).backward()  # type: ignore[arg-type]
        assert logits.grad is not None
        assert (logits.grad.abs().max() < 1e-6) == alike
    labels_only = run.Run(dataclasses.replace(CONFIG, distill=0.0), DATA, tmp_path / "none")
    expected = torch.nn.functional.cross_entropy(said, y)
    assert torch.equal(labels_only._loss(torch.nn.Identity(), said, y, teacher), expected)


def test_samples_are_scaled_by_the_training_split():
    scaling = Scaling.of(DATA.part("train")[0])
    scaled = scaling.apply(DATA.part("train")[0]).reshape(-1, 2)
    assert np.allclose(scaled.mean(0), 0)
    assert np.allclose(scaled.std(0), 1)
    constant = Scaling.of(np.full((3, 4, 1), 7, np.float32))
    assert np.array_equal(constant.apply(np.full((3, 4, 1), 8, np.float32)), np.ones((3, 4, 1)))


def refusal(config: TrainConfig, dataset: Dataset, folder: Path) -> str:
    """The message of the TrainingError that training raises; the checkpoint stays as it is."""
    before = (folder / "checkpoint.pt").read_bytes()
    with pytest.raises(TrainingError) as caught:
        train(config, dataset, folder, silent)
    assert is_one_sentence(str(caught.value))
    assert (folder / "checkpoint.pt").read_bytes() == before
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"activation_levels": 3}, "activation_levels = 2, not 3"),
        ({"weight_levels": 1}, "weight_levels = 2, not 1"),
        ({"hidden": 5}, "hidden = 4, not 5"),
        ({"family": Family.B_LSTM}, "family = 'mubinn2', not 'b_lstm'"),
        ({"factors": FactorRule.POW2}, "factors = 'free', not 'pow2'"),
        ({"epochs_float": 4}, "epochs_float = 3, not 4"),
        ({"epochs": 2}, "epochs = 3, not 2"),
        ({"seed": 1}, "seed = 0, not 1"),
        ({"pool": Pool.MEAN}, "pool = 'last', not 'mean'"),
        ({"batch": 9}, "batch = 8, not 9"),
        ({"rate": 0.02}, "rate = 0.01, not 0.02"),
        ({"decay": 0.0}, "decay = 0.0001, not 0.0"),
        ({"distill": 0.0}, "distill = 0.7, not 0.0"),
        ({"jitter": 1}, "jitter = 0, not 1"),
    ],
    ids=str,
)
def test_another_configuration_is_refused(unbroken, change, words):
    message = refusal(dataclasses.replace(CONFIG, **change), DATA, unbroken[0])
    assert f"must be continued with {words}; give another --out for a new run" in message


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (data(name="other"), "data = 'mine', not 'other'"),
        (dataclasses.replace(DATA, x=DATA.x[:, :4]), "shape = [72, 5, 2], not [72, 4, 2]"),
        (data(seed=1), "data digest = "),
        (dataclasses.replace(DATA, y=(DATA.y + 1) % 3), "data digest = "),
        (dataclasses.replace(DATA, split=(DATA.split + 1) % 3), "data digest = "),
    ],
    ids=["name", "shape", "samples", "labels", "split"],
)
def test_other_data_is_refused(unbroken, other, words):
    assert f"must be continued with {words}" in refusal(CONFIG, other, unbroken[0])


def test_a_damaged_checkpoint_is_refused(unbroken, tmp_path):
    path = tmp_path / "checkpoint.pt"
    blob = (unbroken[0] / "checkpoint.pt").read_bytes()
    (tensor,) = (
        i for i in [blob.find(parameters(unbroken[1])["hardware masters.wx_l0"].numpy().tobytes()[:16])] if i > 0
    )
    flipped = blob[:tensor] + bytes([blob[tensor] ^ 1]) + blob[tensor + 1 :]  # a number that only a checksum guards
    states = []
    for state in ([], {}, {"identity": None, "phases": {}}, {"identity": {}, "phases": 1}, {"identity": {"a": 1}}):
        torch.save(state, path)
        states.append(path.read_bytes())
    for damaged in (b"", b"text", blob[:-1000], blob[1000:], flipped, *states):
        path.write_bytes(damaged)
        expected = f"Checkpoint must be a readable one, not {str(path)!r}; remove it to begin again"
        assert refusal(CONFIG, DATA, tmp_path) == expected
    path.write_bytes(blob)
    assert equal(train(CONFIG, DATA, tmp_path, silent), unbroken[1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"activation_levels": 0}, "Number of activation levels must be 1 to 5, not 0"),
        ({"activation_levels": 9}, "Number of activation levels must be 1 to 5, not 9"),
        ({"weight_levels": 0}, "Number of weight levels must be 1 to 5, not 0"),
        ({"weight_levels": 6}, "Number of weight levels must be 1 to 5, not 6"),
        ({"distill": 1.5}, "Share of distillation must be 0 to 1, not 1.5"),
        ({"distill": math.nan}, "Share of distillation must be 0 to 1, not nan"),
        ({"temperature": 0.5}, "Temperature of distillation must be 1 to 100, not 0.5"),
        ({"jitter": -1}, "Jitter must be 0 to 1048576 places, not -1"),
        ({"jitter": 1, "pool": Pool.EACH}, "Jitter must be 0 where each step has a result, not 1"),
        ({"family": Family.MUBINN1}, "Factors of mubinn1 must be pow2, not 'free'"),
        ({"hidden": 0}, "Number of hidden units must be 1 to 1024, not 0"),
        ({"hidden": 1025}, "Number of hidden units must be 1 to 1024, not 1025"),
        ({"epochs": 0}, "Number of epochs must be 1 to 100000, not 0"),
        ({"epochs_float": 0}, "Number of float epochs must be 1 to 100000, not 0"),
        ({"batch": 0}, "Number of sequences a batch must be 1 to 65536, not 0"),
        ({"seed": -1}, "Seed must be 0 to 4294967295, not -1"),
        ({"seed": 1 << 32}, "Seed must be 0 to 4294967295, not 4294967296"),
        ({"rate": 0.0}, "Learning rate must be above 0 and at most 1, not 0.0"),
        ({"rate": math.nan}, "Learning rate must be above 0 and at most 1, not nan"),
        ({"rate": 1e30}, "Learning rate must be above 0 and at most 1, not 1e+30"),
        ({"rate_float": -1.0}, "Learning rate of the float network must be above 0 and at most 1, not -1.0"),
        ({"factor_rate": math.inf}, "Rate of scaling factors must be 0 to 100, not inf"),
        ({"decay": -0.1}, "Weight decay must be 0 to 100, not -0.1"),
    ],
    ids=str,
)
def test_a_bad_configuration_is_refused(change, words):
    with pytest.raises(TrainingError) as caught:
        TrainConfig(**change)
    assert str(caught.value) == words


def test_the_start_is_kept_where_training_through_the_adders_is_worse(tmp_path, monkeypatch):
    """All predictions are right before it begins, and wrong after each of its epochs."""
    config = dataclasses.replace(CONFIG, family=Family.BLSTM, adders=SumSpec(width=4), epochs_adders=2)
    told = iter([0, 0, 1] * 2 + [1, 0, 0])
    right, wrong = torch.from_numpy(DATA.part("val")[1]), torch.full((DATA.sizes["val"],), -1)
    monkeypatch.setattr(run, "predictions", lambda *_: right if next(told) else wrong)
    trained = train(config, DATA, tmp_path, silent)
    assert next(told, None) is None
    assert trained.validation == {"float": 1.0, "exact": 1.0, "hardware": 1.0}
    assert trained.unaware is not None
    kept, start = network_of(trained).state_dict(), trained.unaware.state_dict()
    last = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["phases"]["hardware"]["last"]
    assert all(torch.equal(kept[name], start[name]) for name in start if name != "shift")
    assert not torch.equal(kept["masters.wx_l0"], last["masters.wx_l0"])


def test_a_checkpoint_with_other_weights_is_refused(tmp_path):
    """Such as one of another version: the optimizer's state goes by the order of the weights."""
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, DATA, tmp_path, stop_after("hardware", 1))
    stored = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    last = stored["phases"]["hardware"]["last"]
    stored["phases"]["hardware"]["last"] = dict(reversed(last.items()))
    torch.save(stored, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError) as caught:
        train(CONFIG, DATA, tmp_path, silent)
    path = str(tmp_path / "checkpoint.pt")
    assert str(caught.value) == f"Checkpoint {path!r} must be of this version; remove it to begin again"
