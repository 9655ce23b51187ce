"""Training goes on with activations as they are stored, gradients passed straight through."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from model.classifier import FitConfig, Progress, fit
from model.nonuniform.evaluate import fix_weights, storing
from model.nonuniform.hooks import Layer
from model.nonuniform.stored import Storage


def finetune(
    model: nn.Module,
    layers: Sequence[Layer],
    choice: Sequence[Storage],
    x: Tensor,
    y: Tensor,
    config: FitConfig,
    *,
    weight_bits: int = 14,
    path: Path | None = None,
    progress: Progress = lambda *_: None,
) -> nn.Module:
    """A copy of ``model``, trained on images and labels under ``choice``, with fixed-point weights again.

    path: of a checkpoint, see :func:`model.classifier.fit`.
    """
    tuned = copy.deepcopy(model)
    with storing(tuned, layers, choice):
        fit(tuned, x, y, config, path, progress)
    return fix_weights(tuned, weight_bits)
