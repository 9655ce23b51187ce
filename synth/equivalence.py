"""Proof that a mapped netlist does what the Verilog says.

Compared are the Verilog as Yosys read it, brought down to gates with nothing optimized, and the final netlist,
each cell taken for what its Liberty function says.  ABC compares every output and, for every register of
the source, what it holds after the next clock edge, its clock and its asynchronous reset, as functions of the
inputs and of what the registers hold now.

Registers are not moved by synthesis, but it drops those that nothing reads, and merges those that are always
equal, constant, or each other's complement.  Which is which is read off the names that Yosys keeps on their
outputs, and proven as an induction: if such registers agree before a clock edge they agree after it.  That they
agree at power-up is not proven, and cannot be: no register of an ASIC has a value then.  An undefined value in
the source is 0 on both sides.
"""

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.blif import Network, State, constant
from synth.errors import SynthError, TimeLimitError
from synth.liberty import Library
from synth.netlist import bit_names
from synth.plan import SOURCE
from synth.process import Budget, run_program
from synth.yosys import abc_program

DOING = "proving the netlist equivalent to the Verilog"
_SWEEP = "miter source.blif netlist.blif; strash; ifraig -C 100; iprove"


@dataclass(frozen=True, kw_only=True)
class _Register:
    """A register of the source: its cell there, its name, and what stands for it in the netlist.

    cell: flip-flop of the netlist, whose complement it is if `inverted`; None for a constant and for a register
    that is dropped.
    """

    source: str
    name: str
    cell: str | None
    inverted: bool
    constant: str | None


def prove_equivalent(
    top: str,
    registers: str,
    library: Library,
    workdir: Path,
    budget: Budget,
    progress: Callable[[str], None],
) -> str:
    """Prove netlist.json in `workdir` equivalent to the source as gates; returns how, for people.

    registers: name of the JSON file with the netlist before mapping, which has a flip-flop cell of the same name
    for each one of the netlist, and all names of nets.
    Raises SynthError naming an output or register that differs, or if time is up.
    """
    progress(DOING)
    before = budget.elapsed()
    files = (SOURCE, registers, "netlist")
    source, ready, netlist = (json.loads((workdir / f"{file}.json").read_text())["modules"][top] for file in files)
    pairs = _pair(source, ready)
    inputs = {name: f"i{n}" for n, name in enumerate(_port_bits(source, "input"))}
    outputs = list(_port_bits(source, "output"))
    # Every flip-flop of the netlist is a variable of both networks, and so is a register that was dropped.
    cells = sorted({pair.cell for pair in pairs if pair.cell is not None})
    variables = {cell: f"s{n}" for n, cell in enumerate(cells)}
    dropped = {pair.source: f"d{n}" for n, pair in enumerate(pairs) if pair.cell is None and pair.constant is None}
    ports = [*inputs.values(), *variables.values(), *dropped.values()]

    gold = Network(source, None)
    states: dict[str, State] = {
        pair.source: constant(pair.constant)
        if pair.constant is not None
        else State(variable=variables[pair.cell] if pair.cell else dropped[pair.source], inverted=pair.inverted)
        for pair in pairs
    }
    gold.declare(inputs, _port_bits(source, "input"), states)
    gate = Network(netlist, library)
    gate.declare(
        inputs, _port_bits(netlist, "input"), {c: State(variable=v, inverted=False) for c, v in variables.items()}
    )

    meaning: dict[str, str] = {}
    source_bits, netlist_bits = _port_bits(source, "output"), _port_bits(netlist, "output")
    for number, name in enumerate(outputs):
        meaning[f"o{number}"] = f"output {name!r}"
        gold.output(f"o{number}", gold.signal(source_bits[name]))
        gate.output(f"o{number}", gate.signal(netlist_bits[name]))
    for number, pair in enumerate(pairs):
        if pair.source in dropped:
            continue
        # In terms of the variable, so the complement of a register that the netlist has inverted.
        what = gold.register(pair.source)
        meaning[f"x{number}"] = f"register {pair.name!r}"
        gold.output(f"x{number}", what.next)
        if pair.cell is None:
            gate.output(f"x{number}", constant(pair.constant or "0").variable)
            continue
        meaning[f"c{number}"] = f"the clock of register {pair.name!r}"
        meaning[f"a{number}"] = f"the reset of register {pair.name!r}"
        other = gate.register(pair.cell)
        gold.output(f"c{number}", what.clock)
        gold.output(f"a{number}", what.reset)
        gate.output(f"x{number}", other.next)
        gate.output(f"c{number}", other.clock)
        gate.output(f"a{number}", other.reset)
    with tempfile.TemporaryDirectory(dir=workdir, prefix="tmp-") as folder:
        gold.write(Path(folder) / "source.blif", ports)
        gate.write(Path(folder) / "netlist.blif", ports)
        method = _compare(meaning, Path(folder), workdir / "equivalence.log", budget)
    merged = len(pairs) - len(cells) - len(dropped)
    kinds = [f"{len(outputs):,} outputs", f"{len(cells):,} registers" if cells else ""]
    kinds += [f"{merged:,} registers equal to others or constant" if merged else ""]
    kinds += [f"{len(dropped):,} without effect" if dropped else ""]
    return f"proven by {method} in {budget.elapsed() - before:.1f} s: {', '.join(kind for kind in kinds if kind)}"


def _pair(source: Mapping[str, Any], registers: Mapping[str, Any]) -> list[_Register]:
    names: dict[Any, list[str]] = {}
    for name, wire in source["netnames"].items():
        for bit, label in bit_names(name, wire):
            names.setdefault(bit, []).append(label)
    bits: dict[str, Any] = {}
    for name, wire in registers["netnames"].items():
        bits.update((label, bit) for bit, label in bit_names(name, wire, constants=True))
    drivers: dict[Any, tuple[str, Mapping[str, Any]]] = {}
    for name, cell in registers["cells"].items():
        for pin in ("Q", "Y"):
            drivers.update((bit, (name, cell)) for bit in cell["connections"].get(pin, ()))
    found = []
    for name, cell in source["cells"].items():
        if Network.is_register(cell["type"]):
            labels = sorted(names.get(cell["connections"]["Q"][0], [name]), key=lambda label: (label[0] == "$", label))
            found.append(_find(name, labels, bits, drivers))
    return found


def _find(
    source: str,
    labels: Sequence[str],
    bits: Mapping[str, Any],
    drivers: Mapping[Any, tuple[str, Mapping[str, Any]]],
) -> _Register:
    for label in labels:
        bit, inverted = bits.get(label), False
        while bit in drivers and drivers[bit][1]["type"] == "$_NOT_":
            bit, inverted = drivers[bit][1]["connections"]["A"][0], not inverted
        if isinstance(bit, str):
            known = "0" if bit not in "01" else bit if not inverted else "10"[int(bit)]
            return _Register(source=source, name=labels[0], cell=None, inverted=False, constant=known)
        if bit in drivers and Network.is_register(drivers[bit][1]["type"]):
            return _Register(source=source, name=labels[0], cell=drivers[bit][0], inverted=inverted, constant=None)
    return _Register(source=source, name=labels[0], cell=None, inverted=False, constant=None)


def _port_bits(module: Mapping[str, Any], direction: str) -> dict[str, Any]:
    ports = {name: port for name, port in module["ports"].items() if port["direction"] == direction}
    wires = {name: {**module["netnames"].get(name, {}), "bits": port["bits"]} for name, port in ports.items()}
    return {label: bit for name, wire in wires.items() for bit, label in bit_names(name, wire, constants=True)}


def _compare(meaning: Mapping[str, str], folder: Path, log: Path, budget: Budget) -> str:
    """Prove source.blif and netlist.blif of `folder` equal, output by output; returns the method."""
    said: list[str] = []

    def abc(commands: str, limit: Budget) -> str:
        """What ABC says; the exit status tells nothing of the answer."""
        first = len(said)
        run_program(
            [abc_program(), "-c", commands],
            cwd=folder,
            env=os.environ,
            budget=limit,
            doing=lambda: DOING,
            on_line=said.append,
        )
        return "\n".join(said[first:])

    try:
        # Equal nodes merged from the inputs on: of a large network many times faster than `cec`, where it decides.
        with contextlib.suppress(TimeLimitError):
            half = Budget(limit_s=budget.left() / 2, task=budget.task)
            if re.search(r"^UNSATISFIABLE", abc(_SWEEP, half), re.MULTILINE):
                return "ABC ifraig"
        # Limits that are never met: it is the budget that ends it.
        text = abc(f"cec -T {budget.left() + 60:.0f} -C 1000000000 source.blif netlist.blif", budget)
    finally:
        log.write_text("\n".join(said) + "\n")
    if re.search(r"^Networks are equivalent", text, re.MULTILINE):
        return "ABC cec"
    failed = re.search(r"^Verification failed for at least \d+ outputs:\s+(\w+)", text, re.MULTILINE)
    if failed and failed[1] in meaning:
        raise SynthError(f"Netlist must do what the Verilog says, not differ from it in {meaning[failed[1]]}")
    raise SynthError("Netlist must be proven equivalent to the Verilog, not left open by ABC")
