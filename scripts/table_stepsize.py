"""Errors of the schemes of retraining over networks, bits and seeds, like the tables of Shin, Boo and Sung.

Example: python -m scripts.table_stepsize --only feedforward --seeds 3 --data-root DATA --out runs/stepsize
Every cell is a file: a table that was broken off continues, within a cell after its last epoch. Validation data picks
steps and epochs. The test data is used once for each network and cell.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

from model import image_data, text_data
from model.classifier import FitConfig
from model.device import on
from model.spec.files import write_json
from model.stepsize.layers import find_layers
from model.stepsize.networks import CharacterLstm, cnn_c, cnn_l, cnn_v, feedforward
from model.stepsize.retrain import retrain, train_float
from model.stepsize.schemes import RetrainConfig, Scheme, Update
from model.stepsize.tasks import ImageTask, Task, TextTask
from scripts.console import UsageError, command, err, out
from scripts.runs import spread

BITS = (2, 3, 4)
SCHEMES: dict[str, tuple[Scheme, Update]] = {
    "direct": (Scheme.DIRECT, Update.EPOCH),
    "conventional": (Scheme.CONVENTIONAL, Update.EPOCH),
    "adaptive": (Scheme.ADAPTIVE, Update.EPOCH),
    "adaptive, 1 epoch & fix": (Scheme.ADAPTIVE, Update.ONCE),
    "gradual": (Scheme.GRADUAL, Update.EPOCH),
    "adaptive + gradual": (Scheme.ADAPTIVE_GRADUAL, Update.EPOCH),
    "LSQ": (Scheme.LSQ, Update.EPOCH),
}


class Experiment(StrEnum):
    """One of the paper's three."""

    FEEDFORWARD = "feedforward"
    CNN = "cnn"
    TEXT = "text"


@dataclass(frozen=True, kw_only=True)
class Network:
    """A row of a table: what is trained, on what, and how."""

    name: str
    make: Callable[[Task], nn.Module]
    data: str
    float_fit: FitConfig
    fit: FitConfig
    samples: int | None = None  #: training images, or windows of text an epoch; all if None


def feedforward_for(width: int, normalized: bool, task: Task) -> nn.Module:
    """A feed-forward network for samples of any shape."""
    return feedforward(width, normalized, task.inputs, task.classes)


def networks(experiment: Experiment, data: str) -> list[Network]:
    """The rows of an experiment; ``data`` is that of the feed-forward networks."""
    if experiment is Experiment.FEEDFORWARD:
        return [
            Network(
                name=f"{width}{', batch normalization' if normalized else ''}",
                make=partial(feedforward_for, width, normalized),
                data=data,
                samples=3000,
                float_fit=FitConfig(epochs=20, batch=100, rate=3e-3),
                fit=FitConfig(epochs=8, batch=100, rate=2e-3),
            )
            for normalized in (False, True)
            for width in (64, 128, 256, 512)
        ]
    if experiment is Experiment.CNN:
        cifar = {"data": "cifar10_subset", "samples": None}
        augmented = FitConfig(epochs=4, batch=50, rate=1e-3, shift=4, flip=True)
        return [
            Network(
                name="L",
                make=lambda _: cnn_l(),
                data="mnist",
                samples=3000,
                float_fit=FitConfig(epochs=20, batch=100, rate=3e-3),
                fit=FitConfig(epochs=8, batch=100, rate=2e-3),
            ),
            Network(
                name="C",
                make=lambda _: cnn_c(),
                float_fit=replace(augmented, epochs=12, rate=2e-3),
                fit=augmented,
                **cifar,
            ),
            Network(
                name="V",
                make=lambda _: cnn_v(),
                float_fit=replace(augmented, epochs=12, rate=2e-3),
                fit=augmented,
                **cifar,
            ),
        ]
    return [
        Network(
            name=f"{width}",
            make=lambda task, width=width: CharacterLstm(width, task.classes),
            data="shakespeare",
            samples=1000,
            float_fit=FitConfig(epochs=40, batch=50, rate=5e-3),
            fit=FitConfig(epochs=8, batch=50, rate=2e-3),
        )
        for width in (64, 128, 256)
    ]


def load(network: Network, data_root: Path | None, device: torch.device) -> Task:
    """Its data."""
    if network.data == "shakespeare":
        return TextTask(text_data.shakespeare(data_root), windows=network.samples, device=device)
    return ImageTask(image_data.load(network.data, data_root), network.samples, device)


class Cells:
    """The cells of one network and seed, kept in a folder."""

    def __init__(self, network: Network, seed: int, task: Task, folder: Path) -> None:
        self._network, self._seed, self._task = network, seed, task
        name = f"{network.name.replace(', batch normalization', 'bn')}-{Path(network.data).stem}-seed{seed}"
        self._folder = folder / name
        self._partial = self._folder / "partial"

    def all(self, schemes: Sequence[str]) -> dict[str, dict[str, float]]:
        """Every figure of these schemes, ``float`` and ``scheme bits``; what is not there yet is computed."""
        found = {"float": self._cell("float", self._float)}
        for bits in BITS:
            for scheme in schemes:
                found[f"{scheme} {bits}"] = self._cell(f"{scheme} {bits}", partial(self._retrained, scheme, bits))
        return found

    def _cell(self, name: str, compute: Callable[[Callable[[int, int, float], None]], dict[str, float]]) -> Any:
        path = self._folder / f"{name.replace(' ', '-').replace(',', '')}.json"
        if path.exists():
            return json.loads(path.read_text(encoding="utf-8"))
        title = f"{self._folder.name}: {name}"
        with err.status(title) as status:
            found = compute(lambda done, of, error: status.update(f"{title}: epoch {done}/{of}, {error:.4f}"))
        write_json(found, path)
        shutil.rmtree(self._partial, ignore_errors=True)
        err.print(f"{title}: {found['test']:.4f}", soft_wrap=True)
        return found

    def _made(self) -> nn.Module:
        torch.manual_seed(self._seed)
        return self._network.make(self._task).to(self._task.device)

    def _float(self, progress: Callable[[int, int, float], None]) -> dict[str, float]:
        model, fit = self._made(), replace(self._network.float_fit, seed=self._seed)
        train_float(model, self._task, fit, self._partial, progress)
        self._folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), self._folder / "float.pt")
        return self._judged(model)

    def _retrained(self, scheme: str, bits: int, progress: Callable[[int, int, float], None]) -> dict[str, float]:
        model, (kind, update) = self._made(), SCHEMES[scheme]
        model.load_state_dict(torch.load(self._folder / "float.pt", map_location="cpu", weights_only=True))
        fit = replace(self._network.fit, seed=self._seed)
        config = RetrainConfig(scheme=kind, update=update, bits=bits, fit=fit)
        return self._judged(retrain(model, find_layers(model), self._task, config, self._partial, progress).network)

    def _judged(self, model: nn.Module) -> dict[str, float]:
        return {split: self._task.evaluate(model, split).error for split in ("val", "test")}


Found = dict[str, list[dict[str, dict[str, float]]]]  #: network, seed, cell, split


def print_table(title: str, found: Found, schemes: Sequence[str], scale: float) -> None:
    """Test figures, a row for each network and number of bits."""
    heads = ("network", "float", "bits", *schemes)
    out.print(f"\n{title}:\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}", soft_wrap=True)
    for name, seeds in found.items():
        for bits in BITS:
            cells = [spread([each[f"{scheme} {bits}"]["test"] for each in seeds], scale) for scheme in schemes]
            reference = spread([each["float"]["test"] for each in seeds], scale)
            out.print(f"| {name} | {reference} | {bits} | {' | '.join(cells)} |", soft_wrap=True, markup=False)


def mean(seeds: Sequence[dict[str, dict[str, float]]], cell: str, split: str = "test") -> float:
    """Over seeds."""
    return statistics.mean(each[cell][split] for each in seeds)


def targets(found: Found, schemes: Sequence[str], scale: float) -> Iterator[str]:
    """The two figures that are aimed at, as sentences."""
    cells = [(seeds, bits) for seeds in found.values() for bits in (2, 3)]
    for scheme in [each for each in schemes if each not in ("direct", "conventional")]:
        better = sum(mean(seeds, f"{scheme} {bits}") < mean(seeds, f"conventional {bits}") for seeds, bits in cells)
        share = f"{better} of {len(cells)} cells of 2 and 3 bits ({100 * better / len(cells):.0f} %)"
        yield f"{scheme}: less error than conventional in {share}"
    for name, seeds in found.items():
        best = min(schemes, key=lambda scheme: mean(seeds, f"{scheme} 4", "val"))
        above = scale * (mean(seeds, f"{best} 4") - mean(seeds, "float"))
        yield f"{name}: at 4 bits {best}, the best on validation data, is {above:+.2f} from float"


@command
def main(
    only: Annotated[list[Experiment] | None, typer.Option(help="An experiment; repeatable; else all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0 to N - 1.")] = 3,
    network: Annotated[list[str] | None, typer.Option(help="Only networks of that name; repeatable.")] = None,
    scheme: Annotated[list[str] | None, typer.Option(help="Only these columns; repeatable.")] = None,
    data: Annotated[str, typer.Option(help="Of the feed-forward networks, as retrain takes images.")] = "mnist",
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of all cells.")] = Path("runs/stepsize"),
    data_root: Annotated[Path | None, typer.Option(help="Folder of the presets' data; else XNORFORGE_DATA.")] = None,
    device: Annotated[str, typer.Option(help="cpu, or a GPU as PyTorch names it: cuda.")] = "cpu",
) -> None:
    """Compute the cells that are not there yet and print the tables and how near they come to what is aimed at."""
    torch.set_num_threads(1)
    where = on(device)
    schemes = scheme or list(SCHEMES)
    for each in schemes:
        if each not in SCHEMES:
            raise UsageError(f"Scheme must be {', '.join(SCHEMES)}, not {each!r}")
    for experiment in only or list(Experiment):
        rows = networks(experiment, data)
        for name in network or ():
            if name not in [each.name for each in rows]:
                raise UsageError(f"Network must be {'; '.join(each.name for each in rows)}, not {name!r}")
        rows = [each for each in rows if not network or each.name in network]
        tasks = {each.name: load(each, data_root, where) for each in rows}
        # Seed by seed, so that a table that is broken off has whole columns.
        found: Found = {each.name: [] for each in rows}
        for seed in range(seeds):
            for each in rows:
                cells = Cells(each, seed, tasks[each.name], out_folder / experiment)
                found[each.name].append(cells.all(schemes))
        scale = 1.0 if experiment is Experiment.TEXT else 100.0
        unit = "bits per character" if experiment is Experiment.TEXT else "error %"
        print_table(f"{experiment}, {seeds} seeds, test {unit}", found, schemes, scale)
        out.print()
        for sentence in targets(found, schemes, scale):
            out.print(f"- {sentence}", soft_wrap=True, markup=False)


if __name__ == "__main__":
    typer.run(main)
