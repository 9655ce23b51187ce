"""Convolutions whose sums are made in a written order by adders of limited width: exact, fast, differentiable."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from model import compiled
from model.spec import Overflow, SumSpec
from model.sum_kernel import Compiled, ProgramStructure
from model.sum_machine import holds
from model.sum_program import sum_program
from model.sums import Wrapped, largest_size, summed_product

#: The compiled pass computes with 16 bits: no number on the way may be larger.
MOST = (1 << 15) - 1
MOST_WIDTH = 14
#: A GPU multiplies float32 in convolutions with so many significant bits, unless told otherwise.
GPU_BITS = 11

Pair = tuple[int, int]


def summed_convolution(
    x: Tensor,
    w: Tensor,
    spec: SumSpec,
    *,
    bias: Tensor | None = None,
    x_max: int | None = None,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
) -> Tensor:
    """``conv2d(x, w, bias)``, each sum made by the nodes of ``spec``; its summands are channel, row, column, then bias.

    Numbers and gradients are those of :func:`model.sums.summed_product` on the windows of ``x``, and so are the
    parameters and the errors.

    Parameters
    ----------
    x
        Integers, shape (batch, channels, height, width), padded.
    w
        Integers, shape (outputs, channels, height, width of the kernel).
    spec, bias, x_max
        As there.
    stride, dilation
        As for ``conv2d``.

    Returns
    -------
    Tensor
        Integers, shape (batch, outputs, height, width).
    """
    found, last = largest_size(x), None if bias is None else largest_size(bias)
    if x_max is not None and found > x_max:
        raise ValueError(f"Inputs of a sum must be at most {x_max} in size, not {found}")
    found, last = _filled(found), None if last is None else _filled(last)
    most, terms, kernel_size = largest_size(w), w[0].numel() + (bias is not None), (w.shape[2], w.shape[3])
    program = sum_program(spec, terms, found * most, last)
    rounded = x.device.type != "cpu" and max(found, most).bit_length() > GPU_BITS
    if rounded or not (x.dtype == w.dtype and x.is_floating_point() and holds(x.dtype, program.size)):
        return _by_windows(x, w, spec, bias, x_max, stride, dilation)
    if program.plain:
        return functional.conv2d(x, w, bias, stride, 0, dilation)
    if spec.linear:
        assert spec.limit is not None
        return Wrapped.apply(functional.conv2d(x, w, bias, stride, 0, dilation), spec.limit)  # type: ignore[return-value]
    if max(program.size, 2 * found, 2 * (last or 0)) <= MOST and x.dtype == torch.float32 and x.device.type == "cpu":
        kernel = conv_kernel(spec, terms, found, most, last)
        if kernel is not None:
            w = w if bias is None else torch.cat([w.flatten(1), bias[:, None]], 1)
            return _Convolved.apply(x, w, kernel, (kernel_size, stride, dilation))  # type: ignore[return-value]
    if spec.limit is not None and not spec.shift:
        sizes = functional.conv2d(x.detach().abs(), torch.ones_like(w[:1]), None, stride, 0, dilation)
        if int(sizes.max()) * most + (last or 0) <= spec.limit.max:
            return functional.conv2d(x, w, bias, stride, 0, dilation)
    return _by_windows(x, w, spec, bias, x_max, stride, dilation)


def _filled(size: int) -> int:
    """The next 1, 3, 7, ... so that there are few programs, however inputs and biases change."""
    return (1 << size.bit_length()) - 1


def windows_of(x: Tensor, kernel: Pair, stride: Pair, dilation: Pair) -> Tensor:
    """The windows of ``x`` as rows: (batch * places, products)."""
    # As channels of one image, where there is any: a GPU takes image after image.
    images = x.reshape(1, -1, *x.shape[2:]) if len(x) else x
    windows, terms = functional.unfold(images, kernel, dilation, 0, stride), x.shape[1] * kernel[0] * kernel[1]
    return windows.view(len(x), terms, windows.shape[-1]).transpose(1, 2).reshape(-1, terms)


def _by_windows(
    x: Tensor, w: Tensor, spec: SumSpec, bias: Tensor | None, x_max: int | None, stride: Pair, dilation: Pair
) -> Tensor:
    kernel = w.shape[2], w.shape[3]
    sums = summed_product(windows_of(x, kernel, stride, dilation), w.flatten(1), spec, bias=bias, x_max=x_max)
    places = places_of(x, kernel, stride, dilation)
    return sums.view(len(x), *places, len(w)).permute(0, 3, 1, 2)


def places_of(x: Tensor, kernel: Pair, stride: Pair, dilation: Pair) -> Pair:
    """Height and width of a convolution's result."""
    height, width = (
        (size - each * (side - 1) - 1) // step + 1
        for size, side, step, each in zip(x.shape[2:], kernel, stride, dilation, strict=True)
    )
    return height, width


class ConvKernel:
    """The programs of a convolution as compiled code takes them: of plain products, then for inputs up to 1, 3, 7, ...

    Parameters
    ----------
    library
        The compiled kernels.
    spec, terms, found, most, last
        The rule; summands, the bias included; largest size of inputs, weights and biases, the last None without.
    """

    def __init__(
        self, library: ctypes.CDLL, spec: SumSpec, terms: int, found: int, most: int, last: int | None
    ) -> None:
        assert spec.limit is not None
        self._forward, self._backward = library.sum_conv_forward, library.sum_conv_backward
        bounds = [0, *(_filled(found >> bits) for bits in range(max(0, found.bit_length() - 1), -1, -1))]
        self._programs = [Compiled(spec, sum_program(spec, terms, bound * most, last)) for bound in bounds]
        self._programs[0] = Compiled(spec, sum_program(spec, terms, 0, 0 if last is not None else None))
        self._structures = (ProgramStructure * len(bounds))(*(program.structure for program in self._programs))
        self._bounds = (ctypes.c_int64 * len(bounds))(*bounds)
        prune = -1 if spec.shift else spec.limit.max
        self._about = len(bounds), prune, most, last or 0
        self._bias = last is not None

    def forward(self, x: Tensor, w: Tensor, sizes: tuple[Pair, Pair, Pair]) -> Tensor:
        """Sums (batch, outputs, height, width) of ``x``, padded, and ``w`` (outputs, terms)."""
        out = x.new_empty(len(x), len(w), *places_of(x, *sizes))
        self._call(self._forward, sizes, x, w, out)
        return out

    def backward(self, x: Tensor, w: Tensor, grad: Tensor, sizes: tuple[Pair, Pair, Pair]) -> tuple[Tensor, Tensor]:
        """Gradients of both operands, from that of the sums."""
        dx, dw = torch.zeros_like(x), torch.zeros_like(w)
        self._call(self._backward, sizes, x, w, grad.contiguous(), dx, dw)
        return dx, dw

    def _call(self, function: Any, sizes: tuple[Pair, Pair, Pair], x: Tensor, w: Tensor, *others: Tensor) -> None:
        numbers = (*x.shape, *(number for pair in sizes for number in pair), *places_of(x, *sizes), len(w), self._bias)
        shape = (ctypes.c_int64 * (len(numbers) + len(self._about)))(*numbers, *self._about)
        pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (x, w, *others)]
        function(shape, self._structures, self._bounds, *pointers)


@lru_cache(maxsize=256)
def conv_kernel(spec: SumSpec, terms: int, found: int, most: int, last: int | None) -> ConvKernel | None:
    """The kernel of a saturating sum; None where numbers may be too large for it, or it cannot be compiled."""
    if spec.overflow is Overflow.WRAP or spec.limit is None or spec.limit.width > MOST_WIDTH:
        return None
    library = compiled.load()
    return None if library is None else ConvKernel(library, spec, terms, found, most, last)


class _Convolved(torch.autograd.Function):
    """The compiled pass, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, kernel: ConvKernel, sizes: tuple[Pair, Pair, Pair]) -> Tensor:  # type: ignore[override]
        x, rows = x.contiguous(), w.flatten(1).contiguous()
        ctx.save_for_backward(x, rows)
        ctx.kernel, ctx.sizes, ctx.shape = kernel, sizes, w.shape
        return kernel.forward(x, rows, sizes)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, rows = ctx.saved_tensors
        dx, dw = ctx.kernel.backward(x, rows, grad, ctx.sizes)
        return dx, dw.view(ctx.shape), None, None
