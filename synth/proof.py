"""Proof that two designs, combinational or with pipeline registers, do the same for every input.

    prove_equal(Path("adder_tree.v"), Path("plain_sum.v"), "top")

Yosys turns the question whether any output differs into an and-inverter graph, undefined values being 0. ABC
answers it by decision diagrams, which is quick for sums and tables (nine numbers of 4 bits: 0.1 s, against
a minute by SAT), and where these grow too large by sweeping for equal nodes with a SAT solver.
"""

import os
import re
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

from synth.errors import SynthError
from synth.plan import Step
from synth.process import Budget, run_program
from synth.yosys import YosysError, abc_program, run_plan

_REGISTERS = "t:$*dff* t:$*DFF* t:$ff t:$*latch* t:$*LATCH* t:$sr t:$_SR_* t:$mem*"

#: What ABC does with the miter; diagrams of more nodes than that give up at once.
_BY_DIAGRAMS = "collapse -B 100000; muxes; strash; sat -C 1"
_BY_SAT = "&get; &cec -m -C 1000000000"


class DifferenceError(SynthError):
    """The designs differ, the sentence says for which input."""


class Proof(NamedTuple):
    """How it was proven, and in how many seconds."""

    method: Literal["BDD", "SAT", "exhaustive"]
    seconds: float


def prove_equal(gold: Path, gate: Path, top: str, *, latency: int = 0, timeout_s: float = 600) -> Proof:
    """Prove that module `top` of the Verilog `gate` equals that of `gold`; the ports must be the same.

    latency: most registers, on the one clock `clk`, from an input to an output. Whatever they hold at first, the
    outputs so many cycles on depend on the inputs alone, and are compared for all inputs of all cycles.
    timeout_s: seconds for everything; what is still running then is killed.

    Raises DifferenceError if they differ, and another SynthError if one has more registers or other ports, a tool
    fails, or it is not known in time; always one sentence.
    """
    budget = Budget(limit_s=timeout_s, task="Proof")
    with tempfile.TemporaryDirectory(prefix="xnorforge-proof-") as folder:
        work = Path(folder)
        commands = [
            *_read(gold, top, "gold", latency),
            *_read(gate, top, "gate", latency),
            *(f"design -copy-from {name} {name}" for name in ("gold", "gate")),
            "miter -equiv -flatten gold gate miter",
            "miter -equiv -flatten -make_outputs gold gate shown",
            "write_rtlil miters.il",
            "hierarchy -top miter",
            "techmap",
            "opt -full",
            "dffunmap",
            "aigmap",
            "write_aiger miter.aig",
        ]
        _yosys([Step(doing="reading the two designs", commands=commands)], work, budget, latency)
        read = "read miter.aig; "
        if latency:
            # What the registers hold at first becomes an input.
            read += f"frames -F {latency + 1}; comb; cone -O {latency}; "
        method, verdict = "BDD", _abc(read + _BY_DIAGRAMS, work, budget)
        if verdict is None:
            method, verdict = "SAT", _abc(read + _BY_SAT, work, budget)
        if verdict is None:
            raise SynthError("Proof must come to an end, and ABC left it undecided")
        if not verdict:
            raise DifferenceError(
                f"Design {gate.name} must equal {gold.name}, and for {_difference(work, budget, latency)}"
            )
    return Proof(method, budget.elapsed())


def _yosys(steps: list[Step], work: Path, budget: Budget, latency: int = 0) -> None:
    try:
        run_plan(steps, work, budget, lambda _: None)
    except YosysError as error:
        if "select -assert-none" in error.message or "selection is not empty" in error.message:
            must = "combinational, not have registers or memories"
            if latency:
                must = "combinational or have registers on the rising edge of clk alone"
            raise SynthError(f"Designs to prove equal must be {must}") from None
        if found := re.search(r"No matching port in \w+ module was found for \\\\?(\w+)", error.message):
            raise SynthError(f"Ports of designs to prove equal must be the same, not differ in {found[1]!r}") from None
        raise SynthError(str(error)) from None


def _abc(script: str, work: Path, budget: Budget) -> bool | None:
    """Whether ABC, which comes with the Python package pyosys, finds the graphs equal; None if undecided."""
    said: list[str] = []
    run_program(
        [abc_program(), "-c", script],
        cwd=work,
        env=os.environ,
        budget=budget,
        doing=lambda: "comparing the two graphs",
        on_line=said.append,
    )
    text = "\n".join(said)
    if re.search(r"\bUNSATISFIABLE|Networks are equivalent", text):
        return True
    return False if re.search(r"\bSATISFIABLE|NOT EQUIVALENT", text) else None


def _read(path: Path, top: str, name: str, latency: int) -> list[str]:
    """Commands that put the flattened module aside as `name`."""
    return [
        f'read_verilog "{path.resolve()}"',
        f"hierarchy -check -top {top}",
        "proc",
        "flatten -noscopeinfo",
        *(["setattr -unset init", "opt_expr"] if latency else []),
        "opt_clean",
        "memory_map -rom-only",
        # All on one edge of the clock, which the comparison leaves out.
        f"select -assert-none {_REGISTERS}{' %% t:$dff %d' if latency else ''}",
        "select -assert-none t:$dff %ci1:+[CLK] w:* %i w:clk %d",
        "select -assert-none t:$dff r:CLK_POLARITY=1'0 %i",
        f"rename {top} {name}",
        f"design -stash {name}",
    ]


def _difference(work: Path, budget: Budget, latency: int) -> str:
    """An input for which the two differ, in words; of a pipeline, the first of those in the last cycles."""
    steps = f"-seq {latency + 1} -prove-skip {latency} " if latency else ""
    commands = ["read_rtlil miters.il", f"sat {steps}-prove trigger 0 -show-inputs -show-outputs shown"]
    _yosys([Step(doing="looking for an input that shows the difference", commands=commands)], work, budget)
    row = r"^\s+(\d*)\s*\\(\w+)\s+\S+\s+\S+\s+([01]+)$"
    table = re.findall(row, (work / "yosys.log").read_text(), re.MULTILINE)
    when = {"in": "1", "gold": f"{latency + 1}", "gate": f"{latency + 1}"}
    values = {name: int(bits, 2) for time, name, bits in table if time in ("", when.get(name.split("_")[0]))}
    inputs = ", ".join(f"{k[3:]} = {v}" for k, v in values.items() if k.startswith("in_"))
    differing = [k[5:] for k, v in values.items() if k.startswith("gold_") and values[f"gate_{k[5:]}"] != v]
    name = differing[0]
    return f"{inputs} its {name} is {values[f'gate_{name}']}, not {values[f'gold_{name}']}"
