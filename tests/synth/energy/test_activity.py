"""The simulation of netlists: the units' own golden functions, exact counts, faults and refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rtl.unit import Unit
from rtl.verilog import emit
from synth.energy import activity
from synth.energy.activity import Activity, Circuit, random_vectors
from synth.energy.words import evaluate
from synth.errors import SynthError
from synth.flow import synthesize_text
from synth.liberty import GENERIC, Library, load_library
from synth.registry import build
from tests.sentences import is_one_sentence
from tests.synth import designs
from tests.synth.energy.netlists import INVERTER, NAND, POWER, SHIFT, power, stream, write


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return power(tmp_path)


def simulate(circuit: Circuit, vectors: activity.Vectors) -> NDArray[np.int64]:
    """Value of the output port after every cycle but the first, as (cycles, streams)."""
    streams = next(iter(vectors.values())).shape[1]
    found = []
    (output,) = circuit.outputs.values()
    for step in circuit.run(vectors):
        bits = [
            np.unpackbits(step.new[row].view(np.uint8), bitorder="little")[:streams].astype(np.int64) for row in output
        ]
        found.append(sum(bit << place for place, bit in enumerate(bits)))
    return np.array(found)


def number(bits: NDArray[np.bool_], signed: bool = False) -> NDArray[np.int64]:
    """Bits, first one first, as numbers."""
    value = sum(bits[..., place].astype(np.int64) << place for place in range(bits.shape[-1]))
    return value - (bits[..., -1].astype(np.int64) << bits.shape[-1]) * signed  # type: ignore[return-value]


def mapped(unit: Unit, folder: Path) -> tuple[Circuit, activity.Vectors]:
    synthesize_text(emit(unit, "top"), "top", workdir=folder)
    circuit = Circuit(folder / "netlist.json", "top", load_library(GENERIC, folder))
    return circuit, random_vectors(circuit, cycles=40, streams=100)


def test_a_popcount_counts(tmp_path: Path) -> None:
    circuit, vectors = mapped(unit := build("popcount", ["n=20"]), tmp_path)
    assert circuit.inputs() == {"x": 20}
    assert (simulate(circuit, vectors) == unit.spec.compute(vectors["x"][1:])).all()


def test_a_quantizer_gives_its_code(tmp_path: Path) -> None:
    circuit, vectors = mapped(unit := build("mlb_quantizer"), tmp_path)
    codes = simulate(circuit, vectors)
    assert (codes == unit.spec.compute(number(vectors["x"], signed=True))[1:]).all()
    assert len(np.unique(codes)) == 8


def test_a_pipeline_gives_what_went_in_before(tmp_path: Path) -> None:
    circuit, vectors = mapped(unit := build("popcount", ["n=20", "stages=3"]), tmp_path)
    assert circuit.clock in circuit.ports["clk"]
    assert "clk" not in vectors
    sums = unit.spec.compute(vectors["x"])
    assert (simulate(circuit, vectors)[3:] == sums[1:-3]).all()


def test_an_inverted_cell_is_seen(tmp_path: Path) -> None:
    _, vectors = mapped(unit := build("popcount", ["n=20"]), tmp_path)
    netlist = json.loads((tmp_path / "netlist.json").read_text())
    cells = netlist["modules"]["top"]["cells"].values()
    wrong = next(cell for cell in cells if cell["type"] in ("XOR2", "XNOR2"))
    wrong["type"] = {"XOR2": "XNOR2", "XNOR2": "XOR2"}[wrong["type"]]
    (tmp_path / "netlist.json").write_text(json.dumps(netlist))
    broken = Circuit(tmp_path / "netlist.json", "top", load_library(GENERIC, tmp_path))
    assert (simulate(broken, vectors) != unit.spec.compute(vectors["x"][1:])).any()


def test_changes_are_counted_exactly(tmp_path: Path, library: Library) -> None:
    circuit = Circuit(write(tmp_path, NAND, ["a", "b"], ["y"]), "top", library)
    count = Activity(circuit, 1)
    for step in circuit.steps(stream(a="01101", b="01011")):
        count.add(step)
    (y,) = circuit.outputs["y"]
    # y is 1 0 1 1 0; the first cycle is where it starts from.
    assert (count.rises[y], count.falls[y], count.steps) == (1, 2, 4)
    (a,) = circuit.ports["a"]
    assert (count.rises[a], count.falls[a]) == (2, 1)


@pytest.mark.parametrize("streams", [1, 63, 64, 65])
def test_a_stream_that_is_not_there_is_not_counted(tmp_path: Path, library: Library, streams: int) -> None:
    circuit = Circuit(write(tmp_path, INVERTER, ["a"], ["y"]), "top", library)
    count = Activity(circuit, streams)
    for step in circuit.steps({"a": np.array([[[bit]] * streams for bit in (False, True, False)])}):
        count.add(step)
    (y,) = circuit.outputs["y"]
    assert (count.rises[y], count.falls[y], count.steps) == (streams, streams, 2 * streams)


def test_a_register_shows_what_its_input_was(tmp_path: Path, library: Library) -> None:
    circuit = Circuit(write(tmp_path, SHIFT, ["clk", "d"], ["q"]), "top", library)
    bits = "01101001110010110100101"
    assert "".join(map(str, simulate(circuit, stream(d=bits))[:, 0])) == "0" + bits[:-2]
    # The first cycles after all registers were 0 do not count.
    assert len(list(circuit.steps(stream(d=bits)))) == len(bits) - 1 - activity.WARMUP


def test_constants_and_open_pins(tmp_path: Path, library: Library) -> None:
    cells = {"g": ("NAND2", {"A": "a", "B": "1", "Y": "y"}), "h": ("NAND2", {"A": "a", "B": "0"})}
    circuit = Circuit(write(tmp_path, cells, ["a"], ["y"]), "top", library)
    assert simulate(circuit, stream(a="010")).tolist() == [[0], [1]]
    *_, step = circuit.run(stream(a="001"))
    assert (step.new[circuit.cells["NAND2"].pins["Y"][1]] == np.uint64(2**64 - 1)).all()


@pytest.mark.parametrize(
    "function", ["A", "!A", "A&!B", "(A ^ B) C", "A' + B*C", "(A&B) | (C&(A|B))", "1", "0", "C^(A^B)"]
)
def test_functions_bit_by_bit(function: str) -> None:
    rows = {"A": 0b11110000, "B": 0b11001100, "C": 0b10101010}
    python = {"A' + B*C": "~A | B & C", "(A ^ B) C": "(A ^ B) & C", "1": "255"}.get(function, function).replace(
        "!", "~"
    )
    expected = eval(python, dict(rows)) & 255
    found = evaluate(function, {pin: np.array([word], np.uint64) for pin, word in rows.items()})
    assert int(found[0]) & 255 == expected


def test_random_vectors_are_always_the_same(tmp_path: Path) -> None:
    synthesize_text(designs.COUNTER, "top", workdir=tmp_path)
    circuit = Circuit(tmp_path / "netlist.json", "top", load_library(GENERIC, tmp_path))
    rst = random_vectors(circuit)["rst"]
    assert (rst[0].all(), rst[1:].any()) == (True, False)
    # From 5 in threes, around 16.
    counted = simulate(circuit, random_vectors(circuit))
    assert counted[:, 7].tolist() == [(5 + 3 * cycle) % 16 for cycle in range(63)]
    synthesize_text(designs.ADDER, "top", workdir=tmp_path)
    adder = Circuit(tmp_path / "netlist.json", "top", load_library(GENERIC, tmp_path))
    first, again, other = random_vectors(adder), random_vectors(adder), random_vectors(adder, seed=1)
    assert (first["a"] == again["a"]).all()
    assert (first["a"] != other["a"]).any()
    assert (first["a"] != first["b"]).any()


def test_what_cannot_be_simulated_is_refused(tmp_path: Path) -> None:
    wanted = {
        "Energy must be of a design without a combinational loop": (
            POWER, {"g": ("INV", {"A": "y", "Y": "y"})}),
        "Energy must be of a design with one clock, an input port": (
            POWER, {**SHIFT, "s": ("DFF", {"CK": "d", "D": "p", "Q": "q"})}),
        "Energy must be of flip-flops without asynchronous reset, not 'DFF'": (
            POWER.replace('next_state : "D";', 'next_state : "D"; clear : "!D";'), SHIFT),
        "Energy must be of gates and flip-flops of rising edges, not 'DFF'": (
            POWER.replace('clocked_on : "CK"', 'clocked_on : "!CK"'), SHIFT),
    }  # fmt: skip
    for sentence, (text, cells) in wanted.items():
        with pytest.raises(SynthError) as caught:
            Circuit(write(tmp_path, cells, ["clk", "d"], ["q"]), "top", power(tmp_path, text))
        assert str(caught.value) == sentence
        assert is_one_sentence(sentence)
