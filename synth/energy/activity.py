"""Simulation of a mapped netlist, 64 streams of input vectors in a word, one clock cycle after another.

Cells have no delay: every net changes at most once a cycle, so glitches are not there and are not counted.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.energy.words import ONES, Words, count_bits, evaluate, pack
from synth.errors import SynthError
from synth.liberty import Cell, Library
from synth.netlist import bit_names

#: Port -> its bits, first bit first, as (cycles, streams, width).
Vectors = Mapping[str, NDArray[np.bool_]]

CYCLES, STREAMS, SEED = 64, 64, 0
#: Cycles at the start that a design with registers is not counted in; its port `rst` is 1 in the first.
WARMUP = 16
_ZERO, _ONE = 0, 1


@dataclass(frozen=True, kw_only=True)
class Cells:
    """All instances of one cell type: their names and the row of each pin, connected or not."""

    cell: Cell
    names: list[str] = field(default_factory=list)
    pins: dict[str, NDArray[np.intp]]


@dataclass(frozen=True, kw_only=True)
class Step:
    """Settled nets of one cycle (`new`) and of the one before (`old`), as (rows, words)."""

    old: Words
    new: Words


class Circuit:
    """The netlist `path` (Yosys' JSON) of module `top` on the cells of `library`.

    Every net has a row, and so has every output pin that is open.
    Raises SynthError for a loop, a latch, a register with an asynchronous reset, and one that is not clocked by
    the rising edge of one input port.
    """

    def __init__(self, path: Path, top: str, library: Library) -> None:
        module = json.loads(path.read_text())["modules"][top]
        self._rows: dict[Any, int] = {"1": _ONE}
        self.size = 2
        self.ports = self._ports(module, "input")
        self.outputs = self._ports(module, "output")
        instances: dict[str, list[tuple[str, dict[str, int]]]] = defaultdict(list)
        for name, cell in module["cells"].items():
            kind = library.cells[cell["type"]]
            nets = {pin: bits[0] for pin, bits in cell["connections"].items() if bits}
            pins = {pin: self._row(nets[pin]) if pin in nets else _ZERO for pin in kind.inputs}
            pins |= {pin: self._row(nets[pin]) if pin in nets else self._new() for pin in kind.outputs}
            instances[kind.name].append((name, pins))
        self.cells = {name: _gather(library.cells[name], found) for name, found in sorted(instances.items())}
        self.registers = [cells for cells in self.cells.values() if cells.cell.sequential]
        self.clock = self._clock()
        self._levels = self._levelize()

    def steps(self, vectors: Vectors) -> Iterator[Step]:
        """Those of :meth:`run` that count."""
        yield from islice(self.run(vectors), self.skipped, None)

    @property
    def skipped(self) -> int:
        """How many do not, at the start."""
        return WARMUP if self.registers else 0

    def inputs(self) -> dict[str, int]:
        """Width of each input port but the clock."""
        return {port: len(rows) for port, rows in self.ports.items() if rows != [self.clock]}

    def run(self, vectors: Vectors) -> Iterator[Step]:
        """Each cycle but the first, in which registers hold 0, with the one before it.

        Raises SynthError for vectors that do not fit the ports.
        """
        self._check(vectors)
        packed = {port: pack(vectors[port]) for port in self.inputs()}
        cycles, words = (next(iter(packed.values())).shape[:2]) if packed else (CYCLES, 1)
        old = np.zeros((self.size, words), np.uint64)
        states = {cells.cell.name: np.zeros((len(cells.names), words), np.uint64) for cells in self.registers}
        for cycle in range(cycles):
            new = np.zeros_like(old)
            new[_ONE] = ONES
            for port, values in packed.items():
                new[self.ports[port]] = values[cycle].T
            for cells in self.registers:
                self._show(cells, states[cells.cell.name], new)
            for cells in self._levels:
                _settle(cells, new)
            if cycle:
                yield Step(old=old, new=new)
            for cells in self.registers:
                flip_flop = cells.cell.flip_flop
                assert flip_flop is not None
                now = {**{pin: new[rows] for pin, rows in cells.pins.items()}}
                now |= _state(cells.cell, states[cells.cell.name])
                states[cells.cell.name] = evaluate(flip_flop.next, now)
            old = new

    def _check(self, vectors: Vectors) -> None:
        wanted = self.inputs()
        if set(vectors) != set(wanted):
            raise SynthError(f"Vectors must be for ports {', '.join(wanted)}, not for {', '.join(vectors)!r}")
        for port, bits in vectors.items():
            first = next(iter(vectors.values()))
            if bits.ndim != 3 or bits.shape != (*first.shape[:2], wanted[port]):
                fit = f"(cycles, streams, {wanted[port]})"
                raise SynthError(f"Vectors must be bits of {fit} for port {port!r}, not of {bits.shape}")

    @staticmethod
    def _show(cells: Cells, state: Words, new: Words) -> None:
        for pin, function in cells.cell.outputs.items():
            new[cells.pins[pin]] = evaluate(function, _state(cells.cell, state))

    def _ports(self, module: Mapping[str, Any], direction: str) -> dict[str, list[int]]:
        """Rows of each port; `x[0]`, `x[1]`, into which synthesis splits ports, are put together as `x`."""
        found: dict[str, dict[int, int]] = defaultdict(dict)
        for name, port in module["ports"].items():
            if port["direction"] == direction:
                for bit, label in bit_names(name, port, constants=True):
                    base, place = re.fullmatch(r"(.*?)(?:\[(\d+)\])?", label).groups()  # type: ignore[union-attr]
                    found[base][int(place or 0)] = self._row(bit)
        return {name: [rows[place] for place in sorted(rows)] for name, rows in found.items()}

    def _row(self, bit: Any) -> int:
        """The row of a net; a constant that is not 1 is 0."""
        if bit not in self._rows:
            self._rows[bit] = self._new() if isinstance(bit, int) else _ZERO
        return self._rows[bit]

    def _new(self) -> int:
        self.size += 1
        return self.size - 1

    def _clock(self) -> int | None:
        rows: set[int] = set()
        for cells in self.registers:
            flip_flop = cells.cell.flip_flop
            if flip_flop is None or cells.cell.clock is None:
                raise SynthError(f"Energy must be of gates and flip-flops of rising edges, not {cells.cell.name!r}")
            if (flip_flop.clear, flip_flop.preset) != ("0", "0"):
                raise SynthError(f"Energy must be of flip-flops without asynchronous reset, not {cells.cell.name!r}")
            rows |= set(cells.pins[cells.cell.clock].tolist())
        if rows and (len(rows) > 1 or [*rows] not in self.ports.values()):
            raise SynthError("Energy must be of a design with one clock, an input port")
        return next(iter(rows), None)

    def _levelize(self) -> list[Cells]:
        """Gates in an order in which each comes after what drives it, those of one type and depth together."""
        drivers: dict[int, tuple[str, int]] = {}
        gates = {name: cells for name, cells in self.cells.items() if not cells.cell.sequential}
        for name, cells in gates.items():
            for pin in cells.cell.outputs:
                drivers.update((row, (name, at)) for at, row in enumerate(cells.pins[pin].tolist()))
        inputs = {
            (name, at): {drivers[row] for pin in cells.cell.inputs if (row := int(cells.pins[pin][at])) in drivers}
            for name, cells in gates.items()
            for at in range(len(cells.names))
        }
        level: dict[tuple[str, int], int] = {}
        readers: dict[tuple[str, int], list[tuple[str, int]]] = defaultdict(list)
        for gate, sources in inputs.items():
            for source in sources:
                readers[source].append(gate)
        waiting = {gate: len(sources) for gate, sources in inputs.items()}
        ready = [gate for gate, count in waiting.items() if not count]
        while ready:
            gate = ready.pop()
            level[gate] = max((level[source] + 1 for source in inputs[gate]), default=0)
            for reader in readers[gate]:
                waiting[reader] -= 1
                if not waiting[reader]:
                    ready.append(reader)
        if len(level) < len(inputs):
            raise SynthError("Energy must be of a design without a combinational loop")
        order: dict[tuple[int, str], list[int]] = defaultdict(list)
        for (name, at), depth in level.items():
            order[depth, name].append(at)
        return [
            Cells(cell=gates[name].cell, pins={pin: rows[places] for pin, rows in gates[name].pins.items()})
            for (_, name), places in sorted(order.items())
        ]


def random_vectors(circuit: Circuit, *, seed: int = SEED, cycles: int = CYCLES, streams: int = STREAMS) -> Vectors:
    """Independent uniform bits for every input, but for `rst`, which is 1 in the first cycle and then 0."""
    chance = np.random.default_rng(seed)
    vectors = {
        port: chance.integers(0, 2, (cycles, streams, width), np.uint8).astype(bool)
        for port, width in circuit.inputs().items()
    }
    if circuit.registers and "rst" in vectors:
        vectors["rst"][:] = False
        vectors["rst"][0] = True
    return vectors


def _settle(cells: Cells, nets: Words) -> None:
    pins = {pin: nets[cells.pins[pin]] for pin in cells.cell.inputs}
    for pin, function in cells.cell.outputs.items():
        # A cell that ties a net to a constant has no inputs.
        nets[cells.pins[pin]] = evaluate(function, pins or {"": nets[cells.pins[pin]]})


def _state(cell: Cell, state: Words) -> dict[str, Words]:
    assert cell.flip_flop is not None
    return {cell.flip_flop.state: state, cell.flip_flop.inverse: ~state}


def _gather(cell: Cell, found: Sequence[tuple[str, dict[str, int]]]) -> Cells:
    pins = {pin: np.array([rows[pin] for _, rows in found], np.intp) for pin in (*cell.inputs, *cell.outputs)}
    return Cells(cell=cell, names=[name for name, _ in found], pins=pins)


class Activity:
    """Of every row over all steps that were added: rises and falls; `steps` how many those are.

    A stream counts as a step of its own.
    """

    def __init__(self, circuit: Circuit, streams: int) -> None:
        self.mask = pack(np.ones((1, streams, 1), bool))[0, :, 0]
        self.rises, self.falls = (np.zeros(circuit.size, np.int64) for _ in range(2))
        self.steps = 0

    def add(self, step: Step) -> None:
        new = step.new & self.mask
        old = step.old & self.mask
        self.rises += count_bits(new & ~old)
        self.falls += count_bits(old & ~new)
        self.steps += int(count_bits(self.mask))
