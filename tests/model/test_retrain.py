"""Retraining under quantized weights: schemes, gradients, recurrent layers, runs that were broken off, text."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from model.classifier import FitConfig
from model.cnn import digits_net
from model.data import DataError
from model.image_data import load as load_images
from model.stepsize import Per, StepSizeError, qstep, quantize
from model.stepsize.layers import Attached, find_layers
from model.stepsize.networks import CharacterLstm, cnn_c, cnn_l, cnn_v, feedforward, weights
from model.stepsize.retrain import retrain, train_float
from model.stepsize.rounding import Kind, StepRule
from model.stepsize.schemes import RetrainConfig, Scheme, Update
from model.stepsize.step_search import search_steps
from model.stepsize.tasks import ImageTask, TextTask
from model.text_data import Text
from model.text_data import load as load_text
from tests.sentences import is_one_sentence

FREE = StepRule()


@pytest.fixture(scope="module")
def task():
    """All of the digits for evaluation, few for training."""
    return ImageTask(load_images("digits"), 200)


@pytest.fixture(scope="module")
def network(task):
    """A network that reads many digits."""
    torch.manual_seed(0)
    model = digits_net()
    train_float(model, ImageTask(load_images("digits")), FitConfig(epochs=6, rate=1e-2))
    return model.eval()


def config(scheme=Scheme.ADAPTIVE, epochs=3, bits=2, **more):
    return RetrainConfig(scheme=scheme, bits=bits, fit=FitConfig(epochs=epochs, rate=2e-3), **more)


@pytest.mark.parametrize("rule", ["free", "pow2", "fixed:7"])
@pytest.mark.parametrize("scheme", Scheme)
def test_weights_are_integers_times_steps(scheme, rule, network, task):
    before = copy.deepcopy(network.state_dict())
    layers = find_layers(network)
    found = retrain(network, layers, task, config(scheme, 4, 2, steps=StepRule.parse(rule)))
    for layer, codes, step in zip(layers, found.codes, found.steps, strict=True):
        assert set(codes.unique().tolist()) == {-1, 0, 1}
        assert torch.equal(found.network.get_parameter(layer.name), (codes * step).float())
        if rule == "pow2":
            assert math.frexp(float(step))[0] == 0.5
        if rule == "fixed:7":
            assert float(step) * 128 == round(float(step) * 128) >= 1
    assert task.evaluate(found.network, "val") == found.validation
    assert len(found.network.get_parameter("6.bias").unique()) == 10  # biases stay float
    assert all(torch.equal(each, before[name]) for name, each in network.state_dict().items())
    digits_net().load_state_dict(found.network.state_dict())


def test_retraining_repairs_what_few_bits_break(network, task):
    layers = find_layers(network)
    error = {scheme: retrain(network, layers, task, config(scheme, 6)).validation.error for scheme in Scheme}
    reference = task.evaluate(network, "val").error
    assert error[Scheme.DIRECT] > reference + 0.05
    assert all(error[scheme] < error[Scheme.DIRECT] for scheme in Scheme if scheme is not Scheme.DIRECT)


def steps_of(network, task, *args, **more):
    """Bits and steps of the first layer, before retraining and after each epoch."""
    found = retrain(network, find_layers(network), task, config(*args, **more))
    return [each.bits for each in found.history], [each.steps[0][0] for each in found.history]


def test_steps_move_when_the_scheme_says_so(network, task):
    _, steps = steps_of(network, task, Scheme.ADAPTIVE, 4)
    assert steps[0] == steps[1]  # an epoch is trained with the steps it begins with
    assert len(set(steps)) == 4
    _, steps = steps_of(network, task, Scheme.ADAPTIVE, 4, update=Update.ONCE)
    assert steps[0] == steps[1] != steps[2] == steps[3] == steps[4]
    _, steps = steps_of(network, task, Scheme.CONVENTIONAL, 4)
    assert len(set(steps)) == 1
    _, steps = steps_of(network, task, Scheme.LSQ, 3)
    assert len(set(steps)) == 4
    bits, steps = steps_of(network, task, Scheme.GRADUAL, 9)
    assert (
        bits == [6] * 3 + [4] * 3 + [3] * 3 + [2] * 4
    )  # each stage begins with a line; what is left over is the last's
    assert len(set(steps)) == 4
    assert steps_of(network, task, Scheme.ADAPTIVE_GRADUAL, 3, 4)[0] == [6, 6, 4, 4, 4]


def test_conventional_steps_are_searched(network, task):
    layers = find_layers(network)
    for scheme in (Scheme.CONVENTIONAL, Scheme.GRADUAL):
        begin = retrain(network, layers, task, config(scheme, 1, 6)).history[0].steps
        attached = Attached(copy.deepcopy(network), layers, FREE)
        attached.set_bits(6)
        search_steps(attached, task, 1000)
        assert begin == attached.steps != [[qstep(each, 6)] for each in attached.masters]


def test_every_epoch_has_an_order_of_its_own(network, task, monkeypatch):
    seeds: list[int] = []
    batches = task.batches

    def spy(fit, chance):
        seeds.append(chance.initial_seed())
        return batches(fit, chance)

    monkeypatch.setattr(task, "batches", spy)
    for seed in (0, 1):
        fit = FitConfig(epochs=8, seed=seed)
        retrain(network, find_layers(network), task, RetrainConfig(scheme=Scheme.GRADUAL, bits=2, fit=fit))
    assert len(set(seeds)) == len(seeds) == 16


def test_adaptive_steps_are_those_with_the_least_error(network, task):
    attached = Attached(copy.deepcopy(network), find_layers(network), FREE)
    attached.set_bits(3)
    attached.adapt()
    assert attached.steps == [[qstep(each, 3)] for each in attached.masters]


def test_a_search_by_evaluation_is_never_worse_than_where_it_begins(network, task):
    attached = Attached(copy.deepcopy(network), find_layers(network), FREE)
    attached.set_bits(2)
    attached.adapt()
    begin, before = attached.steps, task.evaluate(attached.model, "val", 100)
    best = search_steps(attached, task, 100)
    assert best < before
    assert best == task.evaluate(attached.model, "val", 100)
    ratios = [after[0] / start[0] for after, start in zip(attached.steps, begin, strict=True)]
    assert all(0.5 <= ratio <= 2 for ratio in ratios)


class Stop(Exception):
    """What breaks a run off."""


@pytest.mark.parametrize("scheme", [Scheme.ADAPTIVE, Scheme.CONVENTIONAL, Scheme.ADAPTIVE_GRADUAL, Scheme.LSQ])
def test_a_continued_run_is_the_unbroken_one(scheme, network, task, tmp_path):
    layers, how = find_layers(network), config(scheme, 5, 3)
    whole = retrain(network, layers, task, how)
    for at in (1, 2, 4, 5):

        def stop(done, of, error, at=at):
            assert of == 5
            if done == at:
                raise Stop

        folder = tmp_path / str(at)
        with pytest.raises(Stop):
            retrain(network, layers, task, how, folder, stop)
        done: list[int] = []
        again = retrain(network, layers, task, how, folder, lambda count, of, error, done=done: done.append(count))
        assert done == list(range(at + 1, 6))
        assert again.history == whole.history
        assert again.validation == whole.validation
        for a, b in zip((*again.codes, *again.steps), (*whole.codes, *whole.steps), strict=True):
            assert torch.equal(a, b)
        assert all(torch.equal(e, whole.network.state_dict()[n]) for n, e in again.network.state_dict().items())


def test_another_run_has_another_checkpoint(network, task, tmp_path):
    layers = find_layers(network)
    for how in (
        config(epochs=1),
        config(epochs=2),
        config(epochs=1, bits=3),
        config(epochs=1, steps=StepRule.parse("pow2")),
    ):
        retrain(network, layers, task, how, tmp_path)
    retrain(network, layers[1:], task, config(epochs=1), tmp_path)
    retrain(digits_net(), layers, task, config(epochs=1), tmp_path)
    assert len(list(tmp_path.iterdir())) == 6


def grad_of(weights):
    """The gradient that was taken."""
    assert weights.grad is not None
    return weights.grad


def test_gradients_pass_straight_through():
    torch.manual_seed(0)
    model, x = nn.Linear(5, 4), torch.randn(7, 5)
    plain = copy.deepcopy(model)
    plain.weight.data = quantize(model.weight.detach(), 0.1, 2)
    attached = Attached(model, find_layers(model), FREE)
    attached.set_bits(2)
    attached.quantized[0].step.data.fill_(0.1)
    for each in (model, plain):
        each(x).square().sum().backward()
    assert torch.equal(model(x), plain(x))
    assert torch.equal(grad_of(attached.masters[0]), grad_of(plain.weight))
    assert attached.quantized[0].step.grad is None


def test_the_gradient_of_a_learned_step_is_that_of_lsq():
    torch.manual_seed(0)
    model = nn.Linear(6, 4, bias=False)
    model.weight.data *= 3
    attached = Attached(model, find_layers(model, per=Per.OUTPUT), FREE)
    attached.set_bits(3)
    attached.adapt()
    attached.learn()
    (quantized,) = attached.quantized
    w, s = attached.masters[0].detach().clone().requires_grad_(), quantized.step.detach().clone().requires_grad_()
    # The listing of the paper, in terms of autograd: a gradient scale, then rounding that passes gradients.
    scale = 1 / math.sqrt(6 * 3)
    scaled = (s - s * scale).detach() + s * scale
    v = (w / scaled[:, None]).clamp(-3, 3)
    bar = (v.round() - v).detach() + v
    out = bar * scaled[:, None]
    grad = torch.randn(4, 6)
    (out * grad).sum().backward()
    (model.weight * grad).sum().backward()
    assert s.grad is not None
    assert w.grad is not None
    assert grad_of(quantized.step).numpy() == pytest.approx(s.grad.numpy())
    assert grad_of(attached.masters[0]).numpy() == pytest.approx(w.grad.float().numpy())
    assert (w.grad == 0).any()  # beyond the largest level


class Sequences(nn.Module):
    """Recurrent layers of several kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru = nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True), nn.GRU(8, 5, batch_first=True)
        self.cell, self.dense = nn.LSTMCell(5, 4), nn.Linear(4, 2)

    def forward(self, x):
        x = self.gru(self.lstm(x)[0])[0]
        return self.dense(self.cell(x[:, -1])[0])


def test_recurrent_layers_compute_with_quantized_weights():
    torch.manual_seed(0)
    model, x = Sequences(), torch.randn(6, 7, 3)
    layers = find_layers(model, per=Per.GATE)
    assert {layer.name: layer.groups for layer in layers}["gru.weight_hh_l0"] == 3
    assert sum(layer.groups == 4 for layer in layers) == 8 + 2
    plain = copy.deepcopy(model)
    for layer in layers:
        w = plain.get_parameter(layer.name)
        steps = [qstep(part, 2) for part in w.chunk(layer.groups)]
        w.data = quantize(w.detach(), np.array(steps), 2)
    before = model(x)
    attached = Attached(model, layers, FREE)
    assert torch.equal(model(x), before)
    attached.set_bits(2)
    attached.adapt()
    assert not torch.equal(model(x), before)
    assert torch.equal(model(x), plain(x))
    for each in (model, plain):
        each(x).square().sum().backward()
    for layer, master in zip(layers, attached.masters, strict=True):
        assert torch.equal(grad_of(master), grad_of(plain.get_parameter(layer.name)))
        assert grad_of(master).any() or layer.name == "cell.weight_hh"  # which is called once, with h = 0
    released = attached.released()
    assert torch.equal(released(x), plain(x))
    Sequences().load_state_dict(released.state_dict())
    assert not any(module._forward_pre_hooks for module in released.modules())
    assert torch.equal(model(x), plain(x))  # and this one goes on


def test_layers_by_name_and_of_every_kind():
    model = nn.Sequential(
        nn.Conv1d(2, 3, 3), nn.ConvTranspose1d(3, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(8, 2)
    )
    assert [layer.name for layer in find_layers(model)] == ["0.weight", "1.weight", "4.weight"]
    assert [layer.groups for layer in find_layers(model, per=Per.OUTPUT)] == [3, 3, 2]
    assert [layer.name for layer in find_layers(model, ["4", "0.w*"])] == ["0.weight", "4.weight"]
    assert [layer.name for layer in find_layers(nn.Linear(2, 2))] == ["weight"]


@given(st.floats(1e-3, 1e3))
def test_steps_are_rounded_to_the_nearest_that_is_allowed(step):
    at = torch.tensor([step], dtype=torch.float64)
    assert StepRule().round(at).item() == step
    power, low = StepRule(kind=Kind.POW2).round(at).item(), 2.0 ** math.floor(math.log2(step))
    assert power == min((low, 2 * low), key=lambda each: abs(each - step))
    units = StepRule(kind=Kind.FIXED, frac=4).round(at).item() * 16
    assert units == max(1, math.ceil(step * 16 - 0.5))


def test_an_adapted_step_is_the_better_one_of_those_allowed():
    w = torch.tensor([[1.0, -0.95, 1.1, 0.1, 3.1]])
    model = nn.Linear(5, 1)
    model.weight.data = w
    for rule in ("pow2", "fixed:1"):
        attached = Attached(copy.deepcopy(model), find_layers(model), StepRule.parse(rule))
        attached.set_bits(3)
        attached.adapt()
        error = attached.quantized[0].error(w)
        for step in (0.25, 0.5, 1.0, 2.0) if rule == "pow2" else (0.5, 1.0, 1.5, 2.0):
            assert error <= float((w - quantize(w, step, 3)).double().square().sum()) + 1e-12


def test_shapes_of_the_three_experiments():
    assert weights(feedforward(64)) == 784 * 64 + 3 * 64**2 + 640
    assert (weights(cnn_l()), weights(cnn_c()), weights(cnn_v())) == (61_470, 84_960, 434_736)
    assert weights(CharacterLstm(64)) == 4 * 64 * (65 + 5 * 64) + 64 * 65
    assert feedforward(32, True)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert cnn_l()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert cnn_c()(torch.zeros(2, 3, 32, 32)).shape == cnn_v()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


class Next(nn.Module):
    """Says that symbol x is followed by x + 1, as surely as told."""

    def __init__(self, symbols: int, sure: float) -> None:
        super().__init__()
        self.symbols, self.sure, self.seen = symbols, sure, []

    def forward(self, x):
        self.seen.append(x)
        return nn.functional.one_hot((x + 1) % self.symbols, self.symbols).float() * self.sure


def counting(length, symbols=7):
    part = np.arange(length) % symbols
    return Text(name="count", symbols="abcdefg", parts=dict.fromkeys(("train", "val", "test"), part))


def test_bits_per_character():
    task = TextTask(counting(2000), length=20, warm=5)
    assert task.evaluate(Next(7, 0.0), "val").error == pytest.approx(math.log2(7))
    assert task.evaluate(Next(7, 100.0), "val").error == 0
    model = Next(7, 1.0)
    task.evaluate(model, "val")
    windows = torch.cat(model.seen)
    assert windows[1].tolist() == [(15 + place) % 7 for place in range(20)]  # 5 of them were in the one before
    batches = list(task.batches(FitConfig(batch=30), torch.Generator().manual_seed(0)))
    assert len(batches) == task.steps(FitConfig(batch=30)) == 4
    assert all(torch.equal((x + 1) % 7, y) for x, y in batches)
    few = TextTask(counting(2000), length=20, warm=5, windows=50)
    assert [len(x) for x, _ in few.batches(FitConfig(batch=30), torch.Generator())] == [30, 20]
    assert few.steps(FitConfig(batch=30)) == 2
    assert sum(y.numel() for _, y in batches) == 98 * 20  # (2000 - 21) // 20 windows: each symbol once at most


def test_text_has_three_parts(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("héllo" * 1000, encoding="utf-8")
    text = load_text(path)
    assert text.symbols == "hloé"
    assert {name: len(part) for name, part in text.parts.items()} == {"train": 4750, "val": 125, "test": 125}
    assert "".join(text.symbols[each] for name in text.parts for each in text.part(name)) == "héllo" * 1000


def test_a_character_network_learns(tmp_path):
    task = TextTask(counting(3000), length=20, warm=5)
    torch.manual_seed(0)
    model = CharacterLstm(8, symbols=7, layers=2)
    task.check(model)
    train_float(model, task, FitConfig(epochs=4, batch=10, rate=2e-2))
    layers = find_layers(model, per=Per.GATE)
    ways = config(epochs=3, per=Per.GATE), config(Scheme.DIRECT, per=Per.GATE)
    retrained, direct = (retrain(model, layers, task, way).validation.error for way in ways)
    assert retrained < direct < math.log2(7)


NO_WEIGHTS = nn.Sequential(nn.ReLU())
BAD = [
    (lambda task: find_layers(NO_WEIGHTS), "must have linear, convolutional or recurrent weights, and has none"),
    (lambda task: find_layers(digits_net(), ["conv"]), "such as 0.weight, 4.weight, 6.weight, not 'conv'"),
    (lambda task: find_layers(changed(float("nan"))), "Weights 0.weight must be finite, and they are not"),
    (lambda task: find_layers(changed(0.0)), "Weights 0.weight with one step must not all be 0, and they are"),
    (lambda task: config(bits=1), "Bits of a weight must be 2 to 16, not 1"),
    (lambda task: config(bits=17), "Bits of a weight must be 2 to 16, not 17"),
    (lambda task: config(Scheme.GRADUAL, 3, 2), "Number of epochs of gradual to 2 bits must be at least 4"),
    (lambda task: config(search_samples=0), "Number of samples of the search must be at least 1, not 0"),
    (lambda task: StepRule.parse("pow3"), "Steps must be free, pow2 or fixed:F with F fraction bits, not 'pow3'"),
    (lambda task: StepRule.parse("free:1"), "Steps must be free, pow2 or fixed:F with F fraction bits, not 'free:1'"),
    (lambda task: StepRule.parse("fixed:0"), "Fraction bits of fixed steps must be 1 to 32, not 0"),
    (lambda task: StepRule.parse("fixed:33"), "Fraction bits of fixed steps must be 1 to 32, not 33"),
    (lambda task: task.check(nn.Linear(9, 10)), "Model must take images of (1, 8, 8), and does not: mat1 and mat2"),
    (lambda task: task.check(digits_net(9)), "Model must put out scores of 10 classes or more, not (9,)"),
    (lambda task: task.check(nn.LSTM(8, 10)), "Model must take images of (1, 8, 8), and does not: "),
    (lambda task: TextTask(counting(2000)).check(nn.Embedding(7, 6)), "Model must put out scores of (2, 8, 7)"),
]  # fmt: skip


def changed(value):
    """A network whose first weights are all this."""
    model = digits_net()
    model.get_parameter("0.weight").data.fill_(value)
    return model


@pytest.mark.parametrize("place", range(len(BAD)))
def test_bad_input_is_one_sentence(place, task):
    action, sentence = BAD[place]
    with pytest.raises(StepSizeError) as error:
        action(task)
    assert sentence in str(error.value)
    assert is_one_sentence(str(error.value))


def test_bad_texts_are_one_sentence(tmp_path):
    (tmp_path / "short.txt").write_text("abc")
    (tmp_path / "bytes.txt").write_bytes(b"\xff" * 5000)
    for name, sentence in (
        ("none", "Text must be an existing file, not"),
        ("short", "must have at least 4000 characters of 2 kinds, not 3 of 3"),
        ("bytes", "must be in UTF-8, and is not"),
    ):
        with pytest.raises(DataError, match=sentence) as error:
            load_text(tmp_path / f"{name}.txt")
        assert is_one_sentence(str(error.value))
