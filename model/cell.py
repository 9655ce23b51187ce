"""The LSTM over a sequence, differentiable: one plain loop, and one fused function that equals it.

Layers in which everything is binarized have the fused function; where something is in fixed point, it is the plain
loop. Training runs in float32, evaluation in float64. Every value is an integer times ``2**-frac``; as long as
the integers fit the 24 (53) bits of the significand, all sums are exact in any order, and both compute
what :func:`model.golden.run` computes. :func:`exact_in_float32` says whether training is in that case.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model import compiled
from model.spec import GATES, FixedSpec, LstmSpec, MlbSpec, Overflow, PwlSpec, Quantity, Rounding, binarized
from model.spec.mlb import MAX_LEVELS

#: Specification, x^ . wx + b, wh, and the factors of gates, c and h (None: in fixed point), to h^ of every step.
LstmFunction = Callable[[LstmSpec, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None], Tensor]


def exact_in_float32(lstm: LstmSpec) -> bool:
    """Whether no sum of a forward pass can need more than the 24 significand bits of float32."""
    return max(lstm.z_format(k).width for k in range(4)) <= 25 and lstm.mac.format.width <= 25


def clip_distance(mlb: MlbSpec) -> float:
    """Distance from the offset beyond which the straight-through gradient stops: half a spacing past the end.

    Values between the outermost reconstruction and one last factor beyond it still round to it honestly.
    """
    return (mlb.total + mlb.factors[-1]) * 2.0**-mlb.frac


def signs(levels: int) -> Tensor:
    """The signs of every code, shape (2**levels, levels), +1 or -1, ``s_1`` first."""
    codes = torch.arange(1 << levels)[:, None] >> torch.arange(levels - 1, -1, -1)
    return (2.0 * (codes & 1) - 1.0).double()


def binarize(x: Tensor, factors: Tensor, offset: float = 0.0, clip: Tensor | float | None = None) -> Tensor:
    """MLB with straight-through gradients: to ``x`` where it does not clip, to ``factors`` by their signs.

    ``x`` (..., anything), ``factors`` broadcastable against x in all but the last axis, which is the level.
    """
    with torch.no_grad():
        rest, s = x - offset, []
        limit = factors.sum(-1) + factors[..., -1] if clip is None else clip
        passes = rest.abs() <= limit
        for level in range(factors.shape[-1]):
            s.append(torch.where(rest >= 0, 1.0, -1.0).to(x.dtype))
            rest = rest - s[-1] * factors[..., level]
    value = offset + sum(s[m] * factors[..., m] for m in range(len(s)))
    through = torch.where(passes, x, x.detach())
    return value + (through - through.detach())


def fixed_point(x: Tensor, spec: FixedSpec) -> Tensor:
    """``x`` narrowed to a fixed-point format, with straight-through gradients where it does not saturate."""
    number = spec.format
    with torch.no_grad():
        scaled = x * 2.0**number.frac
        rounded = scaled.floor() if spec.rounding is Rounding.FLOOR else scaled.round()
        if spec.overflow is Overflow.WRAP:
            value = (rounded - number.min).remainder(2.0**number.width) + number.min
            passes = torch.ones_like(value, dtype=torch.bool)
        else:
            value = rounded.clamp(number.min, number.max)
            passes = value == rounded
    through = torch.where(passes, x, x.detach())
    return value * number.step + (through - through.detach())


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
        values, slopes = zip(*(_pwl_table(lstm.activation(k), dtype) for k in range(4)), strict=True)
        return cls(values, slopes)


@functools.lru_cache(maxsize=64)
def _pwl_table(pwl: PwlSpec, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """An activation and its derivative over every input."""
    y = pwl.compute(np.arange(pwl.source.min, pwl.source.max + 1)) * pwl.target.step
    slope = y * (1 - y) if pwl.function == "sigmoid" else 1 - y * y
    return torch.from_numpy(y).to(dtype), torch.from_numpy(slope).to(dtype)


def _index(z: Tensor, lstm: LstmSpec, gate: int) -> Tensor:
    """Pre-activation to table index, by the layer's narrowing rule."""
    pwl = lstm.activation(gate)
    scaled = z * 2.0**pwl.source.frac
    rounded = scaled.floor() if lstm.rounding is Rounding.FLOOR else scaled.round()
    return (rounded.clamp(pwl.source.min, pwl.source.max) - pwl.source.min).long()


def plain_lstm(
    lstm: LstmSpec,
    zx: Tensor,
    wh: Tensor,
    gates: Tensor | None,
    c_factors: Tensor | None,
    h_factors: Tensor | None,
) -> dict[str, Tensor]:
    """The layer as a plain loop of differentiable operations; the reference of :func:`fused_lstm`.

    Parameters
    ----------
    lstm
        The specification; its factors are those given.
    zx
        ``x^ . wx + b`` of every step, shape (steps, batch, 4 * hidden).
    wh
        Reconstructed recurrent weights, shape (4 * hidden, hidden).
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
        z = (zx[step] + h @ wh.T).view(batch, 4, lstm.hidden)
        a = [_Pwl.apply(z[:, k], _index(z[:, k], lstm, k), act.value[k], act.slope[k]) for k in range(4)]
        gate = [stored(a[k], lstm.gates[k], None if gates is None else gates[k]) for k in range(4)]
        i, f, g, o = gate
        c_raw = f * c + i * g
        c = stored(c_raw, lstm.c, c_factors)
        t = _Pwl.apply(c, _index(c, lstm, GATES.index("g")), act.value[2], act.slope[2])
        h_raw = o * t
        h = stored(h_raw, lstm.h, h_factors)
        now = (z, torch.stack(a, 1), torch.stack(gate, 1), c_raw, c, t, h_raw, h)
        for name, value in zip(named, now, strict=True):
            named[name].append(value)
    return {name: torch.stack(values) for name, values in named.items()}


def _structure(real: Any) -> type[ctypes.Structure]:
    """The C++ struct ``Tables`` for one real type."""
    pointer = ctypes.c_void_p

    class Tables(ctypes.Structure):
        _fields_ = (
            ("levels", ctypes.c_int64),
            ("nearest", ctypes.c_int64),
            ("scale", ctypes.c_double * 4),
            ("low", ctypes.c_int64 * 4),
            ("high", ctypes.c_int64 * 4),
            ("code", pointer * 4),
            ("slope", pointer * 4),
            ("value", pointer * 4),
            ("c_factor", real * MAX_LEVELS),
            ("c_offset", real),
            ("c_clip", real),
            ("c_value", pointer),
            ("t_value", pointer),
            ("t_slope", pointer),
            ("h_code", pointer),
            ("h_pass", pointer),
            ("h_value", pointer),
        )

    return Tables


_TABLES = {
    torch.float32: ("f32", _structure(ctypes.c_float)),
    torch.float64: ("f64", _structure(ctypes.c_double)),
}


class _Kernel:
    """The fused step for one specification: its tables, kept alive, and the two C functions."""

    def __init__(self, library: ctypes.CDLL, lstm: LstmSpec, dtype: torch.dtype) -> None:
        suffix, structure = _TABLES[dtype]
        self._forward, self._backward = library[f"forward_{suffix}"], library[f"backward_{suffix}"]
        self._keep: list[Tensor] = []
        tab: Any = structure()
        tab.levels, tab.nearest = lstm.activation_levels, lstm.rounding is not Rounding.FLOOR
        act = Activations.of(lstm, torch.float64)
        for k, mlb in enumerate(map(binarized, lstm.gates)):
            pwl, y = lstm.activation(k), act.value[k]
            codes = mlb.quantize(pwl.compute(np.arange(pwl.source.min, pwl.source.max + 1)), pwl.target.frac)
            passes = (y - mlb.offset * 2.0**-mlb.frac).abs() <= clip_distance(mlb)
            tab.scale[k], tab.low[k], tab.high[k] = 2.0**pwl.source.frac, pwl.source.min, pwl.source.max
            tab.code[k] = self._hold(torch.from_numpy(codes), torch.uint8)
            tab.slope[k] = self._hold(act.slope[k] * passes, dtype)
            tab.value[k] = self._hold(_values(mlb), dtype)
        c, h, step = binarized(lstm.c), binarized(lstm.h), 2.0**-lstm.c.frac
        tab.c_factor[: c.levels] = [a * step for a in c.factors]
        tab.c_offset, tab.c_clip = c.offset * step, clip_distance(c)
        index = _index(_values(c), lstm, 2)
        t = act.value[2][index]
        tab.c_value, tab.t_value = self._hold(_values(c), dtype), self._hold(t, dtype)
        tab.t_slope = self._hold(act.slope[2][index], dtype)
        h_raw = _values(binarized(lstm.gates[3]))[:, None] * t
        raw = (h_raw * 2.0**lstm.mac.format.frac).round().long().numpy()
        tab.h_code = self._hold(torch.from_numpy(h.quantize(raw, lstm.mac.format.frac)), torch.uint8)
        tab.h_pass = self._hold(h_raw.abs() <= clip_distance(h), dtype)
        tab.h_value = self._hold(_values(h), dtype)
        self._tables = tab

    def _hold(self, table: Tensor, dtype: torch.dtype) -> int:
        self._keep.append(table.to(dtype).contiguous())
        return self._keep[-1].data_ptr()

    def forward(self, batch: int, hidden: int, *tensors: Tensor) -> None:
        self._call(self._forward, batch, hidden, tensors)

    def backward(self, batch: int, hidden: int, *tensors: Tensor) -> None:
        self._call(self._backward, batch, hidden, tensors)

    def _call(self, function: Any, batch: int, hidden: int, tensors: Sequence[Tensor]) -> None:
        pointers = [ctypes.c_void_p(t.data_ptr()) for t in tensors]
        function(ctypes.byref(self._tables), ctypes.c_int64(batch), ctypes.c_int64(hidden), *pointers)


def _values(mlb: MlbSpec) -> Tensor:
    """The reconstruction of every code as real numbers."""
    return torch.tensor(mlb.values, dtype=torch.float64) * 2.0**-mlb.frac


class _FusedLstm(torch.autograd.Function):
    """The whole sequence: a product and one fused pass a step; weight gradients as one product at the end."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, kernel: _Kernel, lstm: LstmSpec, zx: Tensor, wh: Tensor, *factors: Tensor
    ) -> Tensor:
        steps, batch, _ = zx.shape
        hidden = lstm.hidden
        index = torch.empty(steps, batch, 4 * hidden, dtype=torch.int16)
        c_code = torch.empty(steps + 1, batch, hidden, dtype=torch.uint8)
        c_pass, h_code = torch.empty_like(c_code[1:]), torch.empty_like(c_code)
        h = zx.new_empty(steps + 1, batch, hidden)
        c_code[0], h_code[0] = int(lstm.c.quantize(0, 0)), int(lstm.h.quantize(0, 0))
        h[0] = float(lstm.h.reconstruct(int(h_code[0, 0, 0]))) * 2.0**-lstm.h.frac
        z, wh_t = zx.new_empty(batch, 4 * hidden), wh.T.contiguous()
        for t in range(steps):
            torch.addmm(zx[t], h[t], wh_t, out=z)
            kernel.forward(batch, hidden, z, c_code[t], index[t], c_code[t + 1], c_pass[t], h_code[t + 1], h[t + 1])
        ctx.kernel, ctx.lstm = kernel, lstm
        ctx.save_for_backward(wh, index, c_code, c_pass, h_code, h)
        return h[1:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        wh, index, c_code, c_pass, h_code, h = ctx.saved_tensors
        lstm: LstmSpec = ctx.lstm
        steps, batch, hidden = grad.shape
        codes = 1 << lstm.activation_levels
        bins = torch.zeros(6, codes, dtype=torch.float64)  # i, f, g, o, c, h
        dz = grad.new_empty(steps, batch, 4 * hidden)
        dc, dh = grad.new_zeros(batch, hidden), torch.empty_like(grad[0])
        dh_before = grad.new_zeros(batch, hidden)
        for t in reversed(range(steps)):
            torch.add(grad[t], dh_before, out=dh)
            ctx.kernel.backward(
                batch,
                hidden,
                dh,
                dc,
                c_code[t],
                index[t],
                c_code[t + 1],
                c_pass[t],
                h_code[t + 1],
                dz[t],
                bins[:4],
                bins[4],
                bins[5],
            )
            torch.mm(dz[t], wh, out=dh_before)
        bins[4, int(c_code[0, 0, 0])] += dc.double().sum()
        bins[5, int(h_code[0, 0, 0])] += dh_before.double().sum()
        by_level = (bins @ signs(lstm.activation_levels)).to(grad.dtype)
        dwh = dz.flatten(0, 1).T @ h[:-1].flatten(0, 1)
        return None, None, dz, dwh, by_level[:4], by_level[4], by_level[5]


def fused_lstm(
    lstm: LstmSpec,
    zx: Tensor,
    wh: Tensor,
    gates: Tensor | None,
    c_factors: Tensor | None,
    h_factors: Tensor | None,
) -> Tensor:
    """h^ of every step, shape (steps, batch, hidden); arguments as for :func:`plain_lstm`, the same numbers.

    Falls back to the plain loop where something is in fixed point, the kernel cannot be compiled or the tensors are
    not on the CPU.
    """
    library = compiled.load() if lstm.binarized and zx.device.type == "cpu" else None
    if library is None:
        return plain_lstm(lstm, zx, wh, gates, c_factors, h_factors)["h"]
    kernel = _Kernel(library, lstm, zx.dtype)
    h: Tensor = _FusedLstm.apply(kernel, lstm, zx.contiguous(), wh, gates, c_factors, h_factors)  # type: ignore[assignment]
    return h
