"""A netlist in Yosys' JSON as a combinational BLIF network, its registers cut open."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from synth.boolean import truth_table
from synth.errors import SynthError
from synth.liberty import FlipFlop, Library

# Yosys' gates, written as a library would.
_GATES = {
    "$_BUF_": "A",
    "$_NOT_": "!A",
    "$_AND_": "A & B",
    "$_NAND_": "!(A & B)",
    "$_OR_": "A | B",
    "$_NOR_": "!(A | B)",
    "$_XOR_": "A ^ B",
    "$_XNOR_": "!(A ^ B)",
    "$_ANDNOT_": "A & !B",
    "$_ORNOT_": "A | !B",
    "$_MUX_": "(A & !S) | (B & S)",
}
ZERO, ONE = "zero", "one"


@dataclass(frozen=True, kw_only=True)
class State:
    """What a register holds: a variable of the network, or its complement."""

    variable: str
    inverted: bool


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """Signals of a register: what its variable will be, its rising clock, whether it is set or cleared at once."""

    next: str
    clock: str
    reset: str


def constant(bit: str) -> State:
    """The state of a register that always holds `bit`."""
    return State(variable=ONE if bit == "1" else ZERO, inverted=False)


class Network:
    """The combinational functions of a module.

    library: what its cells are; None for Yosys' own gates.  Raises SynthError for a cell that it cannot describe.
    """

    def __init__(self, module: Mapping[str, Any], library: Library | None) -> None:
        self._cells: Mapping[str, Any] = module["cells"]
        self._library = library
        self._lines = [f".names {ZERO}\n.names {ONE}\n1"]
        self._states: Mapping[str, State] = {}
        self._outputs: list[str] = []
        self._serial = 0

    @staticmethod
    def is_register(kind: str) -> bool:
        """Whether a cell type is a flip-flop or latch of Yosys."""
        return re.match(r"\$_(\w*FF|DLATCH|SR_)", kind) is not None

    def declare(self, inputs: Mapping[str, str], bits: Mapping[str, Any], states: Mapping[str, State]) -> None:
        """Say which variable each input port is and what each register holds, and take in all cells."""
        for name, variable in inputs.items():
            self._function([variable], self.signal(bits[name]), "1 1")
        self._states = states
        for name, cell in self._cells.items():
            pins, outputs, flip_flop = self._kind(cell["type"])
            nets = {pin: self.signal(bits[0]) for pin, bits in cell["connections"].items() if bits}
            if flip_flop is not None:
                state = states.get(name)
                if state is None:
                    raise SynthError(f"Registers of the netlist must come from the source, not like {name!r}")
                nets |= self._state_nets(state, flip_flop)
                pins = (flip_flop.state, flip_flop.inverse)
            for pin, function in outputs.items():
                if pin in nets:
                    self._function([nets.get(p, ZERO) for p in pins], nets[pin], _cover(function, tuple(pins)))

    def signal(self, bit: int | str) -> str:
        """The name of a net; a constant that is not 1 is 0."""
        return f"n{bit}" if isinstance(bit, int) else ONE if bit == "1" else ZERO

    def inverse(self, signal: str) -> str:
        return self._new([signal], "0 1")

    def register(self, name: str) -> Behaviour:
        """How the register with this cell name behaves; `next` is what its variable will be."""
        cell, state = self._cells[name], self._states[name]
        pins, _, flip_flop = self._kind(cell["type"])
        assert flip_flop is not None
        nets = {pin: self.signal(bits[0]) for pin, bits in cell["connections"].items() if bits}
        nets |= self._state_nets(state, flip_flop)
        pins = (*pins, flip_flop.state, flip_flop.inverse)

        def of(function: str) -> str:
            return self._new([nets.get(pin, ZERO) for pin in pins], _cover(function, pins))

        clear, preset, data = of(flip_flop.clear), of(flip_flop.preset), of(flip_flop.next)
        then = self._new([clear, preset, data], "01- 1\n001 1")
        if _flips(flip_flop) != state.inverted:
            then = self.inverse(then)
        return Behaviour(next=then, clock=of(flip_flop.clock), reset=self._new([clear, preset], "1- 1\n-1 1"))

    def output(self, name: str, signal: str) -> None:
        self._outputs.append(name)
        self._function([signal], name, "1 1")

    def write(self, path: Path, ports: Sequence[str]) -> None:
        """The network as a BLIF file with the input variables `ports`."""
        head = [".model network", ".inputs " + " \\\n".join(ports), ".outputs " + " \\\n".join(self._outputs)]
        path.write_text("\n".join([*head, *self._lines, ".end"]) + "\n")

    def _kind(self, kind: str) -> tuple[Sequence[str], Mapping[str, str], FlipFlop | None]:
        """Input pins, output functions, and what it is if it is a flip-flop."""
        if self._library is not None:
            cell = self._library.cells[kind]
            if cell.sequential == (cell.flip_flop is not None):
                return cell.inputs, cell.outputs, cell.flip_flop
        elif kind in _GATES:
            return ("A", "B", "S"), {"Y": _GATES[kind]}, None
        elif (flip_flop := _yosys_flip_flop(kind)) is not None:
            return ("D", "C", "R", "S"), {"Q": "IQ"}, flip_flop
        raise SynthError(f"Cells must be gates and flip-flops for the proof of equivalence, not {kind!r}")

    def _state_nets(self, state: State, flip_flop: FlipFlop) -> dict[str, str]:
        true, false = state.variable, self.inverse(state.variable)
        if state.inverted != _flips(flip_flop):
            true, false = false, true
        return {flip_flop.state: true, flip_flop.inverse: false}

    def _new(self, inputs: Sequence[str], cover: str) -> str:
        self._serial += 1
        self._function(inputs, f"v{self._serial}", cover)
        return f"v{self._serial}"

    def _function(self, inputs: Sequence[str], output: str, cover: str) -> None:
        if output not in (ZERO, ONE):
            # A function that is always 0 has no lines, and then BLIF allows no inputs.
            self._lines.append(f".names {' '.join([*(inputs if cover else ()), output])}\n{cover}")


@cache
def _cover(function: str, pins: tuple[str, ...]) -> str:
    """A function of pins as lines of BLIF."""
    used = [pin for pin in pins if re.search(rf"\b{pin}\b", function)]
    table = truth_table(function, used)
    if table is None:
        raise SynthError(f"Function of a cell must be an expression of its pins, not {function!r}")
    lines = []
    for row, value in enumerate(table):
        if value:
            bits = dict(zip(used, f"{row:0{len(used)}b}" if used else "", strict=True))
            lines.append("".join(bits.get(pin, "-") for pin in pins) + " 1")
    return "\n".join(lines)


@cache
def _flips(flip_flop: FlipFlop) -> bool:
    """Whether the flip-flop holds the complement of its data pin, as some libraries put it."""
    return re.fullmatch(r"!\s*\(?\w+\)?|\(?\w+\)?\s*'|\(\s*!\s*\w+\s*\)", flip_flop.next.strip()) is not None


def _yosys_flip_flop(kind: str) -> FlipFlop | None:
    """$_DFF_P_, $_DFF_PN0_, $_DFFSR_PPP_ as a library would describe them."""
    plain = re.fullmatch(r"\$_DFF_([NP])(?:([NP])([01]))?_", kind)
    both = re.fullmatch(r"\$_DFFSR_([NP])([NP])([NP])_", kind)
    if plain:
        clear = _level("R", plain[2]) if plain[3] == "0" else "0"
        preset = _level("R", plain[2]) if plain[3] == "1" else "0"
        clock = plain[1]
    elif both:
        clock, preset, clear = both[1], _level("S", both[2]), _level("R", both[3])
    else:
        return None
    return FlipFlop(state="IQ", inverse="IQN", next="D", clock=_level("C", clock), clear=clear, preset=preset)


def _level(pin: str, polarity: str) -> str:
    return pin if polarity == "P" else f"!{pin}"
