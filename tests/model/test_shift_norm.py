"""Shift normalization: what it learns, and that its frozen form is the specification of the hardware."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.shift_norm import ShiftNorm
from model.spec import Format


def sums(*shape: int, deviation: float = 20.0, mean: float = 5.0) -> torch.Tensor:
    return (torch.randn(shape) * deviation + mean).round().clamp(-128, 127)


@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize(
    ("source", "target"),
    [
        (Format(8), Format(8, 2, signed=False)),
        (Format(8), Format(8, 7)),
        (Format(8, 3), Format(6, 0)),
        (Format(8), Format(8, 12)),
    ],
)
def test_eval_is_the_specification(source, target, each):
    torch.manual_seed(0)
    norm = ShiftNorm(3, source=source, target=target, each=each)
    norm.gain.data = torch.tensor([1.0, 0.3, 9.0])[: len(norm.gain)]
    norm.offset.data = torch.tensor([0.4, -1.5, 0.0])[: len(norm.offset)]
    for _ in range(5):
        norm(sums(6, 3, 4, 4, deviation=9) * torch.tensor([1, 2, 3]).view(3, 1, 1))
    norm.eval()
    x = torch.arange(source.min, source.max + 1).float().view(-1, 1, 1).expand(-1, 3, 2)
    y = norm(x)
    specs = norm.specs()
    assert len(specs) == (3 if each else 1)
    for channel in range(3):
        spec = specs[channel if each else 0]
        assert np.array_equal(y[:, channel].detach().numpy(), spec.compute(x[:, channel].numpy()))
    assert len({spec.shift for spec in specs}) > 1 or not each
    assert y.unique().numel() > 2


def test_it_learns_the_statistics():
    torch.manual_seed(1)
    norm = ShiftNorm(1, source=Format(12), target=Format(8, 4))
    for _ in range(80):
        norm(sums(500, 1, deviation=23, mean=40))
    (spec,) = norm.specs()
    assert spec.mean == pytest.approx(40, abs=1)
    assert spec.shift == 5  # 2**4.5 = 22.6 is the border between 16 and 32
    norm.gain.data[:] = 2
    norm.offset.data[:] = 0.5
    (spec,) = norm.specs()
    assert spec.shift == 4
    assert spec.mean == pytest.approx(40 - 0.5 * 16, abs=1)


def test_training_computes_with_the_batch_and_eval_with_what_ran():
    torch.manual_seed(2)
    norm = ShiftNorm(1, source=Format(8), target=Format(8, 5), momentum=0.5)
    x, other = sums(400, 1, mean=5), sums(400, 1, mean=-30)
    first = norm(x).detach()
    assert torch.equal(first, norm.eval()(x))  # the first batch counts in full
    second = norm.train()(other).detach()
    assert second.mean().item() == pytest.approx(first.mean().item(), abs=2)  # the mean of the batch is taken off
    assert norm.eval()(other).mean() < second.mean() - 10
    assert norm.running_mean.item() == pytest.approx((5 - 30) / 2, abs=2)


def test_gradients_are_those_of_batch_normalization_where_nothing_is_clamped():
    torch.manual_seed(3)
    x = torch.randint(-8, 8, (64, 2)).double()
    x = (x - x.mean(0).round()).requires_grad_()
    target = Format(16, 8)
    norm = ShiftNorm(2, source=Format(8), target=target).double()
    plain = torch.nn.BatchNorm1d(2, eps=1e-5).double()
    # With a deviation that is a power of two, both divide by the same number.
    with torch.no_grad():
        x.copy_((x / x.std(0, correction=0) * 4).round())
    wish = torch.randn(64, 2).double()
    (norm(x) / 2**target.frac * wish).sum().backward()
    ours, x.grad = x.grad, None
    (plain(x) * wish).sum().backward()
    assert ours is not None
    assert x.grad is not None
    assert norm.gain.grad is not None
    assert norm.offset.grad is not None
    # The power is 4, the deviation about 4: what is compared is which way, and how far.
    assert torch.nn.functional.cosine_similarity(ours.flatten(), x.grad.flatten(), 0) > 0.999
    assert norm.offset.grad.tolist() == pytest.approx(wish.sum(0).tolist())
    assert plain.weight.grad is not None
    assert torch.nn.functional.cosine_similarity(norm.gain.grad, plain.weight.grad, 0) > 0.99


def test_no_gradient_flows_where_the_result_is_clamped():
    norm = ShiftNorm(1, source=Format(8), target=Format(4, 0, signed=False)).eval()
    x = torch.tensor([[-3.0], [3.0], [99.0]], requires_grad=True)
    assert norm(x).tolist() == [[0], [3], [15]]
    norm(x).sum().backward()
    assert x.grad is not None
    assert x.grad[[0, 2]].tolist() == [[0], [0]]
    assert x.grad[1] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 0}, "Number of channels must be at least 1, not 0"),
        ({"source": Format(24)}, "Formats of a normalization must have at most 23 bits, not 24"),
        ({"target": Format(8, 30)}, "Formats of a normalization must have at most 23 bits, not 30"),
    ],
)
def test_what_it_does_not_take(settings, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        ShiftNorm(**{"channels": 1, "source": Format(8), "target": Format(8), **settings})
