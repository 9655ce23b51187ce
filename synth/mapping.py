"""From Verilog to the best of several netlists on the cells of a library."""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth import plan
from synth.abc_scripts import Effort, Script
from synth.adders import map_adders, simplify_adders
from synth.errors import SynthError
from synth.fanout import buffer_fanout
from synth.liberty import Library
from synth.netlist import Netlist
from synth.process import Budget
from synth.yosys import run_plan

#: For the effort area, a netlist that much larger than the smallest is as good if it is less deep.
AS_SMALL = 1.01


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A netlist, the name of its file, what made it, and what a reader should know.

    ``registers`` is the file with its registers before mapping. ``delay_ps`` is what ABC says, which sees no registers,
    no adder cells and nothing of the ports; ``mapper_ps`` is what its mapper reckoned with, which knows no loads. None
    where it does not tell.
    """

    name: str
    script: Script
    module: dict[str, Any]
    registers: str
    area: float
    delay_ps: float | None
    mapper_ps: float | None
    notes: list[str]


def map_design(
    verilog: Sequence[Path],
    top: str,
    library: Library,
    scripts: Sequence[Script],
    workdir: Path,
    budget: Budget,
    progress: Callable[[str], None],
) -> tuple[list[Candidate], dict[str, str]]:
    """What the scripts make, in their order but those with adder cells last, and the versions of the tools.

    There are none with adder cells where the library has no full adder or the design no use for it.
    Leaves the files of `plan` in `workdir`.  Raises YosysError and SynthError.
    """
    gates, adders = ([script for script in scripts if script.adders is kind] for kind in (False, True))
    said = _said(workdir)
    versions = run_plan(plan.plan(verilog, top, library, scripts), workdir, budget, progress)
    found = _candidates(gates, plan.MAPPED, said, workdir, top, library)
    if adders and _place_adders(top, library, workdir, budget, progress):
        said = _said(workdir)
        run_plan(plan.adders_plan(library, adders), workdir, budget, progress)
        found += _candidates(adders, plan.MAPPED_ADDERS, said, workdir, top, library)
    return found, versions


def choose(
    candidates: Sequence[Candidate], effort: Effort, workdir: Path, top: str, library: Library
) -> list[Candidate]:
    """Those that may meet an effort best: one, but for balanced up to three that only timing can choose from.

    These are the smallest, the fastest, and that of the least area x delay, by what ABC says of delays.
    """
    gates = [candidate for candidate in candidates if not candidate.script.adders]
    best = {
        "area": lambda: _smallest(candidates, workdir, top, library),
        "speed": lambda: min(gates, key=lambda each: each.delay_ps or each.area),
        "balanced": lambda: min(gates, key=lambda each: each.area * (each.delay_ps or 1.0)),
    }
    efforts = best if effort == "balanced" else (effort,)
    return list({found.name: found for each in efforts if (found := best[each]())}.values())


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


def _place_adders(top: str, library: Library, workdir: Path, budget: Budget, progress: Callable[[str], None]) -> bool:
    """Turn the adders of plan.ADDERS into cells of the library; False if there is nothing that they could do."""
    if library.full_adder is None:
        return False
    module = _load(workdir, plan.ADDERS, top)
    while simplify_adders(module):
        _save(workdir, plan.ADDERS, top, module)
        run_plan(plan.clean_plan(library), workdir, budget, progress)
        module = _load(workdir, plan.ADDERS, top)
    if not map_adders(module, library.full_adder):
        return False
    _save(workdir, plan.ADDERS, top, module)
    return True


def _said(workdir: Path) -> int:
    """How much there is in the log of Yosys."""
    log = workdir / "yosys.log"
    return len(log.read_text()) if log.exists() else 0


def _candidates(
    scripts: Sequence[Script], kind: str, said: int, workdir: Path, top: str, library: Library
) -> list[Candidate]:
    """The netlists `kind` of the scripts, with the delays that the log has after its first `said` characters."""
    delays = _delays((workdir / "yosys.log").read_text()[said:], len(scripts))
    return [
        _candidate(plan.netlist_name(kind, number), script, *found, workdir, top, library)
        for number, (script, found) in enumerate(zip(scripts, delays, strict=True))
    ]


def _delays(log: str, count: int) -> list[tuple[float | None, float | None]]:
    """What ABC says of each of `count` netlists, and what its mapper reckoned with, in ps; None if it says it not."""
    *parts, _ = re.split(r"\bDelay = *([\d.]+) ps", log)
    said = list(zip(parts[::2], parts[1::2], strict=True))
    if len(said) != count:
        return [(None, None)] * count
    mappers = [re.findall(r"\bAreaFlow : Delay = *([\d.]+)", before) for before, _ in said]
    return [(float(ps), float(found[-1]) if found else None) for (_, ps), found in zip(said, mappers, strict=True)]


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


def _candidate(
    name: str,
    script: Script,
    delay_ps: float | None,
    mapper_ps: float | None,
    workdir: Path,
    top: str,
    library: Library,
) -> Candidate:
    module, notes, registers = _load(workdir, name, top), [], plan.registers(plan.MAPPED)
    if script.adders:
        assert library.full_adder is not None
        registers = plan.registers(plan.MAPPED_ADDERS)
        notes = [f"Full adders are mapped onto {library.full_adder.cell}, which makes the netlist smaller."]
    for cell in module["cells"].values():
        if cell["type"] not in library.cells:
            raise SynthError(f"Cells of the design must be in library {library.name!r}, not {cell['type']!r}")
    # ABC knows no cell that drives an input of its logic: a register may be left with any number of readers.
    if buffers := buffer_fanout(module, library, overloaded=not script.adders):
        notes.append(f"Nets that many cells read have {buffers:,} buffers more than ABC gave them.")
    area = math.fsum(library.cells[cell["type"]].area for cell in module["cells"].values())
    return Candidate(
        name=name,
        script=script,
        module=module,
        registers=registers,
        area=round(area, 6),
        delay_ps=delay_ps,
        mapper_ps=mapper_ps,
        notes=notes,
    )


def _load(workdir: Path, name: str, top: str) -> dict[str, Any]:
    return json.loads((workdir / f"{name}.json").read_text())["modules"][top]


def _save(workdir: Path, name: str, top: str, module: dict[str, Any]) -> None:
    # Without the cells of the library, which Yosys has when it reads this.
    (workdir / f"{name}.json").write_text(json.dumps({"modules": {top: module}}))
