"""OpenSTA: its report is read or refused, and it agrees with our own longest path where both can tell."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from synth import sta
from synth.abc_scripts import Effort
from synth.errors import SynthError
from synth.flow import synthesize
from synth.liberty import GENERIC
from synth.netlist import Netlist
from tests.needs import needs_sta
from tests.synth import designs
from tests.synth.designs import write

REPORT = """\
Startpoint: _1_ (rising edge-triggered flip-flop clocked by clock)
Endpoint: _3_ (rising edge-triggered flip-flop clocked by clock)
Path Group: clock
Path Type: max

   Delay     Time   Description
---------------------------------------------------
0.000000 0.000000   clock clock (rise edge)
0.000000 0.000000   clock network delay (ideal)
0.000000 0.000000 ^ _1_/CK (DFF)
0.250000 0.250000 v _1_/Q (DFF)
0.500000 0.750000 ^ _2_/Y (NAND2)
0.000000 0.750000 ^ _3_/D (DFF)
         0.750000   data arrival time

1000.000000 1000.000000   clock clock (rise edge)
            1000.000000 ^ _3_/CK (DFF)
  -0.125000  999.875000   library setup time
             999.875000   data required time
---------------------------------------------------
             999.875000   data required time
              -0.750000   data arrival time
---------------------------------------------------
             999.125000   slack (MET)
"""
TO_PORT = """\
Startpoint: x[0] (input port clocked by clock)
Endpoint: y (output port clocked by clock)

0.000000 0.000000 ^ input external delay
0.000000 0.000000 ^ x[0] (in)
{delay} {delay} ^ y (out)
         {delay}   data arrival time
"""


@pytest.fixture
def netlist(tmp_path: Path) -> Netlist:
    def cell(kind: str, pins: dict[str, int], output: str) -> dict[str, object]:
        directions = {pin: "output" if pin == output else "input" for pin in pins}
        return {"type": kind, "port_directions": directions, "connections": {p: [n] for p, n in pins.items()}}

    cells = {
        "_1_": cell("DFF", {"CK": 2, "D": 5, "Q": 3}, "Q"),
        "_2_": cell("NAND2", {"A": 3, "B": 3, "Y": 4}, "Y"),
        "_3_": cell("DFF", {"CK": 2, "D": 4, "Q": 5}, "Q"),
    }
    names = {"state": {"hide_name": 0, "bits": [3]}, "sum": {"hide_name": 0, "bits": [5]}}
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"ports": {}, "cells": cells, "netnames": names}}}))
    return Netlist(path, "top")


def test_report_of_a_register_path(netlist: Netlist) -> None:
    timing = sta.parse_report(REPORT.splitlines(), netlist)
    assert timing.delay == 0.875
    points = [(point.name, point.cell, point.arrival) for point in timing.path]
    assert points == [("state", "DFF", 0.25), ("_2_/Y", "NAND2", 0.75), ("sum", "DFF", 0.75)]


@pytest.mark.parametrize(("delay", "cell"), [("0.800000", "DFF"), ("0.900000", "output port")])
def test_longest_of_several_groups_counts(netlist: Netlist, delay: str, cell: str) -> None:
    timing = sta.parse_report((REPORT + TO_PORT.format(delay=delay)).splitlines(), netlist)
    assert timing.delay == max(0.875, float(delay))
    assert timing.path[-1].cell == cell


def test_no_path_is_no_delay(netlist: Netlist) -> None:
    assert sta.parse_report(["No paths found."], netlist) == sta.Timing(delay=0.0, path=[])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "must report a path, not"),
        (lambda text: text.replace("data arrival", "arrival"), "with a data arrival time"),
        (lambda text: text.replace("library setup", "setup"), "setup time for a path into a register"),
        (lambda text: text.replace(" (DFF)", "").replace(" (NAND2)", ""), "with a data arrival time"),
    ],
)
def test_report_that_cannot_be_read_is_refused(netlist: Netlist, damage: Callable[[str], str], message: str) -> None:
    with pytest.raises(SynthError, match=message):
        sta.parse_report(damage(REPORT).splitlines(), netlist)


@needs_sta
@pytest.mark.parametrize("effort", ["area", "speed"])
@pytest.mark.parametrize("design", ["NAND", "WIRE", "PARITY", "ADDER", "REGISTERS", "COUNTER", "MULTIPLIER"])
def test_opensta_and_our_longest_path_agree(tmp_path: Path, design: str, effort: Effort) -> None:
    """generic.lib has one unit written as 1 ns, so that both must find the same number."""
    verilog = write(tmp_path, getattr(designs, design))
    ours = synthesize([verilog], "top", effort=effort)
    theirs = synthesize([verilog], "top", effort=effort, liberty=GENERIC)
    assert ours.delay == pytest.approx(theirs.delay, abs=1e-3)
    assert (ours.delay_unit, theirs.delay_unit) == ("gate delays", "ns")
    assert theirs.delay_source == f"OpenSTA {theirs.tools['opensta']}"
    assert (theirs.area, theirs.cells) == (ours.area, ours.cells)
    if ours.critical_path and design in {"NAND", "REGISTERS"}:
        # The two inputs of the gate are equally late.
        assert theirs.critical_path[1:] == ours.critical_path[1:]
        assert theirs.critical_path[0][1:] == ours.critical_path[0][1:]


@needs_sta
def test_opensta_that_fails_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verilog = write(tmp_path, designs.NAND)
    monkeypatch.setattr(sta, "_SCRIPT", sta._SCRIPT.replace("link_design {top}", "link_design absent"))
    with pytest.raises(SynthError, match=r"^OpenSTA failed: Error: .*absent"):
        synthesize([verilog], "top", liberty=GENERIC)


def test_opensta_that_crashes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = write(tmp_path, "#!/bin/sh\nexit 7\n", "sta")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert shutil.which("sta") == str(fake)
    with pytest.raises(SynthError, match="OpenSTA failed: exit status 7"):
        synthesize([write(tmp_path, designs.NAND)], "top", liberty=GENERIC)


def test_without_opensta_the_report_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sta, "find_sta", lambda: None)
    report = synthesize([write(tmp_path, designs.REGISTERS)], "top", liberty=GENERIC)
    assert (report.delay, report.delay_source, report.critical_path) == (None, None, [])
    assert report.note is not None
    assert "OpenSTA is not installed" in report.note
    assert "apt-get install opensta" in report.note
    assert report.note in report.notes
    assert report.as_dict()["delay_ns"] is None
