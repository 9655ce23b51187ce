"""The compiled convolution against golden sums of its windows, and its gradients against those of the products."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from model import compiled, sum_conv
from model.spec import SumSpec
from model.sum_conv import conv_kernel, summed_convolution, windows_of
from model.sums import summed_product

SPECS = [
    SumSpec(width=8),
    SumSpec(width=5, order="sequence"),
    SumSpec(width=10, fan_in=3, unit=7),
    SumSpec(width=9, shift=1),
    SumSpec(width=14),
    SumSpec(width=6, order="sequence", fan_in=4),
    SumSpec(width=8, unit=10, order="sequence"),
]
WRAPPING = [SumSpec(width=7, overflow="wrap"), SumSpec(width=7, overflow="wrap", shift=1), SumSpec(width=None)]


@pytest.fixture
def compiler():
    if compiled.load() is None:
        pytest.skip("no compiler")


@st.composite
def convolutions(draw) -> tuple[Tensor, Tensor, Tensor | None, dict[str, tuple[int, int]]]:
    """Inputs, weights, a bias or none, stride and dilation: sizes around those of a tile and of a group of outputs."""
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (2, 3), (5, 1)]))
    places = {name: draw(st.tuples(st.integers(1, 2), st.integers(1, 2))) for name in ("stride", "dilation")}
    sides = [
        (draw(st.sampled_from([1, 4, 8, 9])) - 1) * stride + dilation * (size - 1) + draw(st.integers(1, stride))
        for size, stride, dilation in zip(kernel, places["stride"], places["dilation"], strict=True)
    ]
    channels, outputs = draw(st.integers(1, 4)), draw(st.sampled_from([1, 4, 6]))
    torch.manual_seed(draw(st.integers(0, 99)))
    size, largest = draw(st.sampled_from([1, 3, 20, 255])), draw(st.sampled_from([1, 3]))
    x = torch.randint(-size * draw(st.integers(0, 1)), size + 1, (draw(st.integers(1, 3)), channels, *sides)).float()
    x *= torch.rand(len(x), channels, *sides) < draw(st.sampled_from([1.0, 0.1]))  # small sums too, between large ones
    w = torch.randint(-largest, largest + 1, (outputs, channels, *kernel)).float()
    bias = torch.randint(-90, 91, (outputs,)).float() if draw(st.booleans()) else None
    return x, w, bias, places


def golden(spec: SumSpec, x: Tensor, w: Tensor, bias: Tensor | None, places: dict) -> np.ndarray:
    """Sums (rows, outputs) by the specification."""
    rows = windows_of(x, (w.shape[2], w.shape[3]), **places)
    summands = list(np.moveaxis((rows[:, None] * w.flatten(1)).long().numpy(), -1, 0))
    if bias is not None:
        summands.append(np.broadcast_to(bias.long().numpy(), summands[0].shape))
    return spec.fold(summands)


@settings(max_examples=150)
@given(convolutions(), st.sampled_from(SPECS + WRAPPING))
def test_sums_are_those_of_the_golden_function(case, spec):
    x, w, bias, places = case
    y = summed_convolution(x, w, spec, bias=bias, **places)
    expected = golden(spec, x, w, bias, places)
    assert np.array_equal(y.permute(0, 2, 3, 1).reshape(-1, len(w)).numpy(), expected)
    assert y.shape == functional.conv2d(x, w, None, places["stride"], 0, places["dilation"]).shape


@settings(max_examples=100)
@given(convolutions(), st.sampled_from(SPECS + WRAPPING))
def test_gradients_are_those_of_the_products_of_windows(case, spec):
    """With integers as gradients every number is exact."""
    x, w, bias, places = case
    leaves = [leaf.requires_grad_() for leaf in (x, w, bias) if leaf is not None]
    y = summed_convolution(x, w, spec, bias=bias, **places)
    grad = torch.randint(-8, 9, y.shape).float()
    y.backward(grad)
    ours = [leaf.grad for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    rows = windows_of(x, (w.shape[2], w.shape[3]), **places)
    summed_product(rows, w.flatten(1), spec, bias=bias).backward(grad.permute(0, 2, 3, 1).reshape(-1, len(w)))
    assert all(torch.equal(a, b.grad) for a, b in zip(ours, leaves, strict=True))  # type: ignore[arg-type]


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("spec", SPECS)
def test_what_is_tested_is_the_compiled_pass(spec, monkeypatch):
    x, w = torch.full((1, 2, 5, 5), 100.0), torch.ones(1, 2, 3, 3)
    assert conv_kernel(spec, 18, 100, 1, None) is not None
    monkeypatch.setattr(sum_conv, "_by_windows", None)
    assert summed_convolution(x, w, spec).flatten(1).tolist() == [
        golden(spec, x, w, None, {"stride": (1, 1), "dilation": (1, 1)})[:, 0].tolist()
    ]


@pytest.mark.parametrize(
    ("size", "spec", "taken"),
    [
        (200, SumSpec(width=13), True),  # 2 * 18 * 200 = 7200, and 4095 + 4095
        (16384, SumSpec(width=14), False),
        (16383, SumSpec(width=14), True),
        (200, SumSpec(width=15), False),
        (8000, SumSpec(width=14, fan_in=18), False),
    ],
)
@pytest.mark.usefixtures("compiler")
def test_numbers_that_16_bits_do_not_hold_go_the_other_way(size, spec, taken, monkeypatch):
    x, w = torch.full((1, 2, 4, 3), float(size)), torch.ones(1, 2, 3, 3)
    x[0, :, 2] *= -1
    went = []
    real = sum_conv._by_windows
    monkeypatch.setattr(sum_conv, "_by_windows", lambda *args: went.append(1) or real(*args))
    y = summed_convolution(x, w, spec)
    assert y.flatten(1).tolist() == [golden(spec, x, w, None, {"stride": (1, 1), "dilation": (1, 1)})[:, 0].tolist()]
    assert (not went) == taken or torch.equal(y, functional.conv2d(x, w))


@pytest.mark.usefixtures("compiler")
def test_without_a_compiler_it_is_the_same(monkeypatch):
    torch.manual_seed(0)
    x, w = torch.randint(0, 256, (2, 3, 8, 8)).float(), torch.randint(0, 2, (5, 3, 3, 3)).float() * 2 - 1
    with_it = [summed_convolution(x, w, spec) for spec in SPECS]
    monkeypatch.setattr(compiled, "load", lambda: None)
    conv_kernel.cache_clear()
    assert all(torch.equal(summed_convolution(x, w, spec), y) for spec, y in zip(SPECS, with_it, strict=True))
    conv_kernel.cache_clear()


@pytest.mark.parametrize(
    ("sizes", "bias", "expected"), [(64, None, 127), (63, 2, 127), (63, 1, 127), (-64, None, -128), (-64, -1, -128)]
)
def test_sums_at_the_limits(sizes, bias, expected):
    """Where all sums of a tile are as large as the limit, or one larger."""
    x, w = torch.full((1, 1, 8, 9), float(sizes)), torch.ones(1, 1, 1, 2)
    y = summed_convolution(x, w, SumSpec(width=8), bias=None if bias is None else torch.tensor([float(bias)]))
    assert y.unique().tolist() == [expected]


@pytest.mark.parametrize("spec", [SumSpec(width=6), SumSpec(width=6, shift=1)])
def test_inputs_that_are_all_zero(spec):
    """With a bias beyond the limit, so that nothing is a plain product."""
    x, w, bias = torch.zeros(1, 2, 4, 4), torch.ones(3, 2, 3, 3), torch.tensor([90.0, -90.0, 1.0])
    places = {"stride": (1, 1), "dilation": (1, 1)}
    y = summed_convolution(x, w, spec, bias=bias)
    assert np.array_equal(y.permute(0, 2, 3, 1).reshape(-1, 3).numpy(), golden(spec, x, w, bias, places))


@pytest.mark.parametrize("order", [(1, 20, 3, 0, 20, 1), (20, 1, 20, 3, 1, 3)])
@pytest.mark.parametrize("spec", [SumSpec(width=6, order="sequence"), SumSpec(width=8, order="sequence", unit=40)])
def test_gradients_of_tiles_that_take_different_programs(spec, order):
    """Each image is a tile; nothing of what happened to one is left for the next."""
    torch.manual_seed(0)
    w = (torch.randint(0, 2, (4, 8, 3, 3)).float() * 2 - 1).requires_grad_()
    x = torch.stack([torch.randint(-size, size + 1, (8, 10, 10)).float() for size in order]).requires_grad_()
    grad = torch.randint(-8, 9, (len(order), 4, 8, 8)).float()
    summed_convolution(x, w, spec).backward(grad)
    ours, x.grad, w.grad = (x.grad, w.grad), None, None
    rows = windows_of(x, (3, 3), (1, 1), (1, 1))
    summed_product(rows, w.flatten(1), spec).backward(grad.permute(0, 2, 3, 1).reshape(-1, 4))
    assert [torch.equal(a, b) for a, b in zip(ours, (x.grad, w.grad), strict=True)] == [True, True]  # type: ignore[arg-type]


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("width", [8, 20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_images(width, shift, dtype):
    """By each of the ways."""
    x, w = torch.zeros(0, 3, 5, 5, dtype=dtype), torch.ones(2, 3, 3, 3, dtype=dtype)
    assert summed_convolution(x, w, SumSpec(width=width, shift=shift)).shape == (0, 2, 3, 3)
