"""``xnorforge quantize``: store the activations of any network in fewer bits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from model.checkpoint import save
from model.classifier import FitConfig
from model.image_data import load, part
from model.nonuniform.evaluate import Evaluator
from model.nonuniform.finetune import finetune
from model.nonuniform.picture import draw
from model.nonuniform.schemes import ENQS, KNQS, Scheme, check_delta
from model.nonuniform.search import Found
from model.nonuniform.stored import Stored
from model.nonuniform.workflow import (
    Prepared,
    Settings,
    compare,
    describe,
    hardware,
    prepare,
)
from model.spec.files import write_json
from model.user_model import load_model
from scripts.console import Json, UsageError, command, emit_json, err, out, percent, suggest, table

#: Where a layers.json goes.
UNITS: dict[Scheme, str] = {**dict.fromkeys(ENQS, "enq_quantizer"), **dict.fromkeys(KNQS, "knq_quantizer")}


def parse_bits(text: str | None) -> list[int] | None:
    """``B``, or ``B,B,...``."""
    if text is None:
        return None
    try:
        return [int(each) for each in text.split(",")]
    except ValueError:
        raise UsageError(f"Bits must be a number, or numbers separated by commas, not {text!r}") from None


@command
def quantize(
    model: Annotated[str, typer.Argument(help="module:function that returns a torch.nn.Module.")],
    data: Annotated[str, typer.Option(help="digits, mnist, cifar10_subset, or a file ending in .npz.")] = "digits",
    state: Annotated[Path | None, typer.Option(help="Weights: a state_dict written by torch.save.")] = None,
    scheme: Annotated[Scheme, typer.Option(help="How activations are stored.")] = Scheme.KNQ_SATURATED,
    bits: Annotated[str | None, typer.Option(help="Of each layer, 5 or 5,4,3, instead of a search.")] = None,
    delta: Annotated[float, typer.Option(help="Largest loss of accuracy on validation images, 0 to 1.")] = 0.005,
    q_bits: Annotated[int, typer.Option(help="Width q_m of activations before ENQ and KNQ.")] = 12,
    layer: Annotated[
        list[str] | None, typer.Option(help="Module or pattern such as features.*; repeatable; else all ReLU modules.")
    ] = None,
    weight_bits: Annotated[int, typer.Option(help="Of weights and biases, in fixed point.")] = 14,
    calibration: Annotated[int, typer.Option(help="Training images whose activations are counted.")] = 1000,
    validation: Annotated[int, typer.Option(help="Validation images that choices are evaluated on.")] = 1000,
    limit: Annotated[int, typer.Option(min=1, help="Evaluations in a step of the search.")] = 50,
    reference: Annotated[bool, typer.Option("--compare/--no-compare", help="Search for CLNQ too.")] = True,
    tune: Annotated[int, typer.Option("--finetune", help="Epochs of training under the chosen storage.")] = 0,
    rate: Annotated[float | None, typer.Option(help="Learning rate of --finetune, if not 2e-4.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of --finetune, if not 0.")] = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of results and evaluations.")] = Path(
        "runs/quantize"
    ),
    data_root: Annotated[Path | None, typer.Option(help="Folder of the presets' data; else XNORFORGE_DATA.")] = None,
    json: Json = False,
) -> None:
    """Quantize the activations of a network and write result.json, activations.svg and, of ENQ and KNQ, layers.json.

    Without --bits, the fewest bits are searched with which validation accuracy stays within --delta of the float
    network. Every evaluation is kept: Ctrl-C loses nothing, and the same command continues.

    Example: xnorforge quantize model.cnn:digits_net --state net.pt --data digits --scheme enq --delta 0.01
    """
    if not tune and (rate, seed) != (None, None):
        raise UsageError("Options --rate and --seed must go with --finetune of at least 1 epoch")
    tuning = FitConfig(epochs=tune, rate=2e-4 if rate is None else rate, seed=seed or 0)
    settings = Settings(
        q_bits=q_bits,
        calibration=calibration,
        validation=validation,
        weight_bits=weight_bits,
        layers=tuple(layer) if layer else None,
    )
    given_bits = parse_bits(bits)
    check_delta(delta)
    network, images = load_model(model, state), load(data, data_root)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} {task.fields[what]}"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        first = bar.add_task("counting activations", what="images")
        prepared = prepare(
            network,
            images,
            settings,
            out_folder / "evaluations",
            lambda what, done, of: bar.update(first, description=what, completed=done, total=of),
        )
        task = bar.add_task(f"search {scheme}", total=None, what="evaluations")
        prepared.quantizer.on_evaluation = lambda count: bar.update(task, completed=count)
        choice, found = chosen(prepared, scheme, given_bits, delta, limit)
        result = {"model": model, "data": images.name, "delta": delta, "q_bits": q_bits, "weight_bits": weight_bits}
        result |= describe(prepared, scheme, choice)
        others = {}
        if reference:
            bar.update(task, description=f"search {Scheme.CLNQ}")
            clnq, _ = prepared.quantizer.search(Scheme.CLNQ, delta, limit)
            others = {"clnq": prepared.quantizer.bits(clnq)} if clnq else {}
        result["normalized"] = compare(result, others, prepared.quantizer.layers)
        result |= {
            "accuracy_float_val": prepared.quantizer.reference,
            "accuracy_float_test": prepared.test_accuracy(None),
            "accuracy_test": prepared.test_accuracy(choice),
            "search": found and {"tried": found.tried, "exact": found.exact, "note": found.note},
        }
        picture, config = out_folder / "activations.svg", out_folder / "layers.json"
        draw(prepared.quantizer.histograms, {scheme.value: choice}, picture)
        names = [each.name for each in prepared.quantizer.layers]
        result["picture"] = str(picture)
        result["hardware"] = str(config) if hardware(scheme, choice, names, config) else None
        write_json(result, out_folder / "result.json")
        if tune:
            last = bar.add_task("fine-tuning", total=tune, what="epochs")
            result["finetuned"] = tuned(
                prepared, choice, tuning, weight_bits, out_folder, lambda done, *_: bar.update(last, completed=done)
            )
            write_json(result, out_folder / "result.json")
    if json:
        return emit_json(result)
    show(result)
    if result["hardware"]:
        suggest("synth", unit=UNITS[scheme], set=f"layers={config}")


def chosen(
    prepared: Prepared, scheme: Scheme, bits: list[int] | None, delta: float, limit: int
) -> tuple[Sequence[Stored], Found | None]:
    """The storage asked for, one number of bits for all layers or one a layer, or the one that a search finds."""
    if bits is not None:
        each = bits * len(prepared.quantizer.layers) if len(bits) == 1 else bits
        return prepared.quantizer.storage(scheme, each), None
    choice, found = prepared.quantizer.search(scheme, delta, limit)
    if choice is None:
        raise UsageError(f"Loss of accuracy must be allowed to be above {delta!r} with {scheme}: {found.note}")
    return choice, found


def tuned(
    prepared: Prepared, choice: Sequence[Stored], config: FitConfig, weight_bits: int, folder: Path, progress: Any
) -> dict[str, Any]:
    """Accuracies after fine-tuning, and where its weights are."""
    q, train = prepared.quantizer, part(prepared.images, "train", None)
    network = finetune(
        prepared.model, q.layers, choice, *train, config, weight_bits=weight_bits, folder=folder, progress=progress
    )
    evaluator = Evaluator(network, q.layers, *part(prepared.images, "val", len(q.evaluator)), prepared.cache)
    save(network.state_dict(), folder / "finetuned.pt")
    return {
        "epochs": config.epochs,
        "accuracy_val": evaluator.accuracy(choice),
        "accuracy_test": prepared.test_accuracy(choice, network),
        "state": str(folder / "finetuned.pt"),
    }


def show(result: dict[str, Any]) -> None:
    """The result for people."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("layer", "activations", "bits each", "bits in all", "largest", "SQNR, dB"):
        grid.add_column(heading, justify="left" if heading == "layer" else "right")
    for row in result["layers"]:
        noise = "exact" if row["sqnr_db"] is None else f"{row['sqnr_db']:.1f}"
        cells = (f"{row['activations']:,}", str(row["bits"]), f"{row['total_bits']:,}", f"{row['range']:.3f}", noise)
        grid.add_row(row["name"], *cells)
    out.print(f"[bold]Activations stored by {result['scheme']}[/]")
    out.print(grid)
    ratios = ", ".join(f"{ratio:.2f} of {name}" for name, ratio in result["normalized"].items())
    rows = [
        ("float, validation", percent(result["accuracy_float_val"])),
        ("quantized, validation", percent(result["accuracy_val"])),
        ("float, test", percent(result["accuracy_float_test"])),
        ("quantized, test", percent(result["accuracy_test"])),
        ("bits a sample", f"{result['bits']:,}: {ratios}"),
    ]
    if found := result["search"]:
        rows.append(("search", f"{found['tried']} choices tried; {found['note']}"))
    if after := result.get("finetuned"):
        rows.append(("fine-tuned, validation", percent(after["accuracy_val"])))
        rows.append(("fine-tuned, test", percent(after["accuracy_test"])))
    rows.append(("picture", result["picture"]))
    if result["hardware"]:
        rows.append(("hardware", result["hardware"]))
    table(f"{result['model']} on {result['data']}", rows)
