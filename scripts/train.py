"""``xnorforge train``: a float LSTM, then a binarized one from its weights, into a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from model import bundle as bundles
from model.data import load
from model.spec import Datapath, Folding, Pool
from model.training import TrainConfig, TrainingError, check_run
from model.workflow import train_to_bundle
from scripts.console import DatapathChoice, Json, command, emit_json, err, out, percent, resolve, table
from synth.liberty import find_liberty

PHASES = {"float": "float LSTM", "mlb": "binarized LSTM"}


def parse_levels(text: str) -> tuple[int, int]:
    """``A,W`` as two numbers."""
    try:
        activation, weight = (int(part) for part in text.split(","))
    except ValueError:
        raise TrainingError(f"Levels must be two numbers A,W such as 3,3, not {text!r}") from None
    return activation, weight


@command
def train(
    data: Annotated[str, typer.Option(help="digits, a preset (bonn, bonn3), or a file ending in .npz.")] = "digits",
    levels: Annotated[str, typer.Option(help="Levels A,W of activations and weights, each 1 to 5.")] = "3,3",
    hidden: Annotated[int, typer.Option(help="LSTM units.")] = 32,
    epochs: Annotated[int, typer.Option(help="Epochs of the binarized network.")] = 60,
    epochs_float: Annotated[int, typer.Option(help="Epochs of the float network.")] = 60,
    pool: Annotated[Pool, typer.Option(help="Hidden state the dense layer reads.")] = Pool.LAST,
    batch: Annotated[int, typer.Option(help="Sequences a step.")] = 32,
    rate: Annotated[float, typer.Option(help="Largest learning rate of the binarized network.")] = 1e-2,
    rate_float: Annotated[float, typer.Option(help="Largest learning rate of the float network.")] = 1e-2,
    seed: Annotated[int, typer.Option(help="Of initial weights and order of samples.")] = 0,
    pe: Annotated[int, typer.Option(help="Hidden units the hardware computes at once.")] = 2,
    simd: Annotated[int, typer.Option(help="Inputs a unit takes a cycle; more than there are means all.")] = 8192,
    datapath: Annotated[
        DatapathChoice, typer.Option(help="What is built behind z; auto: the smallest by synthesis.")
    ] = DatapathChoice.THRESHOLD,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of the run.")] = Path("runs/digits"),
    data_root: Annotated[Path | None, typer.Option(help="Folder of the presets' data; else XNORFORGE_DATA.")] = None,
    json: Json = False,
) -> None:
    """Train a network under the arithmetic of its hardware and write RUN/bundle.

    Ctrl-C keeps what was learned; the same command continues.

    Example: xnorforge train --data digits --levels 3,3 --hidden 32 --epochs 60 --out runs/digits
    """
    torch.set_num_threads(1)  # one step is small: threads cost more than they bring
    activation, weight = parse_levels(levels)
    config = TrainConfig(
        activation_levels=activation,
        weight_levels=weight,
        hidden=hidden,
        epochs=epochs,
        epochs_float=epochs_float,
        pool=pool,
        batch=batch,
        rate=rate,
        rate_float=rate_float,
        seed=seed,
    )
    dataset, folding = load(data, data_root), Folding(pe=pe, simd=simd)
    auto = datapath is DatapathChoice.AUTO
    asked = Datapath.ARITHMETIC if auto else Datapath(datapath.value)
    check_run(config, dataset, out_folder)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("epoch {task.completed}/{task.total}"),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bar:
        tasks = {
            "float": bar.add_task(PHASES["float"], total=epochs_float, state=""),
            "mlb": bar.add_task(PHASES["mlb"], total=epochs, state=""),
        }

        def progress(phase: str, done: int, of: int, loss: float, score: float) -> None:
            bar.update(tasks[phase], completed=done, state=f"loss {loss:.4f}, validation {percent(score)}")

        try:
            result = train_to_bundle(config, dataset, out_folder, folding, progress, datapath=asked)
        except KeyboardInterrupt:
            bar.stop()
            err.print(
                f"Stopped; {out_folder} holds every finished epoch, and the same command continues.",
                soft_wrap=True,
                markup=False,
            )
            raise typer.Exit(130) from None
    if auto:
        written = bundles.load(out_folder / "bundle")
        asked = resolve(datapath, written.network.lstm, find_liberty())
        bundles.save(replace(written, design=replace(written.design, datapath=asked)), out_folder / "bundle")
    result["datapath"] = asked.value
    if json:
        return emit_json(result)
    sizes = ", ".join(f"{name} {size}" for name, size in dataset.sizes.items())
    table(
        f"Trained on {dataset.name} ({sizes} sequences), seed {seed}",
        [
            ("float LSTM, test", percent(result["accuracy_float"])),
            (f"MLB LSTM ({activation},{weight}), test", percent(result["accuracy_golden"])),
            ("datapath", result["datapath"]),
            ("time", f"{result['seconds']:.0f} s"),
            ("bundle", result["bundle"]),
        ],
    )
    out.print(f"Next: xnorforge simulate {result['bundle']}", soft_wrap=True, markup=False)
