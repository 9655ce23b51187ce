"""Feed-forward networks in simulators: every named value and every cycle, and faults in each unit."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from model.family import FactorRule, Family
from model.random_network import random_network, stored
from model.spec import Folding, NetworkSpec, Pool, Schedule
from rtl.network import Network
from rtl.verilog import emit
from rtl.weight_memory import WeightStorage
from sim.network import simulate
from sim.simulators import SimulationError
from tests.faults import plant


def values(spec: NetworkSpec, batch: int, steps: int) -> int:
    """Named values of so many sequences: x, z and h of each layer and step, logits and label."""
    return batch * (steps * sum(layer.features + 2 * layer.hidden for layer in spec.layers) + spec.dense.classes + 1)


@pytest.mark.parametrize(
    ("choice", "pe", "simd", "storage"),
    [
        ({"bits": 2, "features": 7, "hidden": 5, "steps": 1}, 2, 3, WeightStorage.ROM),  # padded lanes and units
        ({"bits": 4, "features": 5, "hidden": 6, "pool": Pool.MEAN, "gain": 6.0}, 1, 1, WeightStorage.LOAD),
        ({"bits": 3, "features": 4, "hidden": 3, "layers": 2}, 3, 99, WeightStorage.CONST),  # constants in the sums
        ({"bits": 3, "features": 3, "hidden": 5, "layers": 2}, 5, 2, WeightStorage.CONST),  # and in a memory
        ({"bits": 8, "features": 9, "hidden": 2, "layers": 3, "steps": 2}, 2, 4, WeightStorage.EXTERNAL),
        ({"bits": 5, "features": 2, "hidden": 9, "layers": 2, "pool": Pool.MEAN}, 4, 2, WeightStorage.READMEMH),
        ({"bits": 6, "features": 1, "hidden": 1, "classes": 2, "steps": 1}, 1, 1, WeightStorage.ROM),
        ({"bits": 2, "features": 17, "hidden": 3, "factors": FactorRule.POW2}, 2, 2, WeightStorage.ROM),
    ],
)
def test_every_named_value_and_every_cycle_is_equal(choice, pe, simd, storage, simulator, tmp_path):
    network, x = random_network(family=Family.MLP, batch=4, **choice)
    spec, weights, samples = network.spec(), network.weights(), stored(network, x)
    schedule = Schedule(network=spec, folding=Folding(pe=pe, simd=simd))
    source = tmp_path / "network.v"
    source.write_text(emit(Network(schedule, weights, storage), "network"))
    for stall in (0.0, 0.4):
        options = {"folder": tmp_path, "simulator": simulator, "stall": stall, "storage": storage, "verilog": source}
        result = simulate(schedule, weights, samples, **options)
        assert (result.differing, result.first_difference) == (0, None)
        assert result.compared == values(spec, *samples.shape[:2])
        if not stall:
            assert result.result_cycles == schedule.result_cycles(samples.shape[1], len(samples))


def test_layers_of_other_widths_are_a_pipeline(simulator, tmp_path):
    """A sequence of steps, one layer the slowest, then another; a step takes as long as that."""
    network, x = random_network(family=Family.MLP, layers=2, hidden=6, features=6, steps=5)
    spec, weights = network.spec(), dict(network.weights())
    first, second = spec.layers
    for one, two in ((2, 6), (6, 2)):
        layers = (replace(first, hidden=one), replace(second, features=one, hidden=two))
        narrow = {"w_l0": weights["w_l0"][:one], "b_l0": weights["b_l0"][:one], "dense_b": weights["dense_b"]}
        narrow |= {"w_l1": weights["w_l1"][:two, :one], "b_l1": weights["b_l1"][:two]}
        narrow["dense_w"] = weights["dense_w"][:, :two]
        schedule = Schedule(network=replace(spec, layers=layers), folding=Folding(pe=1, simd=2))
        result = simulate(schedule, narrow, stored(network, x), folder=tmp_path, simulator=simulator)
        assert (result.differing, result.first_difference) == (0, None)
        assert result.result_cycles == schedule.result_cycles(5, len(x))
        assert schedule.step_cycles == max(layer.step_cycles for layer in schedule.layers)


def test_a_layer_with_relu_may_stand_on_an_lstm_layer(simulator, tmp_path):
    """Both kinds in one pipeline: h of the LSTM layer is x of the other."""
    mlp, _ = random_network(family=Family.MLP, features=4, hidden=5, pool=Pool.MEAN)
    lstm, x = random_network(family=Family.FIXED, features=3, hidden=4, pool=Pool.MEAN)
    below, (above,) = lstm.spec(), mlp.spec().layers
    spec = replace(mlp.spec(), source=below.source, layers=(*below.layers, replace(above, x=below.layers[0].h)))
    weights = {name: codes for name, codes in lstm.weights().items() if name.endswith("_l0")}
    weights |= {name.replace("_l0", "_l1"): codes for name, codes in mlp.weights().items()}
    schedule = Schedule(network=spec, folding=Folding(pe=2, simd=3))
    result = simulate(schedule, weights, stored(lstm, x), folder=tmp_path, simulator=simulator)
    assert (result.differing, result.first_difference) == (0, None)
    assert result.result_cycles == schedule.result_cycles(x.shape[1], len(x))
    assert result.compared == len(x) * (x.shape[1] * (3 + 17 * 4 + 4 + 2 * 5) + 3 + 1)


CLOCKED = ("network", "relu_stage", "relu_layer", "relu_unit", "dense_layer", "running_sum")
MEMORIES = tuple(f"relu_{kind}_l{layer}" for kind in ("weights", "biases") for layer in (0, 1))
FAULTY = (
    *(*CLOCKED, *MEMORIES, "dense_weights", "dense_biases"),
    *("integer_dot", "adder_tree", "scaled_sum", "narrow", "full_adder", "half_adder"),
)


def modules(source: Path) -> dict[str, str]:
    """Each kind of unit and a module of it: the last one, as the first ones may be wires alone."""
    names = re.findall(r"^module (\w+)", source.read_text(), re.MULTILINE)
    return {name if name in MEMORIES else re.sub(r"_\d+$", "", name): name for name in names}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A network, its samples and its Verilog: outputs that are 0, largest, and between."""
    network, x = random_network(family=Family.MLP, layers=2, hidden=4, features=5, steps=4, batch=12, gain=4.0, seed=3)
    source = tmp_path_factory.mktemp("written") / "network.v"
    schedule = Schedule(network=network.spec(), folding=Folding(pe=2, simd=3))
    source.write_text(emit(Network(schedule, network.weights()), "network"))
    return schedule, network.weights(), stored(network, x), source


def test_every_kind_of_unit_is_in_the_list_of_faults(written):
    assert set(modules(written[3])) == set(FAULTY)


@pytest.mark.parametrize("unit", FAULTY)
def test_a_planted_fault_is_caught(unit, written, simulator, tmp_path):
    schedule, weights, samples, source = written
    clocked = (*CLOCKED, *MEMORIES, "dense_weights", "dense_biases")
    for first in (1, 101, 201, 301):  # some do not matter: what is told of a beat that is not there
        plant(source, modules(source)[unit], tmp_path / "faulty.v", combinational=unit not in clocked, first=first)
        options = {"folder": tmp_path, "simulator": simulator, "verilog": tmp_path / "faulty.v"}
        try:
            result = simulate(schedule, weights, samples, **options)
        except SimulationError as error:  # a fault in the control breaks the protocol
            assert "must" in str(error), error  # noqa: PT017
            assert unit in ("network", "relu_layer", "relu_stage", "dense_layer")
            return
        if result.differing:
            assert result.first_difference is not None
            return
    raise AssertionError("four faults were not seen")


@pytest.mark.parametrize(
    ("name", "place", "words"),
    [
        ("w_l0", (2, 4), r"z at sequence 0, step 0, layer 0, unit 2, cycle \d+: expected -?\d+, got -?\d+"),
        ("b_l1", (3,), r"z at sequence 0, step 0, layer 1, unit 3, cycle \d+: expected -?\d+, got -?\d+"),
        ("dense_b", (1,), r"logits at sequence 0, class 1, cycle \d+: expected -?\d+, got -?\d+"),
    ],
)
def test_the_first_difference_names_step_layer_unit_and_cycle(name, place, words, written, simulator, tmp_path):
    schedule, weights, samples, _ = written
    other = {each: array.copy() for each, array in weights.items()}
    other[name][place] = 0 if other[name][place] else 1
    source = tmp_path / "network.v"
    source.write_text(emit(Network(schedule, other), "network"))
    result = simulate(schedule, weights, samples, folder=tmp_path, simulator=simulator, verilog=source)
    assert re.fullmatch(words, str(result.first_difference)), str(result.first_difference)
