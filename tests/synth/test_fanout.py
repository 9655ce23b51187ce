"""Buffers on nets that many cells read."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synth.fanout import LIMIT, buffer_fanout
from synth.liberty import GENERIC, Library, load_library


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return load_library(GENERIC, tmp_path)


def fan(readers: int, *, driver: bool = True) -> dict[str, Any]:
    """A net that so many flip-flops read, driven by an inverter or by a port; another inverter is their clock."""
    cells: dict[str, Any] = {
        "c": {
            "type": "INV",
            "port_directions": {"A": "input", "Y": "output"},
            "connections": {"A": [1], "Y": [3]},
        }
    }
    if driver:
        cells["u"] = {
            "type": "INV",
            "port_directions": {"A": "input", "Y": "output"},
            "connections": {"A": [2], "Y": [4]},
        }
    for number in range(readers):
        cells[f"r{number}"] = {
            "type": "DFF",
            "port_directions": {"D": "input", "CK": "input", "Q": "output"},
            "connections": {"D": [4 if driver else 2], "CK": [3], "Q": [10 + number]},
        }
    ports = {
        "a": {"direction": "input", "bits": [2]},
        "clk": {"direction": "input", "bits": [1]},
        "y": {"direction": "output", "bits": [4]},
    }
    return {"ports": ports, "cells": cells, "netnames": {"far": {"bits": [5000]}}}


def fanout(module: dict[str, Any]) -> dict[int, int]:
    count: dict[int, int] = {}
    for cell in module["cells"].values():
        for pin, (bit,) in cell["connections"].items():
            if cell["port_directions"][pin] == "input" and pin != "CK":
                count[bit] = count.get(bit, 0) + 1
    return count


def depth(module: dict[str, Any], net: int) -> int:
    """Buffers between net 4 and another."""
    steps = 0
    drivers = {cell["connections"]["Y"][0]: cell for cell in module["cells"].values() if cell["type"] == "BUF"}
    while net != 4:
        net = drivers[net]["connections"]["A"][0]
        steps += 1
    return steps


@pytest.mark.parametrize("readers", [LIMIT + 1, 5 * LIMIT, LIMIT**2, LIMIT**2 + 1, 700])
def test_no_net_has_more_readers_than_the_limit(library: Library, readers: int) -> None:
    module = fan(readers)
    added = buffer_fanout(module, library)
    assert added == sum(cell["type"] == "BUF" for cell in module["cells"].values()) > 0
    assert max(fanout(module).values()) <= LIMIT
    depths = {depth(module, module["cells"][f"r{n}"]["connections"]["D"][0]) for n in range(readers)}
    assert len(depths) == 1
    assert all(module["cells"][f"r{n}"]["connections"]["CK"] == [3] for n in range(readers))
    assert module["ports"]["y"]["bits"] == [4]
    assert 5000 not in fanout(module)


def test_what_is_left_alone(library: Library) -> None:
    for module in (fan(LIMIT), fan(500, driver=False)):
        before = json.dumps(module)
        assert buffer_fanout(module, library) == 0
        assert json.dumps(module) == before


@pytest.mark.parametrize(("readers", "most"), [(21, 20.0), (6, 5.0), (12, 1.5), (700, 3.0)])
def test_where_only_overloaded_nets_count(library: Library, readers: int, most: float) -> None:
    """An inverter that may drive so many loads gets buffers when it has more, and none otherwise."""
    limited = with_loads(library, INV=most, BUF=15.0)
    module = fan(readers)
    assert buffer_fanout(module, limited, overloaded=True) > 0
    assert all(load <= limited.cells[cell].max_load for cell, load in loads(module, limited))
    assert buffer_fanout(fan(int(most)), limited, overloaded=True) == 0
    assert buffer_fanout(fan(500), library, overloaded=True) == 0


def test_heavy_readers_share_a_buffer_by_their_load(library: Library) -> None:
    limited = with_loads(library, INV=20.0, BUF=3.0)
    module = fan(30)
    buffer_fanout(module, limited)
    assert all(load <= limited.cells[cell].max_load for cell, load in loads(module, limited))


def test_a_net_that_no_buffer_can_help_is_left_alone(library: Library) -> None:
    """One reader asks too much: a buffer before it would ask as much."""
    assert buffer_fanout(fan(1), with_loads(library, INV=0.5, BUF=15.0), overloaded=True) == 0


def with_loads(library: Library, **most: float) -> Library:
    """Every input asks 1; what cells may drive."""
    cells = {name: replace(cell, load=1.0, max_load=most.get(name, math.inf)) for name, cell in library.cells.items()}
    return replace(library, cells=cells, buffers=[cells[cell.name] for cell in library.buffers])


def loads(module: dict[str, Any], library: Library) -> list[tuple[str, float]]:
    """The type of each cell, and what it drives."""
    found = []
    for cell in module["cells"].values():
        outputs = [bits[0] for pin, bits in cell["connections"].items() if cell["port_directions"][pin] == "output"]
        for net in outputs:
            found.append((cell["type"], library.cells[cell["type"]].load * fanout(module).get(net, 0)))
    return found
