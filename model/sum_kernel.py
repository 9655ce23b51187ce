"""The steps of a program as one compiled pass, for the CPU and float32."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model import compiled
from model.spec import Overflow, SumSpec
from model.sum_program import Program, Step, limits

LANES = 64  #: samples of a tile; see sum_steps.cpp
#: Steps of a sequence that are looked at together, whether any of them can overflow.
LOOK_AHEAD = 16
#: The kernel has one thread. Where others have more, it pays if a step has, on average, fewer products than this.
FEW = 32

_STEP = np.dtype(
    [
        *((name, np.int64) for name in ("spans", "spans_end", "held", "limited", "first", "run")),
        *((name, np.float32) for name in ("scale", "size")),
    ]
)


class ProgramStructure(ctypes.Structure):
    """``Program`` of sum_steps.hpp; its arrays belong to a :class:`Compiled`."""

    _fields_ = (
        ("steps", ctypes.c_void_p),
        ("spans", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("depth", ctypes.c_int64),
        ("wraps", ctypes.c_int64),
        ("low", ctypes.c_float),
        ("high", ctypes.c_float),
        ("turn", ctypes.c_float),
    )


class Compiled:
    """A program as compiled code takes it; made once for each.

    Parameters
    ----------
    rule, program
        What is to be done.
    """

    def __init__(self, rule: SumSpec, program: Program) -> None:
        runs, flat = [run for steps in program.steps for run in _runs(steps)], program.flat
        self._spans = np.array([span for step in flat for span in step.spans], np.int64).reshape(-1, 2)
        self._steps, spans = np.zeros(len(flat), _STEP), 0
        firsts = [(start, run) for start, run in zip(_starts(runs), runs, strict=True) for _ in run]
        for place, (step, (first, run)) in enumerate(zip(flat, firsts, strict=True)):
            leads = place == first and len(run) > 1 and rule.overflow is Overflow.SATURATE
            self._steps[place] = (
                spans,
                spans + len(step.spans),
                step.held,
                step.limited,
                first,
                len(run) if leads else 1,
                2.0**-step.shift,
                sum(each.size for each in run) if leads else 0,
            )
            spans += len(step.spans)
        self.structure = ProgramStructure(
            self._steps.ctypes.data,
            self._spans.ctypes.data,
            len(flat),
            program.depth,
            rule.overflow is Overflow.WRAP,
            *limits(rule),
        )


class SumKernel:
    """The steps of a program on rows of numbers.

    Parameters
    ----------
    library
        The compiled kernels.
    rule, program
        What is to be done.
    """

    def __init__(self, library: ctypes.CDLL, rule: SumSpec, program: Program) -> None:
        self._drops = rule.shift > 0
        self._forward, self._backward = library.sum_steps_forward, library.sum_steps_backward
        self._compiled = Compiled(rule, program)

    def forward(self, x: Tensor, w: Tensor, watch: bool) -> tuple[Tensor, bool]:
        """Sums (batch, outputs) of ``x`` (batch, terms) and ``w`` (outputs, terms).

        And whether a node saturated, if ``watch``, or bits are dropped: whether gradients are not those of the product.
        """
        columns, w = _tiled(x), w.contiguous()
        sums, saturated = w.new_empty(len(w), columns.shape[1]), ctypes.c_uint8(0)
        self._call(self._forward, columns, w, sums, last=ctypes.byref(saturated) if watch else None)
        return sums[:, : len(x)].T.contiguous(), bool(saturated.value) or self._drops

    def backward(self, x: Tensor, w: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of both operands, from that of the sums (batch, outputs)."""
        columns, w = _tiled(x), w.contiguous()
        dx, dw = torch.zeros_like(columns), torch.zeros_like(w)
        self._call(self._backward, columns, w, _tiled(grad), dx, dw)
        return dx[:, : len(x)].T, dw

    def _call(self, function: Any, columns: Tensor, w: Tensor, *others: Tensor, last: Any = None) -> None:
        sizes = (columns.shape[1], columns.shape[0], len(w))
        pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (columns, w, *others)]
        function(ctypes.byref(self._compiled.structure), *map(ctypes.c_int64, sizes), *pointers, last)


def sum_kernel(rule: SumSpec, program: Program) -> SumKernel | None:
    """The kernel for a program; None where it does not pay or cannot be compiled."""
    if torch.get_num_threads() > 1 and program.terms > FEW * program.count:
        return None
    return _made(rule, program)


@lru_cache(maxsize=256)
def _made(rule: SumSpec, program: Program) -> SumKernel | None:
    library = compiled.load()
    return None if library is None else SumKernel(library, rule, program)


def _several(steps: Step | tuple[Step, ...]) -> tuple[Step, ...]:
    return (steps,) if isinstance(steps, Step) else steps


def _runs(steps: Step | tuple[Step, ...]) -> list[tuple[Step, ...]]:
    each = _several(steps)
    return [each[i : i + LOOK_AHEAD] for i in range(0, len(each), LOOK_AHEAD)]


def _starts(runs: list[tuple[Step, ...]]) -> list[int]:
    return [0, *np.cumsum([len(run) for run in runs])[:-1].tolist()]


def _tiled(rows: Tensor) -> Tensor:
    """``rows`` (batch, n) as columns (n, lanes), filled with zeros to whole tiles."""
    columns = rows.new_zeros(rows.shape[1], -(-len(rows) // LANES) * LANES)
    columns[:, : len(rows)] = rows.T
    return columns
