"""Counters of saturation in whole networks: the numbers of the model, whatever folding, stalls and storage."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from model.family import Family
from model.random_network import random_network, stored
from model.saturations import saturations
from model.spec import Folding, Pool, Schedule, SumSpec
from rtl import lstm_layer
from rtl.network import Network
from rtl.verilog import emit
from rtl.weight_memory import WeightStorage
from sim.compare import compare_counters
from sim.job import UNKNOWN
from sim.network import simulate
from sim.simulators import SimulationError, choose
from tests.networks import narrowed

BLSTM = {"family": Family.BLSTM, "gain": 6.0}


@pytest.mark.parametrize(
    ("choice", "hidden", "pe", "simd", "stall", "storage"),
    [
        # 5 and 3 units in groups of 2, padded lanes
        ({**BLSTM, "sums": SumSpec(width=8, unit=4), "features": 5}, (5, 3), 2, 8, 0.4, WeightStorage.ROM),
        # x is one beat of the three of h
        (
            {"family": Family.FIXED, "bits": 3, "sums": SumSpec(width=7, unit=2), "gain": 6.0, "features": 2},
            (5,),
            *(2, 4, 0.0, WeightStorage.LOAD),
        ),
        (
            {**BLSTM, "sums": SumSpec(width=6, order="sequence", fan_in=3, shift=1), "pool": Pool.MEAN},
            (3,),
            *(2, 1, 0.2, WeightStorage.EXTERNAL),
        ),
        # Sums that are made for the weights: other nodes of each unit can saturate.
        ({**BLSTM, "sums": SumSpec(width=7), "features": 4}, (3, 2), 3, 99, 0.3, WeightStorage.CONST),
    ],
    ids=["two layers", "integers", "sequence", "constants"],
)
def test_counters_have_the_numbers_of_the_model(choice, hidden, pe, simd, stall, storage, simulator, tmp_path):
    network, x = random_network(**choice, hidden=max(hidden), layers=len(hidden))
    (spec, weights), samples = narrowed(network, *hidden), stored(network, x)
    schedule = Schedule(network=spec, folding=Folding(pe=pe, simd=simd))
    options = {"folder": tmp_path, "simulator": simulator, "stall": stall, "storage": storage, "counters": True}
    result = simulate(schedule, weights, samples, **options)
    assert (result.differing, result.equal) == (0, True)
    expected = {name: counts.sum((1, 2)).tolist() for name, counts in saturations(spec, weights, samples).items()}
    got: dict[str, list[int | None]] = {}
    for counter in result.counters:
        assert counter.level == len(got.setdefault(f"{counter.sum}_l{counter.layer}", []))
        got[f"{counter.sum}_l{counter.layer}"].append(counter.got)
    assert got == expected
    assert all(count for counts in expected.values() for count in counts)


def test_bulk_reads_the_same_counters(tmp_path):
    try:
        choose("bulk")
    except SimulationError as error:
        pytest.skip(str(error))
    network, x = random_network(**BLSTM, sums=SumSpec(width=7, unit=2), hidden=2)
    schedule = Schedule(network=network.spec(), folding=Folding(pe=1, simd=4))
    options = {"folder": tmp_path, "simulator": "bulk", "stall": 0.3, "counters": True}
    result = simulate(schedule, network.weights(), stored(network, x), **options)
    assert (result.differing, result.equal) == (0, True)
    assert [(each.sum, each.level) for each in result.counters] == [("x", 0), ("x", 1), ("h", 0)]
    assert all(each.got for each in result.counters)


def test_a_wrong_counter_is_an_error(simulator, tmp_path, monkeypatch):
    """What is counted too often changes no value, and is found by the counters alone."""
    network, x = random_network(**BLSTM, sums=SumSpec(width=8, unit=2), hidden=3)
    schedule = Schedule(network=network.spec(), folding=Folding(pe=2, simd=4))
    monkeypatch.setattr(lstm_layer, "Mux", lambda _, __, counted: counted)  # also of units that do not exist
    options = {"folder": tmp_path, "simulator": simulator, "stall": 0.3, "counters": True}
    result = simulate(schedule, network.weights(), stored(network, x), **options)
    assert (result.differing, result.equal) == (0, False)
    assert all(counter.got is not None and counter.got >= counter.expected for counter in result.counters)


def test_what_is_compared():
    """Over gates and units, up to the largest number of a counter; without a counter, what cannot saturate."""
    counts = np.zeros((2, 4, 3), np.int64)
    counts[1, 2:, 1] = 1 << 31
    found = compare_counters({"h_l1": counts, "x_l2": counts[:1]}, {"saturations_h_l1": np.array([UNKNOWN, 2**32 - 1])})
    assert [(each.layer, each.sum, each.level, each.expected, each.got) for each in found] == [
        (1, "h", 0, 0, None),
        (1, "h", 1, 2**32 - 1, 2**32 - 1),
    ]
    assert [each.equal for each in found] == [False, True]
    (missing,) = compare_counters({"x_l0": counts[1:]}, {})
    assert (missing.got, missing.equal) == (None, False)


def test_only_layers_that_can_saturate_have_counters():
    network, _ = random_network(**BLSTM, sums=SumSpec(width=10), features=2, hidden=5, layers=2)
    spec, weights = narrowed(network, 2, 5)
    schedule = Schedule(network=spec, folding=Folding(pe=2, simd=4))
    text = emit(Network(schedule, weights, counters=True), "network")
    assert re.findall(r"output \[(\d+):0\] (saturations\w+);", text) == [
        ("95", "saturations__h_l1"),
        ("31", "saturations__x_l1"),
    ]
    for sums, told in ((SumSpec(width=16), str(SumSpec(width=16))), (SumSpec(width=4, overflow="wrap"), "wrap")):
        layers = tuple(replace(lstm, sums=sums) for lstm in spec.layers)
        exact = Schedule(network=replace(spec, layers=layers), folding=Folding(pe=2, simd=4))
        with pytest.raises(ValueError, match=rf"^Sums of a network with counters must .* saturate, not '.*{told}.*'$"):
            Network(exact, weights, counters=True)
