"""Every way of storing weights in cocotb: the same values, and faults in it caught."""

from __future__ import annotations

import pytest

from model.random_network import random_network, stored
from model.spec import Folding, Schedule
from rtl.network import Network
from rtl.verilog import emit
from rtl.weight_memory import WeightStorage
from sim.network import simulate
from sim.simulators import SimulationError
from tests.faults import plant
from tests.networks import narrowed

PARALLEL = Folding(pe=3, simd=99)
FOLDED = Folding(pe=2, simd=3)


def scheduled(spec, folding):
    return Schedule(network=spec, folding=folding)


@pytest.fixture(scope="module")
def case():
    network, x = random_network(features=3, hidden=3, a=2, w=3, steps=4, batch=6, gain=8.0, layers=2)
    return *narrowed(network, 2, 3), stored(network, x)


@pytest.mark.parametrize("folding", [PARALLEL, FOLDED], ids=["parallel", "folded"])
@pytest.mark.parametrize("storage", WeightStorage)
def test_every_storage_gives_the_same(storage, folding, case, simulator, tmp_path):
    spec, weights, samples = case
    options = {"folder": tmp_path, "simulator": simulator, "storage": storage, "stall": 0.3}
    result = simulate(scheduled(spec, folding), weights, samples, **options)
    assert (result.differing, result.first_difference) == (0, None)


@pytest.mark.parametrize("storage", WeightStorage)
def test_where_the_weights_are(storage, case, simulator, tmp_path):
    """Verilog made with another weight differs where it holds the weights, and only there."""
    spec, weights, samples = case
    wh = weights["wh_l1"].copy()
    wh[3, 2, 0] ^= 1
    source = tmp_path / "other.v"
    source.write_text(emit(Network(scheduled(spec, FOLDED), {**weights, "wh_l1": wh}, storage), "network"))
    options = {"folder": tmp_path, "simulator": simulator, "storage": storage, "verilog": source}
    result = simulate(scheduled(spec, FOLDED), weights, samples[:1], **options)
    assert (result.differing > 0) == (storage in (WeightStorage.CONST, WeightStorage.ROM))


@pytest.mark.parametrize("unit", ["weight_loader", "lstm_weights_l0", "dense_biases"])
def test_a_planted_fault_in_loading_is_caught(unit, case, simulator, tmp_path):
    spec, weights, samples = case
    source = tmp_path / "loads.v"
    source.write_text(emit(Network(scheduled(spec, FOLDED), weights, WeightStorage.LOAD), "network"))
    for seed in (1, 101, 201, 301):
        plant(source, unit, tmp_path / "faulty.v", combinational=False, first=seed)
        options = {"simulator": simulator, "storage": WeightStorage.LOAD, "verilog": tmp_path / "faulty.v"}
        try:
            result = simulate(scheduled(spec, FOLDED), weights, samples, folder=tmp_path, **options)
        except SimulationError as error:  # samples are taken too early
            assert "i.ready must be low until all weights are loaded" in str(error)  # noqa: PT017
            return
        if result.differing:
            return
    raise AssertionError("four faults were not seen")
