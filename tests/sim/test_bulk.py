"""The bulk engine: the same values in the same cycles as cocotb, and faults are seen alike."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from model.random_network import random_network, stored
from model.spec import Datapath, Folding, NetworkSpec, Pool, Schedule, Weights
from rtl.network import Network
from rtl.verilog import emit
from rtl.weight_memory import WeightStorage
from sim import job, probes
from sim.compare import Result
from sim.network import observe, simulate
from sim.simulators import SimulationError, SimulatorName, choose
from tests.networks import narrowed

FOLDING = Folding(pe=2, simd=4)  # 3 units in groups of 2, padded lanes


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network, samples for it, its Verilog and a faulty one, and a folder for the builds of each."""

    spec: NetworkSpec
    weights: Weights
    samples: np.ndarray
    good: Path
    faulty: Path
    cocotb: SimulatorName

    def simulate(self, verilog: Path, simulator: SimulatorName, stall: float = 0.0, **more: object) -> Result:
        folder = verilog.parent / simulator
        return simulate(
            Schedule(network=self.spec, folding=FOLDING), self.weights, self.samples,
            folder=folder, simulator=simulator, verilog=verilog, stall=stall, **more,  # type: ignore[arg-type]
        )  # fmt: skip


@pytest.fixture(scope="module")
def case(simulator, tmp_path_factory):
    try:
        choose("bulk")
    except SimulationError as error:
        pytest.skip(str(error))
    network, x = random_network(a=2, w=3, hidden=3, pool=Pool.EACH, gain=4.0, layers=2)
    spec, weights = narrowed(network, 2, 3)
    good, faulty = (tmp_path_factory.mktemp(name) / "network.v" for name in ("good", "faulty"))
    good.write_text(emit(Network(Schedule(network=spec, folding=FOLDING), weights), "network"))
    other = {name: array.copy() for name, array in weights.items()}
    other["wh_l1"][3, 2, 0] ^= 1
    text = emit(Network(Schedule(network=spec, folding=FOLDING), other), "network")
    # The payload changes while it waits, which nobody sees where nothing ever waits.
    top, rest = text.split("endmodule", 1)
    top, count = re.subn(r"(assign o__payload = )(.*);", r"\1\2 ^ !o__ready;", top)
    assert count == 1
    faulty.write_text(f"{top}endmodule{rest}")
    return Case(
        spec=spec, weights=weights, samples=stored(network, x), good=good, faulty=faulty, cocotb=simulator
    )  # fmt: skip


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_every_value_and_every_cycle_is_that_of_cocotb(case, stall):
    schedule = Schedule(network=case.spec, folding=FOLDING)
    seen = {
        name: observe(
            schedule, case.samples, folder=case.good.parent / name, simulator=name, sources=[case.good],
            stall=stall, seed=7,
        )
        for name in (case.cocotb, "bulk")
    }  # fmt: skip
    cocotb, bulk = seen.values()
    assert set(bulk) == set(cocotb) == {*probes.arrays(schedule, 1, 1), "cycles", "nanoseconds"}
    for name in set(bulk) - {"nanoseconds"}:
        assert np.array_equal(bulk[name], cocotb[name]), name
        assert bulk[name].dtype == np.int64
        assert (bulk[name] != job.UNKNOWN).all()
    result = case.simulate(case.good, "bulk", stall)
    assert (result.differing, result.first_difference) == (0, None)
    if not stall:
        assert list(result.result_cycles) == schedule.result_cycles(*case.samples.shape[1::-1])


def test_a_fault_is_reported_as_cocotb_reports_it(case):
    cocotb, bulk = (case.simulate(case.faulty, name) for name in (case.cocotb, "bulk"))
    assert bulk.differing > 0
    assert str(bulk.first_difference).startswith("z at sequence 0, step 0, layer 1, unit 2, gate o, cycle ")
    same = {"run_s": 0.0, "total_s": 0.0, "labels": None, "golden_labels": None}
    assert dataclasses.replace(bulk, **same) == dataclasses.replace(cocotb, **same)
    assert np.array_equal(bulk.labels, cocotb.labels)


def test_a_payload_that_does_not_hold_is_refused_as_cocotb_refuses_it(case):
    found = []
    for name in (case.cocotb, "bulk"):
        with pytest.raises(SimulationError, match=r"o\.payload must hold until o\.ready, not change") as refusal:
            case.simulate(case.faulty, name, 0.9)
        found.append(re.search(r"in cycle \d+", str(refusal.value)))
    assert found[0]
    assert found[1]
    assert found[0][0] == found[1][0]


def test_what_is_done_is_told(case):
    """The runner tells what the file says, and passes over one that is just being written."""
    from sim.runner import run_child

    progress, told = case.good.parent / "progress", []
    script = f"echo 3 >{progress}; sleep 0.8; : >{progress}; sleep 0.8; echo 12 >{progress}; sleep 0.8; exit 5"
    tell: Callable[[int], None] = told.append
    assert run_child(["sh", "-c", script], {"PATH": "/bin:/usr/bin"}, case.good.parent / "log", 60, progress, tell) == 5
    assert sorted(set(told)) == [3, 12]


def test_a_missing_signal_and_a_timeout_are_one_sentence(case, monkeypatch):
    with pytest.raises(SimulationError, match=r"must end within 0\.001 s"):
        case.simulate(case.good, "bulk", timeout_s=0.001)
    with pytest.raises(SimulationError, match="Waves must be recorded with icarus or verilator, not 'bulk'"):
        case.simulate(case.good, "bulk", waves=True)
    stage = probes.Stage(name="x_valid_l0", strobe="lstm_layer.no", fields=(), groups=1)
    monkeypatch.setattr(probes, "stages", lambda _: (stage,))
    with pytest.raises(SimulationError, match=r"Signal lstm_layer\.no must be in the design"):
        case.simulate(case.good, "bulk")


def test_payloads_hold_the_samples():
    network, x = random_network(features=9, steps=3)
    samples, width = stored(network, x), network.numbers.source.width
    rows = probes.payloads(Schedule(network=network.spec(), folding=FOLDING), samples)
    assert rows.shape == (samples.shape[0] * 3, 8 * math.ceil((9 * width + 1) / 64))
    for row, sample, at in zip(rows, samples.reshape(-1, 9), range(len(rows)), strict=True):
        word = int.from_bytes(row.tobytes(), "little")
        assert word >> 9 * width == (at % 3 == 2)
        assert [(word >> width * i) % 2**width for i in range(9)] == [int(v) % 2**width for v in sample]


@pytest.mark.parametrize(("storage", "pool"), [(WeightStorage.CONST, Pool.LAST), (WeightStorage.READMEMH, Pool.MEAN)])
def test_weights_in_logic_and_in_files_and_one_result_a_sequence(case, storage, pool, tmp_path):
    network = replace(case.spec, dense=replace(case.spec.dense, pool=pool))
    schedule = Schedule(network=network, folding=FOLDING, datapath=Datapath.TABLE)
    result = simulate(schedule, case.weights, case.samples, folder=tmp_path, simulator="bulk", storage=storage)
    assert (result.differing, result.first_difference) == (0, None)


@pytest.mark.parametrize("storage", [WeightStorage.LOAD, WeightStorage.EXTERNAL])
def test_weights_from_outside_are_for_cocotb(case, storage, tmp_path):
    schedule = Schedule(network=case.spec, folding=FOLDING)
    with pytest.raises(SimulationError, match=rf"^Weights must be const, rom or readmemh .*, not '{storage.value}'$"):
        simulate(schedule, case.weights, case.samples, folder=tmp_path, simulator="bulk", storage=storage)
