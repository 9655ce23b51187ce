"""Training runs of the tables: each is trained once, and what it scored is kept beside it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model.config import TrainConfig
from model.data import Dataset
from model.family import Family
from model.spec import Datapath, Folding
from model.spec.files import write_json
from model.workflow import train_to_bundle
from scripts.console import err


def key_of(config: TrainConfig, data: Dataset, folding: Folding, datapath: Datapath) -> dict[str, Any]:
    """All that the figures of a run depend on, as plain values."""
    return {
        "run": config.plain(),
        "data": data.name,
        "data digest": data.digest,
        "folding": asdict(folding),
        "datapath": datapath.value,
    }


def figures(
    config: TrainConfig,
    data: Dataset,
    folder: Path,
    *,
    folding: Folding,
    datapath: Datapath = Datapath.ARITHMETIC,
    float_from: Path | None = None,
) -> dict[str, Any]:
    """What :func:`train_to_bundle` says of the run in ``folder``, trained now or before, and :func:`key_of` it.

    Raises
    ------
    TrainingError
        If the folder holds a run of another configuration or other data, which is left as it is.
    """
    done, key = folder / "figures.json", key_of(config, data, folding, datapath)
    found = json.loads(done.read_text()) if done.exists() else {}
    whole = config.family is Family.FLOAT or (folder / "bundle").exists()  # a float network has no bundle
    if whole and key.items() <= found.items():
        return found
    with err.status(f"training {folder}") as status:

        def tell(phase: str, epoch: int, of: int, loss: float, score: float) -> None:
            status.update(f"training {folder}: {phase} {epoch}/{of}, loss {loss:.3f}, val {score:.2%}")

        found = train_to_bundle(config, data, folder, folding, tell, datapath=datapath, float_from=float_from)
    found |= key
    write_json(found, done)
    scores = [f"{found[name]:.2%}" for name in ("accuracy_golden_val", "accuracy_golden") if name in found]
    err.print(f"{folder}: {' val, '.join(scores)}{' test' if scores else 'done'}")
    return found


def spread(values: Sequence[float], scale: float = 100) -> str:
    """Mean and, of several, standard deviation, times ``scale``; in percent if not told otherwise."""
    mean = f"{scale * statistics.mean(values):.2f}"
    return f"{mean} ± {scale * statistics.stdev(values):.2f}" if len(values) > 1 else mean
