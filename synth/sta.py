"""Delay of a mapped netlist by OpenSTA."""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from synth.errors import SynthError
from synth.liberty import Library
from synth.netlist import Netlist, Point
from synth.process import Budget, run_program

INSTALL = "apt-get install opensta"

# Any period will do: a delay is read as the arrival, not off the slack, which single precision would spoil.
_SCRIPT = """\
read_liberty {library}
read_verilog {netlist}
link_design {top}
set_cmd_units -time ns
create_clock -name clock -period 1000 {clock}
foreach port [all_inputs] {{
  if {{[get_property $port full_name] != "{clock_name}"}} {{ set_input_delay 0 -clock clock $port }}
}}
set_output_delay 0 -clock clock [all_outputs]
report_checks -path_delay max -format full -digits 6
"""

# delay, time, edge, pin or port, cell type or in or out
_STATION = r"\s*-?[\d.]+\s+(-?[\d.]+)\s+[\^v]\s+(\S+)\s+\((\S+)\)\s*$"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """delay in ns and the path that has it, start to end."""

    delay: float
    path: list[Point]


def find_sta() -> str | None:
    """Path of OpenSTA's `sta`, or None."""
    return shutil.which("sta")


def sta_version(sta: str, workdir: Path, budget: Budget) -> str:
    """What `sta -version` says, "unknown" if that is nothing."""
    said: list[str] = []
    doing = "asking OpenSTA for its version"
    run_program(
        [sta, "-version"],
        cwd=workdir,
        env=os.environ,
        budget=budget,
        doing=lambda: doing,
        on_line=said.append,
    )
    return next((line.strip() for line in said if line.strip()), "unknown")


def time_netlist(
    sta: str,
    netlist_file: str,
    netlist: Netlist,
    top: str,
    library: Library,
    clock: str | None,
    workdir: Path,
    budget: Budget,
    progress: Callable[[str], None],
) -> Timing:
    """Worst path of `netlist_file`, Verilog in `workdir`, clocked by the port `clock` (None: no registers).

    Counted are the paths from ports and registers to ports and registers.  A register adds its time from
    clock to output at the start of a path and its setup time at the end, so that the delay is the smallest
    clock period.  The clock is ideal, an input port changes at once and at the clock edge, an output port has
    no load.
    Raises SynthError when OpenSTA fails or its report cannot be understood.
    """
    script = _SCRIPT.format(
        library=library.path.name,
        netlist=netlist_file,
        top=top,
        clock=f"[get_ports {clock}]" if clock else "",
        clock_name=clock or "",
    )
    return parse_report(run_script(sta, "sta", script, "timing with OpenSTA", workdir, budget, progress), netlist)


def run_script(
    sta: str, name: str, script: str, doing: str, workdir: Path, budget: Budget, progress: Callable[[str], None]
) -> list[str]:
    """What OpenSTA prints for a script, which is left in `workdir` as NAME.tcl, with NAME.log.

    Raises SynthError when OpenSTA fails.
    """
    (workdir / f"{name}.tcl").write_text(script)
    said: list[str] = []
    progress(doing)
    command = [sta, "-no_init", "-no_splash", "-exit", f"{name}.tcl"]
    status = run_program(command, cwd=workdir, env=os.environ, budget=budget, doing=lambda: doing, on_line=said.append)
    (workdir / f"{name}.log").write_text("\n".join(said) + "\n")
    trouble = [line.strip() for line in said if re.search(r"\bError\b|not found", line)]
    if status or trouble:
        raise SynthError(f"OpenSTA failed: {trouble[0] if trouble else f'exit status {status}'}")
    return said


def parse_report(lines: Sequence[str], netlist: Netlist) -> Timing:
    """The longest of the paths in the output of `report_checks -format full`; nothing at all takes 0 ns.

    OpenSTA reports one path for each group: one for the clock, one for asynchronous resets if there are any.
    Raises SynthError if there is neither a path nor the sentence that there is none.
    """
    if any(line.strip() == "No paths found." for line in lines):
        return Timing(delay=0.0, path=[])
    starts = [number for number, line in enumerate(lines) if line.startswith("Startpoint:")]
    if not starts:
        raise SynthError("OpenSTA must report a path, not what its log says")
    paths = [
        _parse_path(lines[start:end], netlist) for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]
    return max(paths, key=lambda timing: timing.delay)


def _parse_path(lines: Sequence[str], netlist: Netlist) -> Timing:
    arrival = None
    need = None
    stations: list[tuple[str, str, float]] = []
    for line in lines:
        if arrival is None and (found := re.match(r"\s*(-?[\d.]+)\s+data arrival time\s*$", line)):
            arrival = float(found[1])
        elif found := re.match(r"\s*(-?[\d.]+)\s+-?[\d.]+\s+library (setup|recovery) time\s*$", line):
            # The report takes it off the required time, so it stands there with a minus.
            need = -float(found[1])
        elif arrival is None and (found := re.match(_STATION, line)):
            stations.append((found[2].replace("\\", ""), found[3], float(found[1])))
    if arrival is None or len(stations) < 2:
        raise SynthError("OpenSTA must report a path with a data arrival time, not what its log says")
    if need is None and stations[-1][1] != "out":
        raise SynthError("OpenSTA must report a setup time for a path into a register, not what its log says")
    if stations[0][0].rpartition("/")[0] == stations[1][0].rpartition("/")[0] != "":
        # The clock pin of the register that the path starts from; its output follows.
        del stations[0]
    return Timing(delay=round(arrival + (need or 0.0), 6), path=[_point(*station, netlist) for station in stations])


def _point(where: str, cell: str, arrival: float, netlist: Netlist) -> Point:
    if cell in ("in", "out"):
        return Point(name=where, cell=f"{cell}put port", arrival=arrival)
    gate, _, pin = where.rpartition("/")
    return Point(name=netlist.pin_name(gate, pin), cell=cell, arrival=arrival)
