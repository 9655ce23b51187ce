"""Mutation testing of the bench: is every fault in a unit seen by the vectors, or proven to change nothing?

Example: python -m scripts.mutants --unit mlb_quantizer --set width=12
Yosys puts single faults into the emitted Verilog; the unit's vectors run on each; a SAT solver judges those
that no vector shows. The exit status is 1 if a fault changes an output and the bench does not see it.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from amaranth.hdl import Shape
from amaranth.lib.wiring import Flow
from rich.markup import escape
from rich.table import Table

from rtl.unit import Unit
from rtl.verilog import emit
from scripts.console import Json, Settings, UnitName, UsageError, command, emit_json, err, out
from sim.simulators import SimulationError, choose_quick
from sim.unit import TOP, run_unit
from sim.vectors import unit_vectors
from synth.mutants import CONTROL, fix_mutant, make_mutants
from synth.proof import DifferenceError, prove_equal
from synth.registry import build
from synth.units import UNITS

#: With --all, sizes at which 100 mutants are simulated in seconds.
SMALL = {
    "popcount": ["n=32"],
    "xnor_dot": ["n=32"],
    "mlb_dot": ["n=6"],
    "adder_tree": ["n=5", "width=8"],
    "scaled_sum": ["width=5", "factors=8,11,4"],
    "integer_dot": ["n=6", "width=4", "node=6"],
    "table_product": ["f=20,10", "c=64,32", "i=20,10", "g=32,16", "factors=64,32"],
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of the mutants of a unit; survivors are sentences."""

    unit: str
    vectors: int
    mutants: int
    killed: int
    equivalent: int
    survivors: list[str] = field(default_factory=list)


def judge(name: str, unit: Unit, *, count: int, seed: int, vectors: int, folder: Path) -> Outcome:
    """Run ``vectors`` random vectors (and what goes with them) on ``count`` mutants of a unit."""
    if unit.SEQUENTIAL:
        raise UsageError(f"Unit with mutants must have no state, neither streams nor writable tables, as {name!r} has")
    folder.mkdir(parents=True, exist_ok=True)
    gold, mutants = folder / f"{TOP}.v", folder / "mutants.v"
    gold.write_text(emit(unit, TOP))
    faults = make_mutants(gold, TOP, mutants, count=count, seed=seed)
    inputs = unit_vectors(unit, vectors, seed)
    expected = np.asarray(unit.spec.compute(**inputs))
    control = (CONTROL, range(len(faults) + 1))
    got = run_unit(unit, inputs, verilog=mutants, folder=folder, simulator=choose_quick(), control=control)
    if not np.array_equal(got[0], expected):
        raise SimulationError(f"Unit {name} without a fault must equal its golden function")
    ports = {p: (m.flow == Flow.In, Shape.cast(m.shape).width) for p, m in unit.signature.members.items()}
    ports |= {"clk": (True, 1), "rst": (True, 1)} if unit.latency else {}
    equivalent, survivors = 0, []
    unseen = [number for number in range(1, len(faults) + 1) if np.array_equal(got[number], expected)]
    for number in unseen:
        gate = folder / f"mutant_{number}.v"
        gate.write_text(fix_mutant(mutants, TOP, ports, number, count))
        try:
            prove_equal(gold, gate, TOP, latency=unit.latency)
            equivalent += 1
        except DifferenceError as difference:
            survivors.append(f"{faults[number - 1]}: {difference}")
    return Outcome(
        unit=name,
        vectors=len(expected),
        mutants=len(faults),
        killed=len(faults) - len(unseen),
        equivalent=equivalent,
        survivors=survivors,
    )


@command
def main(
    unit: UnitName = None,
    settings: Settings = None,
    every: Annotated[bool, typer.Option("--all", help="Every registered unit, at small sizes.")] = False,
    count: Annotated[int, typer.Option(min=1, max=5000, help="Mutants of a unit.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of mutants and vectors.")] = 1,
    vectors: Annotated[int, typer.Option(min=1, help="Random vectors beside extremes, corners and edges.")] = 200,
    json: Json = False,
) -> None:
    """Print for each unit how many mutants were killed, proven equivalent, and survived."""
    if (unit is None) != every:
        raise UsageError(f"Exactly one of --unit and --all must be given, not {'both' if every else 'neither'}")
    if every and settings:
        raise UsageError(f"Option --set must go with --unit, not with --all: {settings[0]!r}")
    wanted = {name: SMALL.get(name, []) for name in UNITS} if unit is None else {unit: settings or []}
    outcomes = []
    with tempfile.TemporaryDirectory() as scratch, err.status("making mutants") as status:
        for name, chosen in wanted.items():
            status.update(f"mutants of {name}")
            folder, component = Path(scratch) / name, build(name, chosen)
            outcomes.append(judge(name, component, count=count, seed=seed, vectors=vectors, folder=folder))
    if json:
        emit_json({"seed": seed, "units": [asdict(outcome) for outcome in outcomes]})
    else:
        grid = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("unit", "vectors", "mutants", "killed", "proven equivalent", "surviving"):
            grid.add_column(heading, justify="left" if heading == "unit" else "right")
        for o in outcomes:
            counts = (o.vectors, o.mutants, o.killed, o.equivalent, len(o.survivors))
            grid.add_row(o.unit, *(f"{number:,}" for number in counts))
        out.print(grid)
        for o in outcomes:
            for survivor in o.survivors:
                out.print(escape(f"{o.unit}: {survivor}"), soft_wrap=True)
    if any(o.survivors for o in outcomes):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
