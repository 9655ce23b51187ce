"""``xnorforge retrain``: the weights of any network in few bits, retrained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from model.classifier import FitConfig
from model.device import on
from model.spec.files import write_json
from model.stepsize.best_step import Per
from model.stepsize.rounding import StepRule
from model.stepsize.schemes import RetrainConfig, Scheme, Update
from model.stepsize.tasks import TextTask, load
from model.stepsize.workflow import run
from model.user_model import load_model
from scripts.console import Json, UsageError, command, emit_json, err, out, percent, table


@command
def retrain(
    model: Annotated[str, typer.Argument(help="module:function that returns a torch.nn.Module.")],
    data: Annotated[
        str,
        typer.Option(help="digits, mnist, cifar10_subset, a file ending in .npz; shakespeare, or one ending in .txt."),
    ] = "digits",
    state: Annotated[Path | None, typer.Option(help="Weights: a state_dict written by torch.save.")] = None,
    scheme: Annotated[Scheme, typer.Option(help="How steps are chosen.")] = Scheme.ADAPTIVE,
    update: Annotated[
        Update | None,
        typer.Option(help="Adaptive: before every epoch, or once, behind the first.", show_default="epoch"),
    ] = None,
    bits: Annotated[int, typer.Option(help="Of a weight, 2 to 16: 2^bits - 1 levels.")] = 3,
    per: Annotated[Per, typer.Option(help="What has a step of its own.")] = Per.LAYER,
    steps: Annotated[str, typer.Option(help="free, pow2, or fixed:F with F fraction bits.")] = "free",
    layer: Annotated[
        list[str] | None, typer.Option(help="Layer or pattern such as features.*; repeatable; else all with weights.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="In all stages together.")] = 10,
    batch: Annotated[int, typer.Option(help="Images or windows of text a step.")] = 64,
    rate: Annotated[float, typer.Option(help="Largest learning rate.")] = 1e-3,
    decay: Annotated[float, typer.Option(help="Weight decay.")] = 1e-4,
    shift: Annotated[
        int, typer.Option(min=0, help="Training images are moved by up to so many pixels, at most 256.")
    ] = 0,
    flip: Annotated[bool, typer.Option(help="Half of the training images are mirrored.")] = False,
    seed: Annotated[int, typer.Option(help="Of order and augmentation.")] = 0,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of results and checkpoints.")] = Path(
        "runs/retrain"
    ),
    data_root: Annotated[Path | None, typer.Option(help="Folder of the presets' data; else XNORFORGE_DATA.")] = None,
    device: Annotated[str, typer.Option(help="cpu, or a GPU as PyTorch names it: cuda.")] = "cpu",
    json: Json = False,
) -> None:
    """Retrain a network with weights of few bits; write result.json, retrained.pt, weights.npz and steps.svg.

    A weight is an integer times a step; biases stay float. The epoch that is best on validation data counts. Ctrl-C
    keeps every epoch, and the same command continues.

    Example: xnorforge retrain model.cnn:digits_net --state net.pt --data digits --scheme adaptive --bits 3
    """
    if update and not scheme.adaptive:
        schemes = " or ".join(each for each in Scheme if each.adaptive)
        raise UsageError(f"Option --update must go with {schemes}, not with {scheme.value}")
    config = RetrainConfig(
        scheme=scheme,
        update=update or Update.EPOCH,
        bits=bits,
        per=per,
        steps=StepRule.parse(steps),
        fit=FitConfig(epochs=epochs, batch=batch, rate=rate, decay=decay, shift=shift, flip=flip, seed=seed),
    )
    where = on(device)
    network, task = load_model(model, state).to(where), load(data, data_root, where)
    if (shift or flip) and isinstance(task, TextTask):
        raise UsageError(f"Options --shift and --flip must go with images, not with text {task.name!r}")
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} epochs"))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        first = bar.add_task(str(scheme), total=sum(config.epochs) or None)

        def tell(done: int, of: int, error: float) -> None:
            bar.update(first, completed=done, total=of, description=f"{scheme}, {task.metric} {error:.4f}")

        result = {"model": model, "data": task.name, **run(network, task, config, out_folder, layer, tell)}
    write_json(result, out_folder / "result.json")
    if json:
        return emit_json(result)
    show(result)


def show(result: dict[str, Any]) -> None:
    """The result for people."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("layer", "weights", "bits", "step", "L2 error", "of the weights", "zeros"):
        grid.add_column(heading, justify="left" if heading == "layer" else "right")
    for row in result["layers"]:
        several = f" (mean of {len(row['steps'])})" if len(row["steps"]) > 1 else ""
        share = "" if row["relative_error"] is None else percent(row["relative_error"])
        cells = (
            f"{row['weights']:,}",
            str(row["bits"]),
            f"{row['step']:.6f}{several}",
            f"{row['l2_error']:.4g}",
            share,
        )
        grid.add_row(row["name"], *cells, percent(row["zeros"]))
    out.print(f"[bold]Weights of {result['bits']} bits by {result['scheme']}, steps {result['steps']}[/]")
    out.print(grid)
    name = result["metric"]
    rows = []
    for phase, label in (("float", "float"), ("direct", "quantized, not retrained"), ("retrained", "retrained")):
        for split, where in (("val", "validation"), ("test", "test")):
            value = result[f"{name.replace(' ', '_')}_{phase}_{split}"]
            said = f"accuracy {percent(1 - value)}" if name == "error" else f"{value:.4f} {name}"
            rows.append((f"{label}, {where}", said))
    rows += [(what, result[key]) for what, key in (("state", "state"), ("integers", "codes"), ("picture", "picture"))]
    table(f"{result['model']} on {result['data']}", rows)
