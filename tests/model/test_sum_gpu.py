"""The kernels for a GPU without one: compiled as C++, the threads of a block as threads, on the tensors of the CPU."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import compiled, sum_gpu, sums
from model.compiled import load_for
from model.spec import Order, SumSpec
from model.sum_gpu import GpuSumKernel, gpu_sum_kernel
from model.sum_program import sum_program
from model.sums import summed_product
from tests.model.test_summed_product import gradients, naively, plainly, products, summed

LAUNCH = re.compile(r"(\w+(?:<\w+>)?)<<<(.*?), (\w+), 0, stream>>>\(\s*(.*?)\);")
STAND_IN = Path(__file__).with_name("cuda_stand_in.hpp")


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """The library, compiled for the CPU."""
    if shutil.which("g++") is None:
        pytest.skip("no g++: nothing can be compiled")
    folder = tmp_path_factory.mktemp("kernels")
    source, library = folder / "sums.cpp", folder / "sums.so"
    text, launches = LAUNCH.subn(r"launch(\2, \3, [=] { \1(\4); });", compiled.GPU_SOURCES[0].read_text())
    assert launches == 5
    source.write_text(f'#include "{STAND_IN}"\n{text}')
    flags = ("-std=c++17", "-O1", "-shared", "-fPIC", "-pthread")
    subprocess.run(["g++", *flags, str(source), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


@pytest.fixture(scope="module", autouse=True)
def kernels(stand_in):
    """Sums as a GPU would make them."""

    def call(self: Any, name: str, task: ctypes.Structure, *arguments: Any) -> None:
        assert stand_in[name](ctypes.byref(task), *arguments, None) == 0

    def kernel(rule: SumSpec, program: Any, x: torch.Tensor, outputs: int) -> GpuSumKernel | None:
        return gpu_sum_kernel(rule, program, x.device) if x.dtype == torch.float32 else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "load_for", lambda _: stand_in)
        patch.setattr(GpuSumKernel, "_call", call)
        patch.setattr(sums, "_kernel", kernel)
        gpu_sum_kernel.cache_clear()
        yield patch
        gpu_sum_kernel.cache_clear()


def float32(*tensors: torch.Tensor | None) -> list[Any]:
    return [None if each is None else each.float() for each in tensors]


@settings(max_examples=200)
@given(products(), st.sampled_from([0, 1 << 20]))
def test_sums_are_those_of_plain_integers(case, full):
    rule, *operands = case
    expected, _ = plainly(rule, *operands)
    x, w, bias = float32(*operands)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sum_gpu, "FULL", full)
        assert torch.equal(summed_product(x, w, rule, bias=bias).double(), expected)


@settings(max_examples=200)
@given(products(), st.sampled_from([1, 300, 1 << 26]), st.sampled_from([1, 64]))
def test_gradients_are_those_of_the_naive_loop(case, room, samples):
    """Exactly, with all samples at once or not, and those for one weight in slices or not."""
    rule, *operands = case
    rule = replace(rule, shift=min(rule.shift, 1 if rule.order is Order.TREE else 0))
    expected = gradients(naively, rule, *operands)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sum_gpu, "ROOM", room)
        patch.setattr(sum_gpu, "SAMPLES", samples)
        got = gradients(summed, rule, *float32(*operands))
    assert all(torch.equal(a.double(), b) for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize(
    ("rule", "most"),
    [
        (SumSpec(width=8), 20),
        (SumSpec(width=9, fan_in=3, shift=1, unit=50), 20),
        (SumSpec(width=10, order="sequence"), 20),
        # The bias alone is too large, so it comes first, and all that is before it after it.
        (SumSpec(width=9), 1),
    ],
)
def test_more_than_a_block(rule, most, kernels):
    """Samples and outputs for several blocks, the last of them not full; terms for several windows; uneven slices."""
    torch.manual_seed(0)
    x, w = torch.randint(-most, most + 1, (19, 200)), torch.randint(-1, 2, (35, 200))
    bias = torch.full((35,), 300.0)
    expected = gradients(naively, rule, x.double(), w.double(), bias.double())
    kernels.setattr(sum_gpu, "FULL", 600)
    kernels.setattr(sum_gpu, "SAMPLES", 4)
    got = gradients(summed, rule, x.float(), w.float(), bias)
    assert all(torch.equal(a.double(), b) for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("sample", range(8))
def test_one_sample_saturates(sample, kernels):
    """It is seen, whichever of its thread it is."""
    kernels.setattr(sum_gpu, "FULL", 0)
    x, w = torch.zeros(8, 6), torch.ones(3, 6)
    x[sample] = 20
    result, x_grad, _ = gradients(summed, SumSpec(width=6), x, w, None)
    assert result[sample].tolist() == [31] * 3
    assert not x_grad[sample].any()


def test_what_cannot_be_a_kernel(stand_in, monkeypatch):
    """Without CUDA's compiler, and where more results wait than a thread has room for."""
    deep, shallow, cpu = SumSpec(width=2, fan_in=60), SumSpec(width=2), torch.device("cpu")
    for library, rule, there in ((stand_in, deep, False), (stand_in, shallow, True), (None, shallow, False)):
        gpu_sum_kernel.cache_clear()
        monkeypatch.setattr(compiled, "load_for", lambda _, library=library: library)
        assert (gpu_sum_kernel(rule, sum_program(rule, 3600, 1), cpu) is not None) == there
    gpu_sum_kernel.cache_clear()


def test_a_library_that_cannot_run_is_none(stand_in, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    for found, ready in ((stand_in, 0), (SimpleNamespace(sum_steps_ready=lambda: 35), None), (None, None)):
        load_for.cache_clear()
        monkeypatch.setattr(compiled, "_built", lambda *_, found=found: found)
        assert load_for(torch.device("cuda")) is (None if ready is None else found)
    load_for.cache_clear()
