"""The LSTM over a sequence as one fused function, where everything in the layer is binarized.

A product and one pass of compiled C++ a step; it computes what :func:`model.cell.plain_lstm` computes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model import compiled
from model.cell import Activations, plain_lstm, table_index
from model.spec import LstmSpec, MlbSpec, Rounding, binarized
from model.spec.mlb import MAX_LEVELS


def clip_distance(mlb: MlbSpec) -> float:
    """Distance from the offset beyond which the straight-through gradient stops: half a spacing past the end.

    Values between the outermost reconstruction and one last factor beyond it still round to it honestly.
    """
    return (mlb.total + mlb.factors[-1]) * 2.0**-mlb.frac


def signs(levels: int) -> Tensor:
    """The signs of every code, shape (2**levels, levels), +1 or -1, ``s_1`` first."""
    codes = torch.arange(1 << levels)[:, None] >> torch.arange(levels - 1, -1, -1)
    return (2.0 * (codes & 1) - 1.0).double()


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
        index = table_index(_values(c), lstm, 2)
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
