"""Adders of a netlist: what is simplified computes the same, and only what a cell is worth stays an adder."""

import copy
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtl.verilog import emit
from synth.adders import map_adders, simplify_adders
from synth.flow import synthesize
from synth.liberty import Adder
from synth.registry import build
from tests.synth.designs import write
from tests.synth.test_flow import OSU, needs_osu

Module = dict[str, Any]
PINS = {
    "full_adder": {"a": "input", "b": "input", "c": "input", "sum": "output", "carry": "output"},
    "half_adder": {"a": "input", "b": "input", "sum": "output", "carry": "output"},
    "$fa": {"A": "input", "B": "input", "C": "input", "X": "output", "Y": "output"},
}
GATES = {
    "$_XOR_": lambda a, b: a ^ b,
    "$_XNOR_": lambda a, b: 1 - (a ^ b),
    "$_AND_": lambda a, b: a & b,
    "$_OR_": lambda a, b: a | b,
    "$_NOT_": lambda a: 1 - a,
}
INPUTS = [2, 3, 4, 5]


def module(adders: list[tuple[str, list[Any]]], outputs: list[int]) -> Module:
    """Adders of these types and inputs; the n-th has its sum on net 10 + 2n and its carry on 11 + 2n."""
    cells = {}
    for number, (kind, inputs) in enumerate(adders):
        total, carry = 10 + 2 * number, 11 + 2 * number
        outs = [carry, total] if kind == "$fa" else [total, carry]
        nets = dict(zip(PINS[kind], [*inputs, *outs], strict=True))
        cells[f"u{number}"] = {
            "type": kind,
            "parameters": {},
            "port_directions": PINS[kind],
            "connections": {pin: [net] for pin, net in nets.items()},
        }
    ports = {"x": {"direction": "input", "bits": INPUTS}, "y": {"direction": "output", "bits": outputs}}
    nets = {"x": {"bits": INPUTS}, "all": {"bits": list(range(10, 10 + 2 * len(adders)))}}
    return {"ports": ports, "cells": cells, "netnames": nets}


def compute(found: Module, inputs: tuple[int, ...]) -> list[int]:
    value: dict[Any, int] = {"0": 0, "1": 1, **dict(zip(INPUTS, inputs, strict=True))}
    waiting = list(found["cells"].values())
    while waiting:
        cell = waiting.pop(0)
        nets = {pin: bits[0] for pin, bits in cell["connections"].items()}
        ins = [nets[pin] for pin, way in cell["port_directions"].items() if way == "input"]
        if any(net not in value for net in ins):
            waiting.append(cell)
            continue
        bits = [value[net] for net in ins]
        if cell["type"] in PINS:
            carry, total = divmod(sum(bits), 2)
            value[nets["X" if cell["type"] == "$fa" else "carry"]] = carry
            value[nets["Y" if cell["type"] == "$fa" else "sum"]] = total
        else:
            value[nets["Y"]] = GATES[cell["type"]](*bits)
    return [value[bit] for bit in found["ports"]["y"]["bits"]]


@st.composite
def modules(draw: st.DrawFn) -> Module:
    """Adders on earlier nets and constants, often the same ones."""
    count = draw(st.integers(1, 6))
    adders = []
    for number in range(count):
        kind = draw(st.sampled_from(list(PINS)))
        nets = st.sampled_from(["0", "1", *INPUTS, *range(10, 10 + 2 * number)])
        adders.append(
            (kind, draw(st.lists(nets, min_size=2 + (kind != "half_adder"), max_size=2 + (kind != "half_adder"))))
        )
    outputs = draw(st.lists(st.integers(10, 9 + 2 * count), min_size=1, max_size=4))
    return module(adders, outputs)


@given(modules())
def test_simplified_adders_compute_the_same(before: Module) -> None:
    after = copy.deepcopy(before)
    simplify_adders(after)
    for inputs in itertools.product((0, 1), repeat=len(INPUTS)):
        assert compute(after, inputs) == compute(before, inputs)
    read = list(after["ports"]["y"]["bits"])
    for cell in after["cells"].values():
        read += [bits[0] for pin, bits in cell["connections"].items() if cell["port_directions"][pin] == "input"]
    left = [cell for cell in after["cells"].values() if cell["type"] in PINS]
    inputs_of = []
    for cell in left:
        assert cell["type"] != "half_adder"
        nets = [bits[0] for pin, bits in cell["connections"].items() if cell["port_directions"][pin] == "input"]
        assert len({net for net in nets if isinstance(net, int)}) == 3
        assert all(
            bits[0] in read for pin, bits in cell["connections"].items() if cell["port_directions"][pin] == "output"
        )
        inputs_of.append(frozenset(nets))
    assert len(set(inputs_of)) == len(inputs_of)
    assert not simplify_adders(after)


def test_what_becomes_of_an_adder() -> None:
    def kinds(inputs: list[Any], outputs: list[int]) -> list[str]:
        found = module([("full_adder", inputs)], outputs)
        simplify_adders(found)
        return sorted(cell["type"] for cell in found["cells"].values())

    assert kinds([2, 3, 4], [10, 11]) == ["full_adder"]
    assert kinds([2, 3, 4], [10]) == ["$_XOR_", "$_XOR_"]
    assert kinds([2, 3, 4], [11]) == ["$_AND_", "$_AND_", "$_OR_", "$_OR_"]
    assert kinds([2, "0", 4], [10, 11]) == ["$_AND_", "$_XOR_"]
    assert kinds([2, 3, "1"], [10, 11]) == ["$_OR_", "$_XNOR_"]
    assert kinds(["1", "0", 4], [10, 11]) == ["$_NOT_"]
    assert kinds([3, 3, 4], [10, 11]) == []


def test_adders_become_the_cell_of_the_library() -> None:
    found = module([("full_adder", [2, 3, 4]), ("$fa", [3, 4, 5])], [10, 11, 12, 13])
    assert map_adders(found, Adder(cell="FA", inputs=("P", "Q", "R"), sum="S", carry="CO")) == 2
    assert found["cells"]["u0"]["connections"] == {"P": [2], "Q": [3], "R": [4], "S": [10], "CO": [11]}
    assert found["cells"]["u1"]["connections"] == {"P": [3], "Q": [4], "R": [5], "S": [12], "CO": [13]}
    assert found["cells"]["u1"]["port_directions"]["S"] == "output"


FULL_ADDER = """\
module full_adder (input a, input b, input c, output sum, output carry);
  assign sum = a ^ b ^ c, carry = (a & b) | (c & (a ^ b));
endmodule
"""
# Nine bits: the third adder has a constant, the fourth repeats the first, the carry of the last is not used.
INSTANCES = """\
module top (input [8:0] x, output [5:0] y);
  wire p, q, r, s, t, u, v, w;
  full_adder one (x[0], x[1], x[2], p, q);
  full_adder two (x[3], x[4], x[5], r, s);
  full_adder three (x[6], 1'b1, x[7], t, u);
  full_adder four (x[2], x[0], x[1], v, w);
  full_adder five (p, r, t, y[0], y[1]);
  full_adder six (q, s, u, y[2], );
  assign y[5:3] = {v, w, x[8]};
endmodule
"""
# A constant that shows only after a round of simplifying, so that there is a second one: a & ~a in the middle.
ROUNDS = """\
module top (input [5:0] x, output [5:0] y);
  wire p, q, r, s, t, u, v;
  full_adder one (x[0], x[0], x[1], p, q);
  full_adder two (x[2], x[3], (p ^ x[1]) & x[5], r, s);
  full_adder three (r, s, x[4], t, u);
  assign y = {x[4] ^ x[5] & ~x[0], ~(x[3] | x[5] & x[0]), t, u, r, s};
endmodule
"""
OTHER = """\
module full_adder (input x, input y, input z, output s, output c);
  assign s = x ^ y ^ z, c = (x & y) | (z & (x ^ y));
endmodule
module top (input [2:0] x, output [1:0] y); full_adder u (x[0], x[1], x[2], y[0], y[1]); endmodule
"""


@needs_osu
def test_instances_become_cells(tmp_path: Path) -> None:
    report = synthesize([write(tmp_path, FULL_ADDER + INSTANCES)], "top", liberty=OSU, workdir=tmp_path / "work")
    assert report.cells["FAX1"] == 3
    assert any("FAX1" in note for note in report.notes)
    # Their names are those of the source.
    names = re.findall(r"FAX1 (\w+) \(", (tmp_path / "work" / "netlist.v").read_text())
    assert set(names) in ({"one", "two", "five"}, {"four", "two", "five"})
    assert any(point[0] in {"p", "q", "r", "s", "y[0]", "y[1]"} for point in report.critical_path)


@needs_osu
def test_constants_behind_adders_are_followed(tmp_path: Path) -> None:
    report = synthesize([write(tmp_path, FULL_ADDER + ROUNDS)], "top", liberty=OSU, workdir=tmp_path / "work")
    assert "mapped_adders_0.json" in (tmp_path / "work" / "yosys.log").read_text()
    # p is x[1], so the second adder has a 0 there; only the third is left.
    assert report.cells.get("FAX1", 0) <= 1


@needs_osu
@pytest.mark.parametrize(("text", "top"), [(OTHER, "top"), (FULL_ADDER, "full_adder")])
def test_other_modules_of_that_name_are_logic(tmp_path: Path, text: str, top: str) -> None:
    report = synthesize([write(tmp_path, text)], top, liberty=OSU)
    assert report.cells.get("FAX1", 0) <= 1
    assert report.equivalence


NANGATE = Path(__file__).resolve().parents[3] / "shared" / "data" / "liberty" / "nangate45_typ.lib.gz"


@pytest.mark.skipif(not NANGATE.is_file(), reason=f"the Nangate 45 nm library is not at {NANGATE}")
def test_popcount_of_the_generator_on_nangate(tmp_path: Path) -> None:
    """120 full-adder cells; the seven half adders are gates."""
    verilog = write(tmp_path, emit(build("popcount", ["n=128"]), "top"))
    report = synthesize([verilog], "top", liberty=NANGATE)
    assert report.cells["FA_X1"] == 120
    assert report.area < 560
    assert any(cell == "FA_X1" and not point.startswith("_") for point, cell, _ in report.critical_path)


@needs_osu
def test_names_of_two_runs_of_yosys_do_not_meet(tmp_path: Path) -> None:
    """Simplified adders go through a second Yosys; Amaranth has names such as _12_ too."""
    report = synthesize([write(tmp_path, emit(build("adder_tree"), "top"))], "top", liberty=OSU)
    assert report.cells["FAX1"] > 50
