"""The LSTM over a sequence as one fused function, where gates, c and h are all binarized or all fixed-point words.

A product and one pass of compiled C++ a step; it computes what :func:`model.cell.plain_lstm` computes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from model import compiled
from model.binarized_kernel import BinarizedKernel
from model.cell import plain_lstm
from model.fixed_kernel import FixedKernel
from model.gate_product import Product
from model.kernel import Kernel
from model.spec import LstmSpec


class _FusedLstm(torch.autograd.Function):
    """The whole sequence: a product and one fused pass a step; weight gradients when all steps are done."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, kernel: Kernel, product: Product, zx: Tensor, *others: Tensor | None
    ) -> Tensor:
        steps, batch, _ = zx.shape
        history = kernel.history(steps, batch)
        # Each h^ is allocated by itself, as in the plain loop: how a product rounds may depend on the alignment.
        h = [zx.new_full((batch, kernel.hidden), kernel.h_start)]
        for t in range(steps):
            h.append(torch.empty_like(h[0]))
            kernel.forward(t, history, zx[t], product.forward(h[t], any(ctx.needs_input_grad)), h[t + 1])
        states = torch.stack(h)
        ctx.kernel, ctx.product = kernel, product
        ctx.save_for_backward(states, *history)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        states, *history = ctx.saved_tensors
        kernel: Kernel = ctx.kernel
        product: Product = ctx.product
        steps, batch, hidden = grad.shape
        sums = kernel.factor_sums()
        dz = grad.new_empty(steps, batch, 4 * hidden)
        dc, dh = grad.new_zeros(batch, hidden), torch.empty_like(grad[0])
        dh_before = grad.new_zeros(batch, hidden)
        for t in reversed(range(steps)):
            torch.add(grad[t], dh_before, out=dh)
            kernel.backward(t, history, dh, dc, dz[t], sums)
            dh_before = product.backward(t, dz[t])
        factors = kernel.factor_gradients(sums, dc, dh_before)
        return None, None, dz, *factors, *product.gradients(states[:-1], dz)


def fused_lstm(
    lstm: LstmSpec,
    zx: Tensor,
    product: Product,
    gates: Tensor | None,
    c_factors: Tensor | None,
    h_factors: Tensor | None,
) -> Tensor:
    """h^ of every step, shape (steps, batch, hidden); arguments as for :func:`plain_lstm`, the same numbers.

    Falls back to the plain loop where gates, c and h are neither all binarized nor all words that saturate, the
    kernels cannot be compiled or the tensors are not on the CPU.
    """
    kind = next((kind for kind in (BinarizedKernel, FixedKernel) if kind.fits(lstm)), None)
    library = compiled.load() if kind and zx.device.type == "cpu" else None
    if kind is None or library is None:
        return plain_lstm(lstm, zx, product, gates, c_factors, h_factors)["h"]
    kernel = kind(library, lstm, zx.dtype)
    return _FusedLstm.apply(  # type: ignore[return-value]
        kernel, product.detached(), zx.contiguous(), gates, c_factors, h_factors, *product.operands
    )
