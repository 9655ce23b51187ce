"""The distribution of activations in each layer, and the points of schemes on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from model.nonuniform.histogram import Histogram
from model.nonuniform.stored import Stored
from model.spec.files import replacing

BINS = 64


def draw(histograms: Sequence[Histogram], schemes: Mapping[str, Sequence[Stored]], path: Path) -> None:
    """Write a picture (``.svg``, ``.png``): how often activations occur in each layer, and a row of points a scheme."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(4, len(histograms))
    rows = -(-len(histograms) // columns)
    size = (3.1 * columns, (1.9 + 0.22 * len(schemes)) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for place, axis in enumerate(axes.flat):
        if place >= len(histograms):
            axis.axis("off")
            continue
        histogram = histograms[place]
        values, counts = histogram.reals()
        edges = np.linspace(0, histogram.top or 1, BINS + 1)
        share = np.histogram(values, edges, weights=counts)[0] / counts.sum()
        axis.stairs(share, edges, fill=True, color="0.75")
        axis.set(
            yscale="log", title=f"layer {histogram.name}: {counts[0] / counts.sum() if values[0] == 0 else 0:.0%} are 0"
        )
        low = share[share > 0].min()
        for row, (name, choice) in enumerate(schemes.items()):
            stored = choice[place]
            points = np.array(sorted(set(stored.spec.points))) * 2.0**-stored.frac
            height = low / 10 ** (0.8 + 0.8 * row)
            axis.plot(points, np.full(len(points), height), "|", markersize=7, label=name, color=f"C{row}")
        axis.set_xlim(-0.03 * edges[-1], 1.05 * edges[-1])
        axis.tick_params(labelsize="small")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=max(1, len(labels)), fontsize="small")
    figure.supxlabel("activation", fontsize="medium")
    figure.supylabel("share", fontsize="medium")
    kind = path.suffix.removeprefix(".")
    with replacing(path) as partial, matplotlib.rc_context({"svg.hashsalt": "xnorforge"}):
        figure.savefig(partial, format=kind, metadata={"Date": None} if kind == "svg" else None)
    plt.close(figure)
