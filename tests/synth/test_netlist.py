"""The longest path over a JSON netlist, against paths counted by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from synth.errors import SynthError
from synth.netlist import Gate, Netlist


def cell(kind: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> dict[str, Any]:
    directions = {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")}
    connections = {pin: [net] for pin, net in {**inputs, **outputs}.items()}
    return {"type": kind, "port_directions": directions, "connections": connections}


def netlist(folder: Path, cells: dict[str, Any], *, names: dict[str, int] | None = None) -> Netlist:
    """Ports: inputs a, b on nets 2, 3 and clk on 4, output y[1:0] on nets 10, 11."""
    ports = {
        "a": {"direction": "input", "bits": [2]},
        "b": {"direction": "input", "bits": [3]},
        "clk": {"direction": "input", "bits": [4]},
        "y": {"direction": "output", "bits": [10, 11]},
    }
    nets = {name: {"hide_name": 0, "bits": [bit]} for name, bit in (names or {}).items()}
    module = {
        "ports": ports,
        "cells": cells,
        "netnames": {**{n: {**p, "hide_name": 0} for n, p in ports.items()}, **nets},
    }
    path = folder / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": module}}))
    return Netlist(path, "top")


def longest(found: Netlist) -> tuple[float, list[tuple[str, str, float]]]:
    """GATE takes 1, SLOW 5; REG takes 2 from its clock and needs 0.5."""
    times = {"GATE": 1.0, "SLOW": 5.0, "REG": 2.0, "TWO": 1.0}

    def setup(gate: Gate) -> float | None:
        return 0.5 if gate.type == "REG" else None

    length, path = found.longest_path(delay=lambda gate: times[gate.type], setup=setup)
    return length, [(point.name, point.cell, point.arrival) for point in path]


def test_port_to_port(tmp_path: Path) -> None:
    cells = {
        "u": cell("GATE", {"A": 2, "B": "1"}, {"Y": 5}),
        "v": cell("SLOW", {"A": 3}, {"Y": 6}),
        "w": cell("TWO", {"A": 5, "B": 6}, {"Y": 10, "Z": 11}),
    }
    want = [
        ("b", "input port", 0.0),
        ("v/Y", "SLOW", 5.0),
        ("y[0]", "TWO", 6.0),
        ("y[0]", "output port", 6.0),
    ]
    assert longest(netlist(tmp_path, cells)) == (6.0, want)


def test_register_to_register(tmp_path: Path) -> None:
    cells = {
        "r": cell("REG", {"D": 7, "CK": 4}, {"Q": 5}),
        "u": cell("GATE", {"A": 5}, {"Y": 6}),
        "v": cell("GATE", {"A": 6}, {"Y": 7}),
        "o": cell("GATE", {"A": 2}, {"Y": 10}),
    }
    want = [("acc", "REG", 2.0), ("u/Y", "GATE", 3.0), ("next", "GATE", 4.0), ("acc", "REG", 4.0)]
    assert longest(netlist(tmp_path, cells, names={"acc": 5, "_6_": 6, "_7_[1]": 6, "next": 7, "longer.next": 7})) == (
        4.5,
        want,
    )


def test_nothing_between_ports(tmp_path: Path) -> None:
    assert longest(netlist(tmp_path, {})) == (0.0, [])


def test_a_long_chain_needs_no_recursion(tmp_path: Path) -> None:
    length = 20_000
    nets = [2, *range(100, 100 + length - 1), 10]
    cells = {f"u{i}": cell("GATE", {"A": nets[i]}, {"Y": nets[i + 1]}) for i in reversed(range(length))}
    found, path = longest(netlist(tmp_path, cells))
    assert (found, len(path)) == (length, length + 2)


def test_loop_is_refused_with_a_name(tmp_path: Path) -> None:
    cells = {
        "u": cell("GATE", {"A": 2, "B": 7}, {"Y": 6}),
        "v": cell("GATE", {"A": 6}, {"Y": 7}),
        "after": cell("GATE", {"A": 7}, {"Y": 10}),
    }
    with pytest.raises(SynthError, match="Design must have no combinational loop, not one through 'round'"):
        longest(netlist(tmp_path, cells, names={"round": 6}))
    # A register in it makes it a loop that is allowed.
    cells["v"] = cell("REG", {"D": 6, "CK": 4}, {"Q": 7})
    assert longest(netlist(tmp_path, cells))[0] == 3.5


def test_cell_that_nothing_describes_is_refused(tmp_path: Path) -> None:
    unknown = {"type": "MYSTERY", "connections": {"A": [2], "Y": [10]}}
    with pytest.raises(SynthError, match="must be cells of the library, not 'MYSTERY'"):
        netlist(tmp_path, {"u": unknown})


def test_counts(tmp_path: Path) -> None:
    cells = {name: cell("GATE", {"A": 2}, {"Y": net}) for name, net in [("u", 10), ("v", 11)]}
    cells["w"] = cell("SLOW", {"A": 2}, {"Y": 12})
    assert list(netlist(tmp_path, cells).counts().items()) == [("GATE", 2), ("SLOW", 1)]
