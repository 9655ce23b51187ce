"""The training loop over one run, and its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model import checkpoint
from model.annealing import anneal, chance_of
from model.config import TrainConfig, TrainingError
from model.data import Dataset
from model.factors import Factors
from model.family import Family
from model.spec import Pool

Progress = Callable[[str, int, int, float, float], None]  #: phase, epochs done, of, training loss, validation accuracy


@torch.no_grad()
def said(network: nn.Module, x: Tensor, batch: int = 256) -> Tensor:
    """Logits of standardized samples, in ``eval()`` mode."""
    network.eval()
    return torch.cat([network(part) for part in x.split(batch)])


def predictions(network: nn.Module, x: Tensor, batch: int = 256) -> Tensor:
    """Classes of standardized samples, in ``eval()`` mode."""
    return said(network, x, batch).argmax(-1)


def score(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Accuracy, 0 to 1, of what has a label."""
    return (predictions(network, x) == y)[y >= 0].double().mean().item()


#: What the float network of a run depends on.
OF_FLOAT = (
    *("data", "shape", "data digest", "float network", "layers", "hidden", "epochs_float"),
    *("seed", "pool", "batch", "rate_float", "decay", "jitter"),
)


#: What the network with exact adders depends on besides (BLSTM, FIXED).
OF_EXACT = (*OF_FLOAT, "family", "factors", "weight_bits", "epochs", "rate", "factor_rate", "distill", "temperature")


class Run:
    """The checkpoint of one run and the training loop over it."""

    def __init__(self, config: TrainConfig, data: Dataset, folder: Path) -> None:
        pools = [pool.value for pool in Pool if (pool is Pool.EACH) == (data.y.ndim > 1)]
        if config.pool not in pools:
            one = "step" if data.y.ndim > 1 else "sequence"
            wanted = f"{' or '.join(pools)} for {data.name}, which has a label a {one}"
            raise TrainingError(f"Pool must be {wanted}, not {config.pool.value!r}")
        self.config, self.folder, self.hop = config, folder, data.hop
        self.identity = {
            **config.plain(),
            "data": data.name,
            "shape": list(data.x.shape),
            **({"float network": config.family.value} if config.family is Family.MLP else {}),
            "data digest": data.digest,
        }
        self.state: dict[str, Any] = {"identity": self.identity, "phases": {}}
        self.path = folder / "checkpoint.pt"
        if self.path.exists():
            stored = checkpoint.load(self.path, "identity", "phases")
            checkpoint.refuse_other(stored["identity"], self.identity, folder)
            self.state = stored

    def take_float(self, folder: Path) -> None:
        """Begin with the float network of the run in ``folder``, instead of training the very same.

        And with its network with exact adders, where it has the one that this run would train.

        Raises
        ------
        TrainingError
            If there is none, it is not complete, or it was trained otherwise.
        """
        path = folder / "checkpoint.pt"
        if not path.exists():
            raise TrainingError(f"Run with the float network must hold checkpoint.pt, and {folder} does not")
        stored = checkpoint.load(path, "identity", "phases")
        if key := checkpoint.difference(stored["identity"], self.identity, OF_FLOAT):
            raise TrainingError(
                f"Run with the float network must have {key} = {self.identity.get(key)!r}, "
                f"and {folder} has {stored['identity'].get(key)!r}"
            )
        phase = stored["phases"].get("float", {"epoch": 0})
        if phase["epoch"] != self.config.epochs_float:
            raise TrainingError(f"Float network of {folder} must be complete, not at epoch {phase['epoch']!r}")
        self.state["phases"]["float"] = phase
        exact = stored["phases"].get("exact", {"epoch": 0})
        other = checkpoint.difference(stored["identity"], self.identity, OF_EXACT)
        if exact["epoch"] == self.config.epochs and not other:
            self.state["phases"]["exact"] = exact

    def fit(
        self,
        phase: str,
        network: nn.Module,
        parts: dict[str, tuple[Tensor, Tensor]],
        epochs: int,
        rate: float,
        progress: Progress,
        teacher: nn.Module | None = None,
        adapt: Callable[[], object] = lambda: None,
        trained: bool = False,
    ) -> float:
        """Train ``network``, leave it at its best epoch, and return its validation accuracy there.

        parts: standardized samples and labels by split; teacher: what is distilled, if anything is; adapt: what to do
        after every epoch, before its score; trained: the network stays as it is where no epoch is as good.
        """
        state = self.state["phases"].setdefault(phase, {"epoch": 0, "score": -1.0})
        if trained and "best" not in state:
            self._keep(state, network, score(network, *parts["val"]))
        x, y = parts["train"]
        factors = [p for m in network.modules() if isinstance(m, Factors) for p in m.parameters()]
        others = [p for p in network.parameters() if all(p is not f for f in factors)]
        factors = [p for p in factors if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": others, "weight_decay": self.config.decay, "ratio": 1.0}]
        if factors:
            groups.append({"params": factors, "weight_decay": 0.0, "ratio": self.config.factor_rate})
        optimizer = torch.optim.AdamW(groups, lr=rate)
        if "last" in state:
            if list(state["last"]) != list(network.state_dict()):  # the optimizer knows weights by their order
                raise TrainingError(f"Checkpoint {str(self.path)!r} must be of this version; remove it to begin again")
            network.load_state_dict(state["last"])
            optimizer.load_state_dict(state["optimizer"])
        per_epoch = math.ceil(len(x) / self.config.batch)
        for epoch in range(state["epoch"], epochs):
            network.train()
            chance = chance_of(self.config.seed, epoch)
            order = torch.randperm(len(x), generator=chance)
            total = 0.0
            for step, chosen in enumerate(order.split(self.config.batch)):
                anneal(optimizer, rate, epoch * per_epoch + step, epochs * per_epoch)
                optimizer.zero_grad()
                loss = self._loss(network, self._turned(x[chosen], chance), y[chosen], teacher)
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                total += loss.item() * len(chosen)
            adapt()
            reached = score(network, *parts["val"])
            if reached >= state["score"]:
                self._keep(state, network, reached)
            state.update(epoch=epoch + 1, last=network.state_dict(), optimizer=optimizer.state_dict())
            self.save()
            progress(phase, epoch + 1, epochs, total / len(x), reached)
        network.load_state_dict(state["best"])
        return state["score"]

    @staticmethod
    def _keep(state: dict[str, Any], network: nn.Module, reached: float) -> None:
        """As the best of its phase."""
        state["score"], state["best"] = reached, {k: v.clone() for k, v in network.state_dict().items()}

    def _turned(self, x: Tensor, chance: torch.Generator) -> Tensor:
        """A batch, turned in time by a random number of places."""
        if self.config.jitter == 0:
            return x
        places = int(torch.randint(-self.config.jitter, self.config.jitter + 1, (1,), generator=chance))
        if self.hop == 0:
            return x.roll(places, 1)
        signal = torch.cat((x[:, 0], x[:, 1:, -self.hop :].flatten(1)), 1)
        return signal.roll(places, 1).unfold(1, x.shape[2], self.hop)

    def _loss(self, network: nn.Module, x: Tensor, y: Tensor, teacher: nn.Module | None) -> Tensor:
        """Cross-entropy with the labels, in part replaced by that with what the teacher says."""
        share, t = self.config.distill, self.config.temperature
        logits = network(x).flatten(0, -2)  # one row a result
        loss = nn.functional.cross_entropy(logits, y.flatten(), ignore_index=-1)
        if teacher is None or share == 0:
            return loss
        with torch.no_grad():
            wanted = (teacher(x).flatten(0, -2) / t).softmax(1)
        distance = nn.functional.kl_div((logits / t).log_softmax(1), wanted, reduction="batchmean")
        return (1 - share) * loss + share * t * t * distance  # t^2: gradients of the size of the other part's

    def save(self) -> None:
        """Write the checkpoint."""
        checkpoint.save(self.state, self.path)
