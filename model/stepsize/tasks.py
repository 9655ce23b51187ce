"""What a network is trained for: batches, a loss, and a score for which less is better."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from model import image_data, text_data
from model.classifier import FitConfig, augmented, digest
from model.image_data import Images, part
from model.stepsize.errors import StepSizeError
from model.text_data import LENGTH, WARM, Text
from model.user_model import short

BATCH = 250  #: images at once where nothing is learned
CPU = torch.device("cpu")


class Score(NamedTuple):
    """How wrong a network is: first by what counts, then by its loss."""

    error: float
    loss: float


class Task(Protocol):
    """Data and what is asked of it."""

    name: str
    metric: str  #: what ``Score.error`` is
    identity: str  #: changes with the data
    inputs: int  #: numbers of a sample, or of a place in a text
    classes: int  #: classes of images, or symbols
    device: torch.device  #: where batches are

    def steps(self, config: FitConfig) -> int:
        """Batches of an epoch."""
        ...

    def batches(self, config: FitConfig, chance: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """An epoch."""
        ...

    def loss(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """To be made small."""
        ...

    def evaluate(self, model: nn.Module, split: str, limit: int | None = None) -> Score:
        """In ``eval()`` mode, on the first ``limit`` samples of a split, or all."""
        ...

    def check(self, model: nn.Module) -> None:
        """Raises StepSizeError if the network does not take the data or says something else than it should."""
        ...


class ImageTask:
    """Classes of images; the error is the share of images that get a wrong one.

    training: only so many of the training images, the first; all if None. device: where batches are, and the network
    must be.
    """

    metric = "error"

    def __init__(self, images: Images, training: int | None = None, device: torch.device = CPU) -> None:
        self.name, self.classes, self.device = images.name, images.classes, device
        counts = {"train": training, "val": None, "test": None}
        parts = {split: part(images, split, count) for split, count in counts.items()}
        self.identity = digest(*(each for pair in parts.values() for each in pair))
        self._parts = {split: (x.to(device), y.to(device)) for split, (x, y) in parts.items()}
        self.inputs = images.x[0].size

    def steps(self, config: FitConfig) -> int:
        """Batches of an epoch."""
        return math.ceil(len(self._parts["train"][1]) / config.batch)

    def batches(self, config: FitConfig, chance: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """The training images in random order, moved and mirrored as ``config`` says."""
        x, y = self._parts["train"]
        for chosen in torch.randperm(len(x), generator=chance).split(config.batch):
            yield _laid_out(augmented(x[chosen], config, chance)), y[chosen]

    def loss(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Cross entropy."""
        return nn.functional.cross_entropy(model(x), y)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: str, limit: int | None = None) -> Score:
        """Share of wrong classes, 0 to 1, and cross entropy."""
        x, y = (each[:limit] for each in self._parts[split])
        model.eval()
        scores = torch.cat([model(_laid_out(batch)) for batch in x.split(BATCH)])
        return Score(float((scores.argmax(1) != y).double().mean()), float(nn.functional.cross_entropy(scores, y)))

    @torch.no_grad()
    def check(self, model: nn.Module) -> None:
        """Raises StepSizeError if the network does not give a score to each class of an image."""
        x = self._parts["val"][0][:2]
        scores = _tried(model, x, f"images of {tuple(x.shape[1:])!r}")
        if scores.ndim != 2 or len(scores) != len(x) or scores.shape[1] < self.classes:
            raise StepSizeError(
                f"Model must put out scores of {self.classes} classes or more, not {tuple(scores.shape[1:])!r}"
            )


class TextTask:
    """The next symbol of a text; the error is in bits per character.

    A network gets symbols as integers (sequences, length) and gives a score to every symbol for each place (sequences,
    length, symbols). Training takes windows of ``length`` symbols, which begin elsewhere in each epoch. Evaluation
    takes windows that overlap by ``warm`` symbols, which were scored in the one before: each symbol is scored once,
    with at least so many before it. windows: only so many in an epoch, others in each; all if None.
    device: as of images.

    Raises
    ------
    DataError
        If a part of the text is no longer than a window.
    """

    metric = "bits per character"

    def __init__(
        self, text: Text, length: int = LENGTH, warm: int = WARM, windows: int | None = None, device: torch.device = CPU
    ) -> None:
        text.check_windows(length)
        self.name, self.inputs, self.classes, self.device = text.name, 1, len(text.symbols), device
        self._length, self._warm = length, warm
        self._parts = {split: torch.from_numpy(text.part(split)).to(device) for split in ("train", "val", "test")}
        self._windows = (len(self._parts["train"]) - length - 1) // length
        self._taken = min(windows or self._windows, self._windows)
        self.identity = digest(*self._parts.values(), torch.tensor([length, warm, self._taken]))

    def steps(self, config: FitConfig) -> int:
        """Batches of an epoch."""
        return math.ceil(self._taken / config.batch)

    def batches(self, config: FitConfig, chance: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Windows that follow one another, in random order."""
        text, length = self._parts["train"], self._length
        begin = int(torch.randint(length, (1,), generator=chance))
        windows = text[begin : begin + self._windows * length + 1].unfold(0, length + 1, length)
        for chosen in torch.randperm(len(windows), generator=chance)[: self._taken].split(config.batch):
            yield windows[chosen, :-1], windows[chosen, 1:]

    def loss(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Cross entropy."""
        return nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())

    @torch.no_grad()
    def evaluate(self, model: nn.Module, split: str, limit: int | None = None) -> Score:
        """Bits per character, and cross entropy."""
        text, warm = self._parts[split][:limit], self._warm
        model.eval()
        windows = text.unfold(0, self._length + 1, self._length - warm)
        total, count = 0.0, 0
        for batch in windows.split(64):
            scores = model(batch[:, :-1])[:, warm:]
            y = batch[:, warm + 1 :]
            total += float(nn.functional.cross_entropy(scores.flatten(0, 1), y.flatten(), reduction="sum"))
            count += y.numel()
        return Score(total / count / math.log(2), total / count)

    @torch.no_grad()
    def check(self, model: nn.Module) -> None:
        """Raises StepSizeError if the network does not give a score to each symbol at each place."""
        x = self._parts["val"][: 2 * 8].reshape(2, 8)
        scores = _tried(model, x, "symbols as integers of (sequences, length)")
        if scores.ndim != 3 or scores.shape[:2] != x.shape or scores.shape[2] < self.classes:
            wanted = (*x.shape, self.classes)
            raise StepSizeError(
                f"Model must put out scores of {wanted!r} for (2, 8) symbols, not {tuple(scores.shape)!r}"
            )


def _laid_out(x: Tensor) -> Tensor:
    """Images in the order in memory with which convolutions are a third faster."""
    return x.contiguous(memory_format=torch.channels_last)


def _tried(model: nn.Module, x: Tensor, what: str) -> Tensor:
    """What the network says of a few samples."""
    try:
        scores = model.eval()(x)
    except Exception as error:  # whatever the forward pass of a user's model raises
        raise StepSizeError(f"Model must take {what}, and does not: {short(error)}") from None
    if not isinstance(scores, Tensor):
        raise StepSizeError(f"Model must put out one tensor of scores, not {type(scores).__name__!r}")
    return scores


def load(source: str, data_root: Path | None = None, device: torch.device = CPU) -> Task:
    """Images as :func:`model.image_data.load` takes them, ``shakespeare``, or a text in a ``.txt`` file.

    device: where batches are.

    Raises
    ------
    DataError
        If there is no such source or it cannot be used.
    """
    if (text := text_data.named(source, data_root)) is not None:
        return TextTask(text, device=device)
    return ImageTask(image_data.load(source, data_root), device=device)
