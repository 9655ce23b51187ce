"""Yosys in a child process."""

import importlib.util
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from synth import yosys_worker
from synth.errors import SynthError
from synth.plan import Step
from synth.process import Budget, run_program


class YosysError(Exception):
    """Yosys stopped in `step`, with `message`, its own words."""

    def __init__(self, step: str, message: str) -> None:
        super().__init__(f"Yosys failed while {step}: {message}")
        self.step = step
        self.message = message


def abc_program() -> Path:
    """ABC as it comes with the Python package pyosys, which must be there."""
    package = importlib.util.find_spec("pyosys")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "yosys-abc"


def run_plan(steps: Sequence[Step], workdir: Path, budget: Budget, progress: Callable[[str], None]) -> dict[str, str]:
    """Run the steps in a child process in `workdir`; return the versions of Yosys and, where known, ABC.

    Adds what it says to `yosys.log` there.  Raises YosysError if Yosys stops, SynthError if it is absent or time is up.
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
            with (workdir / "yosys.log").open("a") as log:
                log.write("\n".join(said) + "\n")
    if status:
        errors = [line for line in said if "ERROR:" in line]
        ended = f"it was ended by signal {-status}" if status < 0 else f"its exit status is {status}"
        raise YosysError(doing, errors[-1].removeprefix("ERROR: ").strip() if errors else ended)
    return versions
