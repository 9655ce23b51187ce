"""A design mapped onto the cells of a library, and timed."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from synth import mapping, plan, sta, yosys
from synth.abc_scripts import Effort, Script, scripts
from synth.errors import SynthError
from synth.liberty import Library
from synth.netlist import Netlist, Point
from synth.process import Budget


@dataclass(frozen=True)
class Design:
    """What is synthesized, on what, where, and for how long."""

    verilog: Sequence[Path]
    top: str
    library: Library
    generic: bool
    workdir: Path
    budget: Budget
    progress: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Delay of a netlist in the unit of its library, by which tool, and its path; None and a note if it has none."""

    delay: float | None
    source: str | None
    path: list[Point]
    note: str | None


@dataclass(frozen=True)
class Mapped:
    """A netlist of a design, and what is known of it before it is proven."""

    candidate: mapping.Candidate
    tools: dict[str, str]
    timing: Timing

    @property
    def delay(self) -> float:
        """In the unit of the library; of one that was timed."""
        assert self.timing.delay is not None
        return self.timing.delay


def map_for(design: Design, effort: Effort) -> Mapped:
    """The netlist that meets an effort best, in the work folder.

    Of several that may, the one of the least area x delay, or the last where there is no timing.
    """
    candidates, tools = _map(design, scripts(effort))
    chosen = mapping.choose(candidates, effort, design.workdir, design.top, design.library)
    found = [_timed(design, candidate, tools) for candidate in chosen]
    if any(mapped.timing.delay is None for mapped in found):
        return found[-1]
    best = min(found, key=lambda mapped: mapped.candidate.area * mapped.delay)
    return best if best is found[-1] else again(design, best)


def map_by(design: Design, asked: Sequence[Script]) -> Iterator[Mapped]:
    """What each script makes, timed, in the work folder."""
    candidates, tools = _map(design, asked)
    for candidate in candidates:
        yield _timed(design, candidate, tools)


def again(design: Design, mapped: Mapped) -> Mapped:
    """The same, in the work folder after another was."""
    return _timed(design, mapped.candidate, mapped.tools)


def _map(design: Design, asked: Sequence[Script]) -> tuple[list[mapping.Candidate], dict[str, str]]:
    try:
        return mapping.map_design(
            design.verilog, design.top, design.library, asked, design.workdir, design.budget, design.progress
        )
    except yosys.YosysError as error:
        raise SynthError(_sentence(error, design.top, design.library)) from None


def _timed(design: Design, candidate: mapping.Candidate, tools: dict[str, str]) -> Mapped:
    """A candidate, in the work folder."""
    mapping.write_netlist(candidate, design.top, design.library, design.workdir, design.budget, design.progress)
    netlist = Netlist(design.workdir / "netlist.json", design.top)
    return Mapped(candidate, tools, _time(netlist, design, tools))


def _sentence(error: yosys.YosysError, top: str, library: Library) -> str:
    """The failure of Yosys in terms of what the caller gave."""
    if error.step == plan.FINDING_TOP and f"Module `{top}' not found" in error.message:
        return f"Top module must be a module of the Verilog, not {top!r}"
    if error.step == plan.FINDING_FLIP_FLOPS and "Assertion failed" in error.message:
        return f"Library of a design with registers must have a flip-flop, which {library.name!r} has not"
    return str(error)


def _time(netlist: Netlist, design: Design, tools: dict[str, str]) -> Timing:
    """Delay and critical path: of the generic library in gate delays, of any other by OpenSTA."""
    library, workdir, budget = design.library, design.workdir, design.budget
    if design.generic:
        delay, path = netlist.longest_path(
            delay=lambda gate: library.cells[gate.type].delay or 0.0,
            setup=lambda gate: library.cells[gate.type].setup if library.cells[gate.type].sequential else None,
        )
        return Timing(delay=delay, source="unit gate delays", path=path, note=None)
    program = sta.find_sta()
    if program is None:
        note = f"There is no delay because OpenSTA is not installed; to install it type: {sta.INSTALL}"
        return Timing(delay=None, source=None, path=[], note=note)
    registers = [gate for gate in netlist.gates if library.cells[gate.type].sequential]
    clocks = {netlist.inputs.get(gate.inputs.get(library.cells[gate.type].clock or "", -1)) for gate in registers}
    clock = next(iter(clocks), None)
    if registers and (len(clocks) > 1 or clock is None or not re.fullmatch(r"[A-Za-z_]\w*", clock, re.ASCII)):
        note = "There is no delay because not all registers are clocked by the rising edge of one input port."
        return Timing(delay=None, source=None, path=[], note=note)
    if "opensta" not in tools:
        tools["opensta"] = sta.sta_version(program, workdir, budget)
    timing = sta.time_netlist(
        program, "netlist.v", netlist, design.top, library, clock, workdir, budget, design.progress
    )
    return Timing(delay=timing.delay, source=f"OpenSTA {tools['opensta']}", path=timing.path, note=None)
