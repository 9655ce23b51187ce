"""From Verilog to gates: area, cells, logic depth, critical path, and a proof that the netlist is right.

    report = synthesize([Path("popcount.v")], "top", liberty=find_liberty())

Yosys with ABC maps the design and ABC proves the netlist equivalent to it; OpenSTA, where it is installed, times
it.  Without a Liberty file the design is mapped onto the generic cells of `generic.lib` and timed in gate delays,
which needs nothing but Yosys.
"""

import math
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from synth import cache as results
from synth import mapping, plan, sta, yosys
from synth.blif import Network
from synth.equivalence import prove_equivalent
from synth.errors import SynthError
from synth.liberty import GENERIC, Library, find_liberty, load_library
from synth.netlist import Gate, Netlist, Point
from synth.plan import Effort
from synth.process import Budget
from synth.report import SynthReport

__all__ = ["Effort", "SynthError", "SynthReport", "find_liberty", "synthesize"]

# What a run leaves in its work folder, and what it needs on the way only.
_KEPT = ("netlist.v", "netlist.json", "yosys.log", "equivalence.log", "sta.tcl", "sta.log")


def synthesize(
    verilog: Sequence[Path],
    top: str,
    *,
    liberty: Path | None = None,
    effort: Effort = "area",
    timeout_s: float = 1200,
    workdir: Path | None = None,
    progress: Callable[[str], None] | None = None,
    cache: bool = True,
) -> SynthReport:
    """Map module `top` of the files `verilog` onto the cells of `liberty` (None: generic.lib) and measure it.

    effort: "area" for the smallest netlist, "speed" for the fastest.
    timeout_s: seconds for everything together; what is still running then is killed.
    workdir: folder to leave the netlist in (`netlist.v`, `netlist.json`, ports split into bits), with logs
        and scripts; made if absent.
    progress: called with what is being done, at the start of each step ("mapping onto the cells").
    cache: take the result of an earlier run on the same input if there is one, and keep this one (`cache.py`).

    The netlist is proven equivalent to the Verilog before it is reported, always.
    Raises SynthError, one sentence, for a bad argument, a failing tool, a used-up time and a netlist that differs.
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
            return _synthesize(verilog, top, liberty, effort, Path(folder), budget, tell, cache)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SynthError(f"Work folder must be a folder that can be made, not {str(workdir)!r} ({error})") from None
    return _synthesize(verilog, top, liberty, effort, workdir.resolve(), budget, tell, cache)


def _synthesize(
    verilog: Sequence[Path],
    top: str,
    liberty: Path | None,
    effort: Effort,
    workdir: Path,
    budget: Budget,
    progress: Callable[[str], None],
    cache: bool,
) -> SynthReport:
    # A work folder may have been used before, and what fails must not leave the netlist of another run.
    for name in (*_KEPT, *mapping.SCRATCH):
        (workdir / name).unlink(missing_ok=True)
    library = load_library(liberty or GENERIC, workdir)
    name = results.key(verilog, library.path, top, effort, str(liberty is None)) if cache else None
    if name is not None and (found := SynthReport.restored(results.load(name, workdir))) is not None:
        progress("taking the result from the cache")
        return found
    report = _run(verilog, top, library, liberty is None, effort, workdir, budget, progress)
    for scratch in mapping.SCRATCH:
        (workdir / scratch).unlink(missing_ok=True)
    if name is not None:
        results.store(name, asdict(report), [file for kept in _KEPT if (file := workdir / kept).is_file()])
    return report


def _run(
    verilog: Sequence[Path],
    top: str,
    library: Library,
    generic: bool,
    effort: Effort,
    workdir: Path,
    budget: Budget,
    progress: Callable[[str], None],
) -> SynthReport:
    try:
        best, tools = mapping.map_design(
            [path.resolve() for path in verilog], top, library, effort, workdir, budget, progress
        )
    except yosys.YosysError as error:
        raise SynthError(_sentence(error, top, library)) from None
    depth, _ = Netlist(workdir / f"{plan.DEPTH}.json", top).longest_path(delay=_level, setup=_gate_setup)
    netlist = Netlist(workdir / "netlist.json", top)
    timing = _time(netlist, top, library, generic, workdir, budget, progress, tools)
    proof = prove_equivalent(top, best.registers, library, workdir, budget, progress)
    return SynthReport(
        top=top,
        area=best.area,
        area_unit="NAND2 equivalents" if generic else "um2",
        cells=netlist.counts(),
        sequential_cells=sum(library.cells[gate.type].sequential for gate in netlist.gates),
        depth=round(depth),
        delay=timing.delay,
        delay_unit="gate delays" if generic else "ns",
        delay_source=timing.source,
        critical_path=[(point.name, point.cell, point.arrival) for point in timing.path],
        library=library.name,
        effort=effort,
        tools=tools,
        seconds=budget.elapsed(),
        equivalence=proof,
        note=timing.note,
        notes=[*best.notes, *([timing.note] if timing.note else [])],
    )


def _sentence(error: yosys.YosysError, top: str, library: Library) -> str:
    """The failure of Yosys in terms of what the caller gave."""
    if error.step == plan.FINDING_TOP and f"Module `{top}' not found" in error.message:
        return f"Top module must be a module of the Verilog, not {top!r}"
    if error.step == plan.FINDING_FLIP_FLOPS and "Assertion failed" in error.message:
        return f"Library of a design with registers must have a flip-flop, which {library.name!r} has not"
    return str(error)


def _level(gate: Gate) -> float:
    """Logic levels of a Yosys gate; a register starts a path and adds none."""
    return 0.0 if gate.type in ("$_NOT_", "$_BUF_") or _gate_setup(gate) is not None else 1.0


def _gate_setup(gate: Gate) -> float | None:
    """0 for a Yosys register or latch ($_DFF_P_, $_SDFFE_PP0P_, $_DLATCH_P_, $_SR_NN_), None for logic."""
    return 0.0 if Network.is_register(gate.type) else None


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
