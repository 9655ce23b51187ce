"""``xnorforge simulate``: the emitted Verilog against the golden function."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from model.workflow import accuracy
from rtl.weight_memory import WeightStorage
from scripts.console import (
    BundlePath,
    Counters,
    DatapathOption,
    Json,
    Pe,
    Simd,
    UsageError,
    Weights,
    built_as,
    command,
    emit_json,
    err,
    open_bundle,
    out,
    percent,
    suggest,
    table,
)
from sim.compare import as_dict
from sim.network import simulate as run
from sim.simulators import choose
from synth.liberty import find_liberty

ENGINES = (
    "icarus or verilator, for cocotb, or bulk: Verilator with a compiled bench, for many sequences. "
    "What is there for cocotb if not given; bulk with --all."
)


@command
def simulate(
    bundle: BundlePath,
    sequences: Annotated[int | None, typer.Option(min=1, help="Test sequences to run.", show_default="100")] = None,
    whole: Annotated[bool, typer.Option("--all", help="Run the whole test set of the bundle.")] = False,
    simulator: Annotated[str | None, typer.Option(help=ENGINES)] = None,
    stall: Annotated[float, typer.Option(min=0, max=0.95, help="Probability that a stream waits, each cycle.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the stalls.")] = 0,
    waves: Annotated[bool, typer.Option("--waves", help="Keep a waveform file.")] = False,
    weights: Weights = None,
    pe: Pe = None,
    simd: Simd = None,
    datapath: DatapathOption = None,
    counters: Counters = False,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Work folder; RUN/simulation-SIMULATOR if not given.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare every named value of the Verilog with the golden function, bit for bit; with --counters the counters too.

    Exits with status 1 if anything differs, and says where first.

    Example: xnorforge simulate runs/digits/bundle --sequences 100 --stall 0.2
    """
    if whole and sequences is not None:
        raise UsageError(f"Exactly one of --all and --sequences must be given, not both: {sequences!r}")
    (loaded, schedule), chosen = (
        open_bundle(bundle, pe, simd, datapath, find_liberty()),
        choose(simulator or ("bulk" if whole else None)),
    )
    storage = weights or WeightStorage.ROM
    samples, start = loaded.samples[: None if whole else sequences or 100], time.monotonic()
    folder = out_folder or bundle.resolve().parent / f"simulation-{chosen}"
    what = f"{chosen}: {len(samples)} sequences of {samples.shape[1]} steps"
    with err.status(f"{what}, building") as status:
        result = run(
            schedule,
            loaded.weights,
            samples,
            folder=folder,
            simulator=chosen,
            storage=storage,
            counters=counters,
            stall=stall,
            seed=seed,
            waves=waves,
            on_progress=lambda done: status.update(f"{what}, {done} results"),
        )
    seconds = time.monotonic() - start
    built = result.cycles / result.total_s
    predicted = schedule.result_cycles(samples.shape[1], len(samples))
    figures = {
        "sequences": result.sequences,
        "compared": result.compared,
        "differing": result.differing,
        "first_difference": as_dict(result.first_difference),
        "counters": [asdict(counter) for counter in result.counters],
        "accuracy_rtl": accuracy(result.labels, loaded.labels),
        "accuracy_golden": accuracy(result.golden_labels, loaded.labels),
        "cycles": result.cycles,
        "cycles_per_sequence": result.cycles_per_sequence,
        "cycles_per_sequence_predicted": schedule.sequence_cycles(samples.shape[1]),
        "cycles_of_all": result.result_cycles[-1],
        "cycles_of_all_predicted": predicted[-1],
        "cycles_per_step": schedule.step_cycles,
        "cycles_per_second": round(result.cycles / result.run_s, 1),
        "cycles_per_second_with_build": round(built, 1),
        "datapath": schedule.datapath.value,
        "seconds": round(seconds, 2),
        "simulator": chosen,
        "weights": storage.value,
        "folder": str(folder),
    }
    if json:
        emit_json(figures)
    else:
        table(
            f"Simulated with {chosen}: {built_as(schedule)}",
            [
                ("sequences", result.sequences),
                ("values compared", f"{result.compared:,}"),
                ("values differing", f"{result.differing:,}"),
                ("accuracy of the RTL", percent(figures["accuracy_rtl"])),
                ("accuracy of the golden model", percent(figures["accuracy_golden"])),
                ("cycles", f"{result.cycles:,}"),
                (
                    "cycles a sequence",
                    f"{result.cycles_per_sequence or 'varying (stalls)'}; "
                    f"by the formula {figures['cycles_per_sequence_predicted']}",
                ),
                (
                    "first sample to last result",
                    f"{result.result_cycles[-1]:,} cycles; by the formula, without stalls, {predicted[-1]:,}",
                ),
                ("cycles a second", f"{result.cycles / result.run_s:,.0f} of a processor; with building {built:,.0f}"),
                ("time", f"{seconds:.0f} s"),
                ("logs and vectors", folder),
            ],
        )
        if counters:
            table(
                "Saturations counted (levels from the summands on)",
                [
                    (
                        f"layer {each.layer}, sum over {each.sum}, level {each.level}",
                        f"RTL {'unknown' if each.got is None else f'{each.got:,}'}, "
                        f"golden model {each.expected:,}{'' if each.equal else ': differs'}",
                    )
                    for each in result.counters
                ],
            )
        if result.first_difference:
            out.print(f"First difference: {result.first_difference}", soft_wrap=True, markup=False)
        elif result.equal:
            built = schedule.datapath if datapath else None
            suggest("synth", bundle, pe=pe, simd=simd, datapath=built, weights=weights, counters=counters)
    if not result.equal:
        raise typer.Exit(1)
