"""Cycles a second of every engine that simulates a network, one after another in one run.

Example: python -m scripts.bench_simulators runs/bonn/bundle
Simulation is in seconds of processor time (each runs on one core), building and start in seconds that pass.
Every named value is recorded and compared, as ``xnorforge simulate`` does; each design is built anew.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import typer

from scripts.console import BundlePath, Json, Pe, Simd, built_as, command, emit_json, err, open_bundle, out
from sim.network import simulate
from sim.simulators import SimulationError, SimulatorName, choose

#: Sequences each runs, so that none takes long.
SEQUENCES: dict[SimulatorName, int] = {"bulk": 100, "verilator": 4, "icarus": 1}
CALLED = {
    "bulk": "bulk (compiled bench on Verilator)",
    "verilator": "cocotb on Verilator",
    "icarus": "cocotb on Icarus",
}


@command
def main(bundle: BundlePath, pe: Pe = None, simd: Simd = None, json: Json = False) -> None:
    """Print one line an engine; exits with status 1 if any value differs."""
    loaded, schedule = open_bundle(bundle, pe, simd)
    cases = []
    for name, sequences in SEQUENCES.items():
        try:
            choose(name)
        except SimulationError as error:
            err.print(str(error))
            continue
        err.print(f"running {CALLED[name]}")
        with tempfile.TemporaryDirectory() as folder:
            result = simulate(
                schedule, loaded.weights, loaded.samples[:sequences],
                folder=Path(folder), simulator=name,
            )  # fmt: skip
        cases.append(
            {
                "simulator": name,
                "sequences": result.sequences,
                "compared": result.compared,
                "differing": result.differing,
                "cycles": result.cycles,
                "cycles_per_second": round(result.cycles / result.run_s, 1),
                "cycles_per_second_with_build": round(result.cycles / result.total_s, 1),
                "build_s": round(result.total_s - result.run_s, 1),
            }
        )
    if json:
        emit_json({"built_as": built_as(schedule), "cases": cases})
    else:
        out.print(
            f"{built_as(schedule)}\n\n| engine | sequences | cycles | differing | cycles/s | build and start, s |"
        )
        out.print("|---|---|---|---|---|---|")
        for c in cases:
            out.print(
                f"| {CALLED[c['simulator']]} | {c['sequences']} | {c['cycles']:,} | {c['differing']} "
                f"| {c['cycles_per_second']:,.0f} | {c['build_s']:.1f} |",
                soft_wrap=True,
            )
    if any(c["differing"] for c in cases):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
