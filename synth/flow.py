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
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from synth import cache as results
from synth import mapping, plan, sta
from synth.abc_scripts import Effort
from synth.blif import Network
from synth.design import Design, Mapped, map_for
from synth.equivalence import prove_equivalent
from synth.errors import SynthError
from synth.liberty import GENERIC, find_liberty, load_library
from synth.netlist import Gate, Netlist
from synth.process import Budget
from synth.report import Goal, SynthReport
from synth.search import smallest_within

__all__ = ["Effort", "SynthError", "SynthReport", "find_liberty", "synthesize", "synthesize_text"]

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
    design = Design([path.resolve() for path in verilog], top, library, liberty is None, workdir, budget, progress)
    try:
        if delay is not None:
            report = _report(design, "delay", *smallest_within(design, delay))
        else:
            report = _report(design, effort, map_for(design, effort))
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


def _report(design: Design, goal: Goal, mapped: Mapped, *notes: str) -> SynthReport:
    """All there is to say, once the netlist in the work folder is proven."""
    top, library, workdir, timing = design.top, design.library, design.workdir, mapped.timing
    netlist = Netlist(workdir / "netlist.json", top)
    depth, _ = Netlist(workdir / f"{plan.DEPTH}.json", top).longest_path(delay=_level, setup=_gate_setup)
    proof = prove_equivalent(top, mapped.candidate.registers, library, workdir, design.budget, design.progress)
    return SynthReport(
        top=top,
        area=mapped.candidate.area,
        area_unit="NAND2 equivalents" if design.generic else "um2",
        cells=netlist.counts(),
        sequential_cells=sum(library.cells[gate.type].sequential for gate in netlist.gates),
        depth=round(depth),
        delay=timing.delay,
        delay_unit="gate delays" if design.generic else "ns",
        delay_source=timing.source,
        critical_path=[(point.name, point.cell, point.arrival) for point in timing.path],
        library=library.name,
        effort=goal,
        tools=mapped.tools,
        seconds=design.budget.elapsed(),
        equivalence=proof,
        note=timing.note,
        notes=[*notes, *mapped.candidate.notes, *([timing.note] if timing.note else [])],
    )


def _level(gate: Gate) -> float:
    """Logic levels of a Yosys gate; a register starts a path and adds none."""
    return 0.0 if gate.type in ("$_NOT_", "$_BUF_") or _gate_setup(gate) is not None else 1.0


def _gate_setup(gate: Gate) -> float | None:
    """0 for a Yosys register or latch ($_DFF_P_, $_SDFFE_PP0P_, $_DLATCH_P_, $_SR_NN_), None for logic."""
    return 0.0 if Network.is_register(gate.type) else None
