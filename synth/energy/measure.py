"""Energy of a cycle: what every change of a simulated net costs by the tables of the library.

    switching = sum over nets of changes x C V^2 / 2        C: input pins and wire
    internal  = sum over pins of rises x rise_power + falls x fall_power

An output pin has a table for each input pin and condition that can change it.  Those count that fit what was
simulated: the input changed in that cycle and the condition holds after it; where several do, each counts by how
often it does over all cycles.  If none ever does, all count alike.  An input pin has tables for what a change costs
that changes no output.  The data of a register changes while its clock is high, and the clock falls when all has
settled.

Not in it: glitches, what drives the input ports, a clock tree.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth import sta
from synth.energy.activity import Activity, Cells, Circuit, Step, Vectors, random_vectors
from synth.energy.conditions import Conditions, ask
from synth.energy.tables import Arc, Array, Power, read_power
from synth.energy.words import ONES, Words, count_bits, evaluate
from synth.errors import SynthError
from synth.liberty import Library
from synth.process import Budget


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Of a netlist, a vector or clock cycle.

    switching, internal: J; their sum is the dynamic energy.
    leakage: W.
    cycles: how many changes of the inputs were simulated.
    """

    switching: float
    internal: float
    leakage: float
    cycles: int

    @property
    def dynamic(self) -> float:
        """J."""
        return self.switching + self.internal

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {
            "energy_pj": self.dynamic * 1e12,
            "energy_switching_pj": self.switching * 1e12,
            "energy_internal_pj": self.internal * 1e12,
            "energy_cycles": self.cycles,
            "leakage_uw": self.leakage * 1e6,
        }


def require(liberty: Path | None) -> str:
    """The program that energy takes.

    Raises SynthError without it, and for the generic gates, which `None` stands for.
    """
    if liberty is None:
        raise SynthError("Energy must be measured on a Liberty file, because the generic gates have no power")
    program = sta.find_sta()
    if program is None:
        raise SynthError(f"Energy must be measured with OpenSTA installed: {sta.INSTALL}")
    return program


def measure(
    workdir: Path,
    top: str,
    library: Library,
    *,
    vectors: Vectors | None = None,
    timeout_s: float = 1200,
    progress: Callable[[str], None] = lambda _: None,
) -> Energy:
    """Energy of the netlist of module `top` that `synthesize` left in `workdir`.

    library: its cells, as `load_library` left them in `workdir`.
    vectors: of every input port but the clock; None: uniform random ones, always the same.

    Raises SynthError without OpenSTA, for a library without power, and a netlist that cannot be simulated.
    """
    program = require(library.path)
    budget = Budget(limit_s=timeout_s, task="Energy")
    circuit = Circuit(workdir / "netlist.json", top, library)
    if not circuit.cells:
        return Energy(switching=0.0, internal=0.0, leakage=0.0, cycles=0)
    power = read_power(library, list(circuit.cells))
    clock = next((port for port, rows in circuit.ports.items() if rows == [circuit.clock]), None)
    found = ask(program, top, library.path, clock, workdir, budget, progress)
    pins = (f"{name}/{pin}" for cells in circuit.cells.values() for name in cells.names for pin in cells.pins)
    if (missing := next((pin for pin in pins if pin not in found.slews), None)) is not None:
        raise SynthError(f"OpenSTA must know every pin of the netlist, not all but {missing!r}")
    progress("simulating the netlist")
    return combine(circuit, random_vectors(circuit) if vectors is None else vectors, power, found)


def combine(circuit: Circuit, vectors: Vectors, power: Power, found: Conditions) -> Energy:
    """The energy of a circuit under these vectors and conditions."""
    streams = next((each.shape[1] for each in vectors.values()), 64)
    activity = Activity(circuit, streams)
    meters = [
        _Meter(cells, circuit.clock, power.arcs[cells.cell.name], activity.mask) for cells in circuit.cells.values()
    ]
    for step in circuit.steps(vectors):
        activity.add(step)
        for meter in meters:
            meter.add(step)
    if not activity.steps:
        least = 1 + circuit.skipped
        cycles = next((each.shape[0] for each in vectors.values()), 0)
        raise SynthError(f"Vectors must be more than {least} cycles, not {cycles}")
    switching = internal = 0.0
    for meter in meters:
        for pin in meter.cells.cell.outputs:
            rows = meter.cells.pins[pin]
            loads = np.array([found.loads.get(f"{name}/{pin}", 0.0) for name in meter.cells.names])
            changes = activity.rises[rows] + activity.falls[rows]
            switching += float(changes @ loads) * power.voltage**2 / 2
        internal += meter.energy(activity, found)
    return Energy(
        switching=switching / activity.steps,
        internal=internal / activity.steps,
        leakage=found.leakage,
        cycles=activity.steps,
    )


class _Meter:
    """Counts what causes each change of the pins of all cells of one type."""

    def __init__(self, cells: Cells, clock: int | None, arcs: list[Arc], mask: Words) -> None:
        self.cells = cells
        self._clock = cells.cell.clock if clock is not None else None
        self._mask = mask
        self._arcs: dict[str, list[Arc]] = defaultdict(list)
        for arc in arcs:
            # A library may name pins that no function has, such as those of a scan chain.
            if arc.pin in cells.pins:
                self._arcs[arc.pin].append(arc)
        shape = (2, 2, len(cells.names))
        #: (edge of the pin, edge of the related pin, instance) of each arc: rise 0, fall 1.
        self._counts = {pin: np.zeros((len(arcs), *shape)) for pin, arcs in self._arcs.items()}

    def add(self, step: Step) -> None:
        cells, clock = self.cells, self._clock
        old = {pin: step.old[rows] for pin, rows in cells.pins.items()}
        new = {pin: step.new[rows] for pin, rows in cells.pins.items()}
        if clock is not None:
            new[clock] = np.full_like(new[clock], ONES)
            old[clock] = np.zeros_like(new[clock])
        edges = {pin: (new[pin] & ~old[pin] & self._mask, old[pin] & ~new[pin] & self._mask) for pin in cells.pins}
        for pin, arcs in self._arcs.items():
            for arc, counts in zip(arcs, self._counts[pin], strict=True):
                if pin == clock:
                    # It rises before anything has changed, and falls after everything has.
                    counts[0, 0] += count_bits(evaluate(arc.when, old) & self._mask)
                    counts[1, 1] += count_bits(evaluate(arc.when, new) & self._mask)
                    continue
                holds = evaluate(arc.when, new)
                causes = edges[pin] if arc.related is None else edges[arc.related]
                for own in (0, 1):
                    for other in (0, 1):
                        counts[own, other] += count_bits(edges[pin][own] & causes[other] & holds)

    def energy(self, activity: Activity, found: Conditions) -> float:
        """J over all that was counted."""
        total = 0.0
        for pin, arcs in self._arcs.items():
            rows, counts = self.cells.pins[pin], self._counts[pin]
            loads = np.array([found.loads.get(f"{name}/{pin}", 0.0) for name in self.cells.names])
            shares = counts
            if pin in self.cells.cell.outputs:
                shares = _share(counts, np.stack([activity.rises[rows], activity.falls[rows]]))
            for arc, share in zip(arcs, shares, strict=True):
                slews = self._slews(arc.related or pin, found)
                for own, table in enumerate((arc.rise, arc.fall)):
                    for other in (0, 1):
                        total += float(share[own, other] @ table.at(slews[other], loads))
        return total

    def _slews(self, pin: str, found: Conditions) -> NDArray[np.float64]:
        """(edge, instance)."""
        return np.array([found.slews.get(f"{name}/{pin}", (0.0, 0.0)) for name in self.cells.names]).T


def _share(counts: Array, changes: NDArray[np.int64]) -> Array:
    """Changes (edge, instance) as parts of the arcs (arc, edge, edge of the cause, instance) that fit them."""
    fitting = counts.sum(axis=(0, 2))
    even = np.full_like(counts, 1 / (counts.shape[0] * counts.shape[2]))
    parts = np.where(fitting[:, None] > 0, counts / np.maximum(fitting, 1)[:, None], even)
    return parts * changes[:, None].astype(float)
