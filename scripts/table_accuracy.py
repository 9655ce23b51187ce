"""Accuracy of float and binarized LSTMs on digits and Bonn EEG, with the cost of the hardware beside it.

Example: python -m scripts.table_accuracy --data-root DATA --out runs/accuracy --seeds 3
Runs that are complete are not trained again, so a table that was broken off continues.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from model import bundle as bundles
from model.config import TrainConfig
from model.data import Dataset, load
from model.spec import Folding, Pool, Schedule, memory_images
from model.workflow import train_to_bundle
from rtl.network import Network
from rtl.verilog import emit
from rtl.weight_memory import WeightStorage
from scripts.console import command, err, out
from synth.flow import find_liberty, synthesize

LEVELS = ((1, 1), (2, 2), (3, 3))
SETTINGS: dict[str, dict[str, Any]] = {
    "digits": {"hidden": 32, "pool": Pool.LAST, "epochs_float": 60, "epochs": 80, "batch": 32},
    "bonn": {"hidden": 100, "pool": Pool.MEAN, "epochs_float": 30, "epochs": 40, "batch": 64},
}
FOLDING = Folding(pe=1, simd=8192)


def spread(values: list[float]) -> str:
    """Mean and standard deviation in percent."""
    return f"{100 * statistics.mean(values):.2f} ± {100 * statistics.stdev(values) if len(values) > 1 else 0:.2f}"


def trained(name: str, levels: tuple[int, int], dataset: Dataset, folder: Path) -> bundles.Bundle:
    """The network of ``SETTINGS[name]`` in ``folder``, of this run or of an earlier one."""
    if not (folder / "bundle").exists():
        err.print(f"training {folder}")
        config = TrainConfig(activation_levels=levels[0], weight_levels=levels[1], **SETTINGS[name])
        train_to_bundle(config, dataset, folder, FOLDING, lambda *_: None)
    return bundles.load(folder / "bundle")


def hardware(bundle: bundles.Bundle, liberty: Path | None, folder: Path) -> dict[str, Any]:
    """Area, depth, critical path, cycles a step and ROM bits at ``FOLDING``, ROMs outside."""
    schedule = Schedule(network=bundle.network, folding=FOLDING)
    verilog = folder / "network.v"
    verilog.write_text(emit(Network(schedule, bundle.weights, WeightStorage.EXTERNAL), "network"))
    report = synthesize([verilog], "network", liberty=liberty, timeout_s=3000, progress=lambda _: None)
    bits = sum(i.bits for i in memory_images(schedule, bundle.weights))
    return {
        "area": report.area,
        "area_unit": report.area_unit,
        "depth": report.depth,
        "delay": report.delay,
        "delay_unit": report.delay_unit,
        "library": report.library,
        "rom_bits": bits,
        "cycles": schedule.step_cycles,
        "seconds": report.seconds,
    }


@command
def main(
    data: Annotated[str, typer.Option(help="digits, bonn or both, separated by a comma.")] = "digits,bonn",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0 to N - 1.")] = 3,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of all runs.")] = Path("runs/accuracy"),
    data_root: Annotated[Path | None, typer.Option(help="Folder of the presets' data; else XNORFORGE_DATA.")] = None,
    liberty: Annotated[Path | None, typer.Option(help="Liberty file; else OSU 0.18 um, else generic.")] = None,
    no_synth: Annotated[bool, typer.Option("--no-synth", help="Accuracy only.")] = False,
) -> None:
    """Train every level and seed, synthesize seed 0 of each, and print the table."""
    torch.set_num_threads(1)
    library = liberty or find_liberty()
    lines = [
        "| data | network | validation % | test % | area | depth | critical path | cycles/step | ROM bits |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    results: dict[str, Any] = {}
    for name in data.split(","):
        dataset, floats = load(name, data_root), {}
        rows = []
        for a, w in LEVELS:
            figures = []
            for seed in range(seeds):
                folder = out_folder / f"{name}-{a}{w}-seed{seed}"
                done = folder / "figures.json"
                if not done.exists():
                    err.print(f"training {folder}")
                    config = TrainConfig(activation_levels=a, weight_levels=w, seed=seed, **SETTINGS[name])
                    done_figures = train_to_bundle(config, dataset, folder, FOLDING, lambda *_: None)
                    done.write_text(json.dumps(done_figures, indent=1))
                figures.append(json.loads(done.read_text()))
                floats[seed] = figures[-1]
            cost = {}
            if not no_synth:
                folder = out_folder / f"{name}-{a}{w}-seed0"
                measured = folder / "hardware.json"
                if not measured.exists():
                    err.print(f"synthesizing {folder}")
                    measured.write_text(
                        json.dumps(hardware(bundles.load(folder / "bundle"), library, folder), indent=1)
                    )
                cost = json.loads(measured.read_text())
            results[f"{name} ({a},{w})"] = {"seeds": figures, "hardware": cost}
            rows.append(_row(name, f"MLB ({a},{w})", figures, "golden", cost))
            err.print(rows[-1])
        lines += [_row(name, "float", list(floats.values()), "float", {}), *rows]
    (out_folder / "table.json").write_text(json.dumps(results, indent=1))
    out.print("\n".join(lines), soft_wrap=True)


def _row(data: str, network: str, figures: list[dict[str, Any]], kind: str, cost: dict[str, Any]) -> str:
    scores = [spread([f[f"accuracy_{kind}{part}"] for f in figures]) for part in ("_val", "")]
    if not cost:
        return f"| {data} | {network} | {scores[0]} | {scores[1]} | | | | | |"
    delay = "-" if cost["delay"] is None else f"{cost['delay']:.2f} {cost['delay_unit']}"
    return (
        f"| {data} | {network} | {scores[0]} | {scores[1]} | {cost['area']:,.0f} {cost['area_unit']} | {cost['depth']} "
        f"| {delay} | {cost['cycles']} | {cost['rom_bits']:,} |"
    )


if __name__ == "__main__":
    typer.run(main)
