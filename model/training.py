"""Training: a float LSTM first, then the network for hardware from its weights; resumable after any epoch."""

from __future__ import annotations

import hashlib
import math
import os
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.data import Dataset
from model.factors import Factors
from model.family import FACTOR_RULES, FactorRule, Family
from model.float_network import FloatNetwork
from model.layers import MlbNetwork
from model.spec import MAX_LAYERS, MAX_LEVELS, Pool

Progress = Callable[[str, int, int, float, float], None]  #: phase, epochs done, of, training loss, validation accuracy


class TrainingError(ValueError):
    """A run that cannot be trained or continued; one sentence."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What a training run is, apart from its data.

    Parameters
    ----------
    family
        What is trained. FLOAT ends with the float network; FIXED32 takes its weights as they are.
    activation_levels, weight_levels
        A and W, 1 to 5, of what MuBiNN1 and MuBiNN2 binarize.
    factors
        What scaling factors may be; of MuBiNN1 powers of two.
    layers, hidden
        LSTM layers, and units of each.
    epochs_float, epochs
        Epochs of the float network and of the one for hardware.
    seed
        Of initial weights and of the order of the samples.
    pool
        Which hidden state the dense layer reads.
    batch, rate_float, rate
        Sequences a step, and the largest learning rates (cosine, to zero), at most 1.
    factor_rate
        Learning rate of the scaling factors, as a multiple of ``rate``.
    decay
        Weight decay (AdamW) of both phases.
    """

    family: Family = Family.MUBINN2
    activation_levels: int = 3
    weight_levels: int = 3
    factors: FactorRule = FactorRule.FREE
    layers: int = 1
    hidden: int = 32
    epochs_float: int = 60
    epochs: int = 60
    seed: int = 0
    pool: Pool = Pool.LAST
    batch: int = 32
    rate_float: float = 1e-2
    rate: float = 1e-2
    factor_rate: float = 0.05
    decay: float = 1e-4

    def __post_init__(self) -> None:
        for name, value in (("activation", self.activation_levels), ("weight", self.weight_levels)):
            if not 1 <= value <= MAX_LEVELS:
                raise TrainingError(f"Number of {name} levels must be 1 to {MAX_LEVELS}, not {value!r}")
        if (rules := FACTOR_RULES.get(self.family)) and self.factors not in rules:
            raise TrainingError(f"Factors of {self.family.value} must be {rules[0].value}, not {self.factors.value!r}")
        for name, value, high in (
            ("layers", self.layers, MAX_LAYERS),
            ("hidden units", self.hidden, 1024),
            ("epochs", self.epochs, 100_000),
            ("float epochs", self.epochs_float, 100_000),
            ("sequences a batch", self.batch, 65536),
        ):
            if not 1 <= value <= high:
                raise TrainingError(f"Number of {name} must be 1 to {high}, not {value!r}")
        for name, value in (("rate", self.rate), ("rate of the float network", self.rate_float)):
            if not 0 < value <= 1:
                raise TrainingError(f"Learning {name} must be above 0 and at most 1, not {value!r}")
        for name, value in (("Rate of scaling factors", self.factor_rate), ("Weight decay", self.decay)):
            if not 0 <= value <= 100:
                raise TrainingError(f"{name} must be 0 to 100, not {value!r}")
        if not 0 <= self.seed < 1 << 32:
            raise TrainingError(f"Seed must be 0 to {(1 << 32) - 1}, not {self.seed!r}")

    def plain(self) -> dict[str, int | float | str]:
        """The configuration as plain values."""
        return {name: value.value if isinstance(value, Enum) else value for name, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Standardization of raw samples: ``(x - mean) * scale`` per feature, from the training split."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def of(cls, x: NDArray[np.float32]) -> Scaling:
        flat = x.reshape(-1, x.shape[-1]).astype(np.float64)
        deviation = flat.std(0)
        scale = np.where(deviation > 0, 1.0 / np.where(deviation > 0, deviation, 1.0), 1.0)
        return cls(mean=tuple(flat.mean(0).tolist()), scale=tuple(scale.tolist()))

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Standardized samples."""
        return (x.astype(np.float64) - np.array(self.mean)) * np.array(self.scale)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The outcome of a run: both networks at their best validation epoch, and what they score.

    Of ``Family.FLOAT`` there is only the first.
    """

    float_network: FloatNetwork
    network: MlbNetwork | None
    scaling: Scaling
    validation: dict[str, float]  #: validation accuracy by phase, ``float`` and ``mlb``


def train(config: TrainConfig, data: Dataset, folder: Path, progress: Progress) -> Trained:
    """Train both networks, keeping ``folder/checkpoint.pt`` after every epoch; continues from it if it is there.

    Raises
    ------
    TrainingError
        If the folder holds the run of another configuration, or a damaged checkpoint.
    """
    torch.manual_seed(config.seed)
    scaling = Scaling.of(data.part("train")[0])
    parts = {}
    for name in ("train", "val"):
        x, y = data.part(name)
        parts[name] = (torch.from_numpy(scaling.apply(x)).float(), torch.from_numpy(y))
    features = data.x.shape[2]
    run = _Run(config, data, folder)

    float_network = FloatNetwork(features, config.hidden, data.classes, config.pool, config.layers)
    float_score = run.fit("float", float_network, parts, config.epochs_float, config.rate_float, progress)
    trained = Trained(float_network=float_network, network=None, scaling=scaling, validation={"float": float_score})
    if config.family is Family.FLOAT:
        return trained
    network = untrained(config, data)
    network.warm_start(float_network, parts["train"][0])
    if config.family is Family.FIXED32:
        score = _score(network, *parts["val"])
    else:
        score = run.fit("mlb", network, parts, config.epochs, config.rate, progress)
    return replace(trained, network=network, validation={**trained.validation, "mlb": score})


def untrained(config: TrainConfig, data: Dataset) -> MlbNetwork:
    """The network for hardware as training begins with it, before it gets the weights of the float one."""
    steps, features = data.x.shape[1:]
    return MlbNetwork(
        features=features,
        layers=config.layers,
        hidden=config.hidden,
        classes=data.classes,
        pool=config.pool,
        activation_levels=config.activation_levels,
        weight_levels=config.weight_levels,
        max_steps=steps,
        family=config.family,
        factors=config.factors,
    )


def check_run(config: TrainConfig, data: Dataset, folder: Path) -> None:
    """Raise TrainingError if ``folder`` holds a run that cannot be continued so."""
    _Run(config, data, folder)


@torch.no_grad()
def predictions(network: nn.Module, x: Tensor, batch: int = 256) -> Tensor:
    """Classes of standardized samples, in ``eval()`` mode."""
    network.eval()
    return torch.cat([network(part).argmax(1) for part in x.split(batch)])


def _score(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Accuracy, 0 to 1."""
    return (predictions(network, x) == y).double().mean().item()


class _Run:
    """The checkpoint of one run and the training loop over it."""

    def __init__(self, config: TrainConfig, data: Dataset, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.identity = {
            **config.plain(),
            "data": data.name,
            "shape": list(data.x.shape),
            "data digest": hashlib.sha256(b"".join(a.tobytes() for a in (data.x, data.y, data.split))).hexdigest(),
        }
        self.state: dict[str, Any] = {"identity": self.identity, "phases": {}}
        self.path = folder / "checkpoint.pt"
        if self.path.exists():
            try:
                with zipfile.ZipFile(self.path) as archive:  # PyTorch does not check its own checksums
                    if damaged := archive.testzip():
                        raise zipfile.BadZipFile(damaged)
                stored = torch.load(self.path, weights_only=True)
                identity, _ = dict(stored["identity"]), dict(stored["phases"])
            except Exception:
                raise TrainingError(
                    f"Checkpoint must be a readable one, not {str(self.path)!r}; remove it to begin again"
                ) from None
            if identity != self.identity:
                key = next(k for k in self.identity | identity if identity.get(k) != self.identity.get(k))
                raise TrainingError(
                    f"Run in {folder} must be continued with {key} = {identity.get(key)!r}, not "
                    f"{self.identity.get(key)!r}; give another --out for a new run"
                )
            self.state = stored

    def fit(
        self,
        phase: str,
        network: nn.Module,
        parts: dict[str, tuple[Tensor, Tensor]],
        epochs: int,
        rate: float,
        progress: Progress,
    ) -> float:
        """Train ``network``, leave it at its best epoch, and return its validation accuracy there."""
        state = self.state["phases"].setdefault(phase, {"epoch": 0, "score": -1.0})
        x, y = parts["train"]
        factors = [p for m in network.modules() if isinstance(m, Factors) for p in m.parameters()]
        others = [p for p in network.parameters() if all(p is not f for f in factors)]
        factors = [p for p in factors if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": others, "weight_decay": self.config.decay, "ratio": 1.0}]
        if factors:
            groups.append({"params": factors, "weight_decay": 0.0, "ratio": self.config.factor_rate})
        optimizer = torch.optim.AdamW(groups, lr=rate)
        if "last" in state:
            network.load_state_dict(state["last"])
            optimizer.load_state_dict(state["optimizer"])
        per_epoch = math.ceil(len(x) / self.config.batch)
        for epoch in range(state["epoch"], epochs):
            network.train()
            # The order depends on the seed and the epoch only: a continued run sees what an unbroken one does.
            order = torch.randperm(len(x), generator=torch.Generator().manual_seed(self.config.seed * 100_003 + epoch))
            total = 0.0
            for step, chosen in enumerate(order.split(self.config.batch)):
                done = (epoch * per_epoch + step) / (epochs * per_epoch)
                for group in optimizer.param_groups:
                    group["lr"] = rate * group["ratio"] * 0.5 * (1 + math.cos(math.pi * done))
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(network(x[chosen]), y[chosen])
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                total += loss.item() * len(chosen)
            score = _score(network, *parts["val"])
            if score >= state["score"]:
                state["score"], state["best"] = score, {k: v.clone() for k, v in network.state_dict().items()}
            state.update(epoch=epoch + 1, last=network.state_dict(), optimizer=optimizer.state_dict())
            self._save()
            progress(phase, epoch + 1, epochs, total / len(x), score)
        network.load_state_dict(state["best"])
        return state["score"]

    def _save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        try:
            torch.save(self.state, partial)
            os.replace(partial, self.path)
        finally:
            partial.unlink(missing_ok=True)
