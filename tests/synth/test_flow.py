"""Synthesis as a whole: known depths, cells and delays; equal netlists; every bad input; the time limit."""

import gzip
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from synth import plan, search
from synth.abc_scripts import Effort
from synth.flow import SynthError, find_liberty, synthesize
from synth.liberty import GENERIC, load_library
from synth.netlist import Netlist
from synth.process import Budget
from synth.yosys import YosysError
from tests.needs import needs_osu, needs_sta
from tests.synth import designs
from tests.synth.designs import prove_equal, renamed_generic, write

OSU = find_liberty()
MULTIPLIER_OF_BYTES = designs.MULTIPLIER.replace("15:0", "7:0").replace("31:0", "15:0")
EFFORTS: list[Effort] = ["area", "balanced", "speed"]


def test_one_nand(tmp_path: Path) -> None:
    report = synthesize([write(tmp_path, designs.NAND)], "top")
    assert report.cells == {"NAND2": 1}
    assert (report.area, report.area_unit) == (1.0, "NAND2 equivalents")
    assert (report.depth, report.sequential_cells) == (1, 0)
    assert (report.delay, report.delay_unit, report.delay_source) == (1.0, "gate delays", "unit gate delays")
    assert report.critical_path[1:] == [("y", "NAND2", 1.0), ("y", "output port", 1.0)]
    assert (report.top, report.library, report.effort) == ("top", "generic", "area")
    assert {"yosys", "abc"} <= set(report.tools)
    assert report.seconds > 0
    assert (report.note, report.notes) == (None, [])


def test_inverters_and_wires_add_no_depth(tmp_path: Path) -> None:
    inverter = synthesize([write(tmp_path, designs.INVERT)], "top")
    assert (inverter.cells, inverter.depth, inverter.delay, inverter.area) == ({"INV": 1}, 0, 1.0, 0.5)
    wire = synthesize([write(tmp_path, designs.WIRE)], "top")
    assert (wire.cells, wire.depth, wire.delay, wire.area) == ({}, 0, 0.0, 0.0)


@pytest.mark.parametrize("effort", EFFORTS)
def test_parity_is_three_xors_deep(tmp_path: Path, effort: Effort) -> None:
    report = synthesize([write(tmp_path, designs.PARITY)], "top", effort=effort)
    assert report.depth == 3
    assert report.delay is not None
    assert 3 < report.delay <= 3 * 2


@pytest.mark.parametrize("effort", EFFORTS)
def test_four_bit_adder(tmp_path: Path, effort: Effort) -> None:
    report = synthesize([write(tmp_path, designs.ADDER)], "top", effort=effort)
    # The carry out depends on eight bits: three two-input gates at least.  A ripple carry is seven deep
    # (one gate in the first bit, then two a bit); six is what a mapper for few levels finds.
    assert 3 <= report.depth <= 6
    # Four full adders of two XORs and three NANDs would be 32.
    assert 10 < report.area < (80 if effort == "speed" else 40)
    assert report.sequential_cells == 0


def test_register_to_register_path(tmp_path: Path) -> None:
    report = synthesize([write(tmp_path, designs.REGISTERS)], "top")
    assert report.cells == {"DFF": 3, "NAND2": 1}
    assert (report.sequential_cells, report.depth, report.area) == (3, 1, 3 * 6 + 1)
    # Clock to output 1, NAND2 1, setup 1.
    assert report.delay == 3.0
    (start, kind, at), (_, middle, then), end = report.critical_path
    assert start in {"first", "second"}
    assert (kind, at, middle, then) == ("DFF", 1.0, "NAND2", 2.0)
    assert end in {("last", "DFF", 2.0), ("q", "DFF", 2.0)}


def test_initial_values_are_dropped_and_resets_stay(tmp_path: Path) -> None:
    verilog = write(tmp_path, designs.COUNTER)
    report = synthesize([verilog], "top", workdir=tmp_path / "work")
    assert report.sequential_cells == report.cells["DFF"] == 4
    nets = json.loads((tmp_path / "work" / "netlist.json").read_text())["modules"]["top"]["netnames"]
    assert len([name for name in nets if name.startswith("count")]) == 4
    assert not any("init" in net["attributes"] for net in nets.values())
    prove_equal(verilog, tmp_path / "work" / "netlist.v", GENERIC, tmp_path / "proof")


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("design", ["WIRE", "PARITY", "ADDER", "REGISTERS", "COUNTER", "FULL_ADDERS"])
@pytest.mark.parametrize("library", ["generic", pytest.param("osu", marks=needs_osu)])
def test_netlist_does_what_the_verilog_does(tmp_path: Path, design: str, effort: Effort, library: str) -> None:
    verilog = write(tmp_path, getattr(designs, design))
    liberty = OSU if library == "osu" else None
    synthesize([verilog], "top", effort=effort, liberty=liberty, workdir=tmp_path / "work")
    prove_equal(verilog, tmp_path / "work" / "netlist.v", tmp_path / "work" / "library.lib", tmp_path / "proof")


@pytest.mark.parametrize(("right", "wrong"), [("count + 4'd3", "count + 4'd7"), ("if (rst)", "if (~rst)")])
def test_a_different_netlist_is_not_proved_equal(tmp_path: Path, right: str, wrong: str) -> None:
    synthesize([write(tmp_path, designs.COUNTER)], "top", workdir=tmp_path / "work")
    assert right in designs.COUNTER
    other = write(tmp_path, designs.COUNTER.replace(right, wrong), "other.v")
    with pytest.raises(YosysError, match="proof did fail"):
        prove_equal(other, tmp_path / "work" / "netlist.v", GENERIC, tmp_path / "proof")


def test_speed_is_faster_and_area_smaller(tmp_path: Path) -> None:
    verilog = write(tmp_path, MULTIPLIER_OF_BYTES)
    area, balanced, speed = (synthesize([verilog], "top", effort=effort) for effort in EFFORTS)
    assert area.area < speed.area
    assert area.delay is not None
    assert balanced.delay is not None
    assert speed.delay is not None
    assert speed.delay < area.delay
    assert balanced.effort == "balanced"
    assert balanced.area * balanced.delay <= min(area.area * area.delay, speed.area * speed.delay)
    assert speed.depth == area.depth


@needs_osu
@needs_sta
def test_the_smallest_netlist_for_a_delay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loose delay is met by effort area, one between costs less than effort speed, an impossible one is said."""
    monkeypatch.setattr(search, "ROUNDS", 3)
    verilog = write(tmp_path, MULTIPLIER_OF_BYTES)
    area, speed = (synthesize([verilog], "top", liberty=OSU, effort=effort) for effort in ("area", "speed"))
    assert area.delay is not None
    assert speed.delay is not None
    loose = synthesize([verilog], "top", liberty=OSU, delay=area.delay + 1)
    assert (loose.area, loose.delay) == (area.area, area.delay)
    assert loose.effort == "delay"
    asked = (area.delay + speed.delay) / 2
    between = synthesize([verilog], "top", liberty=OSU, delay=asked, workdir=tmp_path / "work")
    assert Netlist(tmp_path / "work" / "netlist.json", "top").counts() == between.cells
    assert f"{between.delay:.6f}" in (tmp_path / "work" / "sta.log").read_text()
    assert between.delay is not None
    assert between.delay <= asked
    assert area.area < between.area < speed.area
    # Not the netlist of effort speed with smaller gates: the mapper was asked for less.
    assert between.area * between.delay < speed.area * speed.delay
    assert f"Mapped for a delay of at most {asked:g} ns." in between.notes
    missed = synthesize([verilog], "top", liberty=OSU, delay=speed.delay / 10)
    assert missed.delay is not None
    assert missed.delay <= speed.delay
    assert f"No netlist of {speed.delay / 10:g} ns was found; this is the fastest." in missed.notes


@needs_osu
@needs_sta
def test_adder_cells_where_the_delay_leaves_time_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "ROUNDS", 1)
    verilog = write(tmp_path, MULTIPLIER_OF_BYTES)
    area = synthesize([verilog], "top", liberty=OSU)
    assert area.delay is not None
    little_less = synthesize([verilog], "top", liberty=OSU, delay=0.98 * area.delay)
    assert "FAX1" in little_less.cells
    assert any("FAX1" in note for note in little_less.notes)


@needs_osu
@needs_sta
def test_a_search_leaves_half_of_the_time_for_the_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "left", lambda budget: 0.4 * budget.limit_s)
    verilog = write(tmp_path, designs.ADDER)
    found = synthesize([verilog], "top", liberty=OSU, delay=0.001)
    assert found.notes[0] == "No netlist of 0.001 ns was found; this is the fastest."
    speed = synthesize([verilog], "top", liberty=OSU, effort="speed")
    assert found.delay is not None
    assert speed.delay is not None
    assert found.delay > speed.delay
    assert found.equivalence == speed.equivalence


@needs_osu
@needs_sta
def test_no_delay_is_promised_of_what_cannot_be_timed(tmp_path: Path) -> None:
    message = r"^Delay must be left out for this design\. There is no delay because not all registers are clocked"
    with pytest.raises(SynthError, match=message):
        synthesize([write(tmp_path, designs.TWO_CLOCKS)], "top", liberty=OSU, delay=3.0)


def test_several_files_and_a_memory_beside_them(tmp_path: Path) -> None:
    """A blank in every path; $readmemh finds its file beside the Verilog file that names it."""
    folder = tmp_path / "with a blank"
    write(folder, "3\n0\n0\n3\n", "rom.mem")
    rom = """module rom (input [1:0] address, output [1:0] data);
      reg [1:0] words [0:3];
      initial $readmemh("rom.mem", words);
      assign data = words[address];
    endmodule"""
    files = [
        write(folder, rom, "rom.v"),
        write(folder, "module top (input [1:0] x, output [1:0] y); rom r (x, y); endmodule", "top.v"),
    ]
    report = synthesize(files, "top", workdir=folder / "work here")
    assert report.depth == 1
    # Both bits are the XNOR of the address bits, one cell or the two that it is made of.
    assert report.area == 2.5


def test_a_work_folder_used_again_keeps_nothing_of_the_other_library(tmp_path: Path) -> None:
    verilog = write(tmp_path, designs.ADDER)
    other = renamed_generic(tmp_path)
    for liberty, prefix in [(None, ""), (other, "MY_"), (None, "")]:
        report = synthesize([verilog], "top", liberty=liberty, workdir=tmp_path / "work")
        assert report.cells
        assert all(name.startswith("MY_") == bool(prefix) for name in report.cells)
    assert not list((tmp_path / "work").glob("tmp-*"))
    write(tmp_path, "module top", "design.v")
    with pytest.raises(SynthError):
        synthesize([verilog], "top", workdir=tmp_path / "work")
    assert not (tmp_path / "work" / "netlist.v").exists()


def test_compressed_library_gives_the_same(tmp_path: Path) -> None:
    packed = tmp_path / "generic.lib.gz"
    packed.write_bytes(gzip.compress(GENERIC.read_bytes()))
    verilog = write(tmp_path, designs.ADDER)
    plain, unpacked = (synthesize([verilog], "top", liberty=liberty) for liberty in (GENERIC, packed))
    assert unpacked.cells == plain.cells
    assert (unpacked.area, unpacked.area_unit) == (plain.area, "um2")


@needs_osu
def test_full_adder_cells_are_used_where_they_save(tmp_path: Path) -> None:
    verilog = write(tmp_path, designs.FULL_ADDERS)
    report = synthesize([verilog], "top", liberty=OSU)
    assert report.cells["FAX1"] == 4
    assert any("FAX1" in note for note in report.notes)
    assert (report.library, report.area_unit) == ("osu018_stdcells", "um2")
    without = synthesize([verilog], "top", liberty=OSU, effort="speed")
    assert "FAX1" not in without.cells
    assert report.area < without.area


@needs_osu
def test_full_adder_cells_are_not_used_where_they_cost(tmp_path: Path) -> None:
    said: list[str] = []
    report = synthesize([write(tmp_path, designs.SUM_TREE)], "top", liberty=OSU, progress=said.append)
    assert plan.MAPPING_ADDERS in said
    assert "FAX1" not in report.cells
    assert not any("FAX1" in note for note in report.notes)


def test_flip_flop_with_a_clear_serves_as_one_without(tmp_path: Path) -> None:
    """Some libraries have no other; the clear is tied off."""
    verilog = write(tmp_path, designs.COUNTER)
    library = designs.resettable_generic(tmp_path)
    report = synthesize([verilog], "top", liberty=library, workdir=tmp_path / "work")
    assert report.cells["DFF"] == 4
    assert "RN(1'b1)" in (tmp_path / "work" / "netlist.v").read_text()


@needs_osu
@pytest.mark.parametrize("effort", EFFORTS)
def test_no_cell_drives_more_than_the_library_lets_it(tmp_path: Path, effort: Effort) -> None:
    """A register that many others wait for: ABC does not see what drives its inputs, and leaves it without buffers."""
    assert OSU is not None
    synthesize([write(tmp_path, designs.ENABLE)], "top", liberty=OSU, effort=effort, workdir=tmp_path)
    cells = load_library(OSU, tmp_path).cells
    load: dict[int, float] = {}
    may: dict[int, float] = {}
    for cell in json.loads((tmp_path / "netlist.json").read_text())["modules"]["top"]["cells"].values():
        known = cells[cell["type"]]
        for pin, (net,) in cell["connections"].items():
            if cell["port_directions"][pin] == "output":
                may[net] = known.max_load
            elif pin != known.clock:
                load[net] = load.get(net, 0.0) + known.load
    assert len(may) > 800
    assert all(load.get(net, 0.0) <= most for net, most in may.items())


@needs_osu
def test_registers_on_a_real_library(tmp_path: Path) -> None:
    report = synthesize([write(tmp_path, designs.REGISTERS)], "top", liberty=OSU)
    assert report.cells["DFFPOSX1"] == report.sequential_cells == 3
    assert report.depth == 1


def test_vectors_of_one_bit_keep_their_index(tmp_path: Path) -> None:
    report = synthesize([write(tmp_path, designs.ONE_BIT_VECTORS)], "top")
    assert "2 outputs, 2 registers" in report.equivalence
    assert (report.critical_path[0][0], report.critical_path[-1][0]) == ("r[0]", "q[0]")


def test_registers_that_one_clock_port_does_not_clock(tmp_path: Path) -> None:
    for text in (designs.REGISTERS.replace("posedge", "negedge"), designs.TWO_CLOCKS):
        report = synthesize([write(tmp_path, text)], "top", liberty=GENERIC)
        if report.note is None or "OpenSTA is not installed" not in report.note:
            assert (report.delay, report.delay_source) == (None, None)
            assert report.note is not None
            assert "not all registers are clocked by the rising edge of one input port" in report.note


def test_as_dict_is_json(tmp_path: Path) -> None:
    report = synthesize([write(tmp_path, designs.REGISTERS)], "top")
    data = json.loads(json.dumps(report.as_dict()))
    assert data["delay"] == 3.0
    assert data["delay_ns"] is None
    assert data["cells"] == report.cells
    assert data["critical_path"][0] == list(report.critical_path[0])


def test_progress_names_the_steps(tmp_path: Path) -> None:
    said: list[str] = []
    synthesize([write(tmp_path, designs.NAND)], "top", progress=said.append)
    assert said[0] == "reading the Verilog"
    assert "mapping onto the cells" in said
    assert said[-1] == "proving the netlist equivalent to the Verilog"


BAD_DESIGNS: list[tuple[str, str, str]] = [
    (designs.NAND, "other", r"^Top module must be a module of the Verilog, not 'other'$"),
    (designs.NAND, "to p", r"^Top module must be a plain Verilog name, not 'to p'$"),
    (designs.NAND, "", r"^Top module must be a plain Verilog name, not ''$"),
    (
        "module top (input a;\n",
        "top",
        r"^Yosys failed while reading the Verilog: .*design\.v:1: ERROR: syntax error",
    ),
    (
        "module top (input a); mystery u (a); endmodule",
        "top",
        r"looking for the top module: Module `\\mystery'",
    ),
    (designs.LOOP, "top", r"^Design must have no combinational loop, not one through '\w+'$"),
    (
        designs.LATCH,
        "top",
        r"^Yosys failed while looking for flip-flops in the library: .*latches are not supported",
    ),
    (
        "module top (input a, input e, output y); assign y = e ? a : 1'bz; endmodule",
        "top",
        r"not '\$_TBUF_'$",
    ),
]


@pytest.mark.parametrize(("text", "top", "message"), BAD_DESIGNS)
def test_bad_designs(tmp_path: Path, text: str, top: str, message: str) -> None:
    with pytest.raises(SynthError, match=message) as caught:
        synthesize([write(tmp_path, text)], top)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_bad_arguments(tmp_path: Path) -> None:
    good = write(tmp_path, designs.NAND)
    absent = tmp_path / "absent.v"
    options: list[tuple[list[Path], dict[str, Any], str]] = [
        ([], {}, r"Verilog must be at least one file, not \[\]"),
        ([absent], {}, f"Verilog file must be an existing file, not {str(absent)!r}"),
        ([good, absent], {}, f"Verilog file must be an existing file, not {str(absent)!r}"),
        ([tmp_path], {}, f"Verilog file must be an existing file, not {str(tmp_path)!r}"),
        ([write(tmp_path, designs.NAND, 'quo"te.v')], {}, "must have no quote and no line break"),
        ([good], {"effort": "fast"}, "Effort must be 'area', 'balanced' or 'speed', not 'fast'"),
        ([good], {"delay": 0.0}, "Delay must be a positive number of ns, not 0.0"),
        ([good], {"delay": float("nan")}, "Delay must be a positive number of ns, not nan"),
        ([good], {"delay": 1.0, "effort": "speed"}, "Effort must be left out where a delay is given, not 'speed'"),
        ([good], {"delay": 1.0}, "Delay must be given with a Liberty file, because the generic gates have no ns"),
        ([good], {"timeout_s": 0}, "Time limit must be a positive number of seconds, not 0"),
        ([good], {"timeout_s": float("nan")}, "Time limit must be a positive number of seconds, not nan"),
        ([good], {"timeout_s": float("inf")}, "Time limit must be a positive number of seconds, not inf"),
        ([good], {"liberty": absent}, f"Liberty file must be an existing file, not {str(absent)!r}"),
        ([good], {"liberty": good}, f"Liberty file must be a Liberty cell library, not {str(good)!r}"),
        ([good], {"workdir": good}, f"Work folder must be a folder that can be made, not {str(good)!r}"),
    ]
    for files, keywords, message in options:
        with pytest.raises(SynthError, match=message):
            synthesize(files, "top", **keywords)


def test_library_that_yosys_cannot_read(tmp_path: Path) -> None:
    broken = write(tmp_path, "library (broken) { cell (X) { area : 1; pin (", "broken.lib")
    with pytest.raises(SynthError, match=r"^Yosys failed while "):
        synthesize([write(tmp_path, designs.NAND)], "top", liberty=broken)


def test_library_without_a_flip_flop(tmp_path: Path) -> None:
    text = GENERIC.read_text()
    library = write(tmp_path, text[: text.index("  cell (DFF)")] + "}\n", "no_registers.lib")
    assert synthesize([write(tmp_path, designs.NAND)], "top", liberty=library).cells == {"NAND2": 1}
    message = "^Library of a design with registers must have a flip-flop, which 'generic' has not$"
    with pytest.raises(SynthError, match=message):
        synthesize([write(tmp_path, designs.REGISTERS)], "top", liberty=library)


def test_without_pyosys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SynthError, match="pip install pyosys"):
        synthesize([write(tmp_path, designs.NAND)], "top")


def working_in(folder: Path) -> set[str]:
    """Names of the processes whose current folder is `folder`."""
    found = set()
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal() and (process / "cwd").resolve() == folder.resolve():
                found.add((process / "comm").read_text().strip())
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc to see the processes")
def test_used_up_time_stops_abc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verilog = write(tmp_path, designs.MULTIPLIER)
    work = tmp_path / "work"
    work.mkdir()
    # Minutes of work for ABC.
    monkeypatch.setattr(plan, "_LEVELS", "strash; " + "; ".join(["dc2"] * 5000))
    seen: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            seen.update(working_in(work))

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.monotonic()
    try:
        message = r"^Synthesis must finish within 3 s, not be still counting logic levels after 3\.\d s$"
        with pytest.raises(SynthError, match=message):
            synthesize([verilog], "top", timeout_s=3, workdir=work)
    finally:
        stop.set()
        watcher.join()
    assert time.monotonic() - start < 15
    assert "yosys-abc" in seen
    # A killed process may still be on its way out.
    wait = time.monotonic() + 1
    while working_in(work) and time.monotonic() < wait:
        time.sleep(0.02)
    assert not working_in(work)
    assert not list(work.glob("tmp-*"))
