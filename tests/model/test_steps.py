"""Weights as integers times a step: the rule against exact fractions, the steps that are found, and what is refused."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.family import FactorRule, Family
from model.golden import run
from model.random_network import random_network, stored
from model.spec import (
    MAX_BITS,
    FixedSpec,
    Folding,
    Format,
    IntegerDotSpec,
    LstmSpec,
    MlbSpec,
    Schedule,
    StepSpec,
    memory_images,
)
from model.steps import Steps
from model.stepsize import qstep
from model.stepsize.quantizer import l2_error
from tests.networks import NETWORKS, STEPPED
from tests.sentences import is_one_sentence

BITS = st.integers(2, MAX_BITS)
SPECS = st.builds(StepSpec, bits=BITS, step=st.integers(1, 2000), frac=st.integers(0, 14))


@given(SPECS, st.integers(-(1 << 20), 1 << 20), st.integers(0, 20))
def test_a_weight_becomes_the_nearest_integer_in_steps(spec, w, frac):
    in_steps = abs(Fraction(w, 2**frac)) / Fraction(spec.step, 2**spec.frac)
    expected = min(math.floor(in_steps + Fraction(1, 2)), 2 ** (spec.bits - 1) - 1) * (-1 if w < 0 else 1)
    code = spec.quantize(w, frac)
    assert int(code) == expected
    assert int(spec.reconstruct(code)) == expected * spec.step
    assert spec.code_range[0] <= expected <= spec.code_range[1] == spec.top
    assert abs(expected * spec.step) <= spec.bound <= spec.format.max


@given(SPECS, st.integers(1, 128))
def test_half_a_step_is_rounded_away_from_zero(spec, k):
    half = (2 * k - 1) * spec.step  # k - 1/2 steps, with one fraction bit more
    assert spec.quantize([half, -half], spec.frac + 1).tolist() == [min(k, spec.top), -min(k, spec.top)]
    assert int(spec.quantize(half - 1, spec.frac + 1)) == min(k - (spec.step > 0), spec.top)


@settings(max_examples=40)
@given(st.integers(0, 10**6), BITS, st.sampled_from(FactorRule), st.floats(1e-4, 3.0))
def test_steps_are_next_to_the_exact_ones(seed, bits, rule, size):
    """Below or above the step with the least error, whichever is better, in what can be stored."""
    torch.manual_seed(seed)
    w, frac, width = size * torch.randn(4, 5, 3), 6 + bits, 10
    steps = Steps(4, bits, frac, width, rule)
    steps.initialize(list(w))
    for k, spec in enumerate(steps.specs()):
        exact = qstep(w[k], bits) * 2.0**frac
        low = 2.0 ** math.floor(math.log2(exact)) if rule is FactorRule.POW2 else math.floor(exact)
        high = 2.0 ** math.ceil(math.log2(exact)) if rule is FactorRule.POW2 else math.ceil(exact)
        most = 1 << (width - 1) if rule is FactorRule.POW2 else (1 << width) - 1
        near = [min(max(int(step), 1), most) for step in (low, high)]
        assert spec.step in near
        error = l2_error(w[k], spec.step * 2.0**-frac, bits)
        assert error == min(l2_error(w[k], step * 2.0**-frac, bits) for step in near)
        assert rule is FactorRule.FREE or spec.step.bit_count() == 1


def test_weights_that_are_all_0_have_some_step():
    steps = Steps(2, 3, 9, 10)
    steps.initialize([torch.zeros(3), torch.ones(3)])
    assert steps.specs()[0].step == 1
    assert torch.equal(steps.quantized(torch.zeros(2, 3)), torch.zeros(2, 3))


@settings(max_examples=40)
@given(NETWORKS, STEPPED)
def test_codes_of_a_network_are_those_of_the_rule(choice, stepped):
    """What float64 computes from float32 masters is exact; and steps are those of the weights as they are."""
    network, _ = random_network(**choice, **stepped)
    codes = network.weights()
    for name, (_, specs) in network.spec().weight_specs().items():
        if name.startswith("b_") or name == "dense_b":
            continue
        master = network.masters[name].detach().double().numpy()
        rows = list(master) if len(specs) == 4 else [master]
        for spec, row, code in zip(specs, rows, codes[name] if len(specs) == 4 else [codes[name]], strict=True):
            assert isinstance(spec, StepSpec)
            exact = [[Fraction(w) * 2**spec.frac for w in weights] for weights in row.tolist()]
            expected = [
                [int(math.copysign(min(math.floor(abs(w) / spec.step + Fraction(1, 2)), spec.top), w)) for w in each]
                for each in exact
            ]
            assert code.tolist() == expected


def test_gradients_pass_straight_through():
    steps, w = Steps(1, 2, 8, 10), torch.tensor([[-9.0, -0.1, 0.2, 0.9]], requires_grad=True)
    steps.initialize([w.detach()])
    (steps.quantized(w) * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [[1.0, 2.0, 3.0, 4.0]]
    assert not list(steps.parameters())
    assert list(steps.state_dict()) == ["stored"]


def layer(**change: Any) -> LstmSpec:
    """A layer of weights with a step, changed."""
    return dataclasses.replace(random_network(family=Family.FIXED)[0].spec().lstms[0], **change)


WORDS, SIGNS = (FixedSpec(format=Format(8, 9)),) * 4, (MlbSpec(factors=(3, 1), frac=9),) * 4

REFUSED: list[tuple[Any, str]] = [
    (lambda: StepSpec(bits=1, step=3), "Bits of an integer weight must be 2 to 8, not 1"),
    (lambda: StepSpec(bits=9, step=3), "Bits of an integer weight must be 2 to 8, not 9"),
    (lambda: StepSpec(bits=3, step=0), "Step of integer weights must be from 1 to 16777215, not 0"),
    (lambda: StepSpec(bits=3, step=3, frac=25), "Fraction bits of a step must be 0 to 24, not 25"),
    (lambda: layer(sums=None), "Sums of an LSTM layer must be given where weights have a step, not None"),
    (lambda: layer(wx=WORDS), "Storage of wx must be one level or have a step where sums are limited, not words s8.9"),
    (lambda: layer(wh=SIGNS), "Storage of wh must be one level or have a step where sums are limited, not 2 levels"),
    (
        lambda: layer(wx=(*[StepSpec(bits=3, step=1, frac=9)] * 3, StepSpec(bits=4, step=1, frac=9))),
        "Storage of wx must be of one kind and width for all gates",
    ),
    (
        lambda: IntegerDotSpec(n=2, source=Format(4), weight_bits=3, weights=(-4, 0)),
        "Constant weight must be from -3 to 3, not -4",
    ),
    (lambda: IntegerDotSpec(n=2, source=Format(4), weight_bits=9), "Bits of a weight must be 1 to 8, not 9"),
]


@pytest.mark.parametrize(("made", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_cannot_be_is_refused_in_a_sentence(made, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        made()
    assert str(refused.value) == message
    assert is_one_sentence(message)


def test_dense_weights_with_a_step_ask_for_words():
    spec = random_network(family=Family.FIXED)[0].spec()
    binarized = random_network(family=Family.MUBINN2)[0].spec()
    bias = MlbSpec(factors=(1, 1), frac=spec.dense.w.frac)
    with pytest.raises(ValueError, match=r"^Storage of b must be a word where w has a step, not 2 levels$"):
        dataclasses.replace(spec.dense, b=bias)
    message = r"^Storage of h must be a word where the dense weights have a step, not 2 levels$"
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(binarized, dense=spec.dense)


@pytest.mark.parametrize("name", ["wx_l0", "wh_l0", "dense_w"])
def test_the_most_negative_integer_is_no_code(name):
    network, x = random_network(family=Family.FIXED)
    weights = {key: value.copy() for key, value in network.weights().items()}
    weights[name][..., 0] = -4
    with pytest.raises(ValueError, match=f"^Weights {name} must be codes from -3 on, not -4$"):
        run(network.spec(), weights, stored(network, x))


def test_images_are_as_wide_as_the_codes():
    network, _ = random_network(family=Family.FIXED, hidden=5, features=3, bits=3)
    schedule = Schedule(network=network.spec(), folding=Folding(pe=2, simd=4))
    weights, _, dense, _ = memory_images(schedule, network.weights())
    s = schedule.layers[0]
    assert weights.width == 4 * s.pe * (s.x_lanes + s.h_lanes) * 3
    assert dense.width == s.h_lanes * 3
    for image in (weights, dense):
        assert "3 bits, two's complement from -3 to 3, in steps" in image.order
    first = network.weights()["wx_l0"][0, 0, : s.x_lanes]
    got = [(weights.rows[0] >> 3 * lane & 7 ^ 4) - 4 for lane in range(s.x_lanes)]
    assert np.array_equal(got, first)
