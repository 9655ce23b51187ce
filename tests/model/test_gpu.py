"""Sums by limited adders and steps of weights on a GPU: the numbers of the CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from model.overflow_layers import OverflowConv2d, counting
from model.spec import SumSpec
from model.stepsize.layers import Attached, find_layers
from model.stepsize.rounding import StepRule
from model.sums import saturation_counts, summed_product
from tests.model.test_summed_product import gradients, plainly, products, summed

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
GPU = torch.device("cuda")


def on_gpu(*tensors: Tensor | None) -> list[Any]:
    return [None if each is None else each.to(GPU) for each in tensors]


@settings(max_examples=200, deadline=None)
@given(products(), st.sampled_from([torch.float32, torch.float64]))
def test_sums_are_those_of_plain_integers(case, dtype):
    rule, *operands = case
    expected, counts = plainly(rule, *operands)
    x, w, bias = on_gpu(*(None if each is None else each.to(dtype) for each in operands))
    assert torch.equal(summed_product(x, w, rule, bias=bias).double().cpu(), expected)
    assert torch.equal(saturation_counts(x, w, rule, bias=bias).cpu(), counts)


@settings(max_examples=100, deadline=None)
@given(products())
def test_gradients_are_those_of_the_cpu(case):
    rule, *operands = case
    there = gradients(summed, rule, *on_gpu(*operands))
    for one, other in zip(there, gradients(summed, rule, *operands), strict=True):
        assert torch.equal(one.cpu(), other)


def test_nothing_is_summed_to_nothing():
    x, w = torch.zeros(0, 3, device=GPU), torch.ones(2, 3, device=GPU)
    assert summed_product(x, w, SumSpec(width=1)).shape == (0, 2)
    assert summed_product(w, x, SumSpec(width=1)).shape == (2, 0)


@pytest.mark.parametrize("bits", [1, 8, 15])
@pytest.mark.parametrize("spec", [SumSpec(width=8), SumSpec(width=12, unit=16), SumSpec(width=None)])
def test_convolutions_are_those_of_the_cpu(bits, spec):
    """With inputs of 15 bits a GPU would round, were it to multiply as it does by default."""
    torch.manual_seed(0)
    layer = OverflowConv2d(5, 7, 3, padding=1, spec=spec)
    x = torch.randint(0, 1 << bits, (3, 5, 9, 9)).float()
    with counting(layer) as counts:
        here = layer(x)
    expected = counts[""].counts
    with counting(layer.to(GPU)) as counts:
        there = layer(x.to(GPU))
    assert torch.equal(there.cpu(), here)
    assert torch.equal(counts[""].counts.cpu(), expected)


@pytest.mark.parametrize("steps", ["free", "pow2", "fixed:6"])
def test_steps_and_codes_are_those_of_the_cpu(steps):
    found = []
    for device in (torch.device("cpu"), GPU):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(9, 8), nn.Linear(8, 3)).to(device)
        attached = Attached(model, find_layers(model), StepRule.parse(steps))
        attached.set_bits(3)
        attached.adapt()
        codes = [each.codes(w).tolist() for each, w in zip(attached.quantized, attached.masters, strict=True)]
        found.append((attached.steps, codes))
    assert found[0] == found[1]
