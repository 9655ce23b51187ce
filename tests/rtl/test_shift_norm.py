"""What a trained normalization exports builds, and is the module in ``eval()`` number for number."""

from __future__ import annotations

import numpy as np
import torch

from model.shift_norm import ShiftNorm as LearnedShiftNorm
from model.spec import Format
from rtl.shift_norm import ShiftNorm
from tests.rtl.units import simulate


def test_hardware_of_a_trained_normalization():
    torch.manual_seed(0)
    norm = LearnedShiftNorm(3, source=Format(8), target=Format(8, 5, signed=False))
    norm.offset.data = torch.tensor([0.0, 0.7, -2.0])
    for _ in range(4):
        norm((torch.randn(64, 3) * torch.tensor([3.0, 30.0, 90.0])).round().clamp(-128, 127))
    norm.eval()
    x = torch.arange(-128, 128).float()[:, None].expand(-1, 3)
    expected = norm(x).detach().numpy()
    specs = norm.specs()
    assert len({spec.shift for spec in specs}) == 3
    for channel, spec in enumerate(specs):
        values = np.arange(-128, 128)
        assert np.array_equal(simulate(ShiftNorm(spec), {"x": values}), expected[:, channel])
