"""Planted faults: one gate of a module inverted by Yosys."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_SCRIPT = """
from pyosys import libyosys as ys
import sys
source, module, seed, target = sys.argv[1:]
design = ys.Design()
def run(command): ys.run_pass(command, design)
run(f"read_verilog {source}")
run("proc; opt_clean")
run(f"select {module}")
run(f"mutate -list 1 -mode inv -seed {seed} -o {target}.mutation")
run("select -clear")
run(f"script {target}.mutation")
run(f"write_verilog -noattr {target}")
"""


def plant(source: Path, module: str, target: Path, seed: int = 1) -> None:
    """Write ``source`` to ``target`` with one cell port bit of ``module`` inverted."""
    done = subprocess.run([sys.executable, "-c", _SCRIPT, str(source), module, str(seed), str(target)],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "mutate" in Path(f"{target}.mutation").read_text()
