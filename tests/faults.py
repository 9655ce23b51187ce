"""Planted faults: one gate of a module inverted by Yosys, such that it matters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_MUTATE = """
read_verilog {source}
proc
select {module}/* {module}/t:$meminit* %d
mutate -list 1 -mode inv -seed {seed} -o {target}.mutation
select -clear
script {target}.mutation
write_verilog -noattr {target}
"""

#: Fails if and only if the two differ for some input.
_COMPARE = """
read_verilog {source}
hierarchy -top {module}
proc
flatten
rename {module} gold
design -stash gold
read_verilog {target}
hierarchy -top {module}
proc
flatten
rename {module} gate
design -copy-from gold gold
miter -equiv -flatten gold gate miter
sat -verify -prove trigger 0 miter
"""


def run_yosys(script: str, **names: object) -> subprocess.CompletedProcess[str]:
    runner = "import sys; from pyosys import libyosys as y; d = y.Design(); [y.run_pass(c, d) for c in sys.argv[1:]]"
    commands = script.format(**names).strip().splitlines()
    return subprocess.run([sys.executable, "-c", runner, *commands], capture_output=True, text=True, check=False)


def plant(source: Path, module: str, target: Path, *, combinational: bool, first: int = 1) -> str:
    """Write ``source`` to ``target`` with one cell port bit of ``module`` inverted; returns what was done.

    Some inversions change nothing (a carry that is dropped): of a combinational module, the first one
    (from seed ``first`` on) is taken that a SAT solver says to change an output.
    """
    for seed in range(first, first + 10):
        names = {"source": source, "module": module, "target": target, "seed": seed}
        done = run_yosys(_MUTATE, **names)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        mutation = Path(f"{target}.mutation").read_text()
        assert "mutate" in mutation
        if not combinational or run_yosys(_COMPARE, **names).returncode:
            return mutation
    raise AssertionError(f"ten mutations of {module} changed nothing")
