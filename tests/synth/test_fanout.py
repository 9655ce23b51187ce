"""Buffers on nets that many cells read."""

import json
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


def test_where_only_overloaded_nets_count(library: Library) -> None:
    """An inverter that may drive 20 flip-flops keeps 20, and not 21; one that may drive any number keeps all."""
    flip_flop, inverter = replace(library.cells["DFF"], load=1.0), replace(library.cells["INV"], max_load=20.0)
    limited = replace(library, cells={**library.cells, "DFF": flip_flop, "INV": inverter})
    assert buffer_fanout(fan(20), limited, overloaded=True) == 0
    assert buffer_fanout(fan(20), limited) > 0
    module = fan(21)
    assert buffer_fanout(module, limited, overloaded=True) > 0
    assert max(fanout(module).values()) <= LIMIT
    assert buffer_fanout(fan(500), library, overloaded=True) == 0
