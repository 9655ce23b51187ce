"""Weights as integers times a step: the rule, its range, and its error."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.spec import step_size
from model.stepsize.errors import StepSizeError

MIN_BITS, MAX_BITS = 2, 16

Weights = TypeVar("Weights", NDArray[np.floating], Tensor)
Step = float | NDArray[np.floating] | Tensor  #: one of all weights, or (groups,): equal parts of the first axis


def top_code(bits: int) -> int:
    """(M - 1) / 2, the largest integer, of M = 2^bits - 1 levels.

    Raises
    ------
    StepSizeError
        If ``bits`` is no integer of 2 to 16.
    """
    if not isinstance(bits, int | np.integer) or isinstance(bits, bool) or not MIN_BITS <= bits <= MAX_BITS:
        raise StepSizeError(f"Bits of a weight must be {MIN_BITS} to {MAX_BITS}, not {bits!r}")
    return step_size.top_code(int(bits))


def codes(w: Tensor, step: Step, bits: int) -> Tensor:
    """sgn(w) min(floor(|w| / step + 0.5), (M - 1) / 2): whole numbers, float64, of the shape of ``w``.

    Computed in float64 whatever ``w`` is, so that training, evaluation and what hardware takes agree on every code.

    Raises
    ------
    StepSizeError
        If ``bits`` or a step is out of range, or the first axis has not so many equal parts.
    """
    limit, wide = top_code(bits), w.detach().double()
    units = wide.abs().div_(spread(step, w)).add_(0.5).floor_().clamp_(max=limit)
    return units.mul_(wide.sign()).add_(0.0)  # no zero is negative


def quantize(w: Weights, step: Step, bits: int) -> Weights:
    """Q(w) = sgn(w) step min(floor(|w| / step + 0.5), (M - 1) / 2) with M = 2^bits - 1.

    w: numpy array or tensor of finite numbers, whose type the result has. step: above 0; or one for each of ``groups``
    equal parts of the first axis, (groups,). bits: 2 to 16.

    Raises
    ------
    StepSizeError
        If one of them is something else.
    """
    if isinstance(w, np.ndarray):
        return quantize(torch.from_numpy(np.ascontiguousarray(w)), step, bits).numpy()
    if not w.is_floating_point() or not bool(w.isfinite().all()):
        raise StepSizeError(f"Weights must be finite real numbers, not {_odd(w)!r}")
    return (codes(w, step, bits) * spread(step, w)).to(w.dtype)


def spread(step: Step, w: Tensor) -> Tensor:
    """The steps, float64, in a shape that goes with ``w`` element by element.

    Raises
    ------
    StepSizeError
        If one is not finite and above 0, or the first axis has not so many equal parts.
    """
    steps = torch.as_tensor(step, dtype=torch.float64, device=w.device).detach()
    if steps.ndim > 1 or not bool((steps.isfinite() & (steps > 0)).all()):
        raise StepSizeError(f"Step must be finite and above 0, not {steps.tolist()!r}")
    if steps.ndim == 0:
        return steps
    rows = w.shape[0] if w.ndim else 1
    if rows % len(steps):
        raise StepSizeError(f"Number of steps must divide the {rows} rows of the weights, not {len(steps)!r}")
    return steps.repeat_interleave(rows // len(steps)).reshape(-1, *(1,) * (w.ndim - 1))


def l2_error(w: Tensor, step: Step, bits: int) -> float:
    """The sum of (w - Q(w))^2, in float64."""
    return float((w.detach().double() - codes(w, step, bits) * spread(step, w)).square().sum())


def _odd(w: Tensor) -> object:
    """What is wrong with weights: their type, or the first that is not finite."""
    return str(w.dtype) if not w.is_floating_point() else float(w[~w.isfinite()][0])
