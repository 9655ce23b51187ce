"""Accuracy and activation memory of the schemes on two image tasks, over seeds, like Table VII of the paper.

Example: python -m scripts.table_nonuniform --data mnist,cifar10_subset --seeds 3 --data-root DATA --out runs/nonuniform
Networks that are trained and evaluations that are done are kept in the folder: a table that was broken off continues.
Searches see the validation split only. The test split is used once for each network and choice.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

from model.classifier import FitConfig, fit
from model.cnn import digits_net, folded, lenet, small_vgg
from model.image_data import Images, load, part
from model.nonuniform.evaluate import Evaluator
from model.nonuniform.finetune import finetune
from model.nonuniform.picture import draw
from model.nonuniform.schemes import Scheme
from model.nonuniform.stored import Half, Storage
from model.nonuniform.workflow import Prepared, Settings, describe, prepare
from model.spec.files import replacing, write_json
from scripts.console import UsageError, command, err, out
from scripts.runs import spread

#: Network and training of each data set.
TASKS: dict[str, tuple[Callable[[], nn.Sequential], FitConfig]] = {
    "digits": (digits_net, FitConfig(epochs=20)),
    "mnist": (lenet, FitConfig(epochs=5)),
    "cifar10_subset": (
        partial(small_vgg, normalized=True),
        FitConfig(epochs=24, shift=4, flip=True, rate=4e-3, decay=5e-4),
    ),
}
CURVE = (1, 2, 3, 4, 5, 6)
SCHEMES = {
    Scheme.UNIFORM: "uniform",
    Scheme.CLNQ_STEP: "CLNQ, one step",
    Scheme.CLNQ_SQNR: "CLNQ, own steps, bits by SQNR",
    Scheme.CLNQ: "CLNQ, own steps, bits by search",
    Scheme.ENQ: "ENQ, one range",
    Scheme.ENQ_RANGE: "ENQ, own ranges",
    Scheme.ENQ_ROUND: "ENQ, own ranges, half a step in the bias",
    Scheme.KNQ: "KNQ, k-means, not saturated",
    Scheme.KNQ_SATURATED: "KNQ, k-means, saturated",
    Scheme.KNQ_FLOOR: "KNQ, best for the floor rule",
    Scheme.KNQ_OFFSET: "KNQ, best with an offset in the bias",
}
#: Of the picture, and of fine-tuning at ``TUNED_BITS`` bits in every layer.
SHOWN = (Scheme.CLNQ, Scheme.ENQ_RANGE, Scheme.ENQ_ROUND, Scheme.KNQ_SATURATED, Scheme.KNQ_FLOOR, Scheme.KNQ_OFFSET)
TUNED = (Scheme.CLNQ, Scheme.KNQ_OFFSET)  # ENQ with half a step is CLNQ
TUNED_BITS = {"digits": 2, "mnist": 1, "cifar10_subset": 2}
TUNED_EPOCHS, TUNED_IMAGES = 2, 5000
PICTURED = (Scheme.CLNQ, Scheme.ENQ, Scheme.KNQ_SATURATED)  #: with 4 bits each, on the distribution of activations


def trained(name: str, seed: int, images: Images, folder: Path) -> nn.Sequential:
    """The float network of a seed, of this run or of an earlier one."""
    make, config = TASKS[name]
    torch.manual_seed(seed)
    network = make()
    x, y = part(images, "train", None)
    with err.status(f"training {name}, seed {seed}") as status:

        def tell(done: int, of: int, loss: float) -> None:
            status.update(f"training {name}, seed {seed}: epoch {done}/{of}, loss {loss:.3f}")

        fit(network, x, y, replace(config, seed=seed), folder / f"{name}-seed{seed}.pt", tell)
    return folded(network)


class Figures:
    """Figures of one network, a line for each scheme and number of bits or loss; kept in a file."""

    def __init__(self, name: str, seed: int, images: Images, folder: Path, limit: int, deltas: Sequence[float]) -> None:
        self._deltas = deltas
        self.network = trained(name, seed, images, folder)
        sizes = Settings(validation=2000 if name == "mnist" else 1000)
        self.prepared = prepare(self.network, images, sizes, folder / "evaluations")
        self._quantizer, self._limit, self._images = self.prepared.quantizer, limit, images
        self._path = folder / f"{name}-seed{seed}.json"
        self._tuned = partial(_tuned, self.prepared, images, folder / "tuned", TASKS[name][1])
        self.found: dict[str, Any] = {}

    def all(self) -> dict[str, Any]:
        """Every figure; evaluations that are known are not done again."""
        q = self._quantizer
        layers = q.layers
        self.found = {
            "layers": [[layer.name, layer.activations] for layer in layers],
            "q_bits": q.q_bits,
            "frac": q.frac,
            "integer_bits": q.integer_bits,
            "float": {"val": q.reference, "test": self.prepared.test_accuracy(None)},
            "half": self._figures([Half()] * len(layers)),
        }
        for delta in self._deltas:
            for scheme in SCHEMES:
                err.print(f"{self._path.stem}: {scheme}, loss at most {delta}")
                choice, search = q.search(scheme, delta, self._limit)
                if choice is None:
                    raise UsageError(
                        f"Loss of {scheme} on {self._path.stem} must be allowed to be larger: {search.note}"
                    )
                about = {"tried": search.tried, "exact": search.exact, "note": search.note}
                self.found[f"{scheme} {delta}"] = {**self._figures(choice), **about}
                write_json(self.found, self._path)
        for scheme in SHOWN:
            for bits in CURVE:
                self.found[f"{scheme} {bits} bits"] = self._figures(q.storage(scheme, [bits] * len(layers)))
        write_json(self.found, self._path)
        return self.found

    def tune(self) -> None:
        """Add the figures of fine-tuned networks."""
        q, bits = self._quantizer, TUNED_BITS[self._images.name]
        for scheme in TUNED:
            err.print(f"{self._path.stem}: {scheme} of {bits} bits, fine-tuned")
            self.found[f"{scheme} tuned"] = self._tuned(q.storage(scheme, [bits] * len(q.layers)))
        write_json(self.found, self._path)

    def _figures(self, choice: Any) -> dict[str, Any]:
        q = self._quantizer
        figures = {"val": q.accuracy(choice), "test": self.prepared.test_accuracy(choice)}
        return {**figures, "each": [stored.bits for stored in choice], "bits": q.bits(choice)}


def _tuned(
    prepared: Prepared, images: Images, folder: Path, config: FitConfig, choice: tuple[Storage, ...]
) -> dict[str, Any]:
    """Accuracies after a few more epochs under ``choice``, at a tenth of the rate."""
    q = prepared.quantizer
    shorter = replace(config, epochs=TUNED_EPOCHS, rate=config.rate / 10)
    network = finetune(prepared.model, q.layers, choice, *part(images, "train", TUNED_IMAGES), shorter, folder=folder)
    val = Evaluator(network, q.layers, *part(images, "val", len(q.evaluator)), prepared.cache)
    figures = {"val": val.accuracy(choice), "test": prepared.test_accuracy(choice, network)}
    return {**figures, "each": [stored.bits for stored in choice], "bits": q.bits(choice)}


HEADS = (
    *("data", "scheme", "validation %", "test %", "points under float, test", "bits NB", "bits an activation"),
    *("of CLNQ, own steps", "of CLNQ, one step", "bits of the layers, by seed"),
)


def line(name: str, label: str, found: list[dict[str, Any]], key: str, delta: float) -> None:
    """Means and standard deviations of a scheme over seeds; memory also as a multiple of that of CLNQ (NNB)."""
    rows = [f[key] for f in found]
    bits = [row["bits"] for row in rows]
    mean = statistics.mean(b / sum(size for _, size in f["layers"]) for b, f in zip(bits, found, strict=True))
    bases = [[f[f"{base} {delta}"]["bits"] for f in found] for base in (Scheme.CLNQ, Scheme.CLNQ_STEP)]
    ratios = [f"{statistics.mean(b / o for b, o in zip(bits, of, strict=True)):.2f}" for of in bases]
    under = spread([f["float"]["test"] - row["test"] for f, row in zip(found, rows, strict=True)])
    scores = [spread([row[split] for row in rows]) for split in ("val", "test")]
    each = "; ".join(" ".join(map(str, row["each"])) for row in rows)
    cells = [name, label, *scores, under, f"{statistics.mean(bits):,.0f}", f"{mean:.2f}", *ratios, each]
    out.print(f"| {' | '.join(cells)} |", soft_wrap=True, markup=False)


def head(title: str) -> None:
    """What stands above a table."""
    out.print(f"\n{title}:\n\n| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}", soft_wrap=True)


def schemes_table(name: str, found: list[dict[str, Any]], deltas: Sequence[float]) -> None:
    """Print a line a scheme for each loss."""
    for delta in deltas:
        head(f"Loss on validation at most {100 * delta:.1f} points")
        scores = [spread([f["float"][split] for f in found]) for split in ("val", "test")]
        out.print(f"| {name} | float | {' | '.join(scores)} | | | 32 | | | |", soft_wrap=True)
        line(name, "half precision", found, "half", delta)
        for scheme, label in SCHEMES.items():
            line(name, label, found, f"{scheme} {delta}", delta)


def tuned_table(name: str, found: list[dict[str, Any]], deltas: Sequence[float]) -> None:
    """Print two lines a scheme, before and after fine-tuning."""
    bits = TUNED_BITS[name]
    head(f"The same {bits} bits in every layer, and after fine-tuning")
    for scheme in TUNED:
        line(name, SCHEMES[scheme], found, f"{scheme} {bits} bits", deltas[-1])
        line(name, f"{SCHEMES[scheme]}, fine-tuned", found, f"{scheme} tuned", deltas[-1])


def lloyd_table(name: str, figures: Sequence[Figures]) -> None:
    """Print by how much the squared error of Lloyd's iteration is above the least one, over layers and networks."""
    out.print(
        "\nSquared error of Lloyd's iteration above the optimum, %:\n\n| data | T | mean | most |\n|---|---|---|---|"
    )
    for bits in (2, 3, 4, 5):
        excess = []
        for each in figures:
            q = each.prepared.quantizer
            found = describe(
                each.prepared, Scheme.KNQ_SATURATED, q.storage(Scheme.KNQ_SATURATED, [bits] * len(q.layers))
            )
            excess += [100 * row["lloyd_excess"] for row in found["layers"]]
        out.print(f"| {name} | {bits} | {statistics.mean(excess):.2f} | {max(excess):.2f} |")


def curve(name: str, found: list[dict[str, Any]], picture: Path) -> None:
    """Print and draw the test accuracy over bits, the same in every layer."""
    import matplotlib.pyplot as plt

    out.print(
        f"\nTest accuracy, %:\n\n| bits in every layer | {' | '.join(map(str, CURVE))} |\n|{'---|' * (1 + len(CURVE))}"
    )
    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    for scheme in SHOWN:
        label = SCHEMES[scheme].removesuffix(", bits by search")
        mean = [100 * statistics.mean(f[f"{scheme} {bits} bits"]["test"] for f in found) for bits in CURVE]
        out.print(f"| {label} | {' | '.join(f'{each:.2f}' for each in mean)} |", soft_wrap=True)
        axis.plot(CURVE, mean, "o-", label=label)
    axis.axhline(100 * statistics.mean(f["float"]["test"] for f in found), color="black", linestyle="--", label="float")
    axis.set(xlabel="bits of an activation, the same in every layer", ylabel=f"test accuracy, {name}, %")
    axis.legend(fontsize="small")
    with replacing(picture) as partial:
        figure.savefig(partial, format="svg", metadata={"Date": None})
    plt.close(figure)


@command
def main(
    data: Annotated[str, typer.Option(help="Data sets, separated by commas.")] = "mnist,cifar10_subset",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0 to N - 1.")] = 3,
    delta: Annotated[list[float], typer.Option(help="Largest loss on validation images; repeatable.")] = [0.001, 0.005],  # noqa: B006
    tune: Annotated[bool, typer.Option(help="Fine-tuned networks too.")] = True,
    limit: Annotated[int, typer.Option(min=1, help="Evaluations in a step of a search.")] = 30,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of all runs.")] = Path("runs/nonuniform"),
    data_root: Annotated[Path | None, typer.Option(help="Folder of the presets' data; else XNORFORGE_DATA.")] = None,
) -> None:
    """Train and evaluate what is not there yet, print the tables and draw the pictures."""
    torch.set_num_threads(1)
    names = data.split(",")
    for name in names:
        if name not in TASKS:
            raise UsageError(f"Data must be {', '.join(TASKS)}, not {name!r}")
    for name in names:
        images = load(name, data_root)
        figures = [Figures(name, seed, images, out_folder, limit, delta) for seed in range(seeds)]
        for each in figures:
            each.all()
        q = figures[0].prepared.quantizer
        points = {SCHEMES[s].split(",")[0]: q.storage(s, [4] * len(q.layers)) for s in PICTURED}
        draw(q.histograms, points, out_folder / f"activations-{name}.svg")
        found = [each.found for each in figures]
        schemes_table(name, found, delta)
        curve(name, found, out_folder / f"nonuniform-{name}.svg")
        lloyd_table(name, figures)
        if tune:
            for each in figures:
                each.tune()
            tuned_table(name, found, delta)


if __name__ == "__main__":
    typer.run(main)
