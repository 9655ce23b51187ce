"""Text that the Verilog writes: symbol for symbol and value for value what the golden function writes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from model.family import Family
from model.random_network import random_network
from model.spec import Folding, Pool, Schedule
from model.writing import Writing, write
from rtl.network import Network
from rtl.verilog import emit
from sim.network import Feedback, simulate
from sim.simulators import SimulationError

ALPHABET = np.eye(4, dtype=np.int64) * 32  #: one-hot codes in a format with five fraction bits


def made(**choice):
    """Schedule and weights of a network of four symbols."""
    network, _ = random_network(features=4, classes=4, hidden=3, pool=Pool.EACH, gain=6.0, **choice)
    return Schedule(network=network.spec(), folding=Folding(pe=2, simd=4)), network.weights()


def by_both(schedule, weights, writing, **options):
    """The golden function's text, and what the Verilog makes of the same prompt."""
    text = write(schedule.network, weights, ALPHABET, writing)
    feedback = Feedback(writing=writing, alphabet=ALPHABET)
    return text, simulate(schedule, weights, ALPHABET[None, list(text[:-1])], feedback=feedback, **options)


@pytest.mark.parametrize(
    ("choice", "stall"), [({"family": Family.FIXED}, 0.0), ({"a": 1, "layers": 3}, 0.0), ({"a": 1, "layers": 2}, 0.4)]
)
def test_verilog_writes_what_the_golden_function_writes(choice, stall, simulator, tmp_path):
    schedule, weights = made(**choice)
    for writing in (
        Writing(prompt=(1, 3, 0), count=12),
        Writing(prompt=(2,), count=1),
        Writing(prompt=(0, 1), count=30, temperature=2.0, seed=3),
    ):
        options = {"folder": tmp_path, "simulator": simulator, "stall": stall}
        text, result = by_both(schedule, weights, writing, **options)
        assert result.written is not None
        assert (result.differing, result.first_difference) == (0, None)
        assert list(text) == [*writing.prompt, *result.written.tolist()]
        assert result.compared > writing.steps * 6
        if not stall:
            behind = np.diff(result.result_cycles[len(writing.prompt) - 1 :])
            assert (behind == schedule.feedback_cycles).all()
    assert len(set(text)) == 4


def test_the_verilog_reads_its_own_symbols(simulator, tmp_path):
    """With another bias of the dense layer it goes another way, from the first symbol that it chooses otherwise."""
    schedule, weights = made(a=2, w=2)
    writing = Writing(prompt=(1,), count=20, temperature=1.0)
    largest = schedule.network.dense.b.code_format.max  # with which symbol 3 is likelier than it was
    other = {**weights, "dense_b": np.array([0, 0, 0, largest], np.uint8)}
    assert not np.array_equal(other["dense_b"], weights["dense_b"])
    source = tmp_path / "network.v"
    source.write_text(emit(Network(schedule, other), "network"))
    text, result = by_both(schedule, weights, writing, folder=tmp_path, simulator=simulator, verilog=source)
    assert result.written is not None
    assert tuple(result.written) == write(schedule.network, other, ALPHABET, writing)[1:] != text[1:]
    assert re.match(r"logits at sequence 0, step 0, class \d, cycle \d+: expected", str(result.first_difference))


def test_text_is_for_cocotb(tmp_path):
    schedule, weights = made(a=1)
    with pytest.raises(SimulationError, match=r"^Text must be written with icarus or verilator, not 'bulk'$"):
        by_both(schedule, weights, Writing(prompt=(0,), count=2), folder=tmp_path, simulator="bulk")
