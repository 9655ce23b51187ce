"""Energy by hand, and what OpenSTA says beside it."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtl.verilog import emit
from synth import sta
from synth.energy import conditions
from synth.energy.activity import Circuit, Vectors, random_vectors
from synth.energy.conditions import Conditions
from synth.energy.measure import Energy, combine, measure, require
from synth.energy.tables import Table, read_power
from synth.errors import SynthError
from synth.flow import find_liberty, synthesize_text
from synth.liberty import GENERIC, Library, load_library
from synth.process import Budget, run_program
from synth.registry import build
from tests.needs import needs_osu, needs_sta
from tests.sentences import is_one_sentence
from tests.synth import designs
from tests.synth.energy.netlists import INVERTER, NAND, POWER, SHIFT, power, stream, write

OSU = find_liberty()
STILL = Conditions(slews={}, loads={}, leakage=0.0, switching=0.0)
fJ = pytest.approx


def used(
    folder: Path,
    cells: Mapping[str, tuple[str, Mapping[str, str]]],
    vectors: Vectors,
    found: Conditions = STILL,
    inputs: tuple[str, ...] = ("a", "b"),
) -> tuple[float, float]:
    """(switching, internal) in fJ over all cycles that count."""
    library = power(folder)
    circuit = Circuit(write(folder, cells, inputs, ["y"]), "top", library)
    energy = combine(circuit, vectors, read_power(library, list(circuit.cells)), found)
    return energy.switching * energy.cycles * 1e15, energy.internal * energy.cycles * 1e15


def test_switching_is_half_c_v_squared_a_change(tmp_path: Path) -> None:
    found = replace(STILL, loads={"g/Y": 3e-15})
    # Three changes of 3 fF at 2 V.
    assert used(tmp_path, INVERTER, stream(a="00110"), found, ("a",))[0] == fJ(2 * 3 * 4 / 2)
    assert used(tmp_path, INVERTER, stream(a="01010"), found, ("a",))[0] == fJ(4 * 3 * 4 / 2)


@pytest.mark.parametrize(
    ("slew", "load", "rise"),
    [(0, 0, 3), (10, 0, 5), (0, 10, 7), (10, 10, 9), (5, 5, 6), (20, 0, 7), (0, 20, 11)],
)
def test_tables_are_read_at_slew_and_load(tmp_path: Path, slew: float, load: float, rise: float) -> None:
    # The output rises where the input falls.
    found = replace(STILL, slews={"g/A": (99e-12, slew * 1e-12)}, loads={"g/Y": load * 1e-15})
    assert used(tmp_path, INVERTER, stream(a="10"), found, ("a",))[1] == fJ(rise)
    assert used(tmp_path, INVERTER, stream(a="01"), found, ("a",))[1] == fJ(1)


def test_a_table_is_straight_between_its_points_and_goes_on_beyond_them() -> None:
    table = Table(slews=np.array([0.0, 1, 3]), loads=np.zeros(1), energy=np.array([[0.0], [10], [16]]))
    slews = np.array([-1, 0, 0.5, 1, 2, 3, 4])
    assert table.at(slews, np.ones(7)).tolist() == [-10, 0, 5, 10, 13, 16, 19]


@pytest.mark.parametrize(
    ("a", "b", "energy"),
    [
        ("01", "11", 20),  # A makes it fall
        ("10", "11", 10),
        ("11", "01", 40),  # B makes it fall
        ("11", "10", 30),
        ("01", "00", 0),  # nothing changes
        ("01", "01", 30),  # both make it fall: half of each
        ("10", "10", 20),  # neither condition holds afterwards: half of each again
        ("0101", "1111", 20 + 10 + 20),
    ],
)
def test_the_input_that_changed_has_the_energy(tmp_path: Path, a: str, b: str, energy: float) -> None:
    assert used(tmp_path, NAND, stream(a=a, b=b))[1] == fJ(energy)


def test_a_register_by_hand(tmp_path: Path) -> None:
    found = replace(STILL, slews={"r/D": (5e-12, 0.0)})
    cells = {"r": SHIFT["r"]}
    quiet = "0" * 17

    def of(data: str) -> float:
        return used(tmp_path, cells, stream(d=quiet + data), found, ("clk", "d"))[1]

    assert of("00") == 0
    # d rises behind the edge (clock high: 2 + half of 2) and the clock falls with D & !Q: 7.
    assert of("01") == fJ(3 + 7)
    # Then Q rises with the clock (50), which costs the clock pin nothing, and the clock falls with D & Q (6).
    assert of("011") == fJ(3 + 7 + 50 + 6)
    # Then D & Q at both edges.
    assert of("0111") == fJ(3 + 7 + 50 + 6 + 5 + 6)
    # d falls with D & Q before the edge: 5; then 3 for d, and nothing at the edge that has !D.
    assert of("01110") == fJ(3 + 7 + 50 + 6 + 5 + 6 + 5 + 3)
    # And Q falls.
    assert of("011100") == fJ(3 + 7 + 50 + 6 + 5 + 6 + 5 + 3 + 60)


def test_libraries_without_power_are_refused(tmp_path: Path) -> None:
    wanted = {
        "Library must have internal power for the energy, which 'power' has not": POWER.replace("internal_power", "no"),
        "Library must say its units and its voltage for the energy, which 'power' does not": POWER.replace(
            "nom_", "no"
        ),
        "Table of internal power must be over slew and load, not 'voltage'": POWER.replace(
            "variable_1 : total_output_net_capacitance", "variable_1 : voltage"
        ),
    }
    for sentence, text in wanted.items():
        with pytest.raises(SynthError) as caught:
            read_power(power(tmp_path, text), ["INV"])
        assert str(caught.value) == sentence
        assert is_one_sentence(sentence)


def test_too_few_vectors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SynthError, match=r"^Vectors must be more than 17 cycles, not 17$"):
        used(tmp_path, SHIFT, stream(d="0" * 17), STILL, ("clk", "d"))
    with pytest.raises(SynthError, match=r"^Vectors must be more than 1 cycles, not 1$"):
        used(tmp_path, INVERTER, stream(a="0"), STILL, ("a",))


def test_vectors_must_fit_the_ports(tmp_path: Path) -> None:
    wanted = {
        "Vectors must be bits of (cycles, streams, 1) for port 'b', not of (2, 2, 1)": {
            **stream(a="01"), "b": np.zeros((2, 2, 1), bool)},
        "Vectors must be bits of (cycles, streams, 1) for port 'a', not of (2, 1)": {
            "a": np.zeros((2, 1), bool), **stream(b="01")},
        "Vectors must be for ports a, b, not for 'a'": stream(a="01"),
        "Vectors must be for ports a, b, not for 'a, b, c'": stream(a="01", b="01", c="01"),
    }  # fmt: skip
    for sentence, vectors in wanted.items():
        with pytest.raises(SynthError) as caught:
            used(tmp_path, NAND, vectors)
        assert str(caught.value) == sentence
        assert is_one_sentence(sentence)


def test_without_opensta_and_on_generic_gates_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SynthError, match=r"^Energy must be measured on a Liberty file, because the generic gates"):
        require(None)
    monkeypatch.setattr(sta, "find_sta", lambda: None)
    with pytest.raises(SynthError, match=r"^Energy must be measured with OpenSTA installed: apt-get install opensta$"):
        require(GENERIC)


@needs_sta
@needs_osu
def test_a_pin_missing_at_opensta_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = on_osu(designs.INVERT, tmp_path)
    monkeypatch.setattr("synth.energy.measure.ask", lambda *_: STILL)
    with pytest.raises(SynthError, match=r"^OpenSTA must know every pin of the netlist, not all but '_n0_/A'$"):
        measure(tmp_path, "top", library)


def test_a_netlist_without_cells_takes_none(tmp_path: Path) -> None:
    write(tmp_path, {}, ["a"], ["a"])
    if sta.find_sta() is None:
        pytest.skip(f"OpenSTA is not installed ({sta.INSTALL})")
    energy = measure(tmp_path, "top", power(tmp_path))
    assert (energy.dynamic, energy.leakage, energy.cycles) == (0, 0, 0)


def on_osu(text: str, folder: Path) -> Library:
    assert OSU is not None
    synthesize_text(text, "top", liberty=OSU, workdir=folder)
    return load_library(OSU, folder)


def asked(folder: Path, library: Library, clock: str | None, period: float = 1000) -> Conditions:
    program = sta.find_sta()
    assert program is not None
    return conditions.ask(program, "top", library.path, clock, folder, Budget(limit_s=60), lambda _: None, period)


@needs_sta
@needs_osu
@pytest.mark.parametrize(("verilog", "clock"), [(designs.MULTIPLIER, None), (designs.REGISTERS, "clk")])
def test_loads_are_what_opensta_has_for_its_power_at_any_period(
    tmp_path: Path, verilog: str, clock: str | None
) -> None:
    library = on_osu(verilog, tmp_path)
    found, other = (asked(tmp_path, library, clock, period) for period in (1000, 10))
    assert (found.slews, found.loads, found.leakage) == (other.slews, other.loads, other.leakage)
    # OpenSTA computes in single precision and prints nine digits.
    assert found.switching == fJ(other.switching, rel=1e-6)
    assert found.switching == fJ(sum(found.loads.values()) * 1.8**2 / 2, rel=1e-6)
    circuit = Circuit(tmp_path / "netlist.json", "top", library)
    gates = {f"{name}/{pin}" for cells in circuit.cells.values() for name in cells.names for pin in cells.pins}
    assert set(found.loads) <= gates
    assert gates <= set(found.slews)
    # The cells of this library have one figure each, in nW.
    text = library.path.read_text()
    leakage = dict(re.findall(r"\ncell \((\w+)\) \{[^{}]*cell_leakage_power : ([\d.]+)", text))
    total = sum(float(leakage[cells.cell.name]) * len(cells.names) for cells in circuit.cells.values())
    assert found.leakage == fJ(total * 1e-9, rel=1e-6)


@needs_sta
@needs_osu
def test_an_inverter_is_what_opensta_says_but_for_its_factor_of_two(tmp_path: Path) -> None:
    """OpenSTA 2.0.17 adds the energies of a rise and of a fall for every change."""
    energy = measure(tmp_path, "top", on_osu(designs.INVERT, tmp_path), vectors=stream(a="0101010"))
    said: list[str] = []
    command = [str(sta.find_sta()), "-no_init", "-no_splash", "-exit", "energy.tcl"]
    budget = Budget(limit_s=60)
    run_program(command, cwd=tmp_path, env=os.environ, budget=budget, doing=lambda: "asking", on_line=said.append)
    # W where every net changes once in 1000 ns.
    total = next(line.split() for line in said if line.startswith("Total"))
    internal, switching = (float(word) * 1e-6 for word in total[1:3])
    assert (energy.cycles, energy.switching) == (6, fJ(switching, rel=1e-6))
    assert internal == fJ(2 * energy.internal, rel=1e-5)


@needs_sta
@needs_osu
def test_energy_of_units(tmp_path: Path) -> None:
    """More bits take more, a still input takes nothing, and registers take energy at rest."""

    def of(*settings: str, still: bool) -> Energy:
        folder = tmp_path / "_".join(settings)
        library = on_osu(emit(build("popcount", settings), "top"), folder)
        vectors = random_vectors(Circuit(folder / "netlist.json", "top", library))
        chosen = {port: bits & False for port, bits in vectors.items()} if still else None
        return measure(folder, "top", library, vectors=chosen)

    small, large, piped = (of(*settings, still=False) for settings in (["n=8"], ["n=32"], ["n=8", "stages=1"]))
    assert (small.cycles, piped.cycles) == (63 * 64, 47 * 64)
    assert large.dynamic > 3 * small.dynamic
    quiet = of("n=8", still=True)
    assert quiet.dynamic == 0
    assert quiet.leakage == small.leakage > 0
    assert 0 < of("n=8", "stages=1", still=True).dynamic < piped.dynamic
