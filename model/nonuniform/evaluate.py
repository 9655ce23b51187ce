"""What a choice of storage does to the accuracy: each evaluation is done once and kept on disk."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from model.classifier import digest
from model.nonuniform.histogram import Histogram, check_activations
from model.nonuniform.hooks import Hooked, Layer, QuantizationError
from model.nonuniform.stored import Storage
from model.spec.fixed import Format

BATCH = 50  #: images a forward pass: small enough for the activations to stay in the cache of a processor


@torch.no_grad()
def calibrate(
    model: nn.Module, layers: Sequence[Layer], x: Tensor, progress: Callable[[int, int], None] = lambda *_: None
) -> tuple[Histogram, ...]:
    """How often each activation of each layer occurs on samples ``x``; progress gets samples done and of how many.

    Raises
    ------
    QuantizationError
        If there are no samples, or an activation is negative, infinite or not a number.
    """
    if not len(x):
        raise QuantizationError("Calibration set must have at least 1 image, not 0")
    histograms = tuple(Histogram(layer.name) for layer in layers)
    model.eval()
    with Hooked(model, layers, lambda place, out: histograms[place].add(out)):
        for done, batch in enumerate(x.split(BATCH)):
            model(batch)
            progress(min(len(x), (done + 1) * BATCH), len(x))
    return histograms


@torch.no_grad()
def fix_weights(model: nn.Module, bits: int = 14) -> nn.Module:
    """A copy whose weights and biases are fixed-point numbers of ``bits`` bits, rounded to the nearest, even at a tie.

    Each tensor has the fraction bits with which its largest number just fits.

    Raises
    ------
    QuantizationError
        If a weight is not a number or infinite.
    """
    fixed, stored = copy.deepcopy(model), Format(bits)
    for name, parameter in fixed.named_parameters():
        if not parameter.isfinite().all():
            raise QuantizationError(f"Weights {name} must be finite, and they are not")
        frac = bits - 1 - int(torch.frexp(parameter.abs().max())[1]) if parameter.numel() else 0
        scaled = (parameter.double() * 2.0**frac).round()  # to even at a tie
        parameter.copy_(scaled.clamp(stored.min, stored.max) * 2.0**-frac)
    return fixed


def storing(model: nn.Module, layers: Sequence[Layer], choice: Sequence[Storage | None]) -> Hooked:
    """While it is entered, ``model`` computes with activations as they are stored, where the choice is not None.

    Activations that are negative, infinite or not a number raise QuantizationError.
    """

    def act(place: int, out: Tensor) -> Tensor | None:
        check_activations(layers[place].name, out)
        stored = choice[place]
        return None if stored is None else stored.apply(out)

    return Hooked(model, layers, act)


class Evaluator:
    """Accuracy of ``model`` on labelled samples under a choice of storage for each layer.

    Parameters
    ----------
    model
        Left as it is; a copy is evaluated.
    layers
        As :func:`model.nonuniform.hooks.find_layers` found them.
    x, y
        Samples and labels.
    cache
        Folder of evaluations. One file for each network and set of samples, named by their content and by what the
        network says of the samples; a line for each choice, written when it is known. A line cut short is done again.

    Raises
    ------
    QuantizationError
        If there are no samples, or what the network puts out are not scores of classes.
    """

    def __init__(self, model: nn.Module, layers: Sequence[Layer], x: Tensor, y: Tensor, cache: Path | None) -> None:
        if not len(x):
            raise QuantizationError("Number of images to evaluate must be at least 1, not 0")
        self.layers = tuple(layers)
        self._model = copy.deepcopy(model).eval()
        self._model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  two times as fast
        self._x = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
        self._y = y
        with torch.no_grad():
            said = [self._model(batch) for batch in self._x.split(BATCH)]
        if not isinstance(said[0], Tensor):
            raise QuantizationError(f"Model must put out one tensor of scores, not {type(said[0]).__name__!r}")
        scores = torch.cat(said)
        if scores.ndim != 2 or scores.shape[1] <= int(y.max()):
            raise QuantizationError(
                f"Model must put out scores of {int(y.max()) + 1} classes or more, not {tuple(scores.shape[1:])!r}"
            )
        self.float_accuracy = int((scores.argmax(1) == y).sum()) / len(y)
        self.done = 0  #: evaluations done since this was made, apart from the float one
        self._known: dict[str, tuple[int, int]] = {}  # how many are right, of how many samples
        self._path: Path | None = None
        if cache is not None:
            name = digest(x, y, scores, *self._model.state_dict().values())
            self._path = cache / f"evaluations-{name[:20]}.jsonl"
            self._read(self._path)

    def __len__(self) -> int:
        """Samples."""
        return len(self._y)

    def accuracy(self, choice: Sequence[Storage | None]) -> float:
        """Share of samples classified rightly, 0 to 1; a layer of which the choice is None stays float."""
        right, _ = self._evaluate(choice, lambda right, seen: seen == len(self))
        return right / len(self)

    def reaches(self, choice: Sequence[Storage | None], accuracy: float) -> bool:
        """Whether the accuracy is at least so much; only as many samples are evaluated as it takes to know."""
        least = math.ceil(accuracy * len(self) - 1e-9)
        right, _ = self._evaluate(choice, lambda right, seen: right >= least or right + len(self) - seen < least)
        return right >= least

    def _evaluate(self, choice: Sequence[Storage | None], known: Callable[[int, int], bool]) -> tuple[int, int]:
        """How many are right, of how many samples, when these are enough to be ``known``."""
        plain = [[layer.name, each and each.plain()] for layer, each in zip(self.layers, choice, strict=True)]
        key = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
        if key in self._known and known(*self._known[key]):
            return self._known[key]
        right = seen = 0
        with torch.no_grad(), storing(self._model, self.layers, choice):
            for x, y in zip(self._x.split(BATCH), self._y.split(BATCH), strict=True):
                right, seen = right + int((self._model(x).argmax(1) == y).sum()), seen + len(y)
                if known(right, seen):
                    break
        self.done += 1
        self._known[key] = right, seen
        self._write(key)
        return right, seen

    def _read(self, path: Path) -> None:
        if not path.exists():
            return
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                found = json.loads(line)
                self._known[str(found["choice"])] = int(found["right"]), int(found["of"])
            except (ValueError, KeyError, TypeError):
                continue

    def _write(self, key: str) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        right, seen = self._known[key]
        with self._path.open("a", encoding="utf-8") as file:
            # A line break in front too, in case an earlier line was cut short.
            file.write("\n" + json.dumps({"choice": key, "right": right, "of": seen}) + "\n")
