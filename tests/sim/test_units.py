"""Every registered unit: emitted Verilog in cocotb against its golden function, and a fault that is caught."""

from __future__ import annotations

import pytest

from sim.runner import LOGS
from sim.simulators import SimulationError, choose
from sim.unit import TOP, simulate_unit
from synth.registry import build, parameters
from synth.units import UNITS
from tests.faults import plant

SMALL = {
    "popcount": ["n=19"],
    "xnor_dot": ["n=19"],
    "mlb_dot": ["n=5"],
    "adder_tree": ["n=5", "width=6"],
    "integer_dot": ["n=6", "width=4", "node=6"],
    "sign_matrix": ["outputs=5", "inputs=6"],
}


@pytest.mark.parametrize("name", UNITS)
def test_verilog_equals_golden_and_a_fault_is_caught(name, simulator, tmp_path):
    unit = build(name, SMALL.get(name, []))
    good = simulate_unit(unit, folder=tmp_path, simulator=simulator, count=120)
    assert (good.differing, good.first_difference) == (0, None)
    assert good.compared > 120 or good.compared in (8, 32, 64)  # every input of a small unit
    faulty = tmp_path / "faulty.v"
    plant(tmp_path / f"{TOP}.v", TOP, faulty, combinational=True)
    bad = simulate_unit(unit, folder=tmp_path / "faulty", simulator=simulator, count=120, verilog=faulty)
    assert bad.differing > 0
    assert "expected" in (bad.first_difference or "")


@pytest.mark.parametrize("name", [name for name in UNITS if "stages" in parameters(name)])
def test_verilog_with_pipeline_registers_gives_the_same_later(name, simulator, tmp_path):
    """A vector a cycle; and with one cycle less expected, it is seen."""
    unit = build(name, [*SMALL.get(name, []), "stages=2"])
    assert unit.latency == 2
    good = simulate_unit(unit, folder=tmp_path, simulator=simulator, count=40)
    assert (good.differing, good.first_difference) == (0, None)
    unit.latency = 1
    verilog = tmp_path / f"{TOP}.v"
    assert simulate_unit(unit, folder=tmp_path / "early", simulator=simulator, count=40, verilog=verilog).differing


def test_a_missing_simulator_is_one_sentence(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *_: None)
    with pytest.raises(SimulationError, match="icarus is not installed: type apt install iverilog"):
        choose("icarus")
    with pytest.raises(SimulationError, match=r"needs g\+\+ and make"):
        choose("verilator")
    with pytest.raises(SimulationError, match="must be icarus, verilator or bulk, not 'vcs'"):
        choose("vcs")
    with pytest.raises(SimulationError, match=r"bulk needs g\+\+ and make: type apt install g\+\+ make"):
        choose("bulk")


def test_a_design_that_does_not_build_is_one_sentence(simulator, tmp_path):
    broken = tmp_path / "broken.v"
    broken.write_text("module unit(input x output o); endmodule\n")
    with pytest.raises(SimulationError, match=r"must run to its end.*rror.*see"):
        simulate_unit(build("popcount"), folder=tmp_path / "sim", simulator=simulator, verilog=broken)


def test_a_failure_is_not_explained_by_an_earlier_run(simulator, tmp_path):
    broken = tmp_path / "broken.v"
    broken.write_text("module unit(input x output o); endmodule\n")
    for log in LOGS:
        (tmp_path / log).write_text("Error: of an earlier run\n")
    with pytest.raises(SimulationError) as failure:
        simulate_unit(build("popcount"), folder=tmp_path, simulator=simulator, verilog=broken)
    assert "rror" in str(failure.value).partition("stopped")[2]
    assert "earlier" not in str(failure.value)


def test_a_simulation_that_takes_too_long_is_killed(simulator, tmp_path):
    from sim.runner import run_bench

    source = tmp_path / "unit.v"
    source.write_text("module unit(input [1:0] x, output o); assign o = ^x; endmodule\n")
    with pytest.raises(SimulationError, match=r"must end within 0\.01 s"):
        run_bench(
            "sim.bench_unit",
            sources=[source],
            top="unit",
            folder=tmp_path / "sim",
            simulator=simulator,
            public={"unit": ("*",)},
            vectors={},
            timeout_s=0.01,
        )
