"""``eval()``, the golden function and exact Python integers: one number for each named value."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import golden
from model.cell import exact_in_float32
from model.factors import Factors, SearchedFactors
from model.family import FactorRule, Family
from model.golden import run
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
    TableSpec,
    ThresholdSpec,
    Weights,
)
from tests.networks import FAMILIES, NETWORKS, random_network, stored


def by_python_integers(network: NetworkSpec, weights: Weights, samples: np.ndarray) -> dict[str, list]:
    """One sequence, unit by unit, in Python integers and popcounts; shares nothing with the golden loop."""
    lstm, dense = network.lstm, network.dense

    def value(spec, code):
        if isinstance(spec, FixedSpec):
            return int(code)
        signs = [1 if code >> (spec.levels - 1 - i) & 1 else -1 for i in range(spec.levels)]
        return spec.offset + sum(s * a for s, a in zip(signs, spec.factors, strict=True))

    def store(spec, v, frac):
        if isinstance(spec, MlbSpec):
            return int(spec.quantize(v, frac))
        assert spec.rounding is Rounding.FLOOR
        return min(max(math.floor(Fraction(v, 2**frac) * 2**spec.format.frac), spec.format.min), spec.format.max)

    def dot(spec, x, w):
        if isinstance(spec.x, FixedSpec) or isinstance(spec.w, FixedSpec):
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

    h, c = ([int(spec.quantize(0, 0))] * lstm.hidden for spec in (lstm.h, lstm.c))
    named: dict[str, list] = {name: [] for name in ("z", "c_raw", "h_raw", "c", "h")}
    logits = [0] * dense.classes
    for row in samples.tolist():
        x = [store(lstm.x, v, lstm.source.frac) for v in row]
        z = [
            [
                dot(lstm.dots(k)[0], x, weights["wx"][k, j].tolist())
                * 2 ** (lstm.z_frac - lstm.x.frac - lstm.wx[k].frac)
                + dot(lstm.dots(k)[1], h, weights["wh"][k, j].tolist())
                * 2 ** (lstm.z_frac - lstm.h.frac - lstm.wh[k].frac)
                + value(lstm.b[k], weights["b"][k, j]) * 2 ** (lstm.z_frac - lstm.b[k].frac)
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
        for name, values in {"z": z, **now}.items():
            named[name].append(values)
        out = [
            dot(network.dense_dot, h, weights["dense_w"][n].tolist())
            + value(dense.b, weights["dense_b"][n]) * 2**lstm.h.frac
            for n in range(dense.classes)
        ]
        logits = [p + q for p, q in zip(logits, out, strict=True)] if dense.pool is Pool.MEAN else out
    return {**named, "logits": logits}


@settings(max_examples=40)
@given(NETWORKS, FAMILIES | st.just({}))
def test_golden_equals_exact_python_integers(choice, family):
    choice = choice | family
    network, x = random_network(**choice)
    spec, weights, samples = network.spec(), network.weights(), stored(network, x)
    trace = run(spec, weights, samples)
    expected = by_python_integers(spec, weights, samples[1])
    for name, values in expected.items():
        assert getattr(trace, name)[1].tolist() == values, name


@settings(max_examples=40)
@given(NETWORKS, st.sampled_from([Datapath.THRESHOLD, Datapath.TABLE]))
def test_every_datapath_gives_the_golden_codes(choice, datapath):
    network, x = random_network(**choice)
    lstm = network.spec().lstm
    if choice["a"] == 5 and datapath.tables:
        with pytest.raises(ValueError, match="Datapath must be arithmetic or threshold, not 'table': Table must have"):
            Schedule(network=network.spec(), folding=Folding(pe=1, simd=1), datapath=datapath)
        return
    trace = run(network.spec(), network.weights(), stored(network, x))
    for k in range(len(GATES)):
        assert np.array_equal(ThresholdSpec.gate(lstm, k).compute(trace.z[:, :, k]), trace.gate[:, :, k])
    if datapath.tables:
        i, f, g, o = np.moveaxis(trace.gate, 2, 0)
        start = np.broadcast_to(lstm.c.quantize(0, 0), trace.c[:, :1].shape)
        before = np.concatenate([start, trace.c[:, :-1]], 1)
        assert np.array_equal(TableSpec.cell(lstm).compute(f=f, c=before, i=i, g=g), trace.c)
        assert np.array_equal(TableSpec.hidden(lstm).compute(gate_o=o, c=trace.c), trace.h)


def test_a_datapath_that_cannot_be_built_is_refused():
    wrapping = replace(random_network(a=2)[0].spec().lstm, overflow=Overflow.WRAP)
    for datapath in (Datapath.THRESHOLD, Datapath.TABLE):
        with pytest.raises(ValueError, match=r"^Datapath must be arithmetic, not .*: Overflow of a narrowing "):
            datapath.check(wrapping)
    Datapath.ARITHMETIC.check(wrapping)


@settings(max_examples=60)
@given(NETWORKS, FAMILIES | st.just({}))
def test_eval_equals_golden_in_every_named_value(choice, family):
    choice = choice | family
    network, x = random_network(**choice)
    spec, lstm = network.spec(), network.spec().lstm
    trace = run(spec, network.weights(), stored(network, x))
    with torch.no_grad():
        named, logits = network.named_values(x), network(x)

    def check(name, values, frac):
        assert np.array_equal(named[name].numpy() * 2.0**frac, values), name

    check("z", trace.z, lstm.z_frac)
    check("c_raw", trace.c_raw, lstm.c_raw_format.frac)
    check("t", trace.t, lstm.tanh.target.frac)
    check("h_raw", trace.h_raw, lstm.mac.format.frac)
    check("c", lstm.c.reconstruct(trace.c), lstm.c.frac)
    check("h", lstm.h.reconstruct(trace.h), lstm.h.frac)
    check("logits", trace.logits, spec.logit_format.frac)
    for k in range(len(GATES)):
        step = lstm.activation(k).target.step
        assert np.array_equal(named["activation"][:, :, k].numpy(), trace.activation[:, :, k] * step)
        assert np.array_equal(
            named["gate"][:, :, k].numpy() * 2.0 ** lstm.gates[k].frac,
            lstm.gates[k].reconstruct(trace.gate[:, :, k]),
        )
    steps = x.shape[1] if spec.dense.pool is Pool.MEAN else 1
    assert np.allclose(logits.numpy() * steps, named["logits"].numpy(), rtol=1e-12, atol=0)
    assert np.array_equal(logits.argmax(1).numpy(), trace.label)


@settings(max_examples=25)
@given(NETWORKS)
def test_training_in_float32_computes_the_same_numbers(choice):
    network, x = random_network(**choice)
    assert exact_in_float32(network.spec().lstm)
    with torch.no_grad():
        exact = network(x)
        trained = network.train()(x)
    assert trained.dtype == torch.float32
    assert torch.equal(trained, exact.float())


def test_sums_that_float64_cannot_hold_are_refused():
    """Where eval() could not equal the golden function, it says so."""
    for name, sums in (("wx", "z"), ("dense_w", "logits")):
        network, x = random_network(family=Family.FIXED32, hidden=12, pool=Pool.MEAN)
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
    weights["wx"][0, 0, 0] ^= 1
    assert not np.array_equal(run(spec, weights, samples).z, before.z)


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
