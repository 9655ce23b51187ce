"""Steps of each layer over the epochs, as in Figure 2 of Shin, Boo and Sung."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path

from model.spec.files import replacing
from model.stepsize.layers import Layer
from model.stepsize.retrain import Epoch


def draw(layers: Sequence[Layer], history: Sequence[Epoch], path: Path) -> None:
    """Write a picture (``.svg``): a line a layer, of several steps their mean; a dashed line where fewer bits begin."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    # A stage begins with a line of its own, at the epoch with which the one before ends.
    begins = [before.bits != after.bits for before, after in pairwise(history)]
    epochs = list(accumulate((not each for each in begins), initial=0))
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for place, layer in enumerate(layers):
        steps = [statistics.mean(epoch.steps[place]) for epoch in history]
        axis.plot(epochs, steps, "o-", markersize=3, label=layer.name)
    for after, epoch, begin in zip(history[1:], epochs[1:], begins, strict=True):
        if begin:
            axis.axvline(epoch, color="0.6", linestyle="--")
            axis.text(epoch + 0.05, 0.98, f"{after.bits} bits", transform=axis.get_xaxis_transform(), va="top")
    axis.set(xlabel="epoch", ylabel="step", yscale="log")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(fontsize="small", ncols=1 + len(layers) // 12)
    with replacing(path) as partial, matplotlib.rc_context({"svg.hashsalt": "xnorforge"}):
        figure.savefig(partial, format="svg", metadata={"Date": None})
    plt.close(figure)
