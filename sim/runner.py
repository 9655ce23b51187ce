"""The one helper that builds and runs a simulator, with a time limit, and hands results back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cocotb_tools.check_results import get_results
from numpy.typing import NDArray

from sim.simulators import SimulationError, SimulatorName, environment

#: Called now and then with how much is done (results), if anybody wants to know.
Progress = Callable[[int], None] | None

INTERVAL_S = 0.5  #: between two looks at the progress
PROGRESS = "progress"  #: the file in the work folder that says how much is done
LOGS = ("simulation.log", "build.log", "child.log")  #: of a run in the work folder, the last one begun first

ROOT = Path(__file__).resolve().parent.parent


def run_bench(
    bench: str,
    *,
    sources: Sequence[Path],
    top: str,
    folder: Path,
    simulator: SimulatorName,
    public: Mapping[str, Sequence[str]],
    vectors: Mapping[str, NDArray[Any]],
    settings: Mapping[str, Any] | None = None,
    waves: bool = False,
    seed: int = 0,
    timeout_s: float = 3600,
    on_progress: Progress = None,
) -> dict[str, NDArray[Any]]:
    """Run a cocotb bench on Verilog and return the arrays it saved.

    Parameters
    ----------
    bench
        Module with the cocotb test; it calls :func:`sim.job.load` and :func:`sim.job.save`.
    sources, top
        Verilog files and top module. An unchanged design in the same folder is not built again.
    folder
        Work folder; logs, waves and vectors stay there.
    public
        Module -> the signals in it that the bench reads or drives, ``*`` standing for any letters.
    vectors, settings
        What the bench is given.

    Raises
    ------
    SimulationError
        If building or running fails or takes longer than ``timeout_s`` seconds, or the bench fails.
    """
    if simulator == "bulk":
        raise SimulationError("Simulator of a cocotb bench must be icarus or verilator, not 'bulk'")
    prepare(folder, (simulator, top, waves, public), sources)
    np.savez_compressed(folder / "vectors.npz", allow_pickle=False, **vectors)
    job = {
        "bench": bench,
        "sources": [str(p.resolve()) for p in sources],
        "top": top,
        "folder": str(folder.resolve()),
        "simulator": simulator,
        "waves": waves,
        "seed": seed,
        "settings": {"progress": str(folder.resolve() / PROGRESS), **(settings or {})},
        "public": {k: list(v) for k, v in public.items()},
    }
    job_file = (folder / "job.json").resolve()
    job_file.write_text(json.dumps(job, indent=1))
    code = run_child(
        [sys.executable, "-m", "sim.cocotb_child", str(job_file)],
        environment(simulator),
        folder / "child.log",
        timeout_s,
        folder / PROGRESS,
        on_progress,
    )
    if not (folder / "results.xml").exists():
        raise SimulationError(
            f"Simulation with {simulator} must run to its end, and it stopped ({code}): {last_error(folder)}"
        )
    tests, failed = get_results(folder / "results.xml")
    if failed or not tests or not (folder / "observed.npz").exists():
        raise SimulationError(
            f"Bench {bench} must pass, and {failed} of its {tests} tests failed: {last_error(folder)}"
        )
    with np.load(folder / "observed.npz", allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def prepare(folder: Path, settings: object, sources: Sequence[Path]) -> None:
    """Make the work folder; remove what an earlier run left in it, and its build if that was of something else."""
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(repr(settings).encode() + b"".join(p.read_bytes() for p in sources)).hexdigest()
    stamp = folder / "built-from"
    if not stamp.exists() or stamp.read_text() != key:
        shutil.rmtree(folder / "build", ignore_errors=True)
        (folder / "built").unlink(missing_ok=True)
        stamp.write_text(key)
    for stale in ("observed.npz", "observed.bin", "results.xml", PROGRESS, *LOGS):
        (folder / stale).unlink(missing_ok=True)


def run_child(
    command: Sequence[str],
    env: dict[str, str],
    log: Path,
    timeout_s: float,
    progress: Path | None = None,
    on_progress: Progress = None,
    since: float | None = None,
    cwd: Path = ROOT,
) -> int:
    """Run a process group to its end; kill all of it on a time-out or an interrupt.

    ``on_progress`` is told the number that the child keeps in file ``progress``. The time began ``since``
    (of ``time.monotonic``), now if not given.
    """
    env = {**env, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH", "")]))}
    with open(log, "w") as output:
        child = subprocess.Popen(
            command,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = (time.monotonic() if since is None else since) + timeout_s
        try:
            while True:
                rest = deadline - time.monotonic()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return child.wait(max(0.0, min(rest, INTERVAL_S)))
                if rest <= INTERVAL_S:
                    raise SimulationError(f"Simulation must end within {timeout_s:g} s, and it did not; see {log}")
                if on_progress and progress and (done := _number(progress)) is not None:
                    on_progress(done)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _number(path: Path) -> int | None:
    """A number kept in a file; None while it is not there or just being written."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def last_error(folder: Path) -> str:
    """The most telling line of the first of ``LOGS`` that has one, and where to read on."""
    for name in LOGS:
        path = folder / name
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        errors = [line.strip() for line in lines if "rror" in line]
        if errors:
            return f"{errors[0]} (see {path})"
    return f"see the logs in {folder}"
