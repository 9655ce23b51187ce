"""The LSTM over a sequence, differentiable, as one plain loop; :mod:`model.fused` has a function that equals it.

Training runs in float32, evaluation in float64. Every value is an integer times ``2**-frac``; as long as
the integers fit the 24 (53) bits of the significand, all sums are exact in any order, and both compute
what :func:`model.golden.run` computes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.gate_product import Product
from model.spec import GATES, FixedSpec, LstmSpec, Overflow, PwlSpec, Quantity, Rounding

#: Specification, x^ . wx + b, the product of h^ with wh, and the factors of gates, c and h (None: in fixed point), to
#: h^ of every step.
LstmFunction = Callable[[LstmSpec, Tensor, Product, Tensor | None, Tensor | None, Tensor | None], Tensor]


def binarize(x: Tensor, factors: Tensor, offset: float = 0.0) -> Tensor:
    """MLB with straight-through gradients: to ``x`` where it does not clip, to ``factors`` by their signs.

    ``x`` (..., anything), ``factors`` broadcastable against x in all but the last axis, which is the level.
    """
    with torch.no_grad():
        rest, s = x - offset, []
        passes = rest.abs() <= factors.sum(-1) + factors[..., -1]
        for level in range(factors.shape[-1]):
            s.append(torch.where(rest >= 0, 1.0, -1.0).to(x.dtype))
            rest = rest - s[-1] * factors[..., level]
    value = offset + sum(s[m] * factors[..., m] for m in range(len(s)))
    through = torch.where(passes, x, x.detach())
    return value + (through - through.detach())


def narrowed(x: Tensor, spec: FixedSpec) -> tuple[Tensor, Tensor]:
    """``x`` narrowed to a fixed-point format, and where it does not saturate."""
    number = spec.format
    scaled = x * 2.0**number.frac
    rounded = scaled.floor() if spec.rounding is Rounding.FLOOR else scaled.round()
    if spec.overflow is Overflow.WRAP:
        value = (rounded - number.min).remainder(2.0**number.width) + number.min
        return value * number.step, torch.ones_like(value, dtype=torch.bool)
    value = rounded.clamp(number.min, number.max)
    return value * number.step, value == rounded


def fixed_point(x: Tensor, spec: FixedSpec) -> Tensor:
    """``x`` narrowed to a fixed-point format, with straight-through gradients where it does not saturate."""
    with torch.no_grad():
        value, passes = narrowed(x, spec)
    through = torch.where(passes, x, x.detach())
    return value + (through - through.detach())


def stored(x: Tensor, spec: Quantity, factors: Tensor | None) -> Tensor:
    """``x`` as a quantity stores it, reconstructed; ``factors`` are given where it is binarized."""
    if isinstance(spec, FixedSpec):
        return fixed_point(x, spec)
    assert factors is not None
    return binarize(x, factors, spec.offset * 2.0**-spec.frac)


class _Pwl(torch.autograd.Function):
    """A piecewise-linear activation: table forward, derivative of the table's own output backward."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, index: Tensor, table: Tensor, slope: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(slope[index])
        return table[index]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        return grad * ctx.saved_tensors[0], None, None, None


@dataclass(frozen=True)
class Activations:
    """The activation functions of a layer as tables over every input, made from the golden functions."""

    value: tuple[Tensor, ...]  #: a gate: index -> activation
    slope: tuple[Tensor, ...]  #: a gate: index -> derivative, y (1 - y) or 1 - y^2

    @classmethod
    def of(cls, lstm: LstmSpec, dtype: torch.dtype) -> Activations:
        values, slopes = zip(*(pwl_table(lstm.activation(k), dtype) for k in range(4)), strict=True)
        return cls(values, slopes)


@functools.lru_cache(maxsize=64)
def pwl_table(pwl: PwlSpec, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """An activation and its derivative, y (1 - y) or 1 - y^2, over every input."""
    y = pwl.compute(np.arange(pwl.source.min, pwl.source.max + 1)) * pwl.target.step
    slope = y * (1 - y) if pwl.function == "sigmoid" else 1 - y * y
    return torch.from_numpy(y).to(dtype), torch.from_numpy(slope).to(dtype)


def table_index(z: Tensor, lstm: LstmSpec, gate: int) -> Tensor:
    """Pre-activation to table index, by the layer's narrowing rule."""
    pwl = lstm.activation(gate)
    scaled = z * 2.0**pwl.source.frac
    rounded = scaled.floor() if lstm.rounding is Rounding.FLOOR else scaled.round()
    return (rounded.clamp(pwl.source.min, pwl.source.max) - pwl.source.min).long()


def plain_lstm(
    lstm: LstmSpec,
    zx: Tensor,
    product: Product,
    gates: Tensor | None,
    c_factors: Tensor | None,
    h_factors: Tensor | None,
) -> dict[str, Tensor]:
    """The layer as a plain loop of differentiable operations; the reference of :func:`model.fused.fused_lstm`.

    Parameters
    ----------
    lstm
        The specification; its factors are those given.
    zx
        ``x^ . wx + b`` of every step, shape (steps, batch, 4 * hidden).
    product
        That of h^ with the recurrent weights.
    gates, c_factors, h_factors
        Scaling factors, shapes (4, A), (A,), (A,); None where the quantity is in fixed point.

    Returns
    -------
    The named values (see :class:`model.golden.Trace`) as real numbers, time first; those that are codes
    (gate, c, h) as reconstructions.
    """
    steps, batch, _ = zx.shape
    act = Activations.of(lstm, zx.dtype)
    zero = zx.new_zeros(batch, lstm.hidden)
    h, c = stored(zero, lstm.h, h_factors), stored(zero, lstm.c, c_factors)
    named: dict[str, list[Tensor]] = {n: [] for n in ("z", "activation", "gate", "c_raw", "c", "t", "h_raw", "h")}
    for step in range(steps):
        z = (zx[step] + product(h)).view(batch, 4, lstm.hidden)
        a = [_Pwl.apply(z[:, k], table_index(z[:, k], lstm, k), act.value[k], act.slope[k]) for k in range(4)]
        gate = [stored(a[k], lstm.gates[k], None if gates is None else gates[k]) for k in range(4)]
        i, f, g, o = gate
        c_raw = f * c + i * g
        c = stored(c_raw, lstm.c, c_factors)
        t = _Pwl.apply(c, table_index(c, lstm, GATES.index("g")), act.value[2], act.slope[2])
        h_raw = o * t
        h = stored(h_raw, lstm.h, h_factors)
        now = (z, torch.stack(a, 1), torch.stack(gate, 1), c_raw, c, t, h_raw, h)
        for name, value in zip(named, now, strict=True):
            named[name].append(value)
    return {name: torch.stack(values) for name, values in named.items()}
