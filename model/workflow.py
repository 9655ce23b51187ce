"""From data to bundle: train, score both networks once on the test split, and write what was learned."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model import bundle, golden
from model.data import Dataset
from model.spec import Datapath, FixedSpec, Folding, MlbSpec, Quantity
from model.training import Progress, TrainConfig, predictions, train


def golden_labels(b: bundle.Bundle, batch: int = 100) -> np.ndarray:
    """Classes that the golden function gives the test samples."""
    parts = [golden.run(b.network, b.weights, b.samples[i : i + batch]).label for i in range(0, len(b.samples), batch)]
    return np.concatenate(parts)


def accuracy(labels: np.ndarray, truth: np.ndarray) -> float:
    """Share of equal labels, 0 to 1."""
    return float(np.mean(labels == truth[: len(labels)]))


def train_to_bundle(
    config: TrainConfig,
    data: Dataset,
    folder: Path,
    folding: Folding,
    progress: Progress,
    *,
    datapath: Datapath = Datapath.ARITHMETIC,
) -> dict[str, Any]:
    """Train (or continue) the run in ``folder`` and write ``folder/bundle``; returns the figures.

    ``Family.FLOAT`` has no hardware, so no bundle, and its figures are those of the float network alone.

    Raises
    ------
    TrainingError
        If the folder holds another run.
    BundleError
        If the datapath cannot be built for the network.
    AssertionError
        If ``eval()`` and the golden function disagree on a test sample (a defect).
    """
    start = time.monotonic()
    trained = train(config, data, folder, progress)
    x, y = data.part("test")
    scaled = torch.from_numpy(trained.scaling.apply(x))
    float_test = accuracy(predictions(trained.float_network, scaled.float()).numpy(), y)
    figures = {
        "family": config.family.value,
        "accuracy_float": float_test,
        "accuracy_float_val": trained.validation["float"],
        "split_sizes": data.sizes,
        "seed": config.seed,
    }
    if trained.network is None:
        return {**figures, "seconds": round(time.monotonic() - start, 2), "bundle": None}
    made = bundle.make(
        trained.network,
        trained.scaling,
        data,
        folding=folding,
        datapath=datapath,
        provenance=bundle.Provenance(
            data=data.name,
            sizes=data.sizes,
            metrics={},
            settings=config.plain(),
        ),
    )
    labels = golden_labels(made)
    evaluated = predictions(trained.network, scaled).numpy()
    if not np.array_equal(labels, evaluated):
        raise AssertionError(
            f"eval() must equal the golden function, and differs on {(labels != evaluated).sum()} samples"
        )
    made.design.provenance.metrics.update(
        float_val=trained.validation["float"],
        mlb_val=trained.validation["mlb"],
        float_test=float_test,
        golden_test=accuracy(labels, y),
    )
    bundle.save(made, folder / "bundle")
    metrics = made.design.provenance.metrics
    return {
        **figures,
        "accuracy_golden": metrics["golden_test"],
        "accuracy_golden_val": metrics["mlb_val"],
        "seconds": round(time.monotonic() - start, 2),
        "bundle": str(folder / "bundle"),
    }


def describe(b: bundle.Bundle) -> dict[str, Any]:
    """What is in a bundle: sizes, formats, memory bits and operations."""
    dots = b.network.lstm.dots(0)
    network, lstm, dense = b.network, b.network.lstm, b.network.dense
    h, f, c, a, w = lstm.hidden, lstm.features, dense.classes, lstm.activation_levels, lstm.weight_levels
    quantities: dict[str, tuple[Quantity, ...]] = {
        "x": (lstm.x,),
        "h": (lstm.h,),
        "c": (lstm.c,),
        "gates i f g o": lstm.gates,
        "wx": lstm.wx,
        "wh": lstm.wh,
        "b": lstm.b,
        "dense w": (dense.w,),
        "dense b": (dense.b,),
    }
    return {
        "data": b.design.provenance.data,
        "family": b.design.provenance.settings.get("family", "mubinn2"),
        "metrics": b.design.provenance.metrics,
        "settings": b.design.provenance.settings,
        "features": f,
        "hidden": h,
        "classes": c,
        "activation_levels": a,
        "weight_levels": w,
        "pool": dense.pool.value,
        "max_steps": dense.max_steps,
        "folding": asdict(b.design.folding),
        "datapath": b.design.datapath.value,
        "formats": {
            "input": str(lstm.source),
            **{name: str(q[0].format) for name, q in quantities.items() if isinstance(q[0], FixedSpec)},
            "z": [str(lstm.z_format(k)) for k in range(4)],
            "sigmoid": f"{lstm.sigmoid.source} -> {lstm.sigmoid.target}",
            "tanh": f"{lstm.tanh.source} -> {lstm.tanh.target}",
            "c_raw": str(lstm.c_raw_format),
            "h_raw": str(lstm.mac.format),
            "logits": str(network.logit_format),
        },
        "factors": {
            name: [[v * 2.0**-m.frac for v in m.factors] for m in specs if isinstance(m, MlbSpec)]
            for name, specs in quantities.items()
            if isinstance(specs[0], MlbSpec)
        },
        "weight_bits": {
            name: int(np.prod(shape)) * stored[0].width for name, (shape, stored) in network.weight_specs().items()
        },
        "state_bits": {"x": f * lstm.x.width, "h": 2 * h * lstm.h.width, "c": h * lstm.c.width},
        "xnor_operations_per_step": 4 * h * sum(d.n for d in dots if d.binarized) * a * w,
        "multiplications_per_step": 4 * h * sum(d.n for d in dots if not d.binarized),
        "test_sequences": len(b.labels),
        "steps": int(b.samples.shape[1]),
    }
