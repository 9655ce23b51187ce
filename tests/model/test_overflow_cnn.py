"""The rule's networks: their shapes, that they keep or break the rule, and what other adders change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from model.classifier import FitConfig, fit
from model.image_data import load, part
from model.overflow_cnn import (
    CnnConfig,
    Norm,
    Pixels,
    StoredBatchNorm,
    on_adders,
    overflow_cnn,
    plain_config,
    plain_network,
    rule_config,
    rule_network,
)
from model.overflow_layers import OverflowConv2d, OverflowLinear
from model.pipeline_rule import Rule, check
from model.regularizers import Kind, Regularizer, binarized_weights
from model.run import predictions
from model.shift_norm import ShiftNorm
from model.spec import Format, SumSpec

SMALL = CnnConfig(channels=(4, 6), pools=(1, 2), image=(1, 8, 8))


@pytest.mark.parametrize(("eta", "channels"), [(None, 16), (0.0, 28), (0.25, 35), (0.5, 42)])
def test_the_rules_networks_keep_the_rule_they_are_made_by(eta, channels):
    config = rule_config(eta, image=(1, 28, 28))
    assert config.channels == (channels,) * 8
    rule = Rule(eta=eta or 0)
    assert [verdict.excess for verdict in check(overflow_cnn(config), rule)] == [0] * 9
    assert any(verdict.excess for verdict in check(overflow_cnn(config), Rule(bits=7, eta=eta or 0)))


def test_the_plain_network_breaks_it():
    assert [verdict.excess > 0 for verdict in check(plain_network(), Rule(eta=0.5))] == [False, True, True, True, True]


@pytest.mark.parametrize("network", [rule_network, plain_network])
def test_a_network_takes_images_of_three_channels(network):
    assert network().eval()(torch.rand(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("bits", [8, None])
def test_what_goes_from_layer_to_layer_are_stored_integers(norm, bits):
    torch.manual_seed(0)
    network = overflow_cnn(rule_config(image=(1, 8, 8), norm=norm, adders=SumSpec(width=bits), channels=(4,) * 8))
    seen: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        seen.append(output)

    for module in network:
        if isinstance(module, ShiftNorm | StoredBatchNorm | Pixels):
            module.register_forward_hook(keep)
    network(torch.rand(9, 1, 8, 8))
    network.eval()(torch.rand(9, 1, 8, 8))
    assert len(seen) == 2 * 9
    for values in seen:
        assert torch.equal(values, values.floor())
        assert values.min() >= -128
        assert values.max() <= 255


def test_each_layer_is_the_specification_of_its_hardware():
    """Sums, maximum, normalization: each from the numbers that the layer before gave."""
    torch.manual_seed(0)
    spec = SumSpec(width=8)
    network = overflow_cnn(SMALL)
    network(torch.rand(32, 1, 8, 8))
    network.eval()
    x = network[0](torch.rand(3, 1, 8, 8))
    y = network[1](x)
    windows = nn.functional.unfold(x, 3, padding=1).transpose(1, 2)  # (images, places, products)
    w = network[1].integer_weight().detach().flatten(1)  # type: ignore[operator]
    sums = spec.fold(list(np.moveaxis((windows[:, :, None] * w).long().numpy(), -1, 0)))
    assert np.array_equal(y.detach().flatten(2).transpose(1, 2).numpy(), sums)
    assert (np.abs(sums) >= 127).any()
    pooled, norm = network[2](y), network[3]
    assert isinstance(norm, ShiftNorm)
    expected = [each.compute(pooled[:, i].detach().numpy()) for i, each in enumerate(norm.specs())]
    assert np.array_equal(norm(pooled).detach().numpy(), np.stack(expected, 1))


def test_batch_normalization_is_rounded_down_and_clamped():
    norm = StoredBatchNorm(1, Format(8, 2, signed=False)).eval()
    x = torch.tensor([-3.0, 0.3, 0.74, 900.0]).view(4, 1, 1, 1).requires_grad_()
    y = norm(x)
    assert y.flatten().tolist() == [0, 1, 2, 255]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == pytest.approx([0, 4, 4, 0], abs=1e-3)


def test_other_adders_change_the_sums_and_nothing_else():
    torch.manual_seed(0)
    x = torch.rand(8, 1, 8, 8)
    exact = overflow_cnn(rule_config(image=(1, 8, 8), adders=SumSpec(width=None)))
    exact(x)
    exact.eval()
    wide, narrow = on_adders(exact, SumSpec(width=16)), on_adders(exact, SumSpec(width=6))
    assert torch.equal(wide(x), exact(x))
    assert not torch.equal(narrow(x), exact(x))
    layers = [module for module in narrow if isinstance(module, OverflowConv2d | OverflowLinear)]
    assert [layer.spec.width for layer in layers] == [6] * 9
    assert {module.source for module in narrow if isinstance(module, ShiftNorm)} == {Format(6)}
    assert all(torch.equal(a, b) for a, b in zip(exact.parameters(), narrow.parameters(), strict=True))
    assert torch.equal(predictions(exact, x, batch=3), exact(x).argmax(1))


def test_it_learns_through_adders_of_8_bits_and_regularizers_pull_weights_to_one():
    x, y = part(load("digits"), "train", 400)
    found = []
    for penalty in (None, Regularizer(Kind.COSINE, 1e-3), Regularizer(Kind.PARABOLA, 1e-3)):
        torch.manual_seed(0)
        network = overflow_cnn(replace(SMALL, channels=(16, 16), pools=(1,)))
        fit(network, x, y, FitConfig(epochs=8, rate=0.03, batch=32), penalty=penalty)
        weight = list(binarized_weights(network))[1].detach().clamp(-1, 1)
        found.append(float((1 - weight.square()).mean()))
        if penalty is None:
            assert (predictions(network, x) == y).float().mean() > 0.5
    assert found[1] < found[0]
    assert found[2] < found[0]


def test_the_float_network_has_the_same_shape():
    floats = overflow_cnn(plain_config(float_weights=True))
    shapes = [tuple(p.shape) for p in floats.parameters() if p.ndim > 1]
    assert shapes == [tuple(p.shape) for p in plain_network().parameters() if p.ndim > 1]
