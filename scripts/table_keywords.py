"""Keyword spotting by BLSTM on narrow adders: float, exact adders, the same weights on the chip, trained through them.

Example: python -m scripts.table_keywords --data fsdd --hidden 64 --seeds 3 --data-root DATA --out runs/keywords
Two layers, 40 mel-frequency features x 100 steps, weights of 1 bit, activations of 8 (docs/results/keywords.md). Runs
that are complete are not trained again. The best epoch on the validation split counts; the test split is used once, at
the end of each run.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from model.config import TrainConfig
from model.data import Dataset, load
from model.family import FactorRule, Family
from model.spec import Folding, Pool, SumSpec
from scripts.console import UsageError, command, out
from scripts.runs import figures, spread

FOLDING = Folding(pe=4, simd=8192)
DATA = ("fsdd", "fsdd_keywords", "speech_commands")
#: The first cannot overflow at up to 255 units, so its run has the networks that the others begin with.
WIDTHS = (16, 12, 10, 8)


def config_of(hidden: int, width: int, seed: int) -> TrainConfig:
    """A run of the table."""
    return TrainConfig(
        family=Family.BLSTM,
        factors=FactorRule.POW2,
        layers=2,
        hidden=hidden,
        pool=Pool.MEAN,
        batch=64,
        epochs_float=30,
        jitter=10,
        rate=3e-3,
        epochs=15,
        epochs_adders=15,
        adders=SumSpec(width=width, unit=16),
        seed=seed,
    )


def found(data: Dataset, hidden: int, width: int, seed: int, folder: Path) -> dict[str, Any]:
    """The figures of a run."""

    def run(width: int, start: Path | None) -> dict[str, Any]:
        return figures(config_of(hidden, width, seed), data, of(width), folding=FOLDING, float_from=start)

    def of(width: int) -> Path:
        return folder / f"{data.name}-{hidden}-{width}bit-seed{seed}"

    run(WIDTHS[0], None)
    return run(width, None if width == WIDTHS[0] else of(WIDTHS[0]))


def brought_back(runs: list[dict[str, Any]]) -> str:
    """How much of what overflow costs, on the average, training through the adders brought back."""
    exact, unaware, through = (sum(run[f"accuracy_{name}"] for run in runs) for name in ("exact", "unaware", "golden"))
    return f"{100 * (through - unaware) / (exact - unaware):.0f} %" if exact > unaware else "nothing lost"


@command
def main(
    data: Annotated[str, typer.Option(help=f"{', '.join(DATA)}; several separated by commas.")] = "fsdd",
    hidden: Annotated[str, typer.Option(help="Units of each layer; several separated by commas.")] = "64,128",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0 to N - 1.")] = 3,
    snr: Annotated[list[float] | None, typer.Option(help="dB of noise mixed into every clip; repeatable.")] = None,
    adders: Annotated[list[int] | None, typer.Option(help="Bits; repeatable; 16, 12, 10 and 8 if not given.")] = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of all runs.")] = Path("runs/keywords"),
    data_root: Annotated[Path | None, typer.Option(help="Folder of the presets' data; else XNORFORGE_DATA.")] = None,
) -> None:
    """Train what is not there yet, and print the table."""
    torch.set_num_threads(1)
    names, sizes = data.split(","), [int(size) for size in hidden.split(",") if size.isdecimal()]
    if not set(names) <= set(DATA):
        raise UsageError(f"Data must be {', '.join(DATA)}, not {data!r}")
    if len(sizes) != len(hidden.split(",")):
        raise UsageError(f"Hidden units must be numbers separated by commas, not {hidden!r}")
    heads = ("data", "hidden", "adders", "float", "exact adders", "same weights", "trained through", "brought back")
    out.print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", soft_wrap=True)
    for width in adders or ():
        if width not in WIDTHS:
            raise UsageError(f"Bits of adders must be {', '.join(map(str, WIDTHS))}, not {width!r}")
    for name, noise in product(names, snr or [None]):
        dataset = load(name, data_root, noise)
        for units in sizes:
            for width in adders or WIDTHS:
                runs = [found(dataset, units, width, seed, out_folder) for seed in range(seeds)]
                columns = (f"accuracy_{column}" for column in ("float", "exact", "unaware", "golden"))
                scores = " | ".join(spread([run[column] for run in runs]) for column in columns)
                out.print(
                    f"| {dataset.name} | {units} | {width} bits | {scores} | {brought_back(runs)} |", soft_wrap=True
                )


if __name__ == "__main__":
    typer.run(main)
