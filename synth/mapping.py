"""From Verilog to the best of several netlists on the cells of a library."""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth import plan
from synth.adders import map_adders, simplify_adders
from synth.errors import SynthError
from synth.fanout import buffer_fanout
from synth.liberty import Library
from synth.netlist import Netlist
from synth.plan import Goal
from synth.process import Budget
from synth.yosys import run_plan

#: For the effort area, a netlist that much larger than the smallest is as good if it is less deep.
AS_SMALL = 1.01


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A netlist, the name of its file, the file with its registers before mapping, and what a reader should know."""

    name: str
    module: dict[str, Any]
    registers: str
    area: float
    notes: list[str]


def map_design(
    verilog: Sequence[Path],
    top: str,
    library: Library,
    goal: Goal,
    workdir: Path,
    budget: Budget,
    progress: Callable[[str], None],
) -> tuple[list[Candidate], dict[str, str]]:
    """The netlists that may meet the goal best, and the versions of the tools.

    One, but for effort balanced three that only timing can choose from: the smallest, the fastest, and that of the
    least area x delay, by what ABC says of delays.
    Leaves the files of `plan` in `workdir`.  Raises YosysError and SynthError.
    """
    versions = run_plan(plan.plan(verilog, top, library, goal), workdir, budget, progress)
    candidates = [_candidate(name, workdir, top, library) for name in plan.mapped(goal)]
    delays = _delays(candidates, workdir)
    adders = _with_adders(top, library, workdir, budget, progress) if goal.adder_cells else []
    best = {
        "area": lambda: _smallest([*candidates, *adders], workdir, top, library),
        "speed": lambda: _fast(candidates, delays, goal.delay_ps),
        "balanced": lambda: min(candidates, key=lambda each: each.area * delays.get(each.name, 1.0)),
    }
    efforts = best if goal.effort == "balanced" else (goal.effort,)
    return [best[effort]() for effort in efforts], versions


def write_netlist(
    candidate: Candidate,
    top: str,
    library: Library,
    workdir: Path,
    budget: Budget,
    progress: Callable[[str], None],
) -> None:
    """Leave a netlist in `workdir` as netlist.json and netlist.v."""
    _save(workdir, "netlist", top, candidate.module)
    run_plan(plan.write_plan(library), workdir, budget, progress)


def scratch(workdir: Path) -> list[Path]:
    """Files of the work folder that nobody needs after a run."""
    names = ("plan", plan.SOURCE, plan.DEPTH, plan.ADDERS, f"{plan.MAPPED}_*")
    return [path for name in names for path in workdir.glob(f"{name}.json")]


def _with_adders(
    top: str, library: Library, workdir: Path, budget: Budget, progress: Callable[[str], None]
) -> list[Candidate]:
    """The netlists with full-adder cells; none if there is nothing that they could do."""
    if library.full_adder is None:
        return []
    module = _load(workdir, plan.ADDERS, top)
    while simplify_adders(module):
        _save(workdir, plan.ADDERS, top, module)
        run_plan(plan.clean_plan(library), workdir, budget, progress)
        module = _load(workdir, plan.ADDERS, top)
    if not map_adders(module, library.full_adder):
        return []
    _save(workdir, plan.ADDERS, top, module)
    run_plan(plan.adders_plan(library), workdir, budget, progress)
    return [_candidate(name, workdir, top, library) for name in plan.ALL_MAPPED_ADDERS]


def _delays(candidates: Sequence[Candidate], workdir: Path) -> dict[str, float]:
    """What ABC says of each, in ps; it leaves registers and ports out, alike for all.  Nothing if it says it not."""
    said = re.findall(r"\bDelay = *([\d.]+) ps", (workdir / "yosys.log").read_text())[-len(candidates) :]
    if len(said) != len(candidates):
        return {}
    return {candidate.name: float(ps) for candidate, ps in zip(candidates, said, strict=True)}


def _fast(candidates: Sequence[Candidate], delays: dict[str, float], limit_ps: float | None) -> Candidate:
    """The fastest, or the smallest that takes no longer than the limit."""
    meeting = [each for each in candidates if limit_ps is not None and delays.get(each.name, math.inf) <= limit_ps]
    if meeting or not delays:
        return min(meeting or candidates, key=lambda each: each.area)
    return min(candidates, key=lambda each: delays[each.name])


def _smallest(candidates: Sequence[Candidate], workdir: Path, top: str, library: Library) -> Candidate:
    """The one with the fewest cells in a row, of those that are about as small as the smallest."""
    limit = AS_SMALL * min(candidate.area for candidate in candidates)
    fitting = [candidate for candidate in candidates if candidate.area <= limit]
    if len(fitting) == 1:
        return fitting[0]
    adder = library.full_adder.cell if library.full_adder else None

    def levels(candidate: Candidate) -> float:
        netlist = Netlist(workdir / f"{candidate.name}.json", top)
        return netlist.longest_path(
            delay=lambda gate: 2.0 if gate.type == adder else 1.0,
            setup=lambda gate: 0.0 if library.cells[gate.type].sequential else None,
        )[0]

    return min(fitting, key=lambda candidate: (levels(candidate), candidate.area))


def _candidate(name: str, workdir: Path, top: str, library: Library) -> Candidate:
    module, notes, registers = _load(workdir, name, top), [], plan.registers(plan.MAPPED)
    adders = name in plan.ALL_MAPPED_ADDERS
    if adders:
        assert library.full_adder is not None
        registers = plan.registers(plan.MAPPED_ADDERS)
        notes = [f"Full adders are mapped onto {library.full_adder.cell}, which makes the netlist smaller."]
    for cell in module["cells"].values():
        if cell["type"] not in library.cells:
            raise SynthError(f"Cells of the design must be in library {library.name!r}, not {cell['type']!r}")
    # ABC knows no cell that drives an input of its logic: a register may be left with any number of readers.
    if buffers := buffer_fanout(module, library, overloaded=not adders):
        notes.append(f"Nets that many cells read have {buffers:,} buffers more than ABC gave them.")
    area = math.fsum(library.cells[cell["type"]].area for cell in module["cells"].values())
    return Candidate(name=name, module=module, registers=registers, area=round(area, 6), notes=notes)


def _load(workdir: Path, name: str, top: str) -> dict[str, Any]:
    return json.loads((workdir / f"{name}.json").read_text())["modules"][top]


def _save(workdir: Path, name: str, top: str, module: dict[str, Any]) -> None:
    # Without the cells of the library, which Yosys has when it reads this.
    (workdir / f"{name}.json").write_text(json.dumps({"modules": {top: module}}))
