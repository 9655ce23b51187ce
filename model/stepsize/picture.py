"""Steps of each layer over the epochs, as in Figure 2 of Shin, Boo and Sung."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from model.spec.files import replacing
from model.stepsize.layers import Layer
from model.stepsize.retrain import Epoch


def draw(layers: Sequence[Layer], history: Sequence[Epoch], path: Path) -> None:
    """Write a picture (``.svg``): a line a layer, of several steps their mean; a dashed line where fewer bits begin."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for place, layer in enumerate(layers):
        axis.plot([statistics.mean(epoch.steps[place]) for epoch in history], "o-", markersize=3, label=layer.name)
    for place, (before, after) in enumerate(pairwise(history)):
        if before.bits != after.bits:
            axis.axvline(place + 0.5, color="0.6", linestyle="--")
            axis.text(place + 0.55, 0.98, f"{after.bits} bits", transform=axis.get_xaxis_transform(), va="top")
    axis.set(xlabel="epoch", ylabel="step", yscale="log")
    axis.legend(fontsize="small", ncols=1 + len(layers) // 12)
    with replacing(path) as partial, matplotlib.rc_context({"svg.hashsalt": "xnorforge"}):
        figure.savefig(partial, format="svg", metadata={"Date": None})
    plt.close(figure)
