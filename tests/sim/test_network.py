"""Whole networks in cocotb: every named value, every folding, stalls, and one planted fault in each unit."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from model.family import FactorRule, Family
from model.random_network import random_network, stored
from model.spec import Datapath, Folding, Format, Pool, Schedule, SumSpec
from rtl.network import Network
from rtl.verilog import emit
from rtl.weight_memory import WeightStorage
from sim.network import simulate
from sim.probes import RESULTS, STAGE
from sim.simulators import SimulationError, choose
from tests.faults import plant
from tests.networks import NETWORKS, narrowed


def of_results(spec, steps):
    """Values of the results of a sequence: logits and label; of a result a step also whether it is the last."""
    return steps * (spec.dense.classes + 2) if spec.dense.pool is Pool.EACH else spec.dense.classes + 1


@pytest.mark.parametrize(
    ("choice", "pe", "simd"),
    [
        ({"a": 1, "w": 1, "hidden": 5}, 1, 99),
        ({"a": 2, "w": 3, "hidden": 5, "pool": Pool.MEAN}, 2, 4),  # 5 units in groups of 2, padded lanes
        ({"a": 3, "w": 2, "hidden": 4, "features": 6}, 4, 1),  # serial: more features than units
        ({"a": 5, "w": 5, "hidden": 3, "pool": Pool.MEAN, "gain": 6.0}, 3, 99),
        ({"a": 2, "w": 2, "hidden": 1, "features": 1, "classes": 2, "steps": 1}, 1, 1),
        ({"a": 2, "w": 1, "hidden": 5, "pool": Pool.EACH}, 2, 4),
    ],
)
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_every_named_value_is_equal(choice, pe, simd, stall, simulator, tmp_path):
    network, x = random_network(**choice)
    spec, samples = network.spec(), stored(network, x)
    schedule = Schedule(network=spec, folding=Folding(pe=pe, simd=simd))
    result = simulate(schedule, network.weights(), samples, folder=tmp_path, simulator=simulator, stall=stall)
    assert result.first_difference is None
    assert result.differing == 0
    batch, steps, features = samples.shape
    hidden = spec.layers[0].hidden
    assert result.compared == batch * (steps * (features + (3 * 4 + 5) * hidden) + of_results(spec, steps))
    if not stall:
        assert result.cycles_per_sequence == schedule.sequence_cycles(steps)


@pytest.mark.parametrize(
    ("choice", "pe", "simd", "stall", "storage"),
    [
        (
            # padded lanes and saturating words
            {"family": Family.FIXED32, "word": Format(8, 5), "hidden": 5, "gain": 6.0},
            2,
            3,
            0.3,
            WeightStorage.ROM,
        ),
        (
            {"family": Family.B_LSTM, "word": Format(8, 5), "hidden": 3, "pool": Pool.MEAN},
            3,
            99,
            0.0,
            WeightStorage.CONST,
        ),
        ({"family": Family.MUBINN1, "word": Format(10, 6), "a": 2, "w": 3, "hidden": 5}, 2, 3, 0.2, WeightStorage.LOAD),
        ({"family": Family.MUBINN2, "factors": FactorRule.POW2, "a": 2, "w": 3}, 2, 4, 0.0, WeightStorage.ROM),
        ({"family": Family.FIXED, "bits": 2, "hidden": 5, "pool": Pool.MEAN}, 2, 3, 0.3, WeightStorage.LOAD),
        ({"family": Family.FIXED, "bits": 3, "hidden": 2, "gain": 6.0}, 2, 99, 0.0, WeightStorage.CONST),
        ({"family": Family.FIXED, "bits": 4, "hidden": 4, "pool": Pool.EACH}, 2, 3, 0.3, WeightStorage.LOAD),
        (
            {"family": Family.FIXED, "bits": 5, "factors": FactorRule.POW2, "sums": SumSpec(width=10, unit=2)},
            2,
            4,
            0.2,
            WeightStorage.READMEMH,
        ),
    ],
    ids=[
        *("fixed32", "b_lstm", "mubinn1", "mubinn2", "ternary", "constant integers", "integers, a result a step"),
        "limited sums of integers",
    ],
)
def test_every_family_is_equal(choice, pe, simd, stall, storage, simulator, tmp_path):
    network, x = random_network(**choice)
    spec, samples = network.spec(), stored(network, x)
    schedule = Schedule(network=spec, folding=Folding(pe=pe, simd=simd))
    options = {"folder": tmp_path, "simulator": simulator, "stall": stall, "storage": storage}
    result = simulate(schedule, network.weights(), samples, **options)
    assert (result.differing, result.first_difference) == (0, None)
    batch, steps, features = samples.shape
    values = features + (3 * 4 + 5) * spec.layers[0].hidden
    assert result.compared == batch * (steps * values + of_results(spec, steps))
    if not stall:
        assert result.cycles_per_sequence == schedule.sequence_cycles(steps)


#: values of a unit and step -> those that each datapath computes: z, activation, gate of 4 gates; c_raw, c, t, h_raw, h
COMPUTED = {Datapath.ARITHMETIC: 3 * 4 + 5, Datapath.THRESHOLD: 2 * 4 + 5, Datapath.TABLE: 2 * 4 + 2}


@pytest.mark.parametrize("datapath", Datapath)
@pytest.mark.parametrize(
    ("choice", "pe", "simd"),
    [({"a": 2, "w": 2, "hidden": 3, "gain": 6.0}, 2, 3), ({"a": 3, "w": 1, "hidden": 2, "pool": Pool.MEAN}, 2, 99)],
)
def test_every_datapath_is_equal_in_every_value_it_computes(choice, pe, simd, datapath, simulator, tmp_path):
    network, x = random_network(**choice)
    samples, folding = stored(network, x), Folding(pe=pe, simd=simd)
    schedule = Schedule(network=network.spec(), folding=folding, datapath=datapath)
    result = simulate(schedule, network.weights(), samples, folder=tmp_path, simulator=simulator)
    assert (result.differing, result.first_difference) == (0, None)
    batch, steps, features = samples.shape
    assert result.compared == batch * (steps * (features + COMPUTED[datapath] * choice["hidden"]) + 3 + 1)
    plain = Schedule(network=network.spec(), folding=folding)
    assert result.cycles_per_sequence == plain.sequence_cycles(steps)


@settings(max_examples=3)
@given(NETWORKS, st.sampled_from(Datapath), st.integers(1, 4), st.integers(1, 12))
def test_drawn_networks(simulator, tmp_path_factory, choice, datapath, pe, simd):
    network, x = random_network(**choice)
    spec = network.spec()
    assume(all(datapath.refusal(lstm) is None for lstm in spec.layers))
    schedule = Schedule(network=spec, folding=Folding(pe=pe, simd=simd), datapath=datapath)
    folder = tmp_path_factory.mktemp("drawn")
    result = simulate(schedule, network.weights(), stored(network, x), folder=folder, simulator=simulator)
    assert (result.differing, result.first_difference) == (0, None)
    assert result.result_cycles == schedule.result_cycles(choice["steps"], len(x))


@pytest.mark.parametrize(
    ("choice", "hidden", "pe", "simd", "storage"),
    [
        ({"a": 2, "w": 1}, (5, 3), 2, 4, WeightStorage.ROM),  # the first layer is the slowest
        ({"a": 1, "w": 2, "pool": Pool.MEAN}, (2, 5), 2, 3, WeightStorage.LOAD),  # the last one
        ({"a": 1, "w": 2, "pool": Pool.EACH}, (5, 2), 2, 3, WeightStorage.LOAD),  # the first one, or the dense one
        ({"a": 1, "w": 1, "pool": Pool.EACH, "classes": 5}, (2, 3, 2), 2, 99, WeightStorage.EXTERNAL),
        ({"a": 1, "w": 1, "batch": 4}, (2, 6, 3), 2, 99, WeightStorage.CONST),  # the middle one
        ({"a": 1, "w": 1, "pool": Pool.MEAN, "steps": 1}, (4, 1, 2), 4, 1, WeightStorage.EXTERNAL),
        ({"a": 1, "w": 2, "family": Family.MUBINN1, "word": Format(10, 6)}, (2, 3), 2, 3, WeightStorage.ROM),
        # Sums by limited adders; those of x and of h may take other numbers of beats.
        ({"family": Family.BLSTM, "sums": SumSpec(width=8, unit=2), "gain": 6.0}, (3, 2), 1, 4, WeightStorage.LOAD),
        ({"family": Family.BLSTM, "sums": SumSpec(width=7), "gain": 6.0}, (2, 3), 2, 9, WeightStorage.CONST),
        # Layers that are alike but for their weights, which are made into them.
        ({"family": Family.FIXED32, "word": Format(8, 5), "gain": 6.0}, (2, 2, 2, 2), 2, 99, WeightStorage.CONST),
    ],
)
def test_layers_are_a_pipeline(choice, hidden, pe, simd, storage, simulator, tmp_path):
    """Equal in every value and, if no stream waits, in every cycle; a sequence begins anew in every layer."""
    network, x = random_network(**choice, hidden=max(hidden), layers=len(hidden))
    (spec, weights), samples = narrowed(network, *hidden), stored(network, x)
    schedule = Schedule(network=spec, folding=Folding(pe=pe, simd=simd))
    values = sum(lstm.features + (3 * 4 + 5) * lstm.hidden for lstm in spec.layers)
    source = tmp_path / "network.v"
    source.write_text(emit(Network(schedule, weights, storage), "network"))
    for stall in (0.0, 0.4):
        options = {"folder": tmp_path, "simulator": simulator, "stall": stall, "storage": storage, "verilog": source}
        result = simulate(schedule, weights, samples, **options)
        assert (result.differing, result.first_difference) == (0, None)
        batch, steps, _ = samples.shape
        assert result.compared == batch * (steps * values + of_results(spec, steps))
        if not stall:
            assert result.result_cycles == schedule.result_cycles(steps, batch)
            assert result.cycles_per_sequence == schedule.sequence_cycles(steps)


def test_step_cycles_are_those_of_the_slowest_layer():
    for hidden in ((6, 2, 3), (2, 6, 3), (2, 3, 6)):
        spec, _ = narrowed(random_network(hidden=6, layers=3)[0], *hidden)
        schedule = Schedule(network=spec, folding=Folding(pe=1, simd=2))
        assert schedule.step_cycles == max(layer.step_cycles for layer in schedule.layers)
        assert schedule.sequence_cycles(51) - schedule.sequence_cycles(50) == schedule.step_cycles


def test_verilator_agrees_too(tmp_path):
    try:
        chosen = choose("verilator")
    except SimulationError as error:
        pytest.skip(str(error))
    network, x = random_network()
    result = simulate(
        Schedule(network=network.spec(), folding=Folding(pe=2, simd=4)),
        network.weights(),
        stored(network, x),
        folder=tmp_path,
        simulator=chosen,
        stall=0.3,
    )
    assert (result.differing, result.first_difference) == (0, None)


CLOCKED = (
    "network",
    "lstm_layer",
    "lstm_unit",
    "dense_layer",
    "lstm_weights_l0",
    "lstm_biases_l0",
    "dense_weights",
    "dense_biases",
)
FAULTY = (
    *CLOCKED,
    "mlb_accumulator",
    "gate_code",
    "cell_code",
    "hidden_code",
    "full_adder",
    "half_adder",
    "adder_tree",
    "mlb_quantizer",
    "narrow",
    "pwl_activation",
    "xnor_multiplier",
    "reconstruct",
    "mac",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A network, its samples and its Verilog: every code, every class and every clamp occurs."""
    network, x = random_network(a=2, w=2, hidden=4, steps=6, batch=12, gain=8.0, seed=3)
    folder = tmp_path_factory.mktemp("written")
    source = folder / "network.v"
    schedule = Schedule(network=network.spec(), folding=Folding(pe=2, simd=4))
    source.write_text(emit(Network(schedule, network.weights()), "network"))
    return schedule, network.weights(), stored(network, x), source


def test_every_kind_of_unit_is_in_the_list_of_faults(written):
    kinds = {re.sub(r"_\d+$", "", name) for name in re.findall(r"^module (\w+)", written[3].read_text(), re.MULTILINE)}
    assert kinds == set(FAULTY)


@pytest.mark.parametrize(
    ("datapath", "unit"),
    [(Datapath.THRESHOLD, "threshold_activation"), (Datapath.TABLE, "table_product"), (Datapath.TABLE, "hidden_code")],
)
def test_a_planted_fault_in_a_datapath_is_caught(datapath, unit, written, simulator, tmp_path):
    arithmetic, weights, samples, _ = written
    schedule = replace(arithmetic, datapath=datapath)
    source, faulty = tmp_path / "network.v", tmp_path / "faulty.v"
    source.write_text(emit(Network(schedule, weights), "network"))
    plant(source, unit, faulty, combinational=True)
    result = simulate(schedule, weights, samples, folder=tmp_path, simulator=simulator, verilog=faulty)
    assert result.differing > 0
    assert result.first_difference is not None
    assert result.first_difference.value in ("gate", "c", "h")


def test_a_difference_in_a_result_names_its_step(simulator, tmp_path):
    """One bias of the dense layer is another in the hardware; where a sequence ends is never marked there."""
    network, x = random_network(a=2, w=2, hidden=3, pool=Pool.EACH)
    schedule = Schedule(network=network.spec(), folding=Folding(pe=2, simd=4))
    weights, samples = network.weights(), stored(network, x)
    other = {**weights, "dense_b": weights["dense_b"] ^ np.array([0, 1, 0], np.uint8)}
    source = tmp_path / "network.v"
    options = {"folder": tmp_path, "simulator": simulator, "verilog": source}
    source.write_text(emit(Network(schedule, other), "network"))
    result = simulate(schedule, weights, samples, **options)
    assert re.fullmatch(
        r"logits at sequence 0, step 0, class 1, cycle \d+: expected -?\d+, got -?\d+", str(result.first_difference)
    )
    assert result.differing >= len(x) * 4
    text, count = re.subn(r"(assign o__payload = \{ )last,", r"\1 1'h0,", emit(Network(schedule, weights), "network"))
    assert count == 1
    source.write_text(text)
    result = simulate(schedule, weights, samples, **options)
    assert result.differing == len(x)
    assert re.match(r"last at sequence 0, step 3, cycle \d+: expected 1, got 0", str(result.first_difference))


@pytest.mark.parametrize("unit", FAULTY)
def test_a_planted_fault_is_caught(unit, written, simulator, tmp_path):
    schedule, weights, samples, source = written
    # A few faults show only in rare events (the last bit of a comparison: in a tie); then the next is taken.
    for seed in (1, 101, 201, 301):
        plant(source, unit, tmp_path / "faulty.v", combinational=unit not in CLOCKED, first=seed)
        try:
            result = simulate(
                schedule,
                weights,
                samples,
                folder=tmp_path,
                simulator=simulator,
                verilog=tmp_path / "faulty.v",
            )
        except SimulationError as error:  # a fault in the control breaks the protocol
            assert "must" in str(error), error  # noqa: PT017
            assert unit in ("network", "lstm_layer", "dense_layer")
            return
        if result.differing:
            break
    assert result.differing > 0
    first = result.first_difference
    assert first is not None
    assert first.value in (*STAGE, *RESULTS)
    assert f"expected {first.expected}" in str(first)


def with_another_weight(written, name, place, simulator, folder):
    """The result where one weight code is changed, in the hardware only."""
    schedule, weights, samples, _ = written
    other = {each: array.copy() for each, array in weights.items()}
    other[name][place] ^= 1
    source = folder / "network.v"
    source.write_text(emit(Network(schedule, other), "network"))
    return simulate(schedule, weights, samples, folder=folder, simulator=simulator, verilog=source)


def test_the_first_difference_names_step_unit_gate_and_cycle(written, simulator, tmp_path):
    """The report points at the sum that a changed weight spoils."""
    result = with_another_weight(written, "wh_l0", (3, 2, 0), simulator, tmp_path)
    first = result.first_difference
    assert first is not None
    assert (first.value, first.sequence, first.step, first.layer, first.unit, first.gate) == ("z", 0, 0, 0, 2, "o")
    assert isinstance(first.cycle, int)
    assert re.fullmatch(
        r"z at sequence 0, step 0, layer 0, unit 2, gate o, cycle \d+: expected -?\d+, got -?\d+", str(first)
    )
    assert np.isin(result.labels, range(3)).all()


@pytest.fixture(scope="module")
def stacked(tmp_path_factory):
    """Two layers, their samples and Verilog."""
    network, x = random_network(a=2, w=2, hidden=3, steps=4, batch=8, gain=8.0, seed=3, layers=2)
    folder = tmp_path_factory.mktemp("stacked")
    schedule = Schedule(network=network.spec(), folding=Folding(pe=2, simd=4))
    (folder / "network.v").write_text(emit(Network(schedule, network.weights()), "network"))
    return schedule, network.weights(), stored(network, x), folder / "network.v"


@pytest.mark.parametrize("seed", [201, 501, 801])
def test_a_planted_fault_in_a_stage_is_caught(seed, stacked, simulator, tmp_path):
    schedule, weights, samples, source = stacked
    for first in range(seed, seed + 300, 100):  # some do not matter: what is told of a beat that is not there
        plant(source, "lstm_stage", tmp_path / "faulty.v", combinational=False, first=first)
        options = {"folder": tmp_path, "simulator": simulator, "verilog": tmp_path / "faulty.v"}
        try:
            result = simulate(schedule, weights, samples, **options)
        except SimulationError as error:  # a step too many
            assert "must be high" in str(error)  # noqa: PT017
            return
        if result.differing:
            return
    raise AssertionError("three faults were not seen")


@pytest.mark.parametrize("unit", ["lstm_weights_l0", "lstm_biases_l0", "lstm_weights_l1", "lstm_biases_l1"])
def test_a_planted_fault_in_a_memory_is_caught_in_its_layer(unit, stacked, simulator, tmp_path):
    schedule, weights, samples, source = stacked
    plant(source, unit, tmp_path / "faulty.v", combinational=False)
    options = {"folder": tmp_path, "simulator": simulator, "verilog": tmp_path / "faulty.v"}
    first = simulate(schedule, weights, samples, **options).first_difference
    assert first is not None
    assert (first.value, first.layer) == ("z", int(unit[-1]))


def test_the_first_difference_names_the_layer(stacked, simulator, tmp_path):
    result = with_another_weight(stacked, "wx_l1", (1, 2, 0), simulator, tmp_path)
    assert re.match(r"z at sequence 0, step 0, layer 1, unit 2, gate f, cycle \d+: ", str(result.first_difference))


def test_trained_digits_and_two_foldings(simulator, tmp_path):
    """Real data on the road that users take; the long version is scripts/check_rtl.py."""
    from model.config import TrainConfig
    from model.data import load
    from model.workflow import train_to_bundle

    config = TrainConfig(activation_levels=2, weight_levels=3, hidden=8, epochs_float=4, epochs=4)
    from model import bundle

    figures = train_to_bundle(config, load("digits"), tmp_path / "run", Folding(pe=2, simd=99), lambda *_: None)
    assert figures["accuracy_golden"] > 0.5  # ten classes
    b = bundle.load(tmp_path / "run" / "bundle")
    for pe, simd in ((4, 16), (1, 5)):
        result = simulate(
            Schedule(network=b.network, folding=Folding(pe=pe, simd=simd)),
            b.weights,
            b.samples[:10],
            folder=tmp_path / f"{pe}",
            simulator=simulator,
        )
        assert (result.differing, result.first_difference) == (0, None)


def test_bonn_eeg(data_root, simulator, tmp_path):
    """Real EEG, untrained network: the same road with long sequences and mean pooling."""
    from model.data import load
    from model.scaling import Scaling, stored_samples

    data = load("bonn", data_root)
    steps, features = data.x.shape[1:]
    network, _ = random_network(features=features, hidden=4, classes=5, a=2, w=1, pool=Pool.MEAN, steps=steps)
    samples = stored_samples(Scaling.of(data.x), network.numbers.source, data.part("test")[0][:2])
    result = simulate(
        Schedule(network=network.spec(), folding=Folding(pe=4, simd=99)),
        network.weights(),
        samples,
        folder=tmp_path,
        simulator=simulator,
    )
    assert (result.differing, result.first_difference) == (0, None)
