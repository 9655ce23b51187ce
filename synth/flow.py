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
from typing import Any, get_args

from synth import cache as results
from synth import mapping, plan, sta, yosys
from synth.blif import Network
from synth.equivalence import prove_equivalent
from synth.errors import SynthError
from synth.liberty import GENERIC, Library, find_liberty, load_library
from synth.netlist import Gate, Netlist, Point
from synth.plan import Effort, Goal
from synth.process import Budget
from synth.report import SynthReport

__all__ = ["Effort", "SynthError", "SynthReport", "find_liberty", "synthesize", "synthesize_text"]

#: Times that a netlist is mapped again for a delay that ABC thought it had.
ROUNDS = 6
# What a run leaves in its work folder.
_KEPT = ("netlist.v", "netlist.json", "yosys.log", "equivalence.log", "sta.tcl", "sta.log")


def synthesize(
    verilog: Sequence[Path],
    top: str,
    *,
    liberty: Path | None = None,
    effort: Effort = "area",
    delay: float | None = None,
    timeout_s: float = 1200,
    workdir: Path | None = None,
    progress: Callable[[str], None] | None = None,
    cache: bool = True,
) -> SynthReport:
    """Map module `top` of the files `verilog` onto the cells of `liberty` (None: generic.lib) and measure it.

    effort: "area" for the smallest netlist, "speed" for the fastest, "balanced" for the least area x delay.
    delay: ns; the smallest netlist that takes no longer, instead of an effort.  If none is found, the report has the
        fastest, and a note.  Asks for a Liberty file and OpenSTA.
    timeout_s: seconds for everything together; what is still running then is killed.
    workdir: folder to leave the netlist in (`netlist.v`, `netlist.json`, ports split into bits), with logs
        and scripts; made if absent.
    progress: called with what is being done, at the start of each step ("mapping onto the cells").
    cache: take the result of an earlier run on the same input if there is one, and keep this one (`cache.py`).

    The netlist is proven equivalent to the Verilog before it is reported, always.
    Raises SynthError, one sentence, for a bad argument, a failing tool, a used-up time, a netlist that differs, and
    a delay asked of a design that cannot be timed.
    """
    if effort not in get_args(Effort):
        raise SynthError(f"Effort must be 'area', 'balanced' or 'speed', not {effort!r}")
    if delay is not None:
        if not (delay > 0 and math.isfinite(delay)):
            raise SynthError(f"Delay must be a positive number of ns, not {delay!r}")
        if effort != "area":
            raise SynthError(f"Effort must be left out where a delay is given, not {effort!r}")
        if liberty is None:
            raise SynthError("Delay must be given with a Liberty file, because the generic gates have no ns")
        if sta.find_sta() is None:
            raise SynthError(f"Delay must be given with OpenSTA installed: {sta.INSTALL}")
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
            return _synthesize(verilog, top, liberty, effort, delay, Path(folder), budget, tell, cache)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SynthError(f"Work folder must be a folder that can be made, not {str(workdir)!r} ({error})") from None
    return _synthesize(verilog, top, liberty, effort, delay, workdir.resolve(), budget, tell, cache)


def synthesize_text(verilog: str, top: str, **options: Any) -> SynthReport:
    """:func:`synthesize` for Verilog that lies in no file."""
    with tempfile.TemporaryDirectory(prefix="xnorforge-source-") as folder:
        source = Path(folder) / f"{top}.v"
        source.write_text(verilog)
        return synthesize([source], top, **options)


def _synthesize(
    verilog: Sequence[Path],
    top: str,
    liberty: Path | None,
    effort: Effort,
    delay: float | None,
    workdir: Path,
    budget: Budget,
    progress: Callable[[str], None],
    cache: bool,
) -> SynthReport:
    # A work folder may have been used before, and what fails must not leave the netlist of another run.
    for path in (*(workdir / name for name in _KEPT), *mapping.scratch(workdir)):
        path.unlink(missing_ok=True)
    library = load_library(liberty or GENERIC, workdir)
    name = results.key(verilog, library.path, top, effort, str(delay), str(liberty is None)) if cache else None
    if name is not None and (found := SynthReport.restored(results.load(name, workdir))) is not None:
        progress("taking the result from the cache")
        return found
    design = _Design([path.resolve() for path in verilog], top, library, liberty is None, workdir, budget, progress)
    try:
        if delay is not None:
            report = _report(design, *_for_delay(design, delay))
        else:
            report = _report(design, _map(design, Goal(effort=effort)))
    except BaseException:
        # What is broken off, by Ctrl-C too, must not leave a netlist that nobody has proven.
        for kept in ("netlist.v", "netlist.json"):
            (workdir / kept).unlink(missing_ok=True)
        raise
    finally:
        for path in mapping.scratch(workdir):
            path.unlink(missing_ok=True)
    if name is not None:
        results.store(name, asdict(report), [file for kept in _KEPT if (file := workdir / kept).is_file()])
    return report


@dataclass(frozen=True)
class _Design:
    """What is synthesized, on what, where, and for how long."""

    verilog: Sequence[Path]
    top: str
    library: Library
    generic: bool
    workdir: Path
    budget: Budget
    progress: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _Timing:
    delay: float | None
    source: str | None
    path: list[Point]
    note: str | None


@dataclass(frozen=True)
class _Mapped:
    """A netlist in the work folder, and what is known of it before it is proven."""

    goal: Goal
    candidate: mapping.Candidate
    tools: dict[str, str]
    netlist: Netlist
    timing: _Timing


def _for_delay(design: _Design, delay: float) -> tuple[_Mapped, str]:
    """The smallest netlist that OpenSTA finds fast enough, else the fastest; and what to say of it.

    That of effort area, if it is fast enough. Else ABC, whose delays are shorter (it knows no registers and no slow
    edges at ports), is asked for delays between the longest that was met and the shortest that was not.
    """
    met = f"Mapped for a delay of at most {delay:g} ns."
    smallest = _map(design, Goal(effort="area"))
    if smallest.timing.delay is None:
        raise SynthError(f"Delay must be left out for this design. {smallest.timing.note}")
    if smallest.timing.delay <= delay:
        return smallest, met
    found: list[_Mapped] = []
    short, long, asked, some = 0.0, delay, delay, False
    for _ in range(ROUNDS):
        found.append(_map(design, Goal(effort="speed", delay_ps=round(1000 * asked))))
        took = found[-1].timing.delay or 0.0
        if took <= delay:
            some, short = True, max(short, asked)
        else:
            long = min(long, asked)
        asked = (short + long) / 2 if some else asked * delay / took
    if not some:
        found.append(_map(design, Goal(effort="speed")))
        fastest = _choose(design, found, lambda each: each.timing.delay or 0.0)
        return fastest, f"No netlist of {delay:g} ns was found; this is the fastest."
    return _choose(
        design, found, lambda each: each.candidate.area if (each.timing.delay or 0.0) <= delay else math.inf
    ), met


def _choose(design: _Design, found: Sequence[_Mapped], cost: Callable[[_Mapped], float]) -> _Mapped:
    """The one of least cost, in the work folder: written again if another was written after it."""
    best = min(found, key=cost)
    if best is not found[-1]:
        _write(design, best.candidate)
    return best


def _map(design: _Design, goal: Goal) -> _Mapped:
    """Map, and of several that may meet the goal take the least area x delay, or the last where there is no timing."""
    try:
        candidates, tools = mapping.map_design(
            design.verilog, design.top, design.library, goal, design.workdir, design.budget, design.progress
        )
    except yosys.YosysError as error:
        raise SynthError(_sentence(error, design.top, design.library)) from None
    found: list[_Mapped] = []
    for candidate in candidates:
        _write(design, candidate)
        netlist = Netlist(design.workdir / "netlist.json", design.top)
        found.append(_Mapped(goal, candidate, tools, netlist, _time(netlist, design, tools)))
    if any(mapped.timing.delay is None for mapped in found):
        return found[-1]
    return _choose(design, found, lambda mapped: mapped.candidate.area * (mapped.timing.delay or 0.0))


def _write(design: _Design, candidate: mapping.Candidate) -> None:
    mapping.write_netlist(candidate, design.top, design.library, design.workdir, design.budget, design.progress)


def _report(design: _Design, mapped: _Mapped, *notes: str) -> SynthReport:
    """All there is to say, once the netlist is proven."""
    top, library, workdir, timing = design.top, design.library, design.workdir, mapped.timing
    depth, _ = Netlist(workdir / f"{plan.DEPTH}.json", top).longest_path(delay=_level, setup=_gate_setup)
    proof = prove_equivalent(top, mapped.candidate.registers, library, workdir, design.budget, design.progress)
    return SynthReport(
        top=top,
        area=mapped.candidate.area,
        area_unit="NAND2 equivalents" if design.generic else "um2",
        cells=mapped.netlist.counts(),
        sequential_cells=sum(library.cells[gate.type].sequential for gate in mapped.netlist.gates),
        depth=round(depth),
        delay=timing.delay,
        delay_unit="gate delays" if design.generic else "ns",
        delay_source=timing.source,
        critical_path=[(point.name, point.cell, point.arrival) for point in timing.path],
        library=library.name,
        effort=mapped.goal.effort,
        tools=mapped.tools,
        seconds=design.budget.elapsed(),
        equivalence=proof,
        note=timing.note,
        notes=[*notes, *mapped.candidate.notes, *([timing.note] if timing.note else [])],
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


def _time(netlist: Netlist, design: _Design, tools: dict[str, str]) -> _Timing:
    """Delay and critical path: of the generic library in gate delays, of any other by OpenSTA."""
    library, workdir, budget = design.library, design.workdir, design.budget
    if design.generic:
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
    timing = sta.time_netlist(
        program, "netlist.v", netlist, design.top, library, clock, workdir, budget, design.progress
    )
    return _Timing(delay=timing.delay, source=f"OpenSTA {tools['opensta']}", path=timing.path, note=None)
