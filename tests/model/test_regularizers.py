"""The two penalties: their values, their gradients, and whose weights they are of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from model.overflow_layers import OverflowConv2d, OverflowLinear
from model.regularizers import binarized_weights, cosine_penalty, parabola_penalty
from model.spec import SumSpec


@pytest.mark.parametrize(
    ("penalty", "values", "slopes"),
    [
        (cosine_penalty, [2.0, 1.0, 0.0, 0.0], [0.0, -torch.pi, 0.0, 0.0]),
        (parabola_penalty, [1.0, 0.75, 0.0, 0.0], [0.0, -1.0, 2.0, 0.0]),
    ],
)
def test_values_and_gradients(penalty, values, slopes):
    w = torch.tensor([0.0, 0.5, -1.0, 7.0], requires_grad=True)
    assert [penalty([part], 3.0).item() for part in w.detach().split(1)] == pytest.approx([3 * v for v in values])
    penalty([w[:2], w[2:]], 3.0).backward()
    assert w.grad is not None
    assert w.grad.tolist() == pytest.approx([3 * slope for slope in slopes], abs=1e-5)


def test_only_weights_of_one_bit_count():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 1),
        OverflowConv2d(2, 3, 1, spec=SumSpec()),
        OverflowLinear(4, 5, spec=SumSpec()),
        OverflowLinear(5, 6, spec=SumSpec(), weight_bits=2),
    )
    assert [tuple(w.shape) for w in binarized_weights(model)] == [(3, 2, 1, 1), (5, 4)]
    assert cosine_penalty(binarized_weights(model[0]), 1.0).item() == 0
