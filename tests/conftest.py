"""Settings of all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from model.data import find_root
from sim.simulators import SimulationError, choose

# The size of somebody's terminal is nothing that tests depend on; a console takes it when it is made.
os.environ["COLUMNS"] = "110"
settings.register_profile("xnorforge", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("xnorforge")


@pytest.fixture(scope="session")
def simulator():
    """Icarus builds fastest for small designs; Verilator where it is all there is."""
    for name in ("icarus", "verilator"):
        try:
            return choose(name)
        except SimulationError:
            continue
    pytest.skip("no simulator: neither iverilog nor g++ and make are there")


@pytest.fixture(scope="session")
def data_root():
    """Prepared real data, or a skip that says what is missing."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    root = find_root(None) or (beside if beside.is_dir() else None)
    if root is None:
        pytest.skip("no prepared data: set XNORFORGE_DATA")
    return root


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch, tmp_path_factory):
    """No test depends on the results in somebody's cache, or adds to them."""
    monkeypatch.setitem(os.environ, "XNORFORGE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
