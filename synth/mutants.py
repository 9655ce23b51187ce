"""Mutants of a design: one Verilog module with a control input that says which single fault is in it."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from synth.errors import SynthError
from synth.plan import Step
from synth.process import Budget
from synth.yosys import YosysError, run_plan

CONTROL = "mutant"  #: the control input; 0 is the design without a fault


def make_mutants(verilog: Path, top: str, target: Path, *, count: int, seed: int, timeout_s: float = 300) -> list[str]:
    """Write `target`: module `top` flattened, with a port CONTROL that for k = 1, 2, ... brings fault k in.

    Returns what each fault is, in Yosys' words: at most `count`, the same ones for the same seed.
    Raises SynthError, one sentence, if Yosys fails or finds nothing to change.
    """
    width = count.bit_length()
    with tempfile.TemporaryDirectory(prefix="xnorforge-mutants-") as folder:
        commands = [
            f'read_verilog "{verilog.resolve()}"',
            f"hierarchy -check -top {top}",
            "proc",
            "flatten -noscopeinfo",
            # A parallel case with a fault in a condition is none, and a simulator would stop there.
            "pmuxtree",
            "opt_clean",
            f"mutate -list {count} -seed {seed} -ctrl {CONTROL} {width} 1 -o mutations.txt",
            "script mutations.txt",
            f'write_verilog -noattr "{target.resolve()}"',
        ]
        plan, budget = [Step(doing="making mutants", commands=commands)], Budget(limit_s=timeout_s, task="Mutation")
        try:
            run_plan(plan, Path(folder), budget, lambda _: None)
        except YosysError as error:
            raise SynthError(str(error)) from None
        lines = (Path(folder) / "mutations.txt").read_text().splitlines()
    faults = [_words(line) for line in lines if line.startswith("mutate")]
    if not faults:
        raise SynthError(f"Design to be mutated must have logic, not only wires, as {verilog.name!r} has")
    return faults


def _words(line: str) -> str:
    """A `mutate` command as words: what is done to which cell or wire."""
    options = dict(re.findall(r"-(mode|cell|port|portbit|ctrlbit|wire|wirebit) (\S+)", line))
    cell = re.sub(r"^\$?(\w+)\$.*?(:\d+).*$", r"\1 of line\2", options.get("cell", "?")).replace("line:", "line ")
    wire = f", wire {options['wire']}[{options.get('wirebit', 0)}]" if "wire" in options else ""
    return f"{options['mode']} at {options.get('port', '?')}[{options.get('portbit', 0)}] of {cell}{wire}"


def fix_mutant(mutants: Path, top: str, ports: Mapping[str, tuple[bool, int]], number: int, count: int) -> str:
    """Verilog of module `top` with fault `number` alone, without the control port.

    mutants, count: what :func:`make_mutants` wrote and was asked for.
    ports: name -> (whether it is an input, width in bits), in any order.
    """
    body = re.sub(rf"^module {top}\b", f"module {top}_mutants", mutants.read_text(), flags=re.MULTILINE)
    declared = ", ".join(f"{'input' if i else 'output'} [{width - 1}:0] {n}" for n, (i, width) in ports.items())
    wired = ", ".join(f".{name}({name})" for name in ports)
    control = f".{CONTROL}({count.bit_length()}'d{number})"
    return f"{body}\nmodule {top}({declared});\n  {top}_mutants mutants({wired}, {control});\nendmodule\n"
