"""The compiled step of a layer whose gates, c and h are fixed-point words."""

from __future__ import annotations

import ctypes
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor

from model.cell import narrowed, pwl_table
from model.kernel import Kernel, narrow_structure
from model.spec import FixedSpec, LstmSpec, Overflow, PwlSpec


@cache
def _structure(real: Any) -> type[ctypes.Structure]:
    narrow, pointer = narrow_structure(real), ctypes.c_void_p

    class Tables(ctypes.Structure):
        _fields_ = (
            ("z", narrow * 4),
            ("value", pointer * 4),
            ("slope", pointer * 4),
            ("c", narrow),
            ("t", narrow),
            ("t_value", pointer),
            ("t_slope", pointer),
            ("h", narrow),
        )

    return Tables


@lru_cache(maxsize=64)
def _gate_table(pwl: PwlSpec, spec: FixedSpec, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A gate output as it is stored, and the derivative where it does not saturate, over every input."""
    y, slope = pwl_table(pwl, dtype)
    value, passes = narrowed(y, spec)
    return value, slope * passes


class FixedKernel(Kernel):
    """Activations are looked up, stored as the gates are; c^ and h^ are narrowed. See ``fixed_cell.cpp``."""

    name = "fixed"

    def __init__(self, library: ctypes.CDLL, lstm: LstmSpec, dtype: torch.dtype) -> None:
        super().__init__(library, _structure, lstm, dtype)
        tab = self._tables
        for k, spec in enumerate(lstm.gates):
            assert isinstance(spec, FixedSpec)
            pwl = lstm.activation(k)
            tab.z[k] = self._narrow(pwl.source, lstm.rounding)
            tab.value[k], tab.slope[k] = (self._hold(v, dtype) for v in _gate_table(pwl, spec, dtype))
        tab.t = self._narrow(lstm.tanh.source, lstm.rounding)
        tab.t_value, tab.t_slope = (self._hold(v, dtype) for v in pwl_table(lstm.tanh, dtype))
        assert isinstance(lstm.c, FixedSpec)
        assert isinstance(lstm.h, FixedSpec)
        tab.c, tab.h = (self._narrow(q.format, q.rounding) for q in (lstm.c, lstm.h))

    @staticmethod
    def fits(lstm: LstmSpec) -> bool:
        """Whether gates, c and h are words that saturate."""
        stored = (*lstm.gates, lstm.c, lstm.h)
        return all(isinstance(q, FixedSpec) and q.overflow is Overflow.SATURATE for q in stored)
