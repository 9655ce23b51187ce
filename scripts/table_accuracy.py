"""Accuracy of the family on real data, over seeds: the table, and the grid of activation and weight levels.

Example: python -m scripts.table_accuracy --data bonn --seeds 5 --data-root DATA --out runs/accuracy
Runs that are complete are not trained again, so a table that was broken off continues. The best epoch on the validation
split counts, and the test split is used once, at the end of each run. ``--grid`` trains MuBiNN2 of every pair of levels
instead and draws them (Figures 4 and 5 of MuBiNN).
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from model import bundle as bundles
from model.config import TrainConfig
from model.data import Dataset, load
from model.family import FactorRule, Family
from model.spec import MAX_LEVELS, Datapath, Folding, Pool
from model.spec.files import replacing
from scripts.console import UsageError, command, err, out
from scripts.runs import figures, spread

FOLDING = Folding(pe=1, simd=8192)
SETTINGS: dict[str, dict[str, Any]] = {
    "digits": {"hidden": 32, "pool": Pool.LAST, "epochs_float": 60, "epochs": 80, "batch": 32},
    "bonn": {
        "hidden": 100,
        "pool": Pool.MEAN,
        "epochs_float": 60,
        "epochs": 60,
        "batch": 64,
        "rate": 5e-3,
        "jitter": 256,
    },
    "motor": {"hidden": 32, "pool": Pool.MEAN, "epochs_float": 40, "epochs": 60, "batch": 15, "jitter": 4},
}
SETTINGS["bonn3"] = SETTINGS["bonn"]

#: Of the table: name, family, levels, rule for factors, and points under the float network on the paper's own data.
NETWORKS = (
    ("B_LSTM", Family.B_LSTM, (1, 1), FactorRule.FREE, ""),
    ("MuBiNN1 (3,3)", Family.MUBINN1, (3, 3), FactorRule.POW2, ""),
    ("MuBiNN2 (1,1)", Family.MUBINN2, (1, 1), FactorRule.FREE, "3.40"),
    ("MuBiNN2 (2,2)", Family.MUBINN2, (2, 2), FactorRule.FREE, "2.04"),
    ("MuBiNN2 (3,3)", Family.MUBINN2, (3, 3), FactorRule.FREE, "0.73"),
    ("MuBiNN2 (3,3), powers of two", Family.MUBINN2, (3, 3), FactorRule.POW2, ""),
)


def config_of(name: str, levels: tuple[int, int], **changes: Any) -> TrainConfig:
    """The run on data set ``name`` with these levels."""
    return TrainConfig(activation_levels=levels[0], weight_levels=levels[1], **{**SETTINGS[name], **changes})


def trained(name: str, levels: tuple[int, int], dataset: Dataset, folder: Path) -> bundles.Bundle:
    """The network of ``SETTINGS[name]`` in ``folder``, of this run or of an earlier one."""
    figures(config_of(name, levels), dataset, folder, folding=FOLDING)
    return bundles.load(folder / "bundle")


class Runs:
    """Runs on one data set, those of one seed with one float network."""

    def __init__(self, name: str, folder: Path, data_root: Path | None) -> None:
        self._name, self._folder, self._data = name, folder, load(name, data_root)

    def figures(self, family: Family, levels: tuple[int, int], factors: FactorRule, seed: int) -> dict[str, Any]:
        """What :func:`train_to_bundle` says of a run, trained now or before."""
        floats = self._folder / f"{self._name}-{Family.FLOAT}-seed{seed}"
        of_float = config_of(self._name, (1, 1), seed=seed, family=Family.FLOAT)
        figures(of_float, self._data, floats, folding=FOLDING)
        return figures(
            config_of(self._name, levels, seed=seed, family=family, factors=factors),
            self._data,
            self._folder / f"{self._name}-{family}-{factors}-{levels[0]}{levels[1]}-seed{seed}",
            folding=FOLDING,
            datapath=Datapath.usual(levels[0]) if family is Family.MUBINN2 else Datapath.ARITHMETIC,
            float_from=floats,
        )


def table(name: str, runs: Runs, seeds: int) -> None:
    """Print a line for the float network and one for each of ``NETWORKS``."""
    heads = ("data", "network", "validation %", "test %", "points under float, test", "paper")
    out.print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", soft_wrap=True)
    for number, (network, family, levels, factors, paper) in enumerate(NETWORKS):
        found = [runs.figures(family, levels, factors, seed) for seed in range(seeds)]
        if number == 0:
            scores = [spread([f[f"accuracy_float{part}"] for f in found]) for part in ("_val", "")]
            out.print(f"| {name} | float | {scores[0]} | {scores[1]} | | |", soft_wrap=True)
        scores = [spread([f[f"accuracy_golden{part}"] for f in found]) for part in ("_val", "")]
        under = spread([f["accuracy_float"] - f["accuracy_golden"] for f in found])
        out.print(f"| {name} | {network} | {' | '.join(scores)} | {under} | {paper} |", soft_wrap=True)


def grid(name: str, runs: Runs, seeds: int, picture: Path) -> None:
    """Print and draw the test accuracy of MuBiNN2 over A and W."""
    import matplotlib.pyplot as plt

    levels = range(1, MAX_LEVELS + 1)

    def of(pair: tuple[int, int]) -> list[dict[str, Any]]:
        return [runs.figures(Family.MUBINN2, pair, FactorRule.FREE, seed) for seed in range(seeds)]

    found = {(a, w): of((a, w)) for a in levels for w in levels}
    mean = {pair: statistics.mean(f["accuracy_golden"] for f in figures) for pair, figures in found.items()}
    float_mean = statistics.mean(f["accuracy_float"] for f in found[1, 1])
    out.print(f"| A \\ W | {' | '.join(map(str, levels))} |\n|{'---|' * 6}")
    for a in levels:
        cells = [spread([f["accuracy_golden"] for f in found[a, w]]) for w in levels]
        out.print(f"| {a} | {' | '.join(cells)} |", soft_wrap=True)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for axis, along, across, at in (
        (axes[0], "activation levels A", "W", lambda x, line: (x, line)),
        (axes[1], "weight levels W", "A", lambda x, line: (line, x)),
    ):
        for line in levels:
            axis.plot(levels, [100 * mean[at(x, line)] for x in levels], "o-", label=f"{across} = {line}")
        axis.axhline(100 * float_mean, color="black", linestyle="--", label="float")
        axis.set(xlabel=along, xticks=list(levels))
        axis.legend(fontsize="small")
    axes[0].set_ylabel(f"test accuracy, {name}, %")
    with replacing(picture) as partial:
        figure.savefig(partial, format="svg", metadata={"Date": None})
    err.print(f"{picture} written")


@command
def main(
    data: Annotated[str, typer.Option(help="digits, bonn, bonn3, motor; several separated by commas.")] = "bonn",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0 to N - 1.")] = 5,
    levels_grid: Annotated[bool, typer.Option("--grid", help="Every pair of levels, and a picture.")] = False,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of all runs.")] = Path("runs/accuracy"),
    data_root: Annotated[Path | None, typer.Option(help="Folder of the presets' data; else XNORFORGE_DATA.")] = None,
) -> None:
    """Train what is not there yet, and print the table."""
    torch.set_num_threads(1)
    names = data.split(",")
    for name in names:
        if name not in SETTINGS:
            raise UsageError(f"Data must be {', '.join(SETTINGS)}, not {name!r}")
    for name in names:
        runs = Runs(name, out_folder, data_root)
        if levels_grid:
            grid(name, runs, seeds, out_folder / f"grid-{name}.svg")
        else:
            table(name, runs, seeds)


if __name__ == "__main__":
    typer.run(main)
