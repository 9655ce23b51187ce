"""Proofs find what is equal, say where something is not, and end in time; mutants are faults and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from model.random_network import random_network
from model.spec import (
    AdderTreeSpec,
    Datapath,
    Format,
    MlbQuantizerSpec,
    MlbSpec,
    NarrowSpec,
    PopcountSpec,
    PwlSpec,
    TableSpec,
)
from model.spec import ThresholdSpec as Thresholds
from rtl.adder_tree import AdderTree
from rtl.mlb_quantizer import MlbQuantizer
from rtl.plain import PlainCell, PlainHidden, PlainQuantizer, PlainThresholds
from rtl.plain_sums import PlainPopcount, PlainSum
from rtl.pointwise import Pointwise
from rtl.popcount import Popcount
from rtl.table_product import TableProduct
from rtl.threshold_activation import ThresholdActivation
from rtl.unit import Unit
from rtl.verilog import emit
from synth.errors import SynthError
from synth.mutants import fix_mutant, make_mutants
from synth.proof import DifferenceError, prove_equal
from tests.faults import plant
from tests.synth.designs import ADDER, REGISTERS, write

MLB = MlbSpec(factors=(27, 9, 4), frac=6, offset=32)
TANH = PwlSpec.fit("tanh", source=Format(7, 4), target=Format(8, 7), segments=16)
THRESHOLDS = Thresholds(narrow=NarrowSpec(source=Format(12, 7), target=TANH.source), activation=TANH, mlb=MLB)
QUANTIZER = MlbQuantizerSpec(source=Format(9, 7), mlb=MLB)
SUM = AdderTreeSpec(ranges=((-8, 7),) * 4, constant=-3)
LSTM = random_network(a=2)[0].spec().lstms[0]


def prove(plain: Unit, optimized: Unit, folder: Path) -> str:
    files = [write(folder, emit(unit, "unit"), f"{name}.v") for name, unit in (("a", plain), ("b", optimized))]
    return prove_equal(*files, "unit", timeout_s=120).method  # type: ignore[misc]


@pytest.mark.parametrize(
    ("plain", "optimized"),
    [
        (PlainQuantizer(QUANTIZER), MlbQuantizer(QUANTIZER)),
        (PlainThresholds(THRESHOLDS), ThresholdActivation(THRESHOLDS)),
        (PlainCell(LSTM), TableProduct(TableSpec.cell(LSTM))),
        (PlainHidden(LSTM), TableProduct(TableSpec.hidden(LSTM))),
        (Pointwise(LSTM, Datapath.ARITHMETIC), Pointwise(LSTM, Datapath.THRESHOLD)),
        (Pointwise(LSTM, Datapath.ARITHMETIC), Pointwise(LSTM, Datapath.TABLE)),
        (PlainPopcount(PopcountSpec(n=11)), Popcount(PopcountSpec(n=11))),
        (PlainSum(SUM), AdderTree(SUM)),
    ],
    ids=lambda unit: type(unit).__name__,
)
def test_optimized_units_equal_plain_ones(plain, optimized, tmp_path):
    assert prove(plain, optimized, tmp_path) == "BDD"


def test_a_planted_fault_is_found_with_an_input_that_shows_it(tmp_path):
    unit = MlbQuantizer(QUANTIZER)
    good = write(tmp_path, emit(unit, "unit"), "good.v")
    plant(good, "unit", tmp_path / "faulty.v", combinational=True)
    with pytest.raises(DifferenceError, match=r"faulty.v must equal good.v, and for x = \d+ its o is \d, not \d$") as e:
        prove_equal(good, tmp_path / "faulty.v", "unit")
    x, wrong, right = (int(v) for v in re.findall(r"\d+", str(e.value)))
    assert int(QUANTIZER.compute(x - 512 if x >= 256 else x)) == right != wrong


@pytest.mark.parametrize(
    ("datapath", "module"), [(Datapath.THRESHOLD, "threshold_activation_1"), (Datapath.TABLE, "table_product")]
)
def test_a_planted_fault_behind_z_is_found(datapath, module, tmp_path):
    lstm = random_network(a=1)[0].spec().lstms[0]
    good = write(tmp_path, emit(Pointwise(lstm, Datapath.ARITHMETIC), "unit"), "good.v")
    optimized = write(tmp_path, emit(Pointwise(lstm, datapath), "unit"), "optimized.v")
    plant(optimized, module, tmp_path / "faulty.v", combinational=True)
    with pytest.raises(DifferenceError, match=r"faulty.v must equal good.v, and for .*z_i = \d+"):
        prove_equal(good, tmp_path / "faulty.v", "unit")


def test_pipelines_are_compared_cycle_by_cycle(tmp_path, monkeypatch):
    def text(factors: tuple[int, ...], stages: int) -> str:
        mlb = MlbSpec(factors=factors, frac=6, offset=32)
        return emit(MlbQuantizer(MlbQuantizerSpec(source=Format(9, 7), mlb=mlb), stages), "unit")

    good, other = write(tmp_path, text((27, 9, 4), 2), "good.v"), tmp_path / "other.v"
    other.write_text(good.read_text() + "\n")
    assert prove_equal(good, other, "unit", latency=2).method == "BDD"
    other.write_text(text((27, 9, 4), 1))
    with pytest.raises(DifferenceError, match=r"for .*x = \d+ its o is \d, not \d$"):
        prove_equal(good, other, "unit", latency=2)
    other.write_text(good.read_text().replace("posedge", "negedge", 1))
    with pytest.raises(SynthError, match="must be combinational or have registers on the rising edge of clk alone"):
        prove_equal(good, other, "unit", latency=2)
    monkeypatch.setattr("synth.proof._BY_DIAGRAMS", "version")
    other.write_text(text((27, 8, 4), 2))
    with pytest.raises(DifferenceError):
        prove_equal(good, other, "unit", latency=2)


def test_what_is_too_large_for_diagrams_goes_to_sat(tmp_path, monkeypatch):
    monkeypatch.setattr("synth.proof._BY_DIAGRAMS", "version")
    assert prove(PlainSum(SUM), AdderTree(SUM), tmp_path) == "SAT"


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (
            ADDER,
            ADDER.replace("[3:0] b", "[2:0] b"),
            r"^Ports of designs to prove equal must be the same, not differ in 'b'",
        ),
        (REGISTERS, REGISTERS, "^Designs to prove equal must be combinational, not have registers"),
        (ADDER, "module top (input a output y); endmodule", "^Yosys failed while reading the two designs: .*syntax"),
        (ADDER, ADDER.replace("top", "other"), "Module `top' not found"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(one, other, words, tmp_path):
    with pytest.raises(SynthError, match=words):
        prove_equal(write(tmp_path, one, "a.v"), write(tmp_path, other, "b.v"), "top")


def test_a_proof_ends_in_time(tmp_path):
    with pytest.raises(SynthError, match=r"^Proof must finish within 0\.01 s, not be still "):
        prove_equal(write(tmp_path, ADDER), write(tmp_path, ADDER), "top", timeout_s=0.01)


def test_mutants_are_the_design_with_one_fault_each(tmp_path):
    design, mutants = write(tmp_path, ADDER), tmp_path / "mutants.v"
    faults = make_mutants(design, "top", mutants, count=12, seed=1)
    assert faults == make_mutants(design, "top", mutants, count=12, seed=1)
    assert len(faults) == 12
    assert all(re.match(r"(inv|const[01]|cnot[01]) at \w+\[\d+\] of add of line ", fault) for fault in faults)
    ports = {"a": (True, 4), "b": (True, 4), "y": (False, 5)}
    whole = write(tmp_path, fix_mutant(mutants, "top", ports, 0, 12), "whole.v")
    prove_equal(design, whole, "top")
    differing = 0
    for number in range(1, 5):
        try:
            prove_equal(design, write(tmp_path, fix_mutant(mutants, "top", ports, number, 12), "one.v"), "top")
        except DifferenceError:
            differing += 1
    assert differing > 0


def test_wires_cannot_be_mutated(tmp_path):
    design = write(tmp_path, "module top (input a, output y); assign y = a; endmodule\n")
    with pytest.raises(SynthError, match=r"^Design to be mutated must have logic, not only wires, as 'design\.v' has"):
        make_mutants(design, "top", tmp_path / "mutants.v", count=5, seed=1)
