"""Liberty files: what is read from one, what is refused, and that generic.lib says what its comment says."""

import gzip
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from synth.boolean import truth_table
from synth.errors import SynthError
from synth.liberty import GENERIC, find_liberty, load_library
from synth.plan import Step
from synth.process import Budget
from synth.yosys import YosysError, run_plan
from tests.synth.designs import write

# Function of each combinational cell in Verilog, and the transistors of its static CMOS circuit.
CELLS = {
    "INV": ("!A", 2),
    "BUF": ("A", 4),
    "NAND2": ("!(A && B)", 4),
    "NOR2": ("!(A || B)", 4),
    "NAND3": ("!(A && B && C)", 6),
    "NOR3": ("!(A || B || C)", 6),
    "AND2": ("A && B", 6),
    "OR2": ("A || B", 6),
    "AOI21": ("!((A && B) || C)", 6),
    "OAI21": ("!((A || B) && C)", 6),
    "AOI22": ("!((A && B) || (C && D))", 8),
    "OAI22": ("!((A || B) && (C || D))", 8),
    "XOR2": ("A != B", 10),
    "XNOR2": ("A == B", 10),
    "MUX2": ("S ? B : A", 12),
}

ADDER = """
library (adders) {{
  cell ("FULL") {{
    area : {area};
    {extra}
    pin (P) {{ direction : input; }} pin (Q) {{ direction : input; }} pin (R) {{ direction : "input"; }}
    pin (S) {{ direction : output; function : "{total}"; }}
    pin (CO) {{ direction : output; function : "{carry}"; }}
  }}
}}
"""
SUM, CARRY = "(P^Q)^R", "(P Q)+(P R)+(Q R)"


def prove_cells(library: Path, folder: Path) -> None:
    """Yosys reads the library and its SAT solver compares every combinational cell with CELLS."""
    verilog = []
    commands = ['read_verilog "cells.v"', f'read_liberty "{library}"']
    for name, (function, _) in CELLS.items():
        pins = sorted({letter for letter in function if letter.isalpha()})
        verilog.append(f"module want_{name} (input {', '.join(pins)}, output Y); assign Y = {function}; endmodule")
        commands.append(f"miter -equiv -flatten want_{name} {name} miter_{name}")
        commands.append(f"sat -verify -prove trigger 0 miter_{name}")
    write(folder, "\n".join(verilog), "cells.v")
    run_plan(
        [Step(doing="comparing", commands=[*commands, "write_json cells.json"])],
        folder,
        Budget(limit_s=60),
        print,
    )


def test_generic_cells_do_what_they_are_called(tmp_path: Path) -> None:
    prove_cells(GENERIC, tmp_path)


@pytest.mark.parametrize(
    ("right", "wrong"), [('"!(A & B)"', '"A & B"'), ('"(A & !S) | (B & S)"', '"(B & !S) | (A & S)"')]
)
def test_a_wrong_generic_cell_is_found(tmp_path: Path, right: str, wrong: str) -> None:
    text = GENERIC.read_text()
    assert right in text
    with pytest.raises(YosysError, match="proof did fail"):
        prove_cells(write(tmp_path, text.replace(right, wrong), "wrong.lib"), tmp_path)


def test_generic_areas_and_delays_follow_the_convention(tmp_path: Path) -> None:
    library = load_library(GENERIC, tmp_path)
    assert set(library.cells) == {*CELLS, "DFF"}
    assert library.name == "generic"
    for name, (_, transistors) in CELLS.items():
        cell = library.cells[name]
        assert (cell.area, cell.sequential, cell.setup) == (transistors / 4, False, None), name
        assert cell.delay == (2 if name in {"XOR2", "XNOR2", "MUX2"} else 1), name
    flip_flop = library.cells["DFF"]
    assert (flip_flop.area, flip_flop.sequential, flip_flop.clock) == (6, True, "CK")
    assert flip_flop.flip_flop is not None
    assert (flip_flop.flip_flop.next, flip_flop.flip_flop.clear) == ("D", "0")
    assert (flip_flop.delay, flip_flop.setup) == (1, 1)


FUNCTIONS: list[tuple[str, Callable[[bool, bool, bool], bool]]] = [
    ("a b c", lambda a, b, c: a and b and c),
    ("a*b+c", lambda a, b, c: (a and b) or c),
    ("a&b|c", lambda a, b, c: (a and b) or c),
    ("a|b&c", lambda a, b, c: a or (b and c)),
    ("a^b c", lambda a, b, c: (a != b) and c),
    ("!a'+b c'", lambda a, b, c: a or (b and not c)),
    ("(a+b)' ^ !c", lambda a, b, c: (not (a or b)) != (not c)),
    ("!(a b) 1 + c 0", lambda a, b, c: not (a and b)),
    ("((a))(!b)c", lambda a, b, c: a and not b and c),
]


@pytest.mark.parametrize(("function", "want"), FUNCTIONS)
def test_liberty_functions(function: str, want: Callable[[bool, bool, bool], bool]) -> None:
    rows = itertools.product((False, True), repeat=3)
    assert truth_table(function, ["a", "b", "c"]) == tuple(bool(want(*row)) for row in rows)


@pytest.mark.parametrize("function", ["a d", "a &", "", "a @ b", "(a", "IQ"])
def test_what_is_no_liberty_function(function: str) -> None:
    assert truth_table(function, ["a", "b", "c"]) is None


def adders(folder: Path, *, total: str = SUM, carry: str = CARRY, extra: str = "", area: str = "4") -> Path:
    return write(folder, ADDER.format(total=total, carry=carry, extra=extra, area=area), "adders.lib")


def test_full_adder_cell_is_found_by_its_function(tmp_path: Path) -> None:
    cell = load_library(adders(tmp_path), tmp_path).full_adder
    assert cell is not None
    assert (cell.cell, cell.inputs, cell.sum, cell.carry) == ("FULL", ("P", "Q", "R"), "S", "CO")
    swapped = load_library(adders(tmp_path, total=CARRY, carry=SUM), tmp_path).full_adder
    assert swapped is not None
    assert (swapped.sum, swapped.carry) == ("CO", "S")


@pytest.mark.parametrize("change", [{"total": f"!({SUM})"}, {"carry": "P Q R"}, {"extra": "dont_use : true;"}])
def test_what_is_no_full_adder_cell(tmp_path: Path, change: dict[str, str]) -> None:
    assert load_library(adders(tmp_path, **change), tmp_path).full_adder is None


def test_compressed_library_reads_like_plain_one(tmp_path: Path) -> None:
    packed = tmp_path / "generic.lib.gz"
    packed.write_bytes(gzip.compress(GENERIC.read_bytes()))
    library = load_library(packed, tmp_path)
    assert library.path.read_bytes() == GENERIC.read_bytes()
    assert library.cells == load_library(GENERIC, tmp_path).cells


def test_what_is_no_liberty_file(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.lib.gz"
    damaged.write_bytes(gzip.compress(GENERIC.read_bytes())[:-100])
    garbled = tmp_path / "garbled.lib.gz"
    garbled.write_bytes(b"\x1f\x8b" + bytes(100))
    scrambled = tmp_path / "scrambled.lib.gz"
    scrambled.write_bytes(gzip.compress(GENERIC.read_bytes())[:10] + b"\xff" * 100)
    bad = {
        tmp_path / "absent.lib": "must be an existing file, not",
        tmp_path: "must be an existing file, not",
        damaged: "must be readable, not",
        garbled: "must be readable, not",
        scrambled: "must be readable, not",
        write(tmp_path, "module top; endmodule\n", "design.v"): "must be a Liberty cell library, not",
        write(tmp_path, "library (empty) {}\n", "empty.lib"): "must be a Liberty cell library, not",
        write(tmp_path, "/* library (a) {\n cell (b) { */", "comment.lib"): "must be a Liberty cell library, not",
    }
    for path, message in bad.items():
        with pytest.raises(SynthError, match=message) as caught:
            load_library(path, tmp_path)
        assert repr(str(path)) in str(caught.value)
    with pytest.raises(SynthError, match=r"Area of cell FULL in .* must be a number, not 'e4'"):
        load_library(adders(tmp_path, area="e4"), tmp_path)


def test_find_liberty_is_a_library_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.liberty.OSU018", tmp_path / "absent.lib")
    assert find_liberty() is None
    monkeypatch.setattr("synth.liberty.OSU018", GENERIC)
    assert find_liberty() == GENERIC
