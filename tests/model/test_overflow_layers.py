"""Layers with limited adders: those of torch where nothing overflows, golden sums where something does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.overflow_layers import OverflowConv2d, OverflowLinear, counting
from model.spec import SumSpec


def integers(*shape: int, bits: int = 8) -> Tensor:
    return torch.randint(0, 1 << bits, shape).float()


def gradient(tensor: Tensor | None) -> list[Any]:
    assert tensor is not None
    assert tensor.grad is not None
    return tensor.grad.tolist()


def golden(spec: SumSpec, x: Tensor, w: Tensor, bias: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    """Sums (rows, outputs) and saturations (levels, outputs) by the specification."""
    products = np.moveaxis((x[:, None] * w).detach().long().numpy(), -1, 0)
    summands = list(products)
    if bias is not None:
        summands.append(np.broadcast_to(bias.detach().round().long().numpy(), products.shape[1:]))
    return spec.fold(summands), spec.saturations(summands).sum(1)


@pytest.mark.parametrize("weight_bits", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_and_its_count_are_those_of_the_golden_function(bias, weight_bits):
    torch.manual_seed(0)
    spec = SumSpec(width=12, fan_in=3)
    layer = OverflowLinear(40, 7, bias, spec=spec, weight_bits=weight_bits, x_max=255)
    if layer.bias is not None:
        layer.bias.data += torch.arange(7) * 30.4
    x = integers(2, 9, 40)
    model = nn.Sequential(nn.Identity(), layer)
    with counting(model) as counts:
        y = model(x)
        model(x[:1])
    w = layer.integer_weight()
    assert set(w.unique().tolist()) == ({-1, 1} if weight_bits == 1 else set(range(-3, 4)))
    expected, saturated = golden(spec, x.view(-1, 40), w, layer.bias)
    assert np.array_equal(y.detach().view(-1, 7).numpy(), expected)
    again = golden(spec, x[0], w, layer.bias)[1]
    assert set(counts) == {"1"}
    assert np.array_equal(counts["1"].counts.numpy(), saturated + again)
    assert saturated.sum() > 0
    assert counts["1"].sums == 27
    model(x)
    assert counts["1"].sums == 27  # no longer counted


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"stride": 2, "padding": 1},
        {"padding": "same", "dilation": (1, 2), "bias": False},
        {"groups": 2, "padding": (0, 2), "stride": (1, 3)},
        {"padding": 1, "padding_mode": "circular"},
    ],
)
def test_a_convolution_is_that_of_torch_where_nothing_overflows(settings):
    torch.manual_seed(1)
    layer = OverflowConv2d(4, 6, (3, 2), spec=SumSpec(width=20), dtype=torch.float64, **settings)
    plain = nn.Conv2d(4, 6, (3, 2), dtype=torch.float64, **settings)
    x = integers(3, 4, 9, 8).double()
    plain.weight.data = layer.integer_weight().detach()
    if layer.bias is not None and plain.bias is not None:
        layer.bias.data += 3.3
        plain.bias.data = layer.bias.detach().round()
    y = layer(x)
    assert torch.equal(y, plain(x))
    assert torch.equal(layer(x[0]), y[0])
    y.square().sum().backward()
    plain(x).square().sum().backward()
    assert gradient(layer.weight) == gradient(plain.weight)


def test_a_convolution_with_overflow_is_the_golden_function_window_by_window():
    torch.manual_seed(2)
    spec = SumSpec(width=10, order="sequence")
    layer = OverflowConv2d(4, 6, 3, padding=1, groups=2, spec=spec)
    x = integers(2, 4, 5, 6)
    with counting(layer) as counts:
        y = layer(x)
    biases = layer.bias
    assert biases is not None
    for group in range(2):
        windows = functional.unfold(x[:, 2 * group : 2 * group + 2], 3, padding=1).transpose(1, 2).reshape(-1, 18)
        outputs = slice(3 * group, 3 * group + 3)
        w = layer.integer_weight()[outputs].flatten(1)
        expected, saturated = golden(spec, windows, w, biases[outputs])
        assert np.array_equal(y[:, outputs].permute(0, 2, 3, 1).reshape(-1, 3).detach().numpy(), expected)
        assert np.array_equal(counts[""].counts[:, outputs].numpy(), saturated)
        assert saturated.sum() > 0
    assert counts[""].sums == 2 * 5 * 6


def test_weights_learn_where_they_are_in_range():
    layer = OverflowLinear(3, 1, spec=SumSpec(width=8))
    layer.weight.data = torch.tensor([[0.5, -1.5, -0.0]])
    y = layer(torch.tensor([[1.0, 2.0, 3.0]]))
    assert y.item() == 1 - 2 + 3
    y.backward()
    assert gradient(layer.weight) == [[1.0, 0.0, 3.0]]
    assert gradient(layer.bias) == [1.0]


def test_a_network_learns_through_its_adders():
    """With narrow nodes, targets that only unsaturated sums reach."""
    torch.manual_seed(3)
    layer = OverflowLinear(64, 2, spec=SumSpec(width=9))
    teacher = OverflowLinear(64, 2, spec=SumSpec(width=9))
    optimizer = torch.optim.Adam(layer.parameters(), 0.05)
    x = integers(64, 64, bits=4)
    losses = []
    for _ in range(40):
        loss = (layer(x) - teacher(x).detach()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize(
    ("settings", "x", "message"),
    [
        ({"weight_bits": 0}, 1.0, "Weight bits of a layer must be 1 to 8, not 0"),
        ({"weight_bits": 9}, 1.0, "Weight bits of a layer must be 1 to 8, not 9"),
        ({}, 0.5, "Inputs of an overflow layer must be integers, not fractions"),
        ({"x_max": 255}, 256.0, "Inputs of a sum must be at most 255 in size, not 256"),
    ],
)
def test_what_a_layer_does_not_take(settings: dict[str, Any], x: float, message: str):
    with pytest.raises(ValueError, match=f"^{message}$"):
        OverflowLinear(2, 2, spec=SumSpec(), **settings)(torch.full((1, 2), x))
    with pytest.raises(ValueError, match=f"^{message}$"):
        OverflowConv2d(1, 1, 1, spec=SumSpec(), **settings)(torch.full((1, 1, 1, 1), x))
