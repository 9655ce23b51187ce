"""Matrix products whose sums are made in a written order by adders of limited width: exact, fast, differentiable.

    y = summed_product(x, w, SumSpec(width=12))

What cannot overflow by its range is an ordinary matrix product; only the nodes above walk the tree, all outputs and
many samples at once. These are one compiled pass on a CPU or a GPU, where there is one for such numbers, else tensor
operations.

Source: Li, Wang, Liu, Han, Li, "Simulate-the-hardware: Training Accurate Binarized Neural Networks for Low-Precision
Neural Accelerators", whose simulation multiplies element by element and adds level by level.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, linalg
from torch.nn import functional

from model.spec import Format, Overflow, SumSpec
from model.sum_gpu import GpuSumKernel, gpu_sum_kernel
from model.sum_gradients import Gradients
from model.sum_kernel import SumKernel, sum_kernel
from model.sum_machine import SumMachine, Tape, holds, wrap_
from model.sum_program import Program, sum_program

__all__ = ["SumSpec", "saturation_counts", "summed_product"]

#: Rows of which some must be free of overflow before all are looked at.
SAMPLE = 16
#: Results of one pass over the steps, so that those on the stack stay in a cache.
BLOCK = 1 << 16


def summed_product(
    x: Tensor, w: Tensor, spec: SumSpec, *, bias: Tensor | None = None, x_max: int | None = None
) -> Tensor:
    """``x @ w.T``, each sum of products made by the nodes of ``spec`` in its written order.

    Gradients are those of the product, but flow only through nodes that did not saturate: a clamp's is 1 where its
    sum fits (both ends of the range included) and 0 where it was clipped; wrapping passes straight through; a
    shift divides by ``2**shift`` and its rounding passes straight through.

    Parameters
    ----------
    x
        Integers, shape (batch, terms); of a floating or an integer type.
    w
        Integers, shape (outputs, terms).
    spec
        The rule of the sums.
    bias
        Integers, shape (outputs,): one more summand, the last.
    x_max
        Largest size of ``x``, so that steps are the same for every batch; taken from ``x`` if not given.

    Returns
    -------
    Tensor
        Integers, shape (batch, outputs), equal to ``spec.fold`` of the products; of the type of ``x`` and ``w`` (int64
        if those are integers), or float64 where that type might not hold them.

    Raises
    ------
    ValueError
        If the shapes do not fit, an ``x`` is larger than ``x_max``, or sums may be too large to be exact: beyond
        2**53 for floating types, 2**62 for integers.
    """
    return _Product(x, w, spec, bias, x_max).compute()


def saturation_counts(
    x: Tensor, w: Tensor, spec: SumSpec, *, bias: Tensor | None = None, x_max: int | None = None
) -> Tensor:
    """How many nodes saturate in :func:`summed_product`, over the batch: int64, shape (levels, outputs).

    Equal to ``spec.saturations`` of the products. A node that wraps does not saturate.
    """
    product = _Product(x, w, spec, bias, x_max)
    return product.count()


class _Product:
    """One call: operands in the type that is exact for them, and the program."""

    def __init__(self, x: Tensor, w: Tensor, rule: SumSpec, bias: Tensor | None, x_max: int | None) -> None:
        if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1] or not x.shape[1]:
            raise ValueError(f"Shapes of a product must be (batch, terms), (outputs, terms), not {_shapes(x, w)}")
        if bias is not None and bias.shape != w.shape[:1]:
            raise ValueError(f"Shape of a bias must be ({w.shape[0]},), not {tuple(bias.shape)}")
        self.rule, self._terms = rule, x.shape[1]
        found, most = _largest_sizes(x, w)
        if x_max is not None and found > x_max:
            raise ValueError(f"Inputs of a sum must be at most {x_max} in size, not {found}")
        found, last = found if x_max is None else x_max, None
        if bias is not None:
            last = largest_size(bias)
            x = torch.cat([x, x.new_ones(len(x), 1)], 1)
            w = torch.cat([w, bias.to(w.dtype)[:, None]], 1)
        self.program = sum_program(rule, w.shape[1], found * most, last)
        self.levels = rule.levels(w.shape[1])
        self._result, dtype = _types(x, w, self.program, rule)
        self.x, self.w = x.to(dtype), w.to(dtype)
        self._largest = found, last or 0

    def compute(self) -> Tensor:
        """The product."""
        if self.program.plain:
            total = functional.linear(self.x, self.w)
        elif self.rule.linear:
            assert self.rule.limit is not None
            total = Wrapped.apply(functional.linear(self.x, self.w), self.rule.limit)
        else:
            total = self._walked()
        return total.to(self._result)  # type: ignore[union-attr]

    def _walked(self) -> Tensor:
        # On a GPU to look at them takes longer than their sums.
        free = None if self.x.is_cuda else self._free()
        if free is None:
            return _Walked.apply(self.x, self.w, self.rule, self.program)  # type: ignore[return-value]
        plain = functional.linear(self.x, self.w[free])
        rest: Tensor = _Walked.apply(self.x, self.w[~free], self.rule, self.program)  # type: ignore[assignment]
        order = torch.cat([free.nonzero(), (~free).nonzero()]).flatten().argsort()
        return torch.cat([plain, rest], 1)[:, order]

    def _free(self) -> Tensor | None:
        """Which rows cannot reach the limit, by the sum of the sizes of their weights; None if a sample has none."""
        limit = self.rule.limit
        if len(self.program.steps) == 1 or self.rule.shift or limit is None:
            return None
        w, (largest, last) = self.w.detach()[:, : self._terms], self._largest
        for rows in (w[:: 1 + len(w) // SAMPLE], w):
            free = rows.abs().sum(1) * largest + last <= limit.max
            if not free.any():
                return None
        return free

    def count(self) -> Tensor:
        """Saturations, (levels, outputs)."""
        counts = torch.zeros(self.levels, len(self.w), dtype=torch.int64, device=self.x.device)
        if self.program.plain or self.rule.overflow is Overflow.WRAP:
            return counts
        machine = SumMachine(self.rule, self.program, self.w.detach())
        for rows in self.x.detach().split(_rows(self.w)):
            machine.run(rows, None, tape := Tape(keep=True))
            tape.count(counts, machine.limit)
            machine.release(tape)
        return counts


class Wrapped(torch.autograd.Function):
    """A total, reduced once; its gradient passes straight through."""

    @staticmethod
    def forward(ctx: Any, total: Tensor, limit: Format) -> Tensor:  # type: ignore[override]
        ctx.mark_dirty(total)
        wrap_(total, limit)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return grad, None


class _Walked(torch.autograd.Function):
    """The steps of a program; where some saturate, the backward pass takes them once more, block by block."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, rule: SumSpec, program: Program) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x, w)
        ctx.kernel = _kernel(rule, program, x, len(w))
        if ctx.kernel is not None:
            out, ctx.differs = ctx.kernel.forward(x, w, any(ctx.needs_input_grad))
            return out
        machine, out = SumMachine(rule, program, w), x.new_empty(len(x), len(w))
        tapes: list[Tape | None] = []
        for rows, sums in zip(x.split(_rows(w)), out.split(_rows(w)), strict=True):
            tape = Tape(keep=False) if any(ctx.needs_input_grad) else None
            machine.run(rows, sums, tape)
            tapes.append(tape and (None if tape.saturated else tape))
        ctx.machine, ctx.tapes = machine, tapes
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, w = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        if ctx.kernel is not None:
            if ctx.differs:
                return *ctx.kernel.backward(x, w, grad), None, None
            return grad @ w if wanted[0] else None, grad.T @ x if wanted[1] else None, None, None
        machine, gradients = ctx.machine, Gradients(x, w, wanted)
        start = 0
        for tape, part in zip(ctx.tapes, grad.contiguous().split(_rows(w)), strict=True):
            end = start + len(part)
            if tape is None:
                machine.run(x[start:end], None, tape := Tape(keep=True))
            for span, passed, scale in tape.spread(part, machine.limit):
                gradients.add(slice(start, end), span, passed, scale)
            machine.release(tape)
            start = end
        return gradients.of_x(), gradients.of_w(), None, None


def _kernel(rule: SumSpec, program: Program, x: Tensor, outputs: int) -> SumKernel | GpuSumKernel | None:
    """The compiled steps, where there are any for such operands."""
    if x.dtype != torch.float32 or not len(x) or not outputs:
        return None
    return gpu_sum_kernel(rule, program, x.device) if x.is_cuda else sum_kernel(rule, program)


def _rows(w: Tensor) -> int:
    return max(1, BLOCK // max(1, len(w)))


def largest_size(values: Tensor) -> int:
    """Largest size of integers; 0 of none."""
    if not values.numel():
        return 0
    flat = values.detach().reshape(-1)
    return max(-int(flat.amin()), int(flat.amax()))  # two passes, and faster than aminmax


def _largest_sizes(x: Tensor, w: Tensor) -> tuple[int, int]:
    """Of both; a GPU is asked, and waited for, but once."""
    if not (x.is_cuda and x.numel() and w.numel() and x.is_floating_point() and w.is_floating_point()):
        return largest_size(x), largest_size(w)
    sizes = [linalg.vector_norm(each.detach(), torch.inf) for each in (x, w)]
    found, most = torch.stack(sizes).tolist()
    return int(found), int(most)


def _shapes(*tensors: Tensor) -> str:
    return ", ".join(str(tuple(tensor.shape)) for tensor in tensors)


def _types(x: Tensor, w: Tensor, program: Program, rule: SumSpec) -> tuple[torch.dtype, torch.dtype]:
    """The type of the result, and the one to compute in."""
    common = torch.promote_types(x.dtype, w.dtype)
    integers = not common.is_floating_point
    if program.size > 1 << (62 if integers else 53):
        raise ValueError(f"Sums must be at most 2**{62 if integers else 53} in size, not {program.size}")
    wide = common == torch.float64  # so that gradients are of that type too
    floats = (torch.float64,) if wide else (torch.float32, torch.float64)
    exact = next((dtype for dtype in floats if holds(dtype, program.size)), torch.int64)
    if integers:
        return torch.int64, exact
    largest = program.size if rule.limit is None else min(program.size, -rule.limit.min)
    return common if holds(common, largest) else torch.float64, exact
