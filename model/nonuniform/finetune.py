"""Training goes on with activations as they are stored, gradients passed straight through."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from model.classifier import FitConfig, Progress, digest, fit
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
    folder: Path | None = None,
    progress: Progress = lambda *_: None,
) -> nn.Module:
    """A copy of ``model``, trained on images and labels under ``choice``, with fixed-point weights again.

    folder: of checkpoints, one for each network and choice; without it there is none.
    """
    tuned, path = copy.deepcopy(model), None
    if folder is not None:
        plain = json.dumps([stored.plain() for stored in choice], sort_keys=True)
        name = hashlib.sha256((plain + digest(*model.state_dict().values())).encode()).hexdigest()
        path = folder / f"tuned-{name[:20]}.pt"
    with storing(tuned, layers, choice):
        fit(tuned, x, y, config, path, progress)
    return fix_weights(tuned, weight_bits)
