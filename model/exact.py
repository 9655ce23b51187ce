"""From real numbers to the integers of the hardware: codes of weights, and sums that are exact."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from model.cell import fixed_point
from model.spec import MlbSpec, StepSpec, Weight
from model.stepsize.quantizer import codes


def weight_codes(spec: Weight, master: Tensor) -> np.ndarray:
    """Codes of float64 weights, as ``eval()`` uses them."""
    if isinstance(spec, StepSpec):
        return codes(master, spec.step * 2.0**-spec.frac, spec.bits).numpy()
    if isinstance(spec, MlbSpec):
        # Floored to a finer grid than the factors', a master keeps its side of every decision threshold.
        return spec.quantize(np.floor(np.ldexp(master.numpy(), 40)).astype(np.int64), 40)
    return (fixed_point(master, spec) * 2.0**spec.frac).long().numpy()


def check_exact(name: str, bound: Tensor, frac: int) -> None:
    """Raise ValueError unless sums of at most this size are exact in float64, whatever their order."""
    if (largest := bound.max().item()) >= 2.0 ** (53 - frac):
        raise ValueError(f"Sums of {name} must be below {2.0 ** (53 - frac):g} to be exact, not {largest:g}")
