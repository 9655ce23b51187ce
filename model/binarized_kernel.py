"""The compiled step of a layer whose gates, c and h are binarized."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.cell import Activations, table_index
from model.kernel import Kernel, narrow_structure
from model.spec import MAX_LEVELS, LstmSpec, MlbSpec, binarized


def clip_distance(mlb: MlbSpec) -> float:
    """Distance from the offset beyond which the straight-through gradient stops: half a spacing past the end.

    Values between the outermost reconstruction and one last factor beyond it still round to it honestly.
    """
    return (mlb.total + mlb.factors[-1]) * 2.0**-mlb.frac


def signs(levels: int) -> Tensor:
    """The signs of every code, shape (2**levels, levels), +1 or -1, ``s_1`` first."""
    codes = torch.arange(1 << levels)[:, None] >> torch.arange(levels - 1, -1, -1)
    return (2.0 * (codes & 1) - 1.0).double()


@cache
def _structure(real: Any) -> type[ctypes.Structure]:
    pointer = ctypes.c_void_p

    class Tables(ctypes.Structure):
        _fields_ = (
            ("levels", ctypes.c_int64),
            ("z", narrow_structure(real) * 4),
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


class BinarizedKernel(Kernel):
    """Every decision behind z is looked up, by codes. See ``binarized_cell.cpp``."""

    name = "binarized"
    notes = 2  # whether the gradient of c_raw passes; the code of h

    def __init__(self, library: ctypes.CDLL, lstm: LstmSpec, dtype: torch.dtype) -> None:
        super().__init__(library, _structure, lstm, dtype)
        tab, self._levels = self._tables, lstm.activation_levels
        tab.levels = self._levels
        act = Activations.of(lstm, torch.float64)
        for k, mlb in enumerate(map(binarized, lstm.gates)):
            pwl, y = lstm.activation(k), act.value[k]
            codes = mlb.quantize(pwl.compute(np.arange(pwl.source.min, pwl.source.max + 1)), pwl.target.frac)
            passes = (y - mlb.offset * 2.0**-mlb.frac).abs() <= clip_distance(mlb)
            tab.z[k] = self._narrow(pwl.source, lstm.rounding)
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
        self.c_dtype, self.c_start = torch.uint8, int(c.quantize(0, 0))
        self._h_code = int(h.quantize(0, 0))
        self.h_start = float(_values(h)[self._h_code])

    @staticmethod
    def fits(lstm: LstmSpec) -> bool:
        """Whether gates, c and h are all binarized."""
        return all(isinstance(q, MlbSpec) for q in (*lstm.gates, lstm.c, lstm.h))

    def factor_sums(self) -> tuple[Tensor, ...]:
        """For each of i, f, g, o, c, h: by code, the sum of the gradients that arrived at values of that code."""
        return (torch.zeros(6, 1 << self._levels, dtype=torch.float64),)

    def factor_gradients(
        self, sums: Sequence[Tensor], dc_start: Tensor, dh_start: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (by_code,) = sums
        by_code[4, self.c_start] += dc_start.double().sum()
        by_code[5, self._h_code] += dh_start.double().sum()
        by_level = (by_code @ signs(self._levels)).to(self.dtype)
        return by_level[:4], by_level[4], by_level[5]


def _values(mlb: MlbSpec) -> Tensor:
    """The reconstruction of every code as real numbers."""
    return torch.tensor(mlb.values, dtype=torch.float64) * 2.0**-mlb.frac
