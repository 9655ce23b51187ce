"""Emitted Verilog of units between streams, with stalls on both sides, tables as they are and written."""

from __future__ import annotations

import pytest

from rtl.streamed import Streamed
from sim.simulators import SimulationError
from sim.stream import simulate_stream
from sim.unit import TOP
from synth.registry import build
from tests.faults import plant

NAMES = ("enq_quantizer", "enq_reconstruct", "knq_quantizer", "knq_reconstruct")
OTHER = {
    "enq": ["bits=6,3,4"],
    "knq": ["centroids=1,2,3,60,70,80,90,256,0,0,9,99,101,102,200,201,5,6,7,8,9,10,11,12"],
}


def stream(name: str, *settings: str) -> Streamed:
    unit = build(name, ["stream=1", *settings])
    assert isinstance(unit, Streamed)
    return unit


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_equals_golden_and_a_fault_is_caught(name, simulator, tmp_path):
    for stages in (2, 0):
        unit = stream(name, f"stages={stages}")
        good = simulate_stream(unit, build(name), folder=tmp_path, simulator=simulator, count=100, stall=0.3)
        assert (good.differing, good.first_difference) == (0, None)
        assert good.compared >= 32
    faulty = tmp_path / "faulty.v"
    plant(tmp_path / f"{TOP}.v", unit.unit.module_name, faulty, combinational=True)
    bad = simulate_stream(
        unit, build(name), folder=tmp_path / "faulty", simulator=simulator, count=100, stall=0.3, verilog=faulty
    )
    assert bad.differing > 0
    assert "expected" in (bad.first_difference or "")


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_written_through_the_port(name, simulator, tmp_path):
    unit, other = stream(name, "tables=writable"), build(name, OTHER[name[:3]])
    at_first = simulate_stream(unit, build(name), folder=tmp_path, simulator=simulator, count=50, stall=0.3)
    assert (at_first.differing, at_first.first_difference) == (0, None)
    for missing in (0, 2):  # words that do not arrive are seen
        words = other.spec.words[: len(other.spec.words) - missing]
        written = simulate_stream(unit, other, folder=tmp_path, simulator=simulator, count=50, stall=0.3, words=words)
        assert bool(written.differing) == bool(missing), written.first_difference


def test_a_payload_that_does_not_hold_is_one_sentence(simulator, tmp_path):
    name = "enq_quantizer"
    unit = stream(name)
    simulate_stream(unit, build(name), folder=tmp_path, simulator=simulator, count=10)
    verilog = (tmp_path / f"{TOP}.v").read_text()
    broken = tmp_path / "broken.v"
    assert "give ? output_1 : o__payload" in verilog
    broken.write_text(verilog.replace("give ? output_1 : o__payload", "give ? output_1 : ~o__payload"))
    with pytest.raises(SimulationError, match="must pass, and 1 of its 1 tests failed"):
        simulate_stream(
            unit, build(name), folder=tmp_path / "x", simulator=simulator, count=50, stall=0.5, verilog=broken
        )


def test_a_stream_that_gets_stuck_is_told(simulator, tmp_path):
    name = "enq_reconstruct"
    unit = stream(name)
    simulate_stream(unit, build(name), folder=tmp_path, simulator=simulator, count=10)
    verilog = (tmp_path / f"{TOP}.v").read_text()
    stuck = tmp_path / "stuck.v"
    assert "used != 2'h2" in verilog
    stuck.write_text(verilog.replace("used != 2'h2", "1'h0"))
    result = simulate_stream(unit, build(name), folder=tmp_path / "x", simulator=simulator, count=50, verilog=stuck)
    assert "got none in 1000 cycles" in (result.first_difference or "")
