"""Hooks, calibration, storage and evaluation of networks whose activations are quantized."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from model.classifier import FitConfig, fit
from model.cnn import alexnet, digits_net, folded, lenet, small_vgg, vgg16
from model.config import TrainingError
from model.nonuniform import EnqSpec, KnqSpec
from model.nonuniform.evaluate import Evaluator, calibrate, fix_weights, storing
from model.nonuniform.finetune import finetune
from model.nonuniform.histogram import Histogram
from model.nonuniform.hooks import Hooked, QuantizationError, find_layers
from model.nonuniform.memory import layer_bits, total_bits
from model.nonuniform.picture import draw
from model.nonuniform.schemes import KNQS, Quantizer, Scheme, sqnr
from model.nonuniform.stored import Half, Stored, uniform
from tests.sentences import is_one_sentence


class Pair(nn.Module):
    """A network that puts out its scores twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu = nn.Linear(4, 3), nn.ReLU()

    def forward(self, x):
        scores = self.relu(self.first(x))
        return scores, scores


class Shared(nn.Module):
    """One ReLU module called three times, between layers of several sizes."""

    def __init__(self, times: int = 3) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 3)
        self.relu, self.unused, self.times = nn.ReLU(), nn.ReLU(), times

    def forward(self, x):
        x = self.relu(self.first(x))
        x = self.relu(self.second(x))
        return self.relu(self.last(x)) if self.times == 3 else self.last(x)


class Turned(Shared):
    def forward(self, x):
        return super().forward(x).flip(1)


class Residual(nn.Module):
    """What a ReLU works on in place is used again."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.first, self.relu, self.last = nn.Linear(4, 4), nn.ReLU(inplace), nn.Linear(4, 2)

    def forward(self, x):
        held = self.first(x)
        out = self.relu(held)
        return self.last(out) + (held if self.relu.inplace else out).sum(1, keepdim=True)


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.lstm = nn.Linear(4, 4), nn.LSTM(4, 4, batch_first=True)

    def forward(self, x):
        return torch.relu(self.first(x)) + self.lstm(x[:, None])[0][:, 0]


def made(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network with weights that leave activations of all sizes."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.5
    return network.eval()


X = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
STORED = {
    "uniform": uniform(5, 3),
    "enq": Stored(EnqSpec(q_bits=8, bits=3), 4),
    "enq with an offset": Stored(EnqSpec(q_bits=8, bits=3), 4, 16),
    "coarser than 1": uniform(3, -1),
    "knq": Stored(KnqSpec(q_bits=7, centroids=(0, 0, 3, 128)), 5),
    "knq above 0": Stored(KnqSpec(q_bits=7, centroids=(9, 20)), 5),
}


# Layers


def test_layers_of_a_network():
    layers = find_layers(lenet(), torch.zeros(2, 1, 28, 28))
    assert [(each.name, each.activations) for each in layers] == [("1", 11520), ("4", 3200), ("8", 500)]
    assert layer_bits(layers, (2, 3, 4)) == (23040, 9600, 2000)
    assert total_bits(layers, (2, 3, 4)) == 34640


def test_layers_by_name_and_by_pattern():
    x = torch.zeros(2, 3, 32, 32)
    assert [each.name for each in find_layers(small_vgg(), x, ["18", "3"])] == ["3", "18"]
    pooled = find_layers(small_vgg(), x, ["4", "1[0-3]"])
    assert [each.name for each in pooled] == ["4", "10", "11", "12", "13"]
    assert pooled[0].activations == 16 * 16 * 16
    # A module that holds others puts out what its last one does: by a pattern it is left out, by its name it is meant.
    nested = nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), nn.Linear(3, 2))
    assert [each.name for each in find_layers(nested, X, ["0*"])] == ["0.0", "0.1"]
    assert [each.name for each in find_layers(nested, X, ["0"])] == ["0"]


def test_a_module_called_several_times_is_several_layers():
    layers = find_layers(Shared(), X)
    assert [(each.name, each.activations) for each in layers] == [("relu#0", 6), ("relu#1", 5), ("relu#2", 3)]
    seen = []
    with Hooked(model := made(Shared()), layers, lambda place, out: seen.append((place, tuple(out.shape)))):
        model(X)
        model(X)
    assert seen == 2 * [(0, (20, 6)), (1, (20, 5)), (2, (20, 3))]
    model(X)  # the hooks are gone
    assert len(seen) == 6


def test_vgg16_without_its_weights():
    with torch.device("meta"):
        layers = find_layers(vgg16(), torch.zeros(1, 3, 224, 224))
    assert len(layers) == 15
    assert sum(each.activations for each in layers[:13]) == 13_547_520  # 3.2 M, 1.6 M, ... as of VGG-16
    assert [each.activations for each in layers[-2:]] == [4096, 4096]


def test_alexnet_is_quantized_as_it_is():
    model, x = alexnet(classes=10, size=64).eval(), torch.rand(1, 3, 64, 64)
    layers = find_layers(model, x)
    assert [each.activations for each in layers] == [14400, 9408, 3456, 2304, 2304, 4096, 4096]
    histograms = calibrate(model, layers, x)
    assert [h.total for h in histograms] == [each.activations for each in layers]
    with storing(model, layers, [uniform(4, 4 - h.integer_bits) for h in histograms]):
        quantized = model(x)
    assert not torch.equal(quantized, model(x))


# What a network computes with


@pytest.mark.parametrize("kind", STORED)
def test_stored_activations_are_those_of_the_specification(kind):
    stored = STORED[kind]
    x = torch.cat([torch.rand(1000) * 12, torch.arange(0, 12, 1 / 128), torch.tensor([0.0, 1e30, 0.49999997])])
    exact = np.floor(x.double().numpy() * 2.0**stored.frac + 0.5) + stored.offset
    integers = np.minimum(exact, (1 << stored.spec.q_bits) - 1).astype(np.int64)
    points = stored.spec.reconstruct(stored.spec.quantize(integers)) * 2.0**-stored.frac
    assert stored.integers(x).tolist() == integers.tolist()
    assert stored.apply(x).tolist() == points.tolist()
    images = x[:1000].view(5, 8, 5, 5)
    for memory in (torch.contiguous_format, torch.channels_last):
        assert stored.apply(images.contiguous(memory_format=memory)).flatten().tolist() == points[:1000].tolist()


def by_hand(model: nn.Module, stored: Stored) -> torch.Tensor:
    """What a network puts out for X when the outputs of its ReLUs are stored."""
    if isinstance(model, Residual):
        out = stored.apply(model.first(X).relu())
        return model.last(out) + out.sum(1, keepdim=True)
    assert isinstance(model, Shared)
    x = X
    for layer in (model.first, model.second, model.last):
        x = stored.apply(layer(x).relu())
    return x


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("make", [Shared, lambda: Residual(False), lambda: Residual(True)])
def test_a_quantized_forward_pass_is_the_plain_one_with_points(kind, make):
    model, stored = made(make()), STORED[kind]
    layers = find_layers(model, X)
    with torch.no_grad(), storing(model, layers, [stored] * len(layers)):
        found = model(X)

    with torch.no_grad():
        expected = by_hand(made(make()), stored)
    assert torch.equal(found, expected)
    assert torch.equal(model(X), made(make())(X))  # left as it was


def test_pooling_before_or_behind_is_the_same():
    x = torch.rand(2, 3, 8, 8) * 5
    pool = nn.MaxPool2d(2)
    for stored in STORED.values():
        assert torch.equal(pool(stored.apply(x)), stored.apply(pool(x)))


def test_half_precision():
    assert Half().apply(torch.tensor([1.0, 1 / 3])).tolist() == [1.0, 0.333251953125]


def test_weights_of_14_bits():
    model = made(digits_net())
    fixed = fix_weights(model, 14)
    for before, after in zip(model.parameters(), fixed.parameters(), strict=True):
        step = 2.0 ** (int(torch.frexp(before.abs().max())[1]) - 13)
        numbers = after.double() / step
        assert torch.equal(numbers, numbers.round())
        assert numbers.abs().max() <= 8192
        assert (after - before).abs().max() <= step


# Calibration


@given(
    st.lists(st.lists(st.floats(0, 1000, width=32), min_size=1, max_size=20), min_size=1, max_size=4),
    st.integers(-2, 6),
)
def test_a_histogram_counts_integers_as_they_are_stored(batches, frac):
    histogram = Histogram("relu")
    for batch in batches:
        histogram.add(torch.tensor(batch))
    x = torch.tensor([each for batch in batches for each in batch])
    for bits in (3, 12):
        integers = uniform(bits, frac).integers(x).numpy()
        values, counts = np.unique(integers, return_counts=True)
        found = histogram.integers(frac, bits)
        assert (found[0].tolist(), found[1].tolist()) == (values.tolist(), counts.tolist())
    assert histogram.total == len(x)
    assert histogram.top == float(x.max())
    assert histogram.top < 2.0**histogram.integer_bits


def test_calibration_counts_every_activation():
    model = made(Shared())
    layers = find_layers(model, X)
    whole = calibrate(model, layers, X)
    assert [h.total for h in whole] == [20 * each.activations for each in layers]
    # A batch at a time, the larger ones last, is the same.
    assert isinstance(model, Shared)
    order = X[model.first(X).amax(1).argsort()]
    parts = [Histogram(each.name) for each in layers]
    with Hooked(model, layers, lambda place, out: parts[place].add(out)):
        for row in order.split(3):
            model(row)
    for one, other in zip(whole, parts, strict=True):
        assert one.frac == other.frac
        assert np.array_equal(one.counts, other.counts)


@pytest.mark.parametrize("kind", STORED)
def test_noise_ratio_from_counts_is_that_of_the_activations(kind):
    x = torch.rand(5000, generator=torch.Generator().manual_seed(2)) * 6
    histogram = Histogram("relu")
    histogram.add(x)
    error = (x - STORED[kind].apply(x)).double()
    assert sqnr(histogram, STORED[kind]) == pytest.approx(
        10 * np.log10(float(x.double() @ x.double() / (error @ error))), abs=0.01
    )


# Evaluation and search


@pytest.fixture
def problem(tmp_path):
    """A network, its layers, and samples with the classes it gives them, apart from some."""
    model = made(Shared(2))
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(3))
    layers = find_layers(model, x[:2])
    y = model(x).argmax(1)
    y[::10] = (y[::10] + 1) % 3
    return model, layers, x, y, tmp_path


def test_evaluations_are_done_once_and_survive_a_line_cut_short(problem):
    model, layers, x, y, folder = problem
    first = Evaluator(model, layers, x, y, folder)
    assert first.float_accuracy == pytest.approx(0.9)
    choices = [[uniform(bits, bits - 2)] * 2 for bits in (1, 2, 3, 4)]
    found = [first.accuracy(choice) for choice in choices]
    assert first.done == 4
    (file,) = folder.iterdir()
    with file.open("a") as handle:
        handle.write('{"choice": "12')
    again = Evaluator(model, layers, x, y, folder)
    assert [again.accuracy(choice) for choice in choices] == found
    assert again.done == 0
    again.accuracy([None, uniform(3, 1)])
    third = Evaluator(model, layers, x, y, folder)
    third.accuracy([None, uniform(3, 1)])
    assert (again.done, third.done) == (1, 0)


def test_a_search_broken_off_goes_on_where_it_was(problem):
    model, layers, x, y, folder = problem
    histograms = calibrate(model, layers, x)

    def quantizer(cache) -> Quantizer:
        return Quantizer(Evaluator(model, layers, x, y, cache), histograms, reference=0.9, q_bits=8)

    def stop(count: int) -> None:
        if count == 9:
            raise KeyboardInterrupt

    whole, broken, again = quantizer(None), quantizer(folder), quantizer(folder)
    expected = whole.search(Scheme.ENQ_RANGE, 0.01)
    broken.on_evaluation = stop
    with pytest.raises(KeyboardInterrupt):
        broken.search(Scheme.ENQ_RANGE, 0.01)
    again = quantizer(folder)
    assert again.search(Scheme.ENQ_RANGE, 0.01) == expected
    assert (broken.evaluator.done, again.evaluator.done) == (8, whole.evaluator.done - 8)
    assert whole.evaluator.done > 9


def test_another_network_or_other_samples_have_other_evaluations(problem):
    model, layers, x, y, folder = problem
    choice = [uniform(3, 1)] * 2
    Evaluator(model, layers, x, y, folder).accuracy(choice)
    for other in (
        Evaluator(made(Shared(2), seed=5), layers, x, y, folder),
        Evaluator(model, layers, x[1:], y[1:], folder),
        Evaluator(model, layers, x, y.flip(0), folder),
        Evaluator(made(Turned(2)), layers, x, y, folder),  # the same weights, but not the same function
    ):
        other.accuracy(choice)
        assert other.done == 1


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_no_more_samples_are_evaluated_than_it_takes(problem, bits):
    model, layers, x, y, folder = problem
    choice = [uniform(bits, bits - 2)] * 2
    exact = Evaluator(model, layers, x, y, None).accuracy(choice)
    for least in (0.0, exact - 1 / 300, exact, exact + 1 / 300, 1.0):
        evaluator = Evaluator(model, layers, x, y, folder / f"{least}")
        assert evaluator.reaches(choice, least) == (exact >= least)
    (file,) = (folder / "1.0").iterdir()
    known = json.loads(file.read_text())
    assert known["of"] == 50  # of the first batch, one in ten is wrong


def test_the_last_samples_may_be_what_it_takes(problem):
    model, layers, x, _, _ = problem
    choice = [uniform(2, 0)] * 2
    with torch.no_grad(), storing(model, layers, choice):
        y = model(x).argmax(1)
    y[:3] = (y[:3] + 1) % 3
    evaluator = Evaluator(model, layers, x, y, None)
    assert evaluator.reaches(choice, 297 / 300)
    assert not evaluator.reaches(choice, 298 / 300)


def test_a_choice_known_in_part_is_evaluated_when_more_is_asked(problem):
    model, layers, x, y, folder = problem
    choice = [uniform(1, -1)] * 2
    evaluator = Evaluator(model, layers, x, y, folder)
    assert not evaluator.reaches(choice, 1.0)  # after the first batch
    exact = Evaluator(model, layers, x, y, None).accuracy(choice)
    assert Evaluator(model, layers, x, y, folder).accuracy(choice) == exact


@pytest.mark.parametrize("scheme", Scheme)
def test_every_scheme_finds_bits_within_the_loss(problem, scheme):
    model, layers, x, y, _ = problem
    evaluator = Evaluator(model, layers, x, y, None)
    quantizer = Quantizer(evaluator, calibrate(model, layers, x), reference=0.9, q_bits=8)
    choice, found = quantizer.search(scheme, 0.03)
    assert choice is not None
    assert found.bits == tuple(stored.bits for stored in choice)
    assert evaluator.accuracy(choice) >= 0.87
    if scheme in KNQS:
        assert all(isinstance(stored.spec, KnqSpec) for stored in choice)


def test_uniform_is_the_smallest_q(problem):
    model, layers, x, y, _ = problem
    evaluator = Evaluator(model, layers, x, y, None)
    quantizer = Quantizer(evaluator, calibrate(model, layers, x), reference=0.9)
    choice, _ = quantizer.search(Scheme.UNIFORM, 0.02)
    assert choice is not None
    smaller = choice[0].bits - 1
    for shift in range(4):
        one = uniform(smaller, smaller - quantizer.integer_bits + shift)
        assert evaluator.accuracy([one] * 2) < 0.88


def test_bits_by_noise_ratio_differ_as_the_activations_do():
    model, x = made(lenet()), torch.rand(8, 1, 28, 28)
    layers = find_layers(model, x)
    quantizer = Quantizer(
        Evaluator(model, layers, x, model(x).argmax(1), None), calibrate(model, layers, x), reference=0.5
    )
    _, found = quantizer.search(Scheme.CLNQ_SQNR, 0.2)
    assert found.bits is not None
    for i, j in ((0, 1), (1, 2)):
        exact = 10 * np.log10(layers[i].activations / layers[j].activations) / quantizer.kappa
        assert abs(found.bits[j] - found.bits[i] - exact) <= 1
    assert 3 < quantizer.kappa < 6.5


def test_knq_that_is_not_saturated_reaches_every_activation(problem):
    model, layers, x, y, _ = problem
    quantizer = Quantizer(Evaluator(model, layers, x, y, None), calibrate(model, layers, x), reference=0.9, q_bits=6)
    quantizer.frac = 6 - quantizer.integer_bits + 3  # M is an eighth of what it would take
    plain, saturated = (quantizer.storage(s, (3, 3)) for s in (Scheme.KNQ, Scheme.KNQ_SATURATED))
    tops = [h.top for h in quantizer.histograms]
    assert all(stored.spec.q_bits == 6 for stored in saturated)
    assert {stored.spec.q_bits for stored in plain} == {9}
    assert max(tops) * 2.0**quantizer.frac < (1 << plain[0].spec.q_bits)


def test_fine_tuning_helps_and_leaves_the_network(problem):
    model, layers, x, y, folder = problem
    choice = [uniform(1, -1)] * 2
    before = Evaluator(fix_weights(model), layers, x, y, None).accuracy(choice)
    weights = [p.clone() for p in model.parameters()]
    config = FitConfig(epochs=8, batch=20, rate=0.02)
    tuned = finetune(model, layers, choice, x, y, config, folder=folder)
    assert Evaluator(tuned, layers, x, y, None).accuracy(choice) > before
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))


def test_training_continues_after_any_epoch(tmp_path):
    x, y = torch.rand(40, 1, 8, 8), torch.arange(40) % 10
    config, networks = FitConfig(epochs=3, shift=1, flip=True), [made(digits_net()) for _ in range(2)]
    fit(networks[0], x, y, config)

    class Stop(Exception):
        pass

    def stop(done: int, of: int, loss: float) -> None:
        if done == 2:
            raise Stop

    with pytest.raises(Stop):
        fit(made(digits_net()), x, y, config, tmp_path / "net.pt", stop)
    told = []
    fit(networks[1], x, y, config, tmp_path / "net.pt", lambda done, *_: told.append(done))
    assert told == [3]
    for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_of_another_run_is_refused_and_kept(tmp_path):
    x, y, path, config = torch.rand(40, 1, 8, 8), torch.arange(40) % 10, tmp_path / "net.pt", FitConfig(epochs=1)
    fit(digits_net(), x, y, config, path)
    kept = path.read_bytes()
    for said, change in (
        ("epochs = 1, not 2; give another --out for a new run", {"config": FitConfig(epochs=2)}),
        ("data = '", {"x": x + 1}),
        ("network = 'Sequential(", {"network": torch.nn.Sequential(digits_net())}),
        ("penalty = None, not '", {"penalty": max}),
    ):
        run = {"network": digits_net(), "x": x, "y": y, "config": config, "path": path, **change}
        with pytest.raises(TrainingError) as caught:
            fit(**run)
        assert str(caught.value).startswith(f"Run in {path} must be continued with {said}")
        assert is_one_sentence(str(caught.value))
        assert len(str(caught.value)) < 400
        assert path.read_bytes() == kept


def test_folded_networks_compute_the_same():
    network = small_vgg(normalized=True)
    x = torch.rand(8, 3, 32, 32)
    network.train()(x)  # moves the running means
    plain = folded(network)
    assert [type(layer) for layer in plain] == [type(layer) for layer in small_vgg()]
    assert torch.allclose(network.eval()(x), plain(x), atol=1e-4)


def test_the_picture_is_written_and_always_the_same(problem):
    model, layers, x, _, folder = problem
    histograms = calibrate(model, layers, x)
    for name in ("one.svg", "two.svg"):
        draw(histograms, {"uniform": [uniform(3, 1)] * 2, "knq": [STORED["knq"]] * 2}, folder / name)
    assert (folder / "one.svg").read_bytes() == (folder / "two.svg").read_bytes()
    assert "layer relu#1: " in (folder / "one.svg").read_text()


# Bad inputs


def dead(value: float) -> nn.Module:
    """Puts out ``value`` whatever comes in."""
    linear = nn.Linear(4, 3)
    linear.weight.data.zero_()
    linear.bias.data.fill_(value)
    return nn.Sequential(linear, nn.Identity())


class Sometimes(Shared):
    def forward(self, x):
        self.times = 3 if x.shape[0] == 20 else 2
        return super().forward(x)


def by_name(model: nn.Module, *names: str):
    return lambda: find_layers(model, X, names)


def quantizer_of(**options) -> Quantizer:
    model = made(Shared(2))
    layers = find_layers(model, X)
    return Quantizer(
        Evaluator(model, layers, X, torch.zeros(20).long(), None), calibrate(model, layers, X), reference=1, **options
    )


BAD = {
    "negative": (lambda: calibrate(dead(-2), by_name(dead(-2), "1")(), X), "Activations of layer 1 must be at least 0"),
    "NaN": (
        lambda: calibrate(dead(np.nan), by_name(dead(0), "1")(), X),
        "Activations of layer 1 must be finite, not nan",
    ),
    "infinite": (
        lambda: Histogram("a").add(torch.tensor([1, np.inf])),
        "Activations of layer a must be finite, not inf",
    ),
    "negative at evaluation": (
        lambda: Evaluator(dead(-1), by_name(dead(0), "1")(), X, torch.zeros(20).long(), None).accuracy([uniform(2, 0)]),
        "Activations of layer 1 must be at least 0, not -1.0",
    ),
    "no calibration": (
        lambda: calibrate(Shared(), find_layers(Shared(), X), X[:0]),
        "Calibration set must have at least 1 image, not 0",
    ),
    "no validation": (
        lambda: Evaluator(Shared(), find_layers(Shared(), X), X[:0], X[:0, 0].long(), None),
        "Number of images to evaluate must be at least 1, not 0",
    ),
    "nothing counted": (lambda: Histogram("a").integers(3), "Activations of layer a must be at least 1, not 0"),
    "no ReLU module": (
        lambda: find_layers(Functional(), X),
        "Model Functional must have ReLU modules, and has none (a functional relu cannot be hooked): name the layers",
    ),
    "no such layer": (
        by_name(Shared(), "relu", "conv1"),
        "Layer must be a module of the model, such as first, second, ",
    ),
    "no layer at all": (by_name(Shared()), "Number of layers to quantize must be at least 1, not 0"),
    "a layer not used": (by_name(Shared(), "unused"), "Layers to quantize must be used in the forward pass"),
    "a tuple": (by_name(Functional(), "lstm"), "Layer lstm must put out one tensor of real numbers, not 'tuple'"),
    "called otherwise": (
        lambda: calibrate(made(Sometimes()), find_layers(made(Sometimes()), X), torch.randn(25, 4)),
        "Layer relu must be called as often in each forward pass, 3, not 2 times",
    ),
    "q too wide": (lambda: quantizer_of(q_bits=17), "Activation width q_m must be 1 to 16 bits, not 17"),
    "E above q": (
        lambda: quantizer_of(q_bits=6).storage(Scheme.ENQ, (3, 7)),
        "Bits E of ENQ must be 1 to q_m = 6, not 7",
    ),
    "T above q": (
        lambda: quantizer_of(q_bits=6).storage(Scheme.KNQ_FLOOR, (3, 7)),
        "Bits T of KNQ must be 1 to 6, not 7",
    ),
    "no bits": (
        lambda: quantizer_of().storage(Scheme.CLNQ, (0, 3)),
        "Activation width q_m must be 1 to 16 bits, not 0",
    ),
    "bits of other layers": (
        lambda: quantizer_of().storage(Scheme.ENQ, (3, 3, 3)),
        "Bits must be one number, or one a layer (2), not 3",
    ),
    "delta below 0": (
        lambda: quantizer_of().search(Scheme.ENQ, -0.1),
        "Loss of accuracy delta must be 0 to 1, not -0.1",
    ),
    "delta NaN": (lambda: quantizer_of().search(Scheme.ENQ, np.nan), "Loss of accuracy delta must be 0 to 1, not nan"),
    "scores of fewer classes": (
        lambda: Evaluator(Shared(), find_layers(Shared(), X), X, torch.full((20,), 3), None),
        "Model must put out scores of 4 classes or more, not (3,)",
    ),
    "scores and more": (
        lambda: Evaluator(Pair(), find_layers(Pair(), X), X, torch.zeros(20, dtype=torch.int64), None),
        "Model must put out one tensor of scores, not 'tuple'",
    ),
    "NaN weights": (lambda: fix_weights(dead(np.nan)), "Weights 0.bias must be finite, and they are not"),
    "epochs": (lambda: FitConfig(epochs=-1), "Number of epochs must be 0 to 100000, not -1"),
    "rate": (lambda: FitConfig(rate=np.nan), "Learning rate must be above 0 and at most 1, not nan"),
    "decay": (lambda: FitConfig(decay=-1.0), "Weight decay must be 0 to 100, not -1.0"),
    "seed": (lambda: FitConfig(seed=1 << 32), "Seed must be 0 to 4294967295, not 4294967296"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case):
    do, expected = BAD[case]
    with pytest.raises((QuantizationError, TrainingError, ValueError)) as caught:
        do()
    assert is_one_sentence(str(caught.value))
    assert expected in str(caught.value)
