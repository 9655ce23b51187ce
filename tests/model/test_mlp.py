"""Feed-forward networks: ``eval()``, the golden function and exact Python integers; what is refused; training."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import bundle, golden, image_data
from model.config import TrainConfig
from model.data import Dataset
from model.family import FactorRule, Family
from model.fused import fused_lstm
from model.mlp import MlpNetwork
from model.random_network import random_network, stored
from model.run import TrainingError, predictions
from model.scaling import Scaling
from model.spec import (
    MAX_BITS,
    Datapath,
    FixedSpec,
    Folding,
    Format,
    LstmSpec,
    MlbSpec,
    NetworkSpec,
    Overflow,
    Pool,
    ReluSpec,
    Schedule,
    StepSpec,
    memory_images,
)
from model.training import train
from model.workflow import train_to_bundle
from tests.networks import NETWORKS
from tests.sentences import is_one_sentence

CHOICES = st.fixed_dictionaries({"bits": st.integers(2, MAX_BITS), "factors": st.sampled_from(FactorRule)})


def mlp(**choice: Any) -> tuple[MlpNetwork, NetworkSpec, torch.Tensor]:
    """A random network, its specification, and standardized samples."""
    network, x = random_network(family=Family.MLP, **choice)
    assert isinstance(network, MlpNetwork)
    return network, network.spec(), x


@settings(max_examples=40)
@given(NETWORKS, CHOICES)
def test_eval_golden_and_python_integers_are_equal(choice, weights):
    """One sequence, unit by unit; gates have nothing to do here, and no state goes from step to step."""
    network, spec, x = mlp(**choice, **weights)
    codes, samples = {name: w.tolist() for name, w in network.weights().items()}, stored(network, x)
    trace = golden.run(spec, network.weights(), samples)
    with torch.no_grad():
        named = network.named_values(x)
        labels = predictions(network, x)
    rows: list[list[int]] = samples[1].tolist()
    for number, (layer, found) in enumerate(zip(spec.layers, trace.layers, strict=True)):
        assert isinstance(layer, ReluSpec)
        w, b = codes[f"w_l{number}"], codes[f"b_l{number}"]
        shift = layer.x.format.frac + layer.w.frac - layer.b.format.frac
        z = [
            [layer.w.step * sum(k * v for k, v in zip(w[j], row, strict=True)) + (b[j] << shift) for j in range(len(w))]
            for row in rows
        ]
        assert found.x[1].tolist() == rows
        assert found.z[1].tolist() == z
        down = layer.z_frac - layer.h.format.frac
        rows = [[min(max(v >> down, 0), 2**layer.h.format.width - 1) for v in row] for row in z]
        assert found.h[1].tolist() == rows
        assert np.array_equal(named[f"z_l{number}"].numpy() * 2.0**layer.z_frac, found.z)
        assert np.array_equal(named[f"h_l{number}"].numpy() * 2.0**layer.h.frac, found.h)
    h_frac = spec.layers[-1].h.frac
    logits = [
        [
            spec.dense.w.unit * sum(k * v for k, v in zip(codes["dense_w"][c], row, strict=True))
            + (codes["dense_b"][c] << h_frac)
            for c in range(spec.dense.classes)
        ]
        for row in rows
    ]
    mean = [sum(each) for each in zip(*logits, strict=True)]
    expected = {Pool.MEAN: mean, Pool.LAST: logits[-1], Pool.EACH: logits}
    assert trace.logits[1].tolist() == expected[spec.dense.pool]
    assert np.array_equal(named["logits"].numpy() * 2.0**spec.logit_format.frac, trace.logits)
    assert np.array_equal(labels.numpy(), trace.label)


def test_relu_is_at_work_on_both_ends():
    """The networks of the tests have outputs that are 0, largest, and between; and so units that do not learn."""
    network, spec, x = mlp(hidden=9, features=9, gain=6.0, layers=2)
    trace = golden.run(spec, network.weights(), stored(network, x))
    h = np.concatenate([layer.h.ravel() for layer in trace.layers])
    assert (h == 0).any()
    assert (h == 255).any()
    assert ((h > 0) & (h < 255)).any()
    network.train()
    first, _ = network._layers(x, fused_lstm)
    first.sum().backward()
    gradient = network.masters["b_l0"].grad
    assert gradient is not None
    before = trace.layers[0].z >> network.layer_spec(0).z_frac - 4  # as h, but for its ends
    assert gradient.tolist() == ((before >= 0) & (before <= 255)).sum((0, 1)).tolist()


def test_samples_do_not_depend_on_the_steps_before():
    network, spec, x = mlp(layers=2, steps=3, batch=2)
    samples = stored(network, x)
    whole = golden.run(spec, network.weights(), samples)
    for step in range(3):
        alone = golden.run(spec, network.weights(), samples[:, step : step + 1])
        for one, all_ in zip(alone.layers, whole.layers, strict=True):
            assert np.array_equal(one.h[:, 0], all_.h[:, step])


def layer(**change: Any) -> ReluSpec:
    """A layer, changed."""
    spec = mlp()[1].layers[0]
    assert isinstance(spec, ReluSpec)
    return dataclasses.replace(spec, **change)


def network(**change: Any) -> NetworkSpec:
    """A network of two layers, changed."""
    return dataclasses.replace(mlp(layers=2)[1], **change)


def dense(**change: Any) -> Any:
    """A classifier, changed."""
    return dataclasses.replace(mlp()[1].dense, **change)


def lstm(**change: Any) -> LstmSpec:
    """An LSTM layer of words, changed."""
    return dataclasses.replace(random_network(family=Family.FIXED)[0].spec().lstms[0], **change)


UNSIGNED = FixedSpec(format=Format(8, 4, signed=False))
BYTE = FixedSpec(format=Format(8, 5))

REFUSED: list[tuple[Any, str]] = [
    (lambda: layer(hidden=0), "Number of hidden units must be 1 to 4096, not 0"),
    (lambda: layer(features=4097), "Number of features must be 1 to 4096, not 4097"),
    (lambda: layer(h=BYTE), "Storage of h of a layer with ReLU must saturate and have no sign, not saturate s8.5"),
    (
        lambda: layer(h=dataclasses.replace(UNSIGNED, overflow=Overflow.WRAP)),
        "Storage of h of a layer with ReLU must saturate and have no sign, not wrap u8.4",
    ),
    (lambda: layer(b=UNSIGNED), "Format of b must be signed, not 'u8.4'"),
    (lambda: layer(b=FixedSpec(format=Format(20, 15))), "Fraction bits of b must be at most 14, not 15"),
    (lambda: lstm(x=UNSIGNED), "Format of a word of an LSTM layer must be signed, not 'u8.4'"),
    (lambda: dense(b=FixedSpec(format=Format(9, 9, signed=False))), "Format of b must be signed, not 'u9.9'"),
    (
        lambda: network(dense=dense(w=BYTE, b=BYTE)),
        "Dense weights must have a step above a layer with ReLU, not 8 bits without one",
    ),
    (
        lambda: network(layers=(layer(hidden=4), layer(features=4, hidden=5, x=BYTE))),
        "Storage of x of layer 1 must be that of h of the one below, not another",
    ),
    (
        lambda: Schedule(network=network(), folding=Folding(pe=1, simd=1), datapath=Datapath.TABLE),
        "Datapath must be arithmetic, not 'table': A layer with ReLU has no other",
    ),
]


@pytest.mark.parametrize(("made", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_cannot_be_is_refused_in_a_sentence(made, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        made()
    assert str(refused.value) == message
    assert is_one_sentence(message)


def test_a_bundle_says_what_is_wrong_with_a_layer(tmp_path):
    """The field is named by its place, whatever kind of layer validation took it for."""
    data = Dataset(name="mine", x=DATA.x, y=DATA.y, split=DATA.split)
    net, _, _ = mlp(features=16, classes=2)
    about = bundle.Provenance(data="mine", sizes=data.sizes, metrics={}, settings={})
    made = bundle.make(net, Scaling.of(data.x), data, folding=FOLDING, datapath=Datapath.ARITHMETIC, provenance=about)
    bundle.save(made, tmp_path / "bundle")
    assert bundle.load(tmp_path / "bundle").network == made.network
    path = tmp_path / "bundle" / "design.json"
    text = path.read_text()
    for key, value, words in (
        ("hidden", 0, "Bundle field network.layers.0 of {}: Number of hidden units must be 1 to 4096, not 0"),
        ("hidden", "5", "Bundle field network.layers.0.hidden of {}: Input should be a valid integer"),
        ("w", {"bits": 9, "step": 3, "frac": 9}, "Bundle field network.layers.0.w of {}: Bits of an integer weight"),
        ("wx", [], "Bundle field network.layers.0.wx of {} must be one of schema version 5, and it is unknown"),
    ):
        design = json.loads(text)
        design["network"]["layers"][0][key] = value
        files = {name: (path.parent / name).read_bytes() for name in bundle.FILES}
        path.write_bytes(bundle.seal(design, files))
        with pytest.raises(bundle.BundleError) as refused:
            bundle.load(path.parent)
        assert str(refused.value).startswith(words.format(path)), str(refused.value)


def test_images_hold_every_weight_where_the_manifest_says():
    net, spec, _ = mlp(hidden=5, features=7, classes=3, bits=3)
    s = Schedule(network=spec, folding=Folding(pe=2, simd=3))
    weights, biases, dense_weights, _ = memory_images(s, net.weights())
    (relu,) = s.layers
    assert (weights.name, biases.name) == ("relu_weights_l0", "relu_biases_l0")
    assert (weights.width, weights.depth) == (2 * relu.x_lanes * 3, 3 * relu.beats)  # pe 2, groups 3
    for unit in range(5):
        for n in range(7):
            beat, lane = divmod(n, relu.x_lanes)
            word = weights.rows[unit // 2 * relu.beats + beat]
            code = word >> 3 * (unit % 2 * relu.x_lanes + lane) & 7
            assert (code ^ 4) - 4 == net.weights()["w_l0"][unit, n]
        code = biases.rows[unit // 2] >> 16 * (unit % 2) & 0xFFFF
        assert (code ^ 0x8000) - 0x8000 == net.weights()["b_l0"][unit]
    assert dense_weights.depth == 3 * relu.h_beats
    code = dense_weights.rows[2 * relu.h_beats + 1] >> 3 & 7  # class 2, unit h_lanes + 1
    assert (code ^ 4) - 4 == net.weights()["dense_w"][2, relu.h_lanes + 1]


FOLDING = Folding(pe=2, simd=4)


def _stripes(samples: int = 300) -> Dataset:
    """Which half of a step of 16 numbers is larger."""
    chance = np.random.default_rng(0)
    y = np.arange(samples) % 2
    x = chance.normal(0, 1, (samples, 1, 16)).astype(np.float32)
    x[:, 0, :8] += np.where(y, 1.0, -1.0)[:, None].astype(np.float32)
    return Dataset(name="stripes", x=x, y=y, split=np.arange(samples) % 5 % 3)


DATA = _stripes()
CONFIG = TrainConfig(family=Family.MLP, weight_bits=2, layers=2, hidden=8, epochs_float=10, epochs=10)


def test_training_learns_and_leaves_a_bundle(tmp_path):
    figures = train_to_bundle(CONFIG, DATA, tmp_path, FOLDING, lambda *_: None)
    assert figures["accuracy_golden"] > 0.85
    assert figures["accuracy_float"] > 0.85
    made = bundle.load(tmp_path / "bundle")
    assert [layer.kind for layer in made.network.layers] == ["relu", "relu"]
    assert all(isinstance(layer, ReluSpec) and layer.w.bits == 2 for layer in made.network.layers)
    assert isinstance(made.network.dense.w, StepSpec)
    assert not any(isinstance(layer.x, MlbSpec) for layer in made.network.layers)


def test_its_float_network_is_not_that_of_an_lstm(tmp_path):
    lstm = dataclasses.replace(CONFIG, family=Family.FLOAT, epochs_float=1)
    train(lstm, DATA, tmp_path / "lstm", lambda *_: None)
    config = dataclasses.replace(CONFIG, epochs_float=1, epochs=1)
    with pytest.raises(TrainingError, match=r"must have float network = 'mlp', and .*lstm has None$"):
        train(config, DATA, tmp_path / "mlp", lambda *_: None, tmp_path / "lstm")
    first = train(config, DATA, tmp_path / "first", lambda *_: None)
    other = dataclasses.replace(config, weight_bits=4)
    second = train(other, DATA, tmp_path / "second", lambda *_: None, tmp_path / "first")
    same = zip(first.float_network.parameters(), second.float_network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)


def test_pixels_are_features_and_are_standardized_together():
    images, samples = image_data.load("digits"), image_data.pixels("digits")
    assert samples.x.shape == (1797, 1, 64)
    assert np.array_equal(samples.x.reshape(images.x.shape), images.x)
    assert np.array_equal(samples.split, images.split)
    together = Scaling.of(samples.x, samples.alike)
    assert len(set(together.mean)) == len(set(together.scale)) == 1
    applied = together.apply(samples.x)
    assert abs(applied.mean()) < 1e-9
    assert abs(applied.std() - 1) < 1e-9
