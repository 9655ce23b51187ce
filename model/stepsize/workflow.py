"""From a trained network and data to one with weights of few bits, and the files that hold it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from model import checkpoint
from model.classifier import FitConfig
from model.spec.files import replacing
from model.stepsize.layers import Layer, find_layers
from model.stepsize.picture import draw
from model.stepsize.quantizer import top_code
from model.stepsize.retrain import Progress, Retrained, retrain
from model.stepsize.schemes import RetrainConfig, Scheme
from model.stepsize.tasks import Task


def run(
    model: nn.Module,
    task: Task,
    config: RetrainConfig,
    folder: Path,
    names: Sequence[str] | None = None,
    progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """Retrain, and write ``retrained.pt``, ``weights.npz`` and ``steps.svg``; what came of it, as plain values.

    names: layers, all if None. Nothing is written to ``folder`` but checkpoints until all of it is known. Scores before
    (float), direct (quantized, not retrained) and after are those of ``task``, on validation and test data.

    Raises
    ------
    StepSizeError
        If the network does not fit the data, or its weights cannot be quantized.
    """
    layers = find_layers(model, names, config.per)
    task.check(model)
    plain = RetrainConfig(scheme=Scheme.DIRECT, bits=config.bits, per=config.per, steps=config.steps, fit=FitConfig())
    direct = retrain(model, layers, task, plain)
    after = direct if config.scheme is Scheme.DIRECT else retrain(model, layers, task, config, folder, progress)
    scores = {
        name: {split: task.evaluate(network, split).error for split in ("val", "test")}
        for name, network in (("float", model), ("direct", direct.network), ("retrained", after.network))
    }
    state, codes, picture = (folder / name for name in ("retrained.pt", "weights.npz", "steps.svg"))
    checkpoint.save({name: each.cpu() for name, each in after.network.state_dict().items()}, state)
    save_codes(layers, after, config.bits, codes)
    draw(layers, after.history, picture)
    return {
        "scheme": config.scheme.value,
        "update": config.update.value,
        "bits": config.bits,
        "per": config.per.value,
        "steps": str(config.steps),
        "seed": config.fit.seed,
        "epochs": sum(config.epochs),
        "metric": task.metric,
        "layers": describe(layers, after, config.bits),
        **{f"{task.metric.replace(' ', '_')}_{name}_{split}": of[split] for name, of in scores.items() for split in of},
        "state": str(state),
        "codes": str(codes),
        "picture": str(picture),
    }


def describe(layers: Sequence[Layer], found: Retrained, bits: int) -> list[dict[str, Any]]:
    """What each layer has become; the error is relative, sum (w - Q(w))^2 / sum Q(w)^2."""
    rows = []
    for layer, codes, steps, error in zip(layers, found.codes, found.steps, found.errors, strict=True):
        size = (codes.reshape(layer.groups, -1).double() * steps[:, None]).square().sum()
        rows.append(
            {
                "name": layer.name,
                "weights": layer.weights,
                "bits": bits,
                "steps": steps.tolist(),
                "step": statistics.mean(steps.tolist()),
                "l2_error": error,
                "relative_error": error / float(size) if size else None,
                "zeros": float((codes == 0).double().mean()),
            }
        )
    return rows


def save_codes(layers: Sequence[Layer], found: Retrained, bits: int, path: Path) -> None:
    """Write what hardware takes: of each layer ``NAME`` integers and ``NAME.step`` its steps, and ``bits``.

    Integers are int8, or int16 for more than 8 bits, of -(M - 1) / 2 to (M - 1) / 2; steps are float64, (groups,), of
    equal parts of the first axis. A weight is its integer times its step. Biases stay float and are in the state only.
    """
    kind = np.int8 if top_code(bits) <= 127 else np.int16
    arrays: dict[str, Any] = {"bits": np.array(bits)}
    for layer, codes, steps in zip(layers, found.codes, found.steps, strict=True):
        arrays[layer.name] = codes.numpy().astype(kind)
        arrays[f"{layer.name}.step"] = steps.numpy()
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)
