"""From data to bundle: train, score both networks once on the test split, and write what was learned."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model import bundle, golden
from model.config import TrainConfig
from model.data import Dataset
from model.layers import HardwareNetwork
from model.run import Progress, predictions, said
from model.spec import Datapath, FixedSpec, Folding, MlbDotSpec, MlbSpec, Pool, ReluSpec, StepSpec, Weight, of_layer
from model.training import train


def golden_logits(b: bundle.Bundle, batch: int = 100) -> np.ndarray:
    """Logits that the golden function gives the test samples, as stored integers."""
    parts = [golden.run(b.network, b.weights, b.samples[i : i + batch]).logits for i in range(0, len(b.samples), batch)]
    return np.concatenate(parts)


def accuracy(labels: np.ndarray, truth: np.ndarray) -> float:
    """Share of equal labels, 0 to 1, where there is a true one."""
    truth = truth[: len(labels)]
    return float(np.mean((labels == truth)[truth >= 0]))


def bits_each(logits: np.ndarray, truth: np.ndarray) -> float:
    """How many bits a true label costs with the probabilities that the logits stand for, where there is one."""
    logits, truth = logits[truth >= 0].astype(np.float64), truth[truth >= 0]
    logits = logits - logits.max(-1, keepdims=True)
    chosen = np.take_along_axis(logits, truth[:, None], -1)[:, 0]
    return float(np.mean(np.log2(np.exp(logits).sum(-1)) - chosen / np.log(2)))


def train_to_bundle(
    config: TrainConfig,
    data: Dataset,
    folder: Path,
    folding: Folding,
    progress: Progress,
    *,
    datapath: Datapath = Datapath.ARITHMETIC,
    float_from: Path | None = None,
) -> dict[str, Any]:
    """Train (or continue) the run in ``folder`` and write ``folder/bundle``; returns the figures.

    float_from: another run, whose float network is taken instead of training the same again.
    ``Family.FLOAT`` has no hardware, so no bundle, and its figures are those of the float network alone.

    Raises
    ------
    TrainingError
        If the folder holds another run.
    BundleError
        If the datapath cannot be built for the network.
    AssertionError
        If ``eval()`` and the golden function disagree on a logit of a test sample (a defect).
    """
    start = time.monotonic()
    trained = train(config, data, folder, progress, float_from)
    x, y = data.part("test")
    scaled = torch.from_numpy(trained.scaling.apply(x))
    plain = torch.from_numpy(trained.float_scaling.apply(x)).float()
    float_logits = said(trained.float_network, plain).numpy()
    float_test = accuracy(float_logits.argmax(-1), y)
    figures = {
        "family": config.family.value,
        "accuracy_float": float_test,
        "accuracy_float_val": trained.validation["float"],
        "split_sizes": data.sizes,
        "seed": config.seed,
    }
    if data.symbols is not None:
        figures["bits_float"] = bits_each(float_logits, y)
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
    logits = golden_logits(made)
    labels, stored = logits.argmax(-1), logits * 2.0**-made.network.logit_format.frac
    passes = x.shape[1] if config.pool is Pool.MEAN else 1  # eval() gives their mean, the golden function their sum
    differ = (said(trained.network, scaled).numpy() != stored / passes).any(-1)
    if differ.any():
        raise AssertionError(f"eval() must equal the golden function, and differs in {differ.sum()} results")
    metrics = made.design.provenance.metrics
    metrics.update(
        float_val=trained.validation["float"],
        hardware_val=trained.validation["hardware"],
        float_test=float_test,
        golden_test=accuracy(labels, y),
    )
    if data.symbols is not None:
        figures["bits_golden"] = bits_each(stored, y)
        metrics.update(float_bits=figures["bits_float"], golden_bits=figures["bits_golden"])
    if trained.unaware is not None:
        figures |= _without_training(trained.unaware, config, scaled, y)
        metrics.update(exact_val=trained.validation["exact"])
        metrics.update({name.removeprefix("accuracy_") + "_test": figures[name] for name in _UNAWARE})
    bundle.save(made, folder / "bundle")
    return {
        **figures,
        "accuracy_golden": metrics["golden_test"],
        "accuracy_golden_val": metrics["hardware_val"],
        "seconds": round(time.monotonic() - start, 2),
        "bundle": str(folder / "bundle"),
    }


_UNAWARE = ("accuracy_exact", "accuracy_unaware")


def _without_training(
    network: HardwareNetwork, config: TrainConfig, x: torch.Tensor, y: np.ndarray
) -> dict[str, float]:
    """What the network that was trained with exact adders scores with those, and on the adders that overflow."""
    found = {}
    for name, rule in zip(_UNAWARE, (config.adders.without_limits(), config.adders), strict=True):
        network.sums = rule
        found[name] = accuracy(predictions(network, x).numpy(), y)
    return found


#: What products of a layer are made of; a ternary product adds a word, subtracts it, or does nothing.
OPERATIONS = ("xnor_operations", "signed_additions", "ternary_products", "integer_products", "multiplications")


def _operations(dot: MlbDotSpec) -> tuple[str, int]:
    """The operations of one product of a dot product: their kind, and how many."""
    if dot.binarized:
        return "xnor_operations", dot.x.width * dot.w.width
    if isinstance(dot.w, StepSpec):
        return "ternary_products" if dot.w.bits == 2 else "integer_products", 1
    signs = [q.levels for q in (dot.x, dot.w) if isinstance(q, MlbSpec)]
    return ("signed_additions", signs[0]) if signs else ("multiplications", 1)


def describe(b: bundle.Bundle) -> dict[str, Any]:
    """What is in a bundle: sizes, formats, memory bits and operations."""
    network, dense = b.network, b.network.dense
    a, w = (max(getattr(l, f"{kind}_levels") for l in network.layers) for kind in ("activation", "weight"))
    quantities: dict[str, tuple[Weight, ...]] = {}
    formats: dict[str, str | list[str]] = {"input": str(network.source)}
    state_bits: dict[str, int] = {}
    operations: dict[str, int] = dict.fromkeys(OPERATIONS, 0)
    for layer, spec in enumerate(network.layers):
        named = partial(of_layer, layer=layer)
        if isinstance(spec, ReluSpec):
            quantities |= {named(name): (getattr(spec, name),) for name in ("x", "h", "w", "b")}
            formats |= {named(name): str(getattr(spec, name).format) for name in ("x", "h", "b")}
            formats[named("z")] = str(spec.z_format)
            state_bits |= {named("x"): spec.features * spec.x.width, named("h"): spec.hidden * spec.h.width}
            kind, each = _operations(MlbDotSpec(n=spec.features, x=spec.x, w=spec.w))
            operations[kind] += spec.hidden * spec.features * each
            continue
        stored = {"x": (spec.x,), "h": (spec.h,), "c": (spec.c,), "gates": spec.gates}
        stored |= {"wx": spec.wx, "wh": spec.wh, "b": spec.b}
        quantities |= {named(name): specs for name, specs in stored.items()}
        numbers = {name: str(specs[0].format) for name, specs in stored.items() if isinstance(specs[0], FixedSpec)}
        formats |= {named(name): text for name, text in numbers.items()}
        formats[named("z")] = [str(spec.z_format(k)) for k in range(4)]
        formats[named("sigmoid")] = f"{spec.sigmoid.source} -> {spec.sigmoid.target}"
        formats[named("tanh")] = f"{spec.tanh.source} -> {spec.tanh.target}"
        formats[named("c_raw")], formats[named("h_raw")] = str(spec.c_raw_format), str(spec.mac.format)
        bits = {"x": spec.features * spec.x.width, "h": 2 * spec.hidden * spec.h.width, "c": spec.hidden * spec.c.width}
        state_bits |= {named(name): number for name, number in bits.items()}
        for dot in spec.dots(0):
            kind, each = _operations(dot)
            operations[kind] += 4 * spec.hidden * dot.n * each
    quantities |= {"dense_w": (dense.w,), "dense_b": (dense.b,)}
    numbers = {name: str(quantities[name][0].format) for name in ("dense_w", "dense_b")}
    formats |= {name: text for name, text in numbers.items() if isinstance(quantities[name][0], FixedSpec)}
    return {
        "data": b.design.provenance.data,
        "family": b.design.provenance.settings.get("family", "mubinn2"),
        "metrics": b.design.provenance.metrics,
        "settings": b.design.provenance.settings,
        "kind": "MLP" if all(isinstance(layer, ReluSpec) for layer in network.layers) else "LSTM",
        "features": network.features,
        "hidden": [layer.hidden for layer in network.layers],
        "classes": dense.classes,
        "activation_levels": a,
        "weight_levels": w,
        "pool": dense.pool.value,
        "max_steps": dense.max_steps,
        "folding": asdict(b.design.folding),
        "datapath": b.design.datapath.value,
        "formats": {**formats, "logits": str(network.logit_format)},
        "factors": {
            name: [[v * 2.0**-m.frac for v in m.factors] for m in specs if isinstance(m, MlbSpec)]
            for name, specs in quantities.items()
            if isinstance(specs[0], MlbSpec)
        },
        "weight_steps": {
            name: [m.step * 2.0**-m.frac for m in specs if isinstance(m, StepSpec)]
            for name, specs in quantities.items()
            if isinstance(specs[0], StepSpec)
        },
        "bits_of_a_weight": sorted({m.bits for specs in quantities.values() for m in specs if isinstance(m, StepSpec)}),
        "weight_bits": {
            name: int(np.prod(shape)) * stored[0].width for name, (shape, stored) in network.weight_specs().items()
        },
        "state_bits": state_bits,
        **{f"{kind}_per_step": number for kind, number in operations.items()},
        "test_sequences": len(b.labels),
        "steps": int(b.samples.shape[1]),
        "symbols": b.design.symbols,
    }
