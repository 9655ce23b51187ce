"""The steps of a program as one kernel on a GPU, for float32."""

from __future__ import annotations

import ctypes
from functools import lru_cache

import torch
from torch import Tensor

from model import compiled
from model.spec import Overflow, SumSpec
from model.sum_program import Program, limits

#: Results from which on a thread makes several: there are enough of them to fill the GPU.
FULL = 1 << 20
#: Threads for the gradients of weights, at least, while each has so many samples.
THREADS, SAMPLES = 1 << 18, 64
#: Words for what the backward pass notes of some samples at once.
ROOM = 1 << 26


class Task(ctypes.Structure):
    """``Task`` of sum_steps.cu."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("operations", "x", "w", "columns")),
        *((name, ctypes.c_int64) for name in ("batch", "terms", "outputs", "count", "wraps")),
        *((name, ctypes.c_float) for name in ("low", "high", "turn")),
    )


class GpuSumKernel:
    """The steps of a program on rows of numbers, all on one GPU; used as :class:`model.sum_kernel.SumKernel`.

    Parameters
    ----------
    library
        The compiled kernels.
    rule, program
        What is to be done.
    device
        The GPU.
    """

    def __init__(self, library: ctypes.CDLL, rule: SumSpec, program: Program, device: torch.device) -> None:
        self._library, self._rule, self._device = library, rule, device
        self._operations = torch.tensor(_operations(program), dtype=torch.int32, device=device)
        self._scale = torch.tensor(_scales(program), dtype=torch.float32, device=device)

    def forward(self, x: Tensor, w: Tensor, watch: bool) -> tuple[Tensor, Tensor | bool]:
        """Sums (batch, outputs) of ``x`` (batch, terms) and ``w`` (outputs, terms).

        And whether gradients are not those of the product, because a node saturated or bits are dropped; the GPU
        may still be about to find out.
        """
        x, w, columns = x.contiguous(), w.contiguous(), w.T.contiguous()
        out = x.new_empty(len(x), len(w))
        saturated = x.new_zeros(1, dtype=torch.int32) if watch else None
        several = ctypes.c_int64(out.numel() >= FULL)
        self._call("sum_steps_forward", self._task(x, w, columns), several, _at(out), _at(saturated))
        return out, saturated is not None and (True if self._rule.shift else saturated)

    def backward(self, x: Tensor, w: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of both operands, from that of the sums (batch, outputs)."""
        x, w, grad, columns = x.contiguous(), w.contiguous(), grad.contiguous(), w.T.contiguous()
        dx, dw = torch.empty_like(x), torch.zeros_like(w)
        words = [-(-bits // 32) for bits in (len(self._operations), x.shape[1])]
        rows = max(1, ROOM // (sum(words) * len(w)))
        for part, passed, change in zip(x.split(rows), grad.split(rows), dx.split(rows), strict=True):
            fits = x.new_empty(words[0], *passed.shape, dtype=torch.int32)
            passes = x.new_zeros(len(part), words[1], len(w), dtype=torch.int32)
            slices = max(1, min(THREADS // (32 * words[1] * len(w)), len(part) // SAMPLES))
            changes = w.new_empty(slices, *w.shape)
            others = (self._scale, fits, passes, passed, change, changes)
            self._call("sum_steps_backward", self._task(part, w, columns), ctypes.c_int64(slices), *map(_at, others))
            dw += changes.sum(0)
        return dx, dw

    def _task(self, x: Tensor, w: Tensor, columns: Tensor) -> Task:
        pointers = (each.data_ptr() for each in (self._operations, x, w, columns))
        wraps = self._rule.overflow is Overflow.WRAP
        return Task(*pointers, *x.shape, len(w), len(self._operations), wraps, *limits(self._rule))

    def _call(self, name: str, task: Task, *arguments: ctypes.c_void_p | ctypes.c_int64) -> None:
        with torch.cuda.device(self._device):
            stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
            failed = self._library[name](ctypes.byref(task), *arguments, stream)
        if failed:
            raise RuntimeError(f"A kernel of sums must start on {self._device}, which fails with CUDA error {failed}")


@lru_cache(maxsize=256)
def gpu_sum_kernel(rule: SumSpec, program: Program, device: torch.device) -> GpuSumKernel | None:
    """The kernel for a program; None where it cannot be compiled, or too many results would wait for others."""
    library = compiled.load_for(device)
    if library is None or program.depth > ctypes.c_int.in_dll(library, "sum_steps_depth").value:
        return None
    return GpuSumKernel(library, rule, program, device)


def _operations(program: Program) -> list[tuple[int, int, int, int]]:
    """(start, end, held, rule), as sum_steps.cu takes them: one for each span of a step, or without any."""
    operations = []
    for step in program.flat:
        held = step.held
        for start, end in step.spans or ((0, 0),):
            operations.append((start, end, held, 0))
            held = 1
        operations[-1] = (*operations[-1][:3], step.shift * 2 + step.limited)
    return operations


def _scales(program: Program) -> list[float]:
    """For each product, what its gradient is multiplied by: 2^-(bits dropped above it)."""
    scales, waiting = [1.0] * program.terms, [0]
    for step in reversed(program.flat):
        dropped = waiting.pop() + step.shift
        for start, end in step.spans:
            scales[start:end] = [2.0**-dropped] * (end - start)
        waiting += [dropped] * step.held
    return scales


def _at(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())
