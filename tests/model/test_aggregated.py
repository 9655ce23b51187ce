"""Aggregated layers against their golden function, and the example of the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from model.aggregated import AggregatedConv2d, AggregatedLinear
from model.overflow_layers import OverflowConv2d
from model.spec import AggregatedSumSpec, Form, SumSpec

EIGHT = SumSpec(width=8)


def test_the_example_of_the_paper():
    """A convolution worth 512, divided by 4 (the paper prints a divisor of 2**4, but its arithmetic divides by 4)."""
    x = torch.full((1, 4, 1, 2), 64.0)  # four channels, two places of 64 each: 512 in all
    one_sum = OverflowConv2d(4, 1, (1, 2), bias=False, spec=EIGHT)
    four = AggregatedConv2d(4, 1, (1, 2), bias=False, spec=AggregatedSumSpec(rule=EIGHT, groups=4, shift=2))
    for weight in [one_sum.weight, *four.parameters()]:
        weight.data.fill_(1)
    plain = functional.conv2d(x, torch.ones(1, 4, 1, 2))
    assert plain.item() == 512
    assert plain.item() / 4 == 128
    assert one_sum(x).item() == 127
    assert one_sum(x).item() // 4 == 31
    assert [part(channel).item() for part, channel in zip(four.parts, x.chunk(4, 1), strict=True)] == [127] * 4
    assert four(x).item() == 4 * 31 == 124


@given(st.data())
def test_the_golden_function_is_its_four_steps(data):
    groups, each = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    shift, form = data.draw(st.integers(0, 4)), data.draw(st.sampled_from(Form))
    spec = AggregatedSumSpec(rule=SumSpec(width=6, order="sequence"), groups=groups, shift=shift, form=form, one=9)
    values = data.draw(st.lists(st.integers(-40, 40), min_size=groups * each, max_size=groups * each))
    bias = data.draw(st.none() | st.integers(-40, 40))

    def added(numbers: list[int]) -> int:
        total = max(-32, min(31, sum(numbers[:2])))
        for number in numbers[2:]:
            total = max(-32, min(31, total + number))
        return total

    quotients = [added(values[i : i + each]) // 2**shift for i in range(0, len(values), each)]
    total = added(quotients if bias is None else [*quotients, bias])
    expected = max(0, total) if form is Form.RELU else max(-9, min(9, total))
    assert spec.compute(values, bias).tolist() == expected


SPECS = [
    AggregatedSumSpec(rule=EIGHT, groups=2, shift=2),
    AggregatedSumSpec(rule=EIGHT, groups=4, shift=1, form="hard_tanh", one=60),
    AggregatedSumSpec(rule=SumSpec(width=6, overflow="wrap"), groups=2, shift=1, form="hard_tanh"),
    AggregatedSumSpec(rule=SumSpec(width=8, shift=1, order="sequence"), groups=2, shift=0),
    AggregatedSumSpec(rule=SumSpec(width=None), groups=4, shift=3),
    AggregatedSumSpec(rule=SumSpec(width=6), groups=4, shift=1, form="hard_tanh"),  # quotients overflow too
]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("bias", [True, False])
def test_layers_are_the_golden_function(spec, bias):
    torch.manual_seed(0)
    x = torch.randint(0, 64, (2, 4, 5, 6)).float()
    layer = AggregatedConv2d(4, 3, 3, bias, spec=spec, padding=1)
    fully = AggregatedLinear(36, 3, bias, spec=spec)
    windows = functional.unfold(x, 3, padding=1).transpose(1, 2).reshape(-1, 36)
    for module in (layer, fully):
        if module.bias is not None:
            module.bias.data = torch.tensor([3.4, -20.0, 0.0])
    with torch.no_grad():
        for part, other in zip(layer.parts, fully.parts, strict=True):
            other.weight.copy_(part.weight.flatten(1))  # type: ignore[operator, union-attr]
    w = torch.cat([part.integer_weight().flatten(1) for part in layer.parts], 1)  # type: ignore[operator, union-attr]
    products = np.moveaxis((windows[:, None] * w).detach().long().numpy(), -1, 0)
    expected = spec.compute(list(products), np.array([3, -20, 0]) if bias else None)
    assert np.array_equal(layer(x).permute(0, 2, 3, 1).reshape(-1, 3).detach().numpy(), expected)
    assert np.array_equal(fully(windows).detach().numpy(), expected)
    assert len(np.unique(expected)) > 5


def test_gradients_flow_through_what_is_rounded_and_not_through_what_is_clipped():
    layer = AggregatedLinear(4, 1, spec=AggregatedSumSpec(rule=EIGHT, groups=2, shift=1, form="hard_tanh", one=100))
    for part in layer.parts:
        part.weight.data.fill_(0.5)  # type: ignore[operator, union-attr]
    x = torch.tensor([[100.0, 100.0, 3.0, 4.0]], requires_grad=True)
    y = layer(x)
    assert y.item() == 127 // 2 + 7 // 2
    y.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0, 0, 0.5, 0.5]]
    assert layer.bias is not None
    assert layer.bias.grad is not None
    assert layer.bias.grad.tolist() == [1]
    layer.bias.data.fill_(80)
    x.grad = None
    y = layer(x)
    assert y.item() == 100
    y.backward()
    assert x.grad.tolist() == [[0, 0, 0, 0]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "none"}, "Form of an aggregated sum must be relu or hard_tanh, not 'none'"),
        ({"groups": 0}, "Number of groups must be at least 1, not 0"),
        ({"shift": 63}, "Shift of an aggregated sum must be 0 to 62, not 63"),
        ({"one": 0}, "One of an aggregated sum must be at least 1, not 0"),
    ],
)
def test_what_a_specification_does_not_take(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=f"^{message}$"):
        AggregatedSumSpec(**{"rule": EIGHT, "groups": 2, "shift": 1, **settings})


def test_groups_must_fit():
    spec = AggregatedSumSpec(rule=EIGHT, groups=4, shift=1)
    with pytest.raises(ValueError, match=r"^Number of channels must be a multiple of 4 groups, not 6$"):
        AggregatedConv2d(6, 1, 3, spec=spec)
    with pytest.raises(ValueError, match=r"^Number of inputs must be a multiple of 4 groups, not 6$"):
        AggregatedLinear(6, 1, spec=spec)
