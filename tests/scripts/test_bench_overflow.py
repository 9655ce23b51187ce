"""The benchmark of sums by limited adders: what it prints, and that what it compares with is the same sum."""

from __future__ import annotations

import json
import subprocess
import sys

import torch

from model.sums import SumSpec, summed_product
from scripts.bench_overflow import naive_product


def test_the_naive_way_is_the_same_sum():
    torch.manual_seed(0)
    x, w = torch.randint(0, 256, (5, 77)).float(), torch.randint(0, 2, (6, 77)).float() * 2 - 1
    for width in (16, 10):
        spec = SumSpec(width=width)
        assert torch.equal(naive_product(x, w, spec), summed_product(x, w, spec))


def test_it_prints_one_object():
    small = ("--batch", "2", "--outputs", "3", "--rounds", "1", "--naive-rounds", "1", "--images", "1", "--json")
    done = subprocess.run([sys.executable, "-m", "scripts.bench_overflow", *small], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    cases, convolutions = found["cases"], found["convolutions"]
    assert {"shape", "spec", "plain_s", "exact_s", "ratio", "naive_ratio"} <= set(cases[0])
    assert {case["pass"] for case in cases} == {"forward", "forward + backward"}
    assert {case["shape"]["terms"] for case in cases} == {256, 1024}
    assert all(case["ratio"] > 0 for case in cases)
    assert cases[0]["naive_ratio"] > 0
    assert {case["pass"] for case in convolutions} == {"forward", "forward + backward"}
    assert {case["shape"]["channels"] for case in convolutions} == {3, 16, 28, 64}
    assert all(case["ratio"] > 0 for case in convolutions)
    tight = [case["overflowing"] for case in convolutions if case["shape"]["bits"] == 8 and case["spec"]["width"] == 8]
    assert min(tight) > 0.1
