"""The long check: trained networks on real data, every named value of the Verilog against the golden function.

Example: python -m scripts.check_rtl --data-root DATA --out runs/check
100 digits and 50 Bonn EEG sequences, levels (1,1), (2,3), (3,3), two foldings each, with and without stalls.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from model.data import load
from model.spec import Folding, Schedule
from scripts.console import command, out
from scripts.table_accuracy import trained
from sim.network import simulate
from sim.simulators import choose

LEVELS = ((1, 1), (2, 3), (3, 3))
SEQUENCES = {"digits": 100, "bonn": 50}
#: (pe, simd, probability that a stream waits)
FOLDINGS = ((2, 8192, 0.0), (5, 27, 0.3))


@command
def main(
    data: Annotated[str, typer.Option(help="digits, bonn or both, separated by a comma.")] = "digits,bonn",
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of all runs.")] = Path("runs/check"),
    data_root: Annotated[Path | None, typer.Option(help="Folder of the presets' data; else XNORFORGE_DATA.")] = None,
    simulator: Annotated[str | None, typer.Option(help="icarus, verilator or bulk.")] = None,
) -> None:
    """Train (once), simulate and print one line a case; exits with status 1 if any value differs."""
    torch.set_num_threads(1)
    chosen, failed = choose(simulator), False
    out.print(
        "| data | network | pe | inputs a cycle | stalls | sequences | values compared | differing | cycles | s |"
    )
    out.print("|---|---|---|---|---|---|---|---|---|---|")
    for name in data.split(","):
        dataset = load(name, data_root)
        for a, w in LEVELS:
            folder = out_folder / f"{name}-{a}{w}"
            loaded = trained(name, (a, w), dataset, folder)
            for pe, simd, stall in FOLDINGS:
                start = time.monotonic()
                schedule = Schedule(network=loaded.network, folding=Folding(pe=pe, simd=simd))
                (layer,) = schedule.layers
                result = simulate(
                    schedule, loaded.weights, loaded.samples[: SEQUENCES[name]],
                    folder=folder / f"sim-{pe}-{simd}", simulator=chosen, stall=stall,
                )  # fmt: skip
                out.print(
                    f"| {name} | ({a},{w}) | {layer.pe} | {layer.x_lanes} + {layer.h_lanes} | {stall:.0%} "
                    f"| {result.sequences} | {result.compared:,} | {result.differing} | {result.cycles:,} "
                    f"| {time.monotonic() - start:.0f} |",
                    soft_wrap=True,
                )
                if result.first_difference:
                    failed = True
                    out.print(f"First difference: {result.first_difference}", soft_wrap=True, markup=False)
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
