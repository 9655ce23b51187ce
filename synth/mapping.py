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
from synth.plan import Effort
from synth.process import Budget
from synth.yosys import run_plan

#: Files of the work folder that nobody needs after a run.
SCRATCH = (
    "plan.json",
    *(f"{name}.json" for name in (plan.SOURCE, plan.DEPTH, plan.ADDERS, *plan.ALL_MAPPED)),
    *(f"{plan.registers(name)}.json" for name in (plan.MAPPED, plan.MAPPED_ADDERS)),
)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A netlist, the file with its registers before mapping, and what a reader should know of it."""

    module: dict[str, Any]
    registers: str
    area: float
    notes: list[str]


def map_design(
    verilog: Sequence[Path],
    top: str,
    library: Library,
    effort: Effort,
    workdir: Path,
    budget: Budget,
    progress: Callable[[str], None],
) -> tuple[Candidate, dict[str, str]]:
    """Leave the smallest or fastest netlist in `workdir` as netlist.json and netlist.v; versions of the tools.

    Leaves the other files of `plan` there too.  Raises YosysError and SynthError.
    """
    versions = run_plan(plan.plan(verilog, top, library, effort), workdir, budget, progress)
    registers = plan.registers(plan.MAPPED)
    candidates = [_candidate(_load(workdir, name, top), registers, library, []) for name in plan.mapped(effort)]
    # What ABC says of each, in their order; it leaves registers and ports out, alike for all.
    delays = [float(ps) for ps in re.findall(r"\bDelay = *([\d.]+) ps", (workdir / "yosys.log").read_text())]
    if effort == "speed" and len(delays) == len(candidates):
        best = candidates[delays.index(min(delays))]
    else:
        best = min(candidates, key=lambda candidate: candidate.area)
    if (workdir / f"{plan.ADDERS}.json").is_file():
        other = _with_adders(top, library, effort, workdir, budget, progress)
        if other is not None and other.area < best.area:
            best = other
    _save(workdir, "netlist", top, best.module)
    run_plan(plan.write_plan(library), workdir, budget, progress)
    return best, versions


def _with_adders(
    top: str, library: Library, effort: Effort, workdir: Path, budget: Budget, progress: Callable[[str], None]
) -> Candidate | None:
    """The netlist with full-adder cells; None if there is nothing that they could do."""
    assert library.full_adder is not None
    module = _load(workdir, plan.ADDERS, top)
    while simplify_adders(module):
        _save(workdir, plan.ADDERS, top, module)
        run_plan(plan.clean_plan(library), workdir, budget, progress)
        module = _load(workdir, plan.ADDERS, top)
    if not map_adders(module, library.full_adder):
        return None
    _save(workdir, plan.ADDERS, top, module)
    run_plan(plan.adders_plan(library, effort), workdir, budget, progress)
    module = _load(workdir, plan.MAPPED_ADDERS, top)
    notes = [f"Full adders are mapped onto {library.full_adder.cell}, which makes the netlist smaller."]
    buffers = buffer_fanout(module, library)
    if buffers:
        notes.append(f"Nets that many full adders read have {buffers:,} buffers more than ABC gave them.")
    return _candidate(module, plan.registers(plan.MAPPED_ADDERS), library, notes)


def _candidate(module: dict[str, Any], registers: str, library: Library, notes: list[str]) -> Candidate:
    areas = []
    for cell in module["cells"].values():
        if cell["type"] not in library.cells:
            raise SynthError(f"Cells of the design must be in library {library.name!r}, not {cell['type']!r}")
        areas.append(library.cells[cell["type"]].area)
    return Candidate(module=module, registers=registers, area=round(math.fsum(areas), 6), notes=notes)


def _load(workdir: Path, name: str, top: str) -> dict[str, Any]:
    return json.loads((workdir / f"{name}.json").read_text())["modules"][top]


def _save(workdir: Path, name: str, top: str, module: dict[str, Any]) -> None:
    # Without the cells of the library, which Yosys has when it reads this.
    (workdir / f"{name}.json").write_text(json.dumps({"modules": {top: module}}))
