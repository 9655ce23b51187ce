"""Where the adders of a network saturate, over whole sequences."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from model import golden
from model.spec import GATES, Ints, LstmSpec, NetworkSpec, Weights, of_layer
from model.sums import saturation_counts


def saturations(network: NetworkSpec, weights: Weights, samples: NDArray[np.integer]) -> dict[str, Ints]:
    """How many nodes saturate while a network computes ``samples``, (batch, steps, features).

    Returns
    -------
    dict
        ``x_l0``, ``h_l0``, ...: of the sums over x and over h of each layer with limited sums, counts of shape
        (levels, gates, hidden), levels from the summands on and gates in the order of ``GATES``; see
        :meth:`model.spec.SumSpec.saturations`.
    """
    return saturations_of(network, weights, golden.run(network, weights, samples))


def saturations_of(network: NetworkSpec, weights: Weights, computed: golden.Trace) -> dict[str, Ints]:
    """The same, of what the golden function has computed already."""
    found = {}
    for layer, (lstm, trace) in enumerate(zip(network.layers, computed.layers, strict=True)):
        if not isinstance(lstm, LstmSpec) or not isinstance(trace, golden.LayerTrace) or lstm.sums is None:
            continue
        start = np.broadcast_to(lstm.h.quantize(0, 0), trace.h[:, :1].shape)
        inputs = {"x": trace.x, "h": np.concatenate([start, trace.h[:, :-1]], 1)}
        for name, values in inputs.items():
            w = _integers(lstm, name, weights[of_layer(f"w{name}", layer)])
            rows = torch.from_numpy(np.ascontiguousarray(values).reshape(-1, values.shape[-1]))
            counts = saturation_counts(rows, torch.from_numpy(w).flatten(0, 1), lstm.sums)
            found[of_layer(name, layer)] = counts.view(-1, len(GATES), lstm.hidden).numpy()
    return found


def nodes(lstm: LstmSpec, name: str) -> list[int]:
    """Nodes of each level of one sum over ``x`` or ``h``."""
    dot = lstm.integer_dots(0)["xh".index(name)]
    of_levels = [node.level for node in dot.sum.nodes]
    return [of_levels.count(level) for level in range(dot.sum.levels)]


def _integers(lstm: LstmSpec, name: str, codes: NDArray[np.integer]) -> Ints:
    """What the numbers are multiplied by: signs, or the integers of weights with a step."""
    stored = lstm.wx if name == "x" else lstm.wh
    return np.stack([spec.reconstruct(gate) // spec.unit for spec, gate in zip(stored, codes, strict=True)])
