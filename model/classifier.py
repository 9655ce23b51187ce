"""Training of an image classifier, resumable after any epoch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from model import checkpoint
from model.annealing import anneal, chance_of
from model.config import TrainingError, check_run

Progress = Callable[[int, int, float], None]  #: epochs done, of, training loss
Penalty = Callable[[nn.Module], Tensor]  #: of a network, one number


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How a classifier is trained: AdamW, cosine to zero.

    Parameters
    ----------
    epochs, batch
        Passes over the images, and images a step.
    rate
        Largest learning rate, above 0 and at most 1.
    decay
        Weight decay, 0 to 100.
    shift
        Images are moved by up to so many pixels, 0 to 256, a batch at a time, edges repeated; 0 for none.
    flip
        Whether half of the images are mirrored.
    seed
        Of order and augmentation, 0 to 2**32 - 1.
    """

    epochs: int = 4
    batch: int = 64
    rate: float = 2e-3
    decay: float = 1e-4
    shift: int = 0
    flip: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.epochs <= 100_000:
            raise TrainingError(f"Number of epochs must be 0 to 100000, not {self.epochs!r}")
        if not 1 <= self.batch <= 65536:
            raise TrainingError(f"Number of images a batch must be 1 to 65536, not {self.batch!r}")
        if not 0 < self.rate <= 1:
            raise TrainingError(f"Learning rate must be above 0 and at most 1, not {self.rate!r}")
        if not 0 <= self.shift <= 256:
            raise TrainingError(f"Shift of images must be 0 to 256, not {self.shift!r}")
        check_run(decay=self.decay, seed=self.seed)


def fit(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    config: FitConfig,
    path: Path | None = None,
    progress: Progress = lambda *_: None,
    penalty: Penalty | None = None,
) -> None:
    """Train ``network`` in place on images and labels; with ``path``, a checkpoint that continues after any epoch.

    A penalty is added to the loss; its ``repr`` is part of the configuration.

    Raises
    ------
    TrainingError
        If the checkpoint is of another configuration, network or data, or damaged.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  two times as fast
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.rate, weight_decay=config.decay)
    identity = {**asdict(config), "data": digest(x, y), "network": str(network)}
    if penalty is not None:
        identity["penalty"] = repr(penalty)
    begin = _continue(path, identity, network, optimizer)
    steps = math.ceil(len(x) / config.batch)
    for epoch in range(begin, config.epochs):
        network.train()
        chance = chance_of(config.seed, epoch)
        torch.manual_seed(chance.initial_seed())  # dropout
        total = 0.0
        for step, chosen in enumerate(torch.randperm(len(x), generator=chance).split(config.batch)):
            anneal(optimizer, config.rate, epoch * steps + step, config.epochs * steps)
            optimizer.zero_grad()
            samples = augmented(x[chosen], config, chance)
            if samples.ndim == 4:
                samples = samples.contiguous(memory_format=torch.channels_last)
            loss = nn.functional.cross_entropy(network(samples), y[chosen])
            (loss if penalty is None else loss + penalty(network)).backward()
            optimizer.step()
            total += loss.item() * len(chosen)
        if path is not None:
            state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch + 1}
            checkpoint.save({**state, "identity": identity}, path)
        progress(epoch + 1, config.epochs, total / len(x))
    network.eval()


def augmented(x: Tensor, config: FitConfig, chance: torch.Generator) -> Tensor:
    """A batch, moved and mirrored at random."""
    if config.flip:
        mirrored = (torch.rand(len(x), generator=chance) < 0.5).to(x.device)
        x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    if config.shift:
        down, right = torch.randint(0, 2 * config.shift + 1, (2,), generator=chance).tolist()
        height, width = x.shape[2:]
        x = nn.functional.pad(x, (config.shift,) * 4, mode="replicate")
        x = x[:, :, down : down + height, right : right + width]
    return x


def digest(*tensors: Tensor) -> str:
    """SHA-256 of shapes and contents."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _continue(path: Path | None, identity: dict, network: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Epochs that a checkpoint holds; the network and the optimizer get what it says."""
    if path is None or not path.exists():
        return 0
    state = checkpoint.load(path, "identity", "network", "optimizer")
    checkpoint.refuse_other(state["identity"], identity, path)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return state["epoch"]
