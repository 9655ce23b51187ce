"""``eval()``, the golden function and exact Python integers: one number for each named value."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import compiled, golden
from model.factors import Factors, SearchedFactors
from model.family import FactorRule, Family
from model.fused import fused_lstm
from model.golden import run
from model.random_network import random_network, stored
from model.saturations import nodes, saturations
from model.spec import (
    GATES,
    Datapath,
    FixedSpec,
    Folding,
    MlbSpec,
    NetworkSpec,
    Overflow,
    Pool,
    Rounding,
    Schedule,
    StepSpec,
    TableSpec,
    ThresholdSpec,
    Weights,
)
from scripts.check_random import SUMS
from tests.model.plain_sums import plain_sum
from tests.networks import FAMILIES, NETWORKS


def by_python_integers(network: NetworkSpec, weights: Weights, samples: np.ndarray) -> tuple[list[dict], list]:
    """Named values of each layer, and logits: one sequence, unit by unit, in Python integers and popcounts.

    Shares nothing with the golden loop.
    """

    def value(spec, code):
        if isinstance(spec, FixedSpec):
            return int(code)
        if isinstance(spec, StepSpec):
            return int(code) * spec.step
        signs = [1 if code >> (spec.levels - 1 - i) & 1 else -1 for i in range(spec.levels)]
        return spec.offset + sum(s * a for s, a in zip(signs, spec.factors, strict=True))

    def store(spec, v, frac):
        if isinstance(spec, MlbSpec):
            return int(spec.quantize(v, frac))
        assert spec.rounding is Rounding.FLOOR
        return min(max(math.floor(Fraction(v, 2**frac) * 2**spec.format.frac), spec.format.min), spec.format.max)

    def dot(spec, x, w, sums=None):
        if sums is not None:
            stepped = isinstance(spec.w, StepSpec)
            integers = [int(q) if stepped else 1 if value(spec.w, q) > 0 else -1 for q in w]
            products = [value(spec.x, p) * q for p, q in zip(x, integers, strict=True)]
            return plain_sum(sums, products)[0] * (spec.w.step if stepped else spec.w.factors[0])
        if isinstance(spec.x, FixedSpec) or not isinstance(spec.w, MlbSpec):
            return sum(value(spec.x, p) * value(spec.w, q) for p, q in zip(x, w, strict=True))
        total = 0
        for a, row in enumerate(spec.gains):
            for b, g in enumerate(row):
                same = sum(
                    ((p >> (spec.x.levels - 1 - a)) ^ (q >> (spec.w.levels - 1 - b)) ^ 1) & 1
                    for p, q in zip(x, w, strict=True)
                )
                total += g * (2 * same - len(x))
        return total

    def run_layer(lstm, wx, wh, b, rows):
        h, c = ([int(spec.quantize(0, 0))] * lstm.hidden for spec in (lstm.h, lstm.c))
        named: dict[str, list] = {name: [] for name in ("x", "z", "c_raw", "h_raw", "c", "h")}
        for x in rows:
            z = [
                [
                    dot(lstm.dots(k)[0], x, wx[k][j], lstm.sums) * 2 ** (lstm.z_frac - lstm.x.frac - lstm.wx[k].frac)
                    + dot(lstm.dots(k)[1], h, wh[k][j], lstm.sums) * 2 ** (lstm.z_frac - lstm.h.frac - lstm.wh[k].frac)
                    + value(lstm.b[k], b[k][j]) * 2 ** (lstm.z_frac - lstm.b[k].frac)
                    for j in range(lstm.hidden)
                ]
                for k in range(4)
            ]
            now: dict[str, list[int]] = {name: [] for name in ("c_raw", "h_raw", "c", "h")}
            for j in range(lstm.hidden):
                gate = []
                for k in range(4):
                    y = int(lstm.activation(k).compute(lstm.narrow_z(k).compute(z[k][j])))
                    gate.append(value(lstm.gates[k], store(lstm.gates[k], y, lstm.activation(k).target.frac)))
                now["c_raw"].append(gate[1] * value(lstm.c, c[j]) + gate[0] * gate[2])
                now["c"].append(store(lstm.c, now["c_raw"][j], lstm.gates[1].frac + lstm.c.frac))
                shift = lstm.c.frac - lstm.tanh.source.frac
                inside = value(lstm.c, now["c"][j])
                inside = inside >> shift if shift >= 0 else inside << -shift
                inside = min(max(inside, lstm.tanh.source.min), lstm.tanh.source.max)
                now["h_raw"].append(gate[3] * int(lstm.tanh.compute(inside)))
                now["h"].append(store(lstm.h, now["h_raw"][j], lstm.gates[3].frac + lstm.tanh.target.frac))
            c, h = now["c"], now["h"]
            for name, values in {"x": x, "z": z, **now}.items():
                named[name].append(values)
        return named

    dense, layers = network.dense, []
    rows = [[store(network.layers[0].x, v, network.source.frac) for v in row] for row in samples.tolist()]
    for number, lstm in enumerate(network.layers):
        if number:
            below = network.layers[number - 1].h
            rows = layers[-1]["h"]
            if isinstance(below, FixedSpec) and isinstance(lstm.x, MlbSpec):
                rows = [[store(lstm.x, v, below.frac) for v in row] for row in rows]
        wx, wh, b = (weights[f"{name}_l{number}"].tolist() for name in ("wx", "wh", "b"))
        layers.append(run_layer(lstm, wx, wh, b, rows))
    logits = [
        [
            dot(network.dense_dot, h, weights["dense_w"][n].tolist())
            + value(dense.b, weights["dense_b"][n]) * 2 ** network.layers[-1].h.frac
            for n in range(dense.classes)
        ]
        for h in layers[-1]["h"]
    ]
    if dense.pool is Pool.MEAN:
        return layers, [sum(each) for each in zip(*logits, strict=True)]
    return layers, logits if dense.pool is Pool.EACH else logits[-1]


@settings(max_examples=40)
@given(NETWORKS, FAMILIES | st.just({}))
def test_golden_equals_exact_python_integers(choice, family):
    choice = choice | family
    network, x = random_network(**choice)
    spec, weights, samples = network.spec(), network.weights(), stored(network, x)
    trace = run(spec, weights, samples)
    layers, logits = by_python_integers(spec, weights, samples[1])
    for layer, expected in zip(trace.layers, layers, strict=True):
        for name, values in expected.items():
            assert getattr(layer, name)[1].tolist() == values, name
    assert trace.logits[1].tolist() == logits


@settings(max_examples=40)
@given(NETWORKS, st.sampled_from([Datapath.THRESHOLD, Datapath.TABLE]))
def test_every_datapath_gives_the_golden_codes(choice, datapath):
    network, x = random_network(**choice)
    if choice["a"] == 5 and datapath.tables:
        with pytest.raises(ValueError, match="Datapath must be arithmetic or threshold, not 'table': Table must have"):
            Schedule(network=network.spec(), folding=Folding(pe=1, simd=1), datapath=datapath)
        return
    spec = network.spec()
    for lstm, trace in zip(spec.lstms, run(spec, network.weights(), stored(network, x)).lstms, strict=True):
        for k in range(len(GATES)):
            assert np.array_equal(ThresholdSpec.gate(lstm, k).compute(trace.z[:, :, k]), trace.gate[:, :, k])
        if datapath.tables:
            i, f, g, o = np.moveaxis(trace.gate, 2, 0)
            start = np.broadcast_to(lstm.c.quantize(0, 0), trace.c[:, :1].shape)
            before = np.concatenate([start, trace.c[:, :-1]], 1)
            assert np.array_equal(TableSpec.cell(lstm).compute(f=f, c=before, i=i, g=g), trace.c)
            assert np.array_equal(TableSpec.hidden(lstm).compute(gate_o=o, c=trace.c), trace.h)


def test_a_datapath_that_cannot_be_built_is_refused():
    wrapping = replace(random_network(a=2)[0].spec().lstms[0], overflow=Overflow.WRAP)
    for datapath in (Datapath.THRESHOLD, Datapath.TABLE):
        with pytest.raises(ValueError, match=r"^Datapath must be arithmetic, not .*: Overflow of a narrowing "):
            datapath.check(wrapping)
    Datapath.ARITHMETIC.check(wrapping)


@settings(max_examples=60)
@given(NETWORKS, FAMILIES | st.just({}))
def test_eval_equals_golden_in_every_named_value(choice, family):
    choice = choice | family
    network, x = random_network(**choice)
    spec = network.spec()
    trace = run(spec, network.weights(), stored(network, x))
    with torch.no_grad():
        named, logits = network.named_values(x), network(x)

    def check(name, values, frac):
        assert np.array_equal(named[name].numpy() * 2.0**frac, values), name

    for number, (lstm, layer) in enumerate(zip(spec.lstms, trace.lstms, strict=True)):
        check(f"z_l{number}", layer.z, lstm.z_frac)
        check(f"c_raw_l{number}", layer.c_raw, lstm.c_raw_format.frac)
        check(f"t_l{number}", layer.t, lstm.tanh.target.frac)
        check(f"h_raw_l{number}", layer.h_raw, lstm.mac.format.frac)
        check(f"c_l{number}", lstm.c.reconstruct(layer.c), lstm.c.frac)
        check(f"h_l{number}", lstm.h.reconstruct(layer.h), lstm.h.frac)
        for k in range(len(GATES)):
            step = lstm.activation(k).target.step
            assert np.array_equal(named[f"activation_l{number}"][:, :, k].numpy(), layer.activation[:, :, k] * step)
            assert np.array_equal(
                named[f"gate_l{number}"][:, :, k].numpy() * 2.0 ** lstm.gates[k].frac,
                lstm.gates[k].reconstruct(layer.gate[:, :, k]),
            )
    check("logits", trace.logits, spec.logit_format.frac)
    steps = x.shape[1] if spec.dense.pool is Pool.MEAN else 1
    assert np.allclose(logits.numpy() * steps, named["logits"].numpy(), rtol=1e-12, atol=0)
    assert np.array_equal(logits.argmax(-1).numpy(), trace.label)


@settings(max_examples=20)
@given(NETWORKS, FAMILIES | st.just({}), st.integers(1, 5))
def test_golden_goes_on_where_it_was(choice, family, first):
    """Steps in two runs give what they give in one, whatever the dense layer reads of them."""
    network, x = random_network(**choice | family | {"steps": 6, "pool": Pool.EACH})
    spec, weights, samples = network.spec(), network.weights(), stored(network, x)
    whole, begun = run(spec, weights, samples), run(spec, weights, samples[:, :first])
    rest = run(spec, weights, samples[:, first:], begun)
    for name in ("logits", "label"):
        parts = [getattr(trace, name) for trace in (begun, rest)]
        assert np.array_equal(np.concatenate(parts, 1), getattr(whole, name))
    for number, layer in enumerate(whole.layers):
        for each in fields(layer):
            parts = [getattr(trace.layers[number], each.name) for trace in (begun, rest)]
            assert np.array_equal(np.concatenate(parts, 1), getattr(layer, each.name))
    assert np.array_equal(whole.last, np.broadcast_to(np.arange(6) == 5, whole.label.shape))


def test_a_result_a_step_is_that_of_the_sequence_until_there():
    network, x = random_network(pool=Pool.EACH, steps=5)
    spec, weights, samples = network.spec(), network.weights(), stored(network, x)
    each = run(spec, weights, samples)
    assert each.logits.shape == (len(x), 5, 3)
    for step in range(5):
        until = run(replace(spec, dense=replace(spec.dense, pool=Pool.LAST)), weights, samples[:, : step + 1])
        assert np.array_equal(each.logits[:, step], until.logits)
        assert np.array_equal(each.label[:, step], until.label)


@settings(max_examples=20)
@given(NETWORKS, SUMS, st.sampled_from([{"family": Family.BLSTM}, {"family": Family.FIXED, "bits": 3}]))
def test_saturations_are_those_of_the_rule(choice, sums, family):
    network, x = random_network(**choice, **family, sums=sums)
    spec, weights, samples = network.spec(), network.weights(), stored(network, x)
    found, trace = saturations(spec, weights, samples), run(spec, weights, samples)
    assert list(found) == [f"{name}_l{n}" for n in range(len(spec.layers)) for name in "xh"]
    for number, (lstm, layer) in enumerate(zip(spec.lstms, trace.lstms, strict=True)):
        before = np.concatenate([np.zeros_like(layer.h[:, :1]), layer.h[:, :-1]], 1)
        for name, values, dot in zip("xh", (layer.x, before), lstm.integer_dots(0), strict=True):
            codes = weights[f"w{name}_l{number}"].astype(np.int64)  # (gates, hidden, inputs)
            integers = 2 * codes - 1 if family["family"] is Family.BLSTM else codes
            products = np.moveaxis(values[:, :, None, None] * integers, -1, 0)
            expected = sums.saturations(list(products)).sum((1, 2))
            assert np.array_equal(found[f"{name}_l{number}"], expected)
            assert len(nodes(lstm, name)) == len(expected)
            assert sum(nodes(lstm, name)) == len(dot.sum.nodes)


def test_exact_sums_are_not_counted():
    network, x = random_network()
    assert saturations(network.spec(), network.weights(), stored(network, x)) == {}


@settings(max_examples=25)
@given(NETWORKS)
def test_training_in_float32_computes_the_same_numbers(choice):
    network, x = random_network(**choice)
    with torch.no_grad():
        exact = network(x)
        trained = network.train()(x)
    assert trained.dtype == torch.float32
    assert torch.equal(trained, exact.float())


@pytest.mark.skipif(compiled.load() is None, reason="no g++: there is no fused kernel to compare")
def test_gradients_pass_through_all_layers(monkeypatch):
    """Of every parameter of two layers, the factors of h among them, which x of the second layer shares."""
    network, x = random_network(a=2, w=2, hidden=4, layers=2, pool=Pool.MEAN, gain=1.0)
    found = []
    for load in (compiled.load, lambda: None):
        monkeypatch.setattr(compiled, "load", load)
        network.zero_grad()
        network(x).square().sum().backward()
        found.append({name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None})
    assert set(found[0]) == set(found[1]) == {name for name, _ in network.named_parameters()}
    for name, gradient in found[0].items():
        assert torch.allclose(gradient, found[1][name], rtol=1e-5, atol=1e-7), name
        assert gradient.abs().max() > 0, name


def test_factors_of_x_of_a_layer_above_are_searched_in_what_it_is_given():
    network, x = random_network(family=Family.MUBINN1, a=2, hidden=4, layers=2, batch=40, steps=6)
    h = network._layers(x, fused_lstm)
    best = SearchedFactors(1, 2, frac=6, bits=10)
    best.initialize([next(h)])
    assert network.layer_spec(1).x == best.specs()[0] != network.layer_spec(0).x


def test_sums_that_float64_cannot_hold_are_refused():
    """Where eval() could not equal the golden function, it says so."""
    for name, sums in (("wx_l0", "z_l0"), ("wh_l1", "z_l1"), ("dense_w", "logits")):
        network, x = random_network(family=Family.FIXED32, hidden=12, pool=Pool.MEAN, layers=2)
        with torch.no_grad():
            network.masters[name].fill_(2000.0)
        with pytest.raises(ValueError, match=f"Sums of {sums} must be below 8192 to be exact, not "):
            network(x)


def test_the_search_finds_the_powers_that_values_are_made_of():
    for powers in ((2.0, 0.25), (0.5, 0.125), (1.0, 0.5)):
        values = torch.tensor([s * powers[0] + t * powers[1] for s in (-1, 1) for t in (-1, 1)])
        factors = SearchedFactors(1, 2, frac=6, bits=10)
        factors.initialize([values])
        assert [a * 2.0**-6 for a in factors.specs()[0].factors] == list(powers)
        assert not factors.master.requires_grad


def test_powers_of_two_are_the_nearest_in_their_logarithm():
    factors = Factors((1.0,), 3, frac=6, bits=10, rule=FactorRule.POW2)
    with torch.no_grad():
        factors.master.copy_(torch.tensor([[1.4, 1.5, 0.001]]))
    assert factors.stored().tolist() == [[64, 128, 1]]
    factors().sum().backward()
    assert factors.master.grad is not None


def test_a_wrong_decision_would_be_seen():
    """The comparison above can fail: one flipped weight code changes named values."""
    network, x = random_network()
    spec, weights, samples = network.spec(), network.weights(), stored(network, x)
    before = run(spec, weights, samples)
    weights["wx_l0"][0, 0, 0] ^= 1
    assert not np.array_equal(run(spec, weights, samples).layers[0].z, before.layers[0].z)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.astype(float), "must be integers"),
        (lambda s: s[:, :, :1], r"must be of shape \(batch, steps, 3\)"),
        (lambda s: s + 200, "must be from -128 to 127"),
        (lambda s: s[:0], "must be of shape"),
        (lambda s: np.repeat(s, 9, axis=1), "at most 8, not 36"),
    ],
)
def test_golden_refuses_wrong_samples(change, words):
    network, x = random_network(pool=Pool.MEAN)
    with pytest.raises(ValueError, match=words):
        golden.run(network.spec(), network.weights(), change(stored(network, x)))
