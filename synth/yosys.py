"""The Yosys side of synthesis: the commands of each step, and the child process that runs them."""

import importlib.util
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synth import yosys_worker
from synth.errors import SynthError
from synth.liberty import Library
from synth.process import Budget, run_program

Effort = Literal["area", "speed"]

# What ABC does.  `ifraig` with a bound on conflicts finds the logic that rows of a weight matrix share; ABC's
# own default (`&fraig -x`) can hang on such a matrix.
#
# area:  rewrite for fewer nodes, map for area.  On weight matrices `amap` gives a tenth less than ABC's other
#        mappers (`map -a`, `&nf`), on a single adder tree about the same.  Buffered and resized for loads: a whole
#        network got 3 times faster and no larger by it, because enables drive hundreds of registers.
# speed: restructure for few levels twice, keep choices (`dch`), map for delay, buffer and resize for loads.
_MAP: dict[Effort, str] = {
    "area": "strash; ifraig -C 100; dc2; amap -m; topo; buffer -c; topo; upsize; dnsize",
    "speed": (
        "strash; ifraig -C 100; &get -n; &syn3; &syn3; &put; dch -f; map -B 0.9; topo; buffer -c; topo; upsize; dnsize"
    ),
}
# For counting levels, whatever the effort and the library: choices, then the mapping with the fewest levels.
# The rewriting of `speed` is no use here, it makes few levels of ANDs and breaks up XORs on the way.
_LEVELS = "version; strash; ifraig -C 100; dch -f; map"

MAPPED = "mapped"
MAPPED_FULL_ADDERS = "mapped_full_adders"
DEPTH = "depth"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is being done, for people, and the Yosys commands that do it."""

    doing: str
    commands: list[str]


class YosysError(Exception):
    """Yosys stopped in `step`, with `message`, its own words."""

    def __init__(self, step: str, message: str) -> None:
        super().__init__(f"Yosys failed while {step}: {message}")
        self.step = step
        self.message = message


READING = "reading the Verilog"
FINDING_TOP = "looking for the top module"
FINDING_FLIP_FLOPS = "looking for flip-flops in the library"


def plan(verilog: Sequence[Path], top: str, library: Library, effort: Effort) -> list[Step]:
    """All steps from Verilog to three netlists in the current folder: NAME.json and, if mapped, NAME.v.

    MAPPED: on the cells of the library.  MAPPED_FULL_ADDERS: the same with the library's full-adder cell
    wherever the logic has a full adder; only for the effort area and where there is such a cell.  It saves on
    one compressor tree and costs on a matrix of them, where it undoes what they share.  DEPTH: on two-input
    gates.
    """
    liberty = library.path.name
    has_flip_flop = any(cell.flip_flop for cell in library.cells.values())
    find_flip_flops = f"dfflibmap -prepare -liberty {liberty}" if has_flip_flop else "select -assert-none t:$_*DFF*_"
    steps = [
        Step(doing=READING, commands=[f'read_verilog {_language(path)}"{path}"' for path in verilog]),
        Step(doing=FINDING_TOP, commands=[f"hierarchy -check -top {top}"]),
        Step(
            doing="optimizing",
            commands=[
                "proc",
                "flatten -noscopeinfo",
                # Assertions and prints are for simulation.
                "chformal -remove",
                "delete t:$print",
                # Makes a cell of each 'z, which no library has; otherwise a 'z would pass for a don't-care.
                "tribuf",
                # A register of an ASIC has no value at power-up.  Those of Amaranth are reset values too, and
                # the reset is in the logic, so nothing is lost; left in, they would let Yosys assume what no
                # cell keeps.
                "setattr -unset init",
                # Without alumacc an adder tree stays the tree that was written (alumacc merges a chain of +
                # into one $macc and gives it a shape of its own); for a tree of 3:2 counters it makes no
                # difference.
                f"synth -top {top} -noabc -noalumacc",
                "setattr -unset init",
                "opt_clean",
            ],
        ),
        Step(doing=FINDING_FLIP_FLOPS, commands=[find_flip_flops]),
        # Not `opt`: its opt_dff would undo what the registers were just turned into to suit the library.
        Step(doing="optimizing", commands=["opt_expr", "opt_merge", "opt_clean", "design -save ready"]),
        Step(
            doing="counting logic levels",
            commands=[
                f"abc -g gates -script +{_abc(_LEVELS)}",
                "opt_clean",
                _json(DEPTH),
            ],
        ),
        Step(doing="mapping onto the cells", commands=["design -load ready", *_map(library, effort, MAPPED)]),
    ]
    if effort == "area" and library.full_adder is not None:
        extract = ["design -load ready", "extract_fa -fa", "techmap -map full_adder.v", "opt_clean"]
        steps.append(
            Step(
                doing="mapping onto the cells with full adders",
                commands=[*extract, *_map(library, effort, MAPPED_FULL_ADDERS)],
            )
        )
    return steps


def _language(path: Path) -> str:
    return "-sv " if path.suffix == ".sv" else ""


def _abc(script: str) -> str:
    # One token of a Yosys command: Yosys turns the commas into blanks, and cuts at a semicolon before a blank
    # only.
    return script.replace("; ", ";").replace(" ", ",")


def _json(name: str) -> str:
    return f"write_json {name}.json"


def _map(library: Library, effort: Effort, name: str) -> list[str]:
    liberty = library.path.name
    has_flip_flop = any(cell.flip_flop for cell in library.cells.values())
    ignore = "-ignore_miss_func -ignore_miss_dir -ignore_miss_data_latch -ignore_buses"
    return [
        f"abc -liberty {liberty} -script +{_abc(_MAP[effort])}",
        *([f"dfflibmap -map-only -liberty {liberty}"] if has_flip_flop else []),
        "setundef -zero",
        # Single bits only: OpenSTA 2.0.17 rejects concatenations on the left of an assign.
        "splitnets -ports",
        "opt_clean -purge",
        # The same names in both files.
        "rename -enumerate -pattern _%_",
        # Cells without a body, so that the JSON file has the direction of each pin.
        f"read_liberty -lib {ignore} {liberty}",
        _json(name),
        f"write_verilog -noattr -noexpr -nohex -nodec -simple-lhs {name}.v",
    ]


def run_plan(steps: Sequence[Step], workdir: Path, budget: Budget, progress: Callable[[str], None]) -> dict[str, str]:
    """Run the steps in a child process in `workdir`; return the versions of Yosys and, where known, ABC.

    Leaves `yosys.log` there.  Raises YosysError if Yosys stops, SynthError if it is absent or time is up.
    """
    if importlib.util.find_spec("pyosys") is None:
        raise SynthError("Synthesis must have the Python package pyosys, which is not installed: pip install pyosys")
    (workdir / "plan.json").write_text(json.dumps([[step.doing, step.commands] for step in steps]))
    doing = "starting Yosys"
    versions: dict[str, str] = {}
    said: list[str] = []

    def on_line(line: str) -> None:
        nonlocal doing
        said.append(line)
        if not line.startswith(yosys_worker.MARK):
            if found := re.search(r"\bABC (\d[\w.]*)", line):
                versions["abc"] = found[1]
            return
        mark = line.removeprefix(yosys_worker.MARK)
        if mark.isdecimal():
            doing = steps[int(mark)].doing
            progress(doing)
        else:
            versions["yosys"] = re.sub(r"^Yosys (\S+).*", r"\1", mark)

    # -P keeps this folder off the import path of the worker.
    command = [sys.executable, "-P", yosys_worker.__file__, "plan.json"]
    # A temporary folder for this run alone: a killed ABC leaves files behind, and Yosys keeps a converted
    # library there by the file's name, which it would take for the library of the next run.  Its name is
    # given relative to the work folder, because ABC cuts paths at blanks.
    with tempfile.TemporaryDirectory(dir=workdir, prefix="tmp-") as temporary:
        environment = {**os.environ, "TMPDIR": Path(temporary).name}
        try:
            status = run_program(
                command, cwd=workdir, env=environment, budget=budget, doing=lambda: doing, on_line=on_line
            )
        finally:
            (workdir / "yosys.log").write_text("\n".join(said) + "\n")
    if status:
        errors = [line for line in said if "ERROR:" in line]
        ended = f"it was ended by signal {-status}" if status < 0 else f"its exit status is {status}"
        raise YosysError(doing, errors[-1].removeprefix("ERROR: ").strip() if errors else ended)
    return versions
