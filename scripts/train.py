"""``xnorforge train``: a float network, then one for hardware from its weights, into a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from model import bundle as bundles
from model import image_data
from model.config import TrainConfig, TrainingError
from model.data import Dataset, load
from model.family import ADDERS, FACTOR_RULES, STEPPED, FactorRule, Family
from model.spec import MAX_BITS, Datapath, Folding, Pool, SumSpec
from model.training import open_run, phases, untrained
from model.workflow import train_to_bundle
from scripts.console import DatapathChoice, Json, command, emit_json, err, percent, resolve, suggest, table
from synth.liberty import find_liberty

PHASES = {"float": "float network", "exact": "network with exact adders", "hardware": "network for hardware"}

NAMES = {
    Family.FLOAT: "float LSTM",
    Family.FIXED32: "32-bit fixed-point LSTM",
    Family.B_LSTM: "B_LSTM",
    Family.FIXED: "fixed-point LSTM",
    Family.MLP: "fixed-point MLP",
    Family.BLSTM: "BLSTM",
    Family.MUBINN1: "MuBiNN1",
    Family.MUBINN2: "MuBiNN2",
}


LEVELS = (Family.MUBINN1, Family.MUBINN2)  #: families that have a choice of levels


def parse_levels(text: str | None, family: Family) -> tuple[int, int]:
    """``A,W`` as two numbers; only families with several levels have the choice."""
    if family not in LEVELS:
        if text is not None:
            raise TrainingError(f"Option --levels must go with {' or '.join(LEVELS)}, not with {family.value}")
        return 1, 1
    text = "3,3" if text is None else text
    try:
        activation, weight = (int(part) for part in text.split(","))
    except ValueError:
        raise TrainingError(f"Levels must be two numbers A,W such as 3,3, not {text!r}") from None
    return activation, weight


def parse_adders(text: str | None, family: Family) -> SumSpec:
    """How sums are made; only BLSTM and FIXED have the choice."""
    if text is None:
        return ADDERS.get(family, TrainConfig.adders)
    if family not in ADDERS:
        raise TrainingError(f"Option --adders must go with {' or '.join(ADDERS)}, not with {family.value}")
    return SumSpec.parse(text, TrainConfig.adders)


def parse_weights(text: str | None, family: Family | None) -> tuple[Family, int]:
    """The family and the bits of a weight: ``3bit`` goes with FIXED and MLP, and means FIXED if no family is given."""
    if text is None:
        return family or Family.MUBINN2, TrainConfig.weight_bits
    if family not in (None, *STEPPED):
        raise TrainingError(f"Option --weights must go with {' or '.join(STEPPED)}, not with {family.value}")
    bits = text.removesuffix("bit")
    if not bits.isdecimal() or not text.endswith("bit"):
        raise TrainingError(f"Weights must be 2bit to {MAX_BITS}bit, not {text!r}")
    return family or Family.FIXED, int(bits)


def choose_factors(rule: FactorRule | None, family: Family) -> FactorRule:
    """The rule for scaling factors; only families with several levels have one."""
    if family not in FACTOR_RULES and rule is not None:
        raise TrainingError(f"Option --factors must go with {' or '.join(FACTOR_RULES)}, not with {family.value}")
    return rule or FACTOR_RULES.get(family, (FactorRule.FREE,))[0]


def load_data(source: str, family: Family, data_root: Path | None, snr: float | None) -> Dataset:
    """Sequences; of MLP, images as steps of all their pixels."""
    if source not in image_data.PRESETS or snr is not None:
        return load(source, data_root, snr)
    if family is Family.MLP:
        return image_data.pixels(source, data_root)
    if source != "digits":  # which are sequences of rows, too
        raise TrainingError(f"Images of {source} must go with {Family.MLP.value}, not with {family.value}")
    return load(source, data_root)


def bits_of(result: dict[str, Any], network: str) -> str:
    """Of text, the bits a character."""
    return f", {result[f'bits_{network}']:.3f} bits a character" if f"bits_{network}" in result else ""


@command
def train(
    data: Annotated[
        str,
        typer.Option(
            help="digits, bonn, bonn3, motor, fsdd, fsdd_keywords, speech_commands, or a file ending in .npz; "
            "of mlp also mnist and cifar10_subset; with --pool each shakespeare, or a text ending in .txt."
        ),
    ] = "digits",
    snr: Annotated[
        float | None, typer.Option(help="Of audio: noise is mixed into all clips, at so many dB below each.")
    ] = None,
    family: Annotated[
        Family | None,
        typer.Option(help="What is binarized; float, fixed32, fixed and mlp: nothing; mubinn2 if not given."),
    ] = None,
    levels: Annotated[
        str | None, typer.Option(help="Levels A,W of activations and weights, each 1 to 5; 3,3 if not given.")
    ] = None,
    factors: Annotated[
        FactorRule | None,
        typer.Option(help="Scaling factors of mubinn2 and blstm, steps of fixed and mlp; factors of mubinn1 are pow2."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="2bit to 8bit: integers times a step (fixed, mlp); 3bit if not given.")
    ] = None,
    adders: Annotated[
        str | None,
        typer.Option(help="How blstm and fixed add: a width, or fields as in width=10,order=tree,unit=16."),
    ] = None,
    layers: Annotated[int, typer.Option(help="LSTM layers (of mlp, dense ones with ReLU), one above the other.")] = 1,
    hidden: Annotated[int, typer.Option(help="Units of each layer.")] = 32,
    epochs: Annotated[int, typer.Option(help="Epochs of the network for hardware.")] = 60,
    epochs_float: Annotated[int, typer.Option(help="Epochs of the float network.")] = 60,
    epochs_adders: Annotated[
        int | None,
        typer.Option(
            help="Epochs of blstm and fixed under --adders, after --epochs with exact ones; "
            f"{TrainConfig.epochs_adders} if not given."
        ),
    ] = None,
    pool: Annotated[Pool, typer.Option(help="Hidden state the dense layer reads; each: a result a step.")] = Pool.LAST,
    batch: Annotated[int, typer.Option(help="Sequences a step.")] = 32,
    rate: Annotated[float, typer.Option(help="Largest learning rate of the network for hardware.")] = 1e-2,
    rate_adders: Annotated[
        float | None,
        typer.Option(help=f"Largest rate of blstm and fixed under --adders; {TrainConfig.rate_adders} if not given."),
    ] = None,
    rate_float: Annotated[float, typer.Option(help="Largest learning rate of the float network.")] = 1e-2,
    distill: Annotated[
        float, typer.Option(help="Share of the loss that is the distance from what the float network says.")
    ] = 0.7,
    jitter: Annotated[
        int, typer.Option(help="Turn training sequences in time by up to so many samples (bonn) or steps.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of initial weights and order of samples.")] = 0,
    pe: Annotated[int, typer.Option(help="Hidden units the hardware computes at once.")] = 2,
    simd: Annotated[int, typer.Option(help="Inputs a unit takes a cycle; more than there are means all.")] = 8192,
    datapath: Annotated[
        DatapathChoice | None,
        typer.Option(help="What is built behind z; auto: the smallest; table for up to 3 levels, else threshold."),
    ] = None,
    float_from: Annotated[
        Path | None, typer.Option(help="Another run, whose float network is taken instead of training the same.")
    ] = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of the run.")] = Path("runs/digits"),
    data_root: Annotated[Path | None, typer.Option(help="Folder of the presets' data; else XNORFORGE_DATA.")] = None,
    json: Json = False,
) -> None:
    """Train a network under the arithmetic of its hardware and write RUN/bundle.

    Ctrl-C keeps what was learned; the same command continues.

    Example: xnorforge train --data digits --levels 3,3 --hidden 32 --epochs 60 --out runs/digits
    """
    torch.set_num_threads(1)  # one step is small: threads cost more than they bring
    family, weight_bits = parse_weights(weights, family)
    activation, weight = parse_levels(levels, family)
    config = TrainConfig(
        family=family,
        weight_bits=weight_bits,
        factors=choose_factors(factors, family),
        adders=parse_adders(adders, family),
        activation_levels=activation,
        weight_levels=weight,
        layers=layers,
        hidden=hidden,
        epochs=epochs,
        epochs_float=epochs_float,
        epochs_adders=TrainConfig.epochs_adders if epochs_adders is None else epochs_adders,
        rate_adders=TrainConfig.rate_adders if rate_adders is None else rate_adders,
        pool=pool,
        batch=batch,
        rate=rate,
        rate_float=rate_float,
        distill=distill,
        jitter=jitter,
        seed=seed,
    )
    if (epochs_adders is not None or rate_adders is not None) and (family not in ADDERS or config.adders.exact):
        raise TrainingError(
            "Options --epochs-adders and --rate-adders must go with adders of "
            f"{' or '.join(ADDERS)} that can overflow, "
            f"not with {f'exact ones of {family.value}' if family in ADDERS else family.value}"
        )
    if datapath is not None and family is Family.FLOAT:
        raise TrainingError(f"Option --datapath must go with a family for hardware, not with {family.value}")
    dataset, folding = load_data(data, family, data_root, snr), Folding(pe=pe, simd=simd)
    usual = Datapath.usual(activation) if family is Family.MUBINN2 else Datapath.ARITHMETIC
    auto = datapath is DatapathChoice.AUTO
    asked = usual if datapath is None or auto else Datapath(datapath.value)
    open_run(config, dataset, out_folder, float_from)  # refuses before anything is trained
    if family is not Family.FLOAT:
        for layer in untrained(config, dataset).spec().layers:
            asked.check(layer)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("epoch {task.completed}/{task.total}"),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bar:
        tasks = {name: bar.add_task(PHASES[name], total=total, state="") for name, total in phases(config).items()}

        def progress(phase: str, done: int, of: int, loss: float, score: float) -> None:
            bar.update(tasks[phase], completed=done, state=f"loss {loss:.4f}, validation {percent(score)}")

        try:
            result = train_to_bundle(
                config, dataset, out_folder, folding, progress, datapath=asked, float_from=float_from
            )
        except KeyboardInterrupt:
            bar.stop()
            err.print(
                f"Stopped; {out_folder} holds every finished epoch, and the same command continues.",
                soft_wrap=True,
                markup=False,
            )
            raise typer.Exit(130) from None
    if auto and result["bundle"]:
        written = bundles.load(out_folder / "bundle")
        asked = resolve(DatapathChoice.AUTO, written.network, find_liberty())
        bundles.save(replace(written, design=replace(written.design, datapath=asked)), out_folder / "bundle")
    result["datapath"] = asked.value
    if json:
        return emit_json(result)
    sizes = ", ".join(f"{name} {size}" for name, size in dataset.sizes.items())
    kind = "MLP" if family is Family.MLP else "LSTM"
    rows = [(f"float {kind}, test", percent(result["accuracy_float"]) + bits_of(result, "float"))]
    if family is not Family.FLOAT:
        level_text = f" ({activation},{weight})" if family in LEVELS else ""
        if family in STEPPED:
            level_text = f", {weight_bits}-bit weights"
        if "accuracy_exact" in result:
            rows.append((f"{NAMES[family]}{level_text} with exact adders, test", percent(result["accuracy_exact"])))
            level_text += f" trained through {config.adders.width}-bit adders"
            rows.append((f"the same on {config.adders.width}-bit adders, test", percent(result["accuracy_unaware"])))
        golden = percent(result["accuracy_golden"]) + bits_of(result, "golden")
        rows.append((f"{NAMES[family]}{level_text}, test", golden))
        rows.append(("datapath", result["datapath"]))
    rows.append(("time", f"{result['seconds']:.0f} s"))
    rows.append(("bundle", result["bundle"] or "none: a float LSTM has no hardware"))
    table(f"Trained on {dataset.name} ({sizes} sequences), seed {seed}", rows)
    if result["bundle"]:
        suggest("simulate", result["bundle"])
