"""A handful of the random networks of ``scripts.check_random``, and that a difference is an error there."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from model.family import Family
from model.spec import Datapath, Folding, Format, Schedule
from rtl.network import Network
from rtl.verilog import emit
from rtl.weight_memory import WeightStorage
from scripts import check_random
from sim.simulators import choose_quick


@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=(HealthCheck.too_slow,))
@given(check_random.cases())
def test_random_networks(case):
    with tempfile.TemporaryDirectory() as folder:
        assert check_random.check(case, Path(folder), choose_quick()).compared > 0


CASE = {
    "network": {"family": Family.MUBINN1, "word": Format(8, 5), "layers": 2, "hidden": 4},
    "folding": Folding(pe=2, simd=3),
    "datapath": Datapath.ARITHMETIC,
    "storage": WeightStorage.ROM,
    "stall": 0.0,
    "counters": False,
}


def test_a_difference_is_an_error(tmp_path, monkeypatch):
    """Verilog with other weights than the golden function; a formula that promises another number of cycles."""

    def another_weight(schedule, weights, samples, *, folder, **options):
        codes = {**weights, "wx_l0": weights["wx_l0"] ^ 1}
        (folder / "other.v").write_text(emit(Network(schedule, codes), "network"))
        return original(schedule, weights, samples, folder=folder, verilog=folder / "other.v", **options)

    original = check_random.simulate
    assert check_random.check(CASE, tmp_path, choose_quick()).differing == 0
    monkeypatch.setattr(check_random, "simulate", another_weight)
    with pytest.raises(AssertionError, match=r"z at sequence 0, step 0, layer 0, unit 0, gate i, cycle .*: expected"):
        check_random.check(CASE, tmp_path, choose_quick())
    monkeypatch.setattr(Schedule, "result_cycles", lambda *_: [1])
    monkeypatch.setattr(check_random, "simulate", original)
    with pytest.raises(AssertionError, match=r"Cycles must be \[1\], not"):
        check_random.check(CASE, tmp_path, choose_quick())
