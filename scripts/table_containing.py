"""Accuracy of binarized convolutional networks on limited adders, over seeds, like Tables 1 to 3 of the paper.

Example: python -m scripts.table_containing --data mnist --seeds 3 --data-root DATA --out runs/containing
Networks that are trained and what is known of them are kept in the folder: a table that was broken off continues, after
any epoch. Strengths of the regularizers are chosen on validation images, with seed 0. The test images are used once for
each network and adder. Source: Li, Wang, Liu, Han, Li, "Simulate-the-hardware: Training Accurate Binarized Neural
Networks for Low-Precision Neural Accelerators".
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

from model.classifier import FitConfig, fit
from model.image_data import Images, load, part
from model.overflow_cnn import CnnConfig, Norm, on_adders, overflow_cnn, plain_config, rule_config
from model.regularizers import Kind, Regularizer
from model.run import score as accuracy
from model.spec import SumSpec
from model.spec.files import write_json
from scripts.console import UsageError, command, err, out
from scripts.runs import spread

RULE = "K3S1C16"
NETWORKS: dict[str, Callable[..., CnnConfig]] = {
    RULE: rule_config,
    "eta 0": partial(rule_config, 0.0),
    "eta 0.25": partial(rule_config, 0.25),
    "eta 0.5": partial(rule_config, 0.5),
    "plain": plain_config,
}
#: Trained and evaluated through adders of so many bits; the others on the smallest network only.
BITS, OTHER_BITS = 8, (12, 10)
EVALUATED = (16, 12, 10, 8)  #: adders that a network trained with exact sums is put on
STRENGTHS = (1e-6, 1e-5, 1e-4)
VALIDATION = 1000


@dataclass(frozen=True, kw_only=True)
class Run:
    """One network to be trained; ``bits`` None for exact sums."""

    network: str
    bits: int | None = BITS
    norm: Norm = Norm.SHIFT
    penalty: Regularizer | None = None
    float_weights: bool = False

    @property
    def name(self) -> str:
        """Of its files."""
        what = "float" if self.float_weights else "exact" if self.bits is None else f"{self.bits}bit"
        more = f"-{self.penalty.kind}{self.penalty.strength:g}" if self.penalty else ""
        return f"{self.network.replace(' ', '')}-{what}-{self.norm}{more}"


class Runs:
    """Runs on one data set; what is known of each is kept in a file."""

    def __init__(self, images: Images, count: int, config: FitConfig, folder: Path) -> None:
        self._images, self._config, self._folder = images, config, folder
        self._train = part(images, "train", count)
        self._splits = {"val": part(images, "val", VALIDATION), "test": part(images, "test", None)}

    def figures(self, run: Run, seed: int, test: bool = True) -> dict[str, Any]:
        """Accuracies by split and adder, and seconds of an epoch; trained now or before."""
        path = self._folder / f"{self._images.name}-{run.name}-seed{seed}.json"
        about = {"run": repr(run), "images": len(self._train[0]), "config": repr(replace(self._config, seed=seed))}
        found = json.loads(path.read_text()) if path.exists() else {}
        if {key: found.get(key) for key in about} != about:
            found = about
        if "val" not in found or (test and "test" not in found):
            network = self._trained(run, seed, path.with_suffix(".pt"), found)
            for split in ("val", "test") if test else ("val",):
                if split not in found:
                    found[split] = self._scores(network, run, split)
            write_json(found, path)
            err.print(f"{path.stem}: {found['val']} val, {found.get('test')} test")
        return found

    def _trained(self, run: Run, seed: int, path: Path, found: dict[str, Any]) -> nn.Sequential:
        torch.manual_seed(seed)
        settings: dict[str, Any] = {"adders": SumSpec(width=run.bits), "norm": run.norm}
        shape = tuple(self._images.x.shape[1:])
        network = overflow_cnn(NETWORKS[run.network](**settings, image=shape, float_weights=run.float_weights))
        begin, epochs = time.process_time(), []

        def tell(done: int, of: int, loss: float) -> None:
            epochs.append(time.process_time() - begin - sum(epochs))
            err.print(f"{path.stem}: epoch {done}/{of}, loss {loss:.3f}")

        fit(network, *self._train, replace(self._config, seed=seed), path, tell, run.penalty)
        if epochs:
            found["epoch_s"] = statistics.median(epochs)
        return network

    def _scores(self, network: nn.Sequential, run: Run, split: str) -> dict[str, float]:
        """Accuracy by the bits of the adders; ``exact`` for exact sums."""
        x, y = self._splits[split]
        found = {"exact" if run.bits is None else str(run.bits): accuracy(network, x, y)}
        if run.bits is None and not run.float_weights:
            found |= {str(bits): accuracy(on_adders(network, SumSpec(width=bits)), x, y) for bits in EVALUATED}
        return found


def table(title: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table."""
    heads = list(heads)
    out.print(f"\n{title}:\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}", soft_wrap=True, markup=False)
    for row in rows:
        out.print(f"| {' | '.join(row)} |", soft_wrap=True, markup=False)


def score(found: list[dict[str, Any]], adders: int | str, split: str = "test") -> str:
    """Mean and standard deviation over seeds."""
    return spread([each[split][str(adders)] for each in found])


def normalizations(found: dict[Run, list[dict[str, Any]]]) -> None:
    """Print the table of both normalizations."""
    rows = []
    for norm in (Norm.SHIFT, Norm.BATCH):
        each = found[Run(network=RULE, norm=norm)]
        seconds = [row["epoch_s"] for row in each if "epoch_s" in row]
        shown = f"{statistics.mean(seconds):.1f}" if seconds else ""
        rows.append([norm.value, score(each, BITS, "val"), score(each, BITS), shown])
    table(f"{RULE}, adders of {BITS} bits", ["normalization", "validation %", "test %", "CPU s an epoch"], rows)


def regularizers(found: dict[Run, list[dict[str, Any]]], chosen: dict[Kind, float]) -> None:
    """Print the table of both regularizers and none."""
    penalties = [None, *(Regularizer(kind, strength) for kind, strength in chosen.items())]
    rows = []
    for penalty in penalties:
        each = found[Run(network=RULE, penalty=penalty)]
        shown = (penalty.kind.value, f"{penalty.strength:g}") if penalty else ("none", "")
        rows.append([*shown, score(each, BITS, "val"), score(each, BITS)])
    table(f"{RULE}, adders of {BITS} bits", ["regularizer", "strength", "validation %", "test %"], rows)


def networks(found: dict[Run, list[dict[str, Any]]], names: Iterable[str]) -> None:
    """Print the tables of the rule's networks: float, exact, on limited adders, trained through them."""
    heads = ["network", "channels", "longest sum", "float weights", "exact sums", *(f"put on {b}" for b in EVALUATED)]
    rows = []
    for name in names:
        config, exact = NETWORKS[name](), found[Run(network=name, bits=None)]
        through = found[Run(network=name)]
        lost = [a["test"]["exact"] - b["test"][str(BITS)] for a, b in zip(exact, through, strict=True)]
        floats = found[Run(network=name, bits=None, float_weights=True)]
        scores = [score(floats, "exact"), *(score(exact, adders) for adders in ("exact", *EVALUATED))]
        sizes = [f"{len(config.channels)} x {config.channels[0]}", str(9 * config.channels[0])]
        rows.append([name, *sizes, *scores, score(through, BITS), spread(lost)])
    table("Test accuracy, %", [*heads, f"trained through {BITS}", "points lost to exact sums"], rows)
    widths = (*OTHER_BITS, BITS)
    through = [
        [f"{bits}", score(found[Run(network=RULE, bits=None)], bits), score(found[Run(network=RULE, bits=bits)], bits)]
        for bits in widths
    ]
    table(f"{RULE} by bits of the adders, test %", ["bits", "trained with exact sums", "trained through them"], through)


class Tables(StrEnum):
    """What is printed."""

    NETWORKS = "networks"
    NORMALIZATIONS = "normalizations"
    REGULARIZERS = "regularizers"


def runs_of(table: Tables, names: list[str], chosen: dict[Kind, float]) -> list[Run]:
    """What a table needs."""
    if table is Tables.NORMALIZATIONS:
        return [Run(network=RULE, norm=norm) for norm in Norm]
    if table is Tables.REGULARIZERS:
        penalties = [None, *(Regularizer(kind, strength) for kind, strength in chosen.items())]
        return [Run(network=RULE, penalty=penalty) for penalty in penalties]
    each = [
        Run(network=name, bits=bits, float_weights=floats)
        for name in names
        for bits, floats in ((BITS, False), (None, False), (None, True))
    ]
    return [*each, *(Run(network=RULE, bits=bits) for bits in OTHER_BITS)]


@command
def main(
    data: Annotated[str, typer.Option(help="digits, mnist, cifar10_subset, or a file ending in .npz.")] = "mnist",
    networks_named: Annotated[
        str, typer.Option("--networks", help="Of the last table, separated by commas.")
    ] = ",".join(NETWORKS),
    tables_named: Annotated[str, typer.Option("--tables", help="Separated by commas.")] = ",".join(Tables),
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0 to N - 1.")] = 3,
    count: Annotated[int, typer.Option("--images", min=1, help="Training images.")] = 4000,
    epochs: Annotated[int, typer.Option(min=1, help="Of each run.")] = 4,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of all runs.")] = Path("runs/containing"),
    data_root: Annotated[Path | None, typer.Option(help="Folder of the presets' data; else XNORFORGE_DATA.")] = None,
) -> None:
    """Train and evaluate what is not there yet, and print the tables."""
    torch.set_num_threads(1)
    names = networks_named.split(",")
    for name in names:
        if name not in NETWORKS:
            raise UsageError(f"Network must be {', '.join(NETWORKS)}, not {name!r}")
    names = [RULE, *(name for name in names if name != RULE)]
    wanted = [check_table(name) for name in tables_named.split(",")]
    images = load(data, data_root)
    runs = Runs(images, count, FitConfig(epochs=epochs, rate=0.03, decay=0), out_folder)
    chosen = {kind: strongest(runs, kind) for kind in Kind} if Tables.REGULARIZERS in wanted else {}
    needed = dict.fromkeys(run for each in wanted for run in runs_of(each, names, chosen))
    found: dict[Run, list[dict[str, Any]]] = {run: [] for run in needed}
    for seed in range(seeds):
        for run, each in found.items():
            each.append(runs.figures(run, seed))
    printers = {
        Tables.NETWORKS: lambda: networks(found, names),
        Tables.NORMALIZATIONS: lambda: normalizations(found),
        Tables.REGULARIZERS: lambda: regularizers(found, chosen),
    }
    for each in wanted:
        printers[each]()


def check_table(name: str) -> Tables:
    """A table by its name."""
    if name not in list(Tables):
        raise UsageError(f"Table must be {', '.join(Tables)}, not {name!r}")
    return Tables(name)


def strongest(runs: Runs, kind: Kind) -> float:
    """The strength with the best accuracy on validation images, of seed 0; the weakest of equal ones."""
    scores = {
        strength: runs.figures(Run(network=RULE, penalty=Regularizer(kind, strength)), 0, test=False)["val"][str(BITS)]
        for strength in STRENGTHS
    }
    return max(scores, key=lambda strength: (scores[strength], -strength))


if __name__ == "__main__":
    typer.run(main)
