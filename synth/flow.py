"""From Verilog to gates: area, cells, logic depth, critical path.

    report = synthesize([Path("popcount.v")], "top", liberty=find_liberty())

Yosys with ABC maps the design; OpenSTA, where it is installed, times it.  Without a Liberty file the design
is mapped onto the generic cells of `generic.lib` and timed in gate delays, which needs nothing but Yosys.
"""

import math
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from synth import sta, yosys
from synth.errors import SynthError
from synth.liberty import GENERIC, Library, find_liberty, load_library
from synth.netlist import Gate, Netlist, Point
from synth.process import Budget
from synth.yosys import Effort

__all__ = ["Effort", "SynthError", "SynthReport", "find_liberty", "synthesize"]

AreaUnit = Literal["um2", "NAND2 equivalents"]
DelayUnit = Literal["ns", "gate delays"]


@dataclass(frozen=True, kw_only=True)
class SynthReport:
    """What a design costs on the cells of one library.

    area: sum over the cells, in `area_unit`; wires are not in it.
    cells: how many of each cell type, most frequent first; sequential_cells: how many of them are registers.
    depth: most two-input gates on a path between ports and registers, inverters and buffers free; it does not
        depend on the library.
    delay: longest path between ports and registers, in `delay_unit`: for one between registers the smallest
        clock period, from the clock edge through the first register up to the setup time of the second.  None
        if nothing could tell, then `delay_source` is None too and `note` says why.
    critical_path: that path as (point, cell type, arrival), start to end.  A point has the name that the
        source has for the net, otherwise cell and pin of the netlist.
    tools: version of each tool that was run.  seconds: wall-clock time.
    notes: what else a reader should know, `note` included.
    """

    top: str
    area: float
    area_unit: AreaUnit
    cells: dict[str, int]
    sequential_cells: int
    depth: int
    delay: float | None
    delay_unit: DelayUnit
    delay_source: str | None
    critical_path: list[tuple[str, str, float]]
    library: str
    effort: Effort
    tools: dict[str, str]
    seconds: float
    note: str | None = None
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; has the delay under `delay_ns` too, None when its unit is gate delays."""
        return {**asdict(self), "delay_ns": self.delay if self.delay_unit == "ns" else None}


def synthesize(
    verilog: Sequence[Path],
    top: str,
    *,
    liberty: Path | None = None,
    effort: Effort = "area",
    timeout_s: float = 1200,
    workdir: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> SynthReport:
    """Map module `top` of the files `verilog` onto the cells of `liberty` (None: generic.lib) and measure it.

    effort: "area" for the smallest netlist, "speed" for the fastest.
    timeout_s: seconds for everything together; what is still running then is killed.
    workdir: folder to leave the netlist in (`netlist.v`, `netlist.json`, ports split into bits), with logs
        and scripts; made if absent.
    progress: called with what is being done, at the start of each step ("mapping onto the cells").

    Raises SynthError, one sentence, for a bad argument, a failing tool and a used-up time.
    """
    if effort not in get_args(Effort):
        raise SynthError(f"Effort must be 'area' or 'speed', not {effort!r}")
    if not (timeout_s > 0 and math.isfinite(timeout_s)):
        raise SynthError(f"Time limit must be a positive number of seconds, not {timeout_s!r}")
    if not re.fullmatch(r"[A-Za-z_][\w$]*", top, re.ASCII):
        raise SynthError(f"Top module must be a plain Verilog name, not {top!r}")
    if not verilog:
        raise SynthError(f"Verilog must be at least one file, not {list(verilog)!r}")
    for path in verilog:
        if not path.is_file():
            raise SynthError(f"Verilog file must be an existing file, not {str(path)!r}")
        if re.search(r'["\n]', str(path)):
            raise SynthError(f"Verilog file must have no quote and no line break in its path, not {str(path)!r}")
    budget = Budget(limit_s=timeout_s)
    tell = progress or (lambda _: None)
    if workdir is None:
        with tempfile.TemporaryDirectory(prefix="xnorforge-synth-") as folder:
            return _synthesize(verilog, top, liberty, effort, Path(folder), budget, tell)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SynthError(f"Work folder must be a folder that can be made, not {str(workdir)!r} ({error})") from None
    return _synthesize(verilog, top, liberty, effort, workdir.resolve(), budget, tell)


def _synthesize(
    verilog: Sequence[Path],
    top: str,
    liberty: Path | None,
    effort: Effort,
    workdir: Path,
    budget: Budget,
    progress: Callable[[str], None],
) -> SynthReport:
    for name in (yosys.MAPPED, yosys.MAPPED_FULL_ADDERS, yosys.DEPTH, "netlist"):
        # A work folder may have been used before, and what fails must not leave the netlist of another run.
        for suffix in (".v", ".json"):
            (workdir / f"{name}{suffix}").unlink(missing_ok=True)
    library = load_library(liberty or GENERIC, workdir)
    if library.full_adder is not None:
        (workdir / "full_adder.v").write_text(library.full_adder.techmap())
    steps = yosys.plan([path.resolve() for path in verilog], top, library, effort)
    try:
        tools = yosys.run_plan(steps, workdir, budget, progress)
    except yosys.YosysError as error:
        raise SynthError(_sentence(error, top, library)) from None
    depth, _ = Netlist(workdir / f"{yosys.DEPTH}.json", top).longest_path(delay=_level, setup=_gate_setup)
    notes: list[str] = []
    netlist, area = _smallest(top, library, workdir, notes)
    timing = _time(netlist, top, library, liberty is None, workdir, budget, progress, tools)
    return SynthReport(
        top=top,
        area=area,
        area_unit="NAND2 equivalents" if liberty is None else "um2",
        cells=netlist.counts(),
        sequential_cells=sum(library.cells[gate.type].sequential for gate in netlist.gates),
        depth=round(depth),
        delay=timing.delay,
        delay_unit="gate delays" if liberty is None else "ns",
        delay_source=timing.source,
        critical_path=[(point.name, point.cell, point.arrival) for point in timing.path],
        library=library.name,
        effort=effort,
        tools=tools,
        seconds=budget.elapsed(),
        note=timing.note,
        notes=[*notes, *([timing.note] if timing.note else [])],
    )


def _sentence(error: yosys.YosysError, top: str, library: Library) -> str:
    """The failure of Yosys in terms of what the caller gave."""
    if error.step == yosys.FINDING_TOP and f"Module `{top}' not found" in error.message:
        return f"Top module must be a module of the Verilog, not {top!r}"
    if error.step == yosys.FINDING_FLIP_FLOPS and "Assertion failed" in error.message:
        return f"Library of a design with registers must have a flip-flop, which {library.name!r} has not"
    return str(error)


def _level(gate: Gate) -> float:
    """Logic levels of a Yosys gate; a register starts a path and adds none."""
    return 0.0 if gate.type in ("$_NOT_", "$_BUF_") or _gate_setup(gate) is not None else 1.0


def _gate_setup(gate: Gate) -> float | None:
    """0 for a Yosys register or latch ($_DFF_P_, $_SDFFE_PP0P_, $_DLATCH_P_, $_SR_NN_), None for logic."""
    return 0.0 if re.match(r"\$_(\w*FF|DLATCH|SR_)", gate.type) else None


def _smallest(top: str, library: Library, workdir: Path, notes: list[str]) -> tuple[Netlist, float]:
    """The smallest of the netlists that Yosys left, as `netlist.v` and `netlist.json` too, and its area."""
    found: list[tuple[float, str, Netlist]] = []
    for name in (yosys.MAPPED, yosys.MAPPED_FULL_ADDERS):
        file = workdir / f"{name}.json"
        if file.is_file():
            netlist = Netlist(file, top)
            for gate in netlist.gates:
                if gate.type not in library.cells:
                    raise SynthError(f"Cells of the design must be in library {library.name!r}, not {gate.type!r}")
            area = math.fsum(library.cells[gate.type].area for gate in netlist.gates)
            found.append((round(area, 6), name, netlist))
    area, name, netlist = min(found, key=lambda candidate: candidate[0])
    for suffix in (".v", ".json"):
        shutil.copyfile(workdir / f"{name}{suffix}", workdir / f"netlist{suffix}")
    if name == yosys.MAPPED_FULL_ADDERS and library.full_adder and library.full_adder.cell in netlist.counts():
        notes.append(f"Full adders are mapped onto {library.full_adder.cell}, which makes the netlist smaller.")
    return netlist, area


@dataclass(frozen=True, kw_only=True)
class _Timing:
    delay: float | None
    source: str | None
    path: list[Point]
    note: str | None


def _time(
    netlist: Netlist,
    top: str,
    library: Library,
    generic: bool,
    workdir: Path,
    budget: Budget,
    progress: Callable[[str], None],
    tools: dict[str, str],
) -> _Timing:
    """Delay and critical path: of the generic library in gate delays, of any other by OpenSTA."""
    if generic:
        delay, path = netlist.longest_path(
            delay=lambda gate: library.cells[gate.type].delay or 0.0,
            setup=lambda gate: library.cells[gate.type].setup if library.cells[gate.type].sequential else None,
        )
        return _Timing(delay=delay, source="unit gate delays", path=path, note=None)
    program = sta.find_sta()
    if program is None:
        note = f"There is no delay because OpenSTA is not installed; to install it type: {sta.INSTALL}"
        return _Timing(delay=None, source=None, path=[], note=note)
    registers = [gate for gate in netlist.gates if library.cells[gate.type].sequential]
    clocks = {netlist.inputs.get(gate.inputs.get(library.cells[gate.type].clock or "", -1)) for gate in registers}
    clock = next(iter(clocks), None)
    if registers and (len(clocks) > 1 or clock is None or not re.fullmatch(r"[A-Za-z_]\w*", clock, re.ASCII)):
        note = "There is no delay because not all registers are clocked by the rising edge of one input port."
        return _Timing(delay=None, source=None, path=[], note=note)
    tools["opensta"] = sta.sta_version(program, workdir, budget)
    timing = sta.time_netlist(program, "netlist.v", netlist, top, library, clock, workdir, budget, progress)
    return _Timing(delay=timing.delay, source=f"OpenSTA {tools['opensta']}", path=timing.path, note=None)
