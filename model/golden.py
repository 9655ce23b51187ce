"""The golden integer function of a network: every named value, exactly as the hardware computes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.spec import Ints, NetworkSpec, Pool, Weights


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Every named value of a batch of sequences, as stored integers or codes.

    Shapes: x (batch, steps, features); z, activation, gate (batch, steps, 4, hidden), gates in the
    order i, f, g, o; c_raw, c, t, h_raw, h (batch, steps, hidden); logits (batch, classes);
    label (batch,). x, gate, c and h are codes (a fixed-point number is its own code); t is tanh(c^).
    """

    x: Ints
    z: Ints
    activation: Ints
    gate: Ints
    c_raw: Ints
    c: Ints
    t: Ints
    h_raw: Ints
    h: Ints
    logits: Ints
    label: Ints


def run(network: NetworkSpec, weights: Weights, samples: NDArray[np.integer]) -> Trace:
    """Compute a network on ``samples``, stored integers of shape (batch, steps, features).

    Raises
    ------
    ValueError
        If a sample is outside the input format, the shape does not fit, or a mean runs over too many steps.
    """
    lstm, dense = network.lstm, network.dense
    network.check_weights(weights)
    check_samples(network, samples)
    batch, steps, _ = samples.shape
    x = lstm.x.quantize(samples, lstm.source.frac)
    x_hat = lstm.x.reconstruct(x)
    wx = [lstm.wx[k].reconstruct(weights["wx"][k]).T for k in range(4)]
    wh = [lstm.wh[k].reconstruct(weights["wh"][k]).T for k in range(4)]
    b = [lstm.b[k].reconstruct(weights["b"][k]) << lstm.bias_shift for k in range(4)]
    dense_w = dense.w.reconstruct(weights["dense_w"]).T
    dense_b = dense.b.reconstruct(weights["dense_b"]) << lstm.h.frac

    x_shift, h_shift = (lstm.z_frac - dot.frac for dot in lstm.dots(0))
    h = np.broadcast_to(lstm.h.quantize(0, 0), (batch, lstm.hidden))
    c = np.broadcast_to(lstm.c.quantize(0, 0), (batch, lstm.hidden))
    logits = np.zeros((batch, dense.classes), np.int64)
    history: dict[str, list[Ints]] = {k: [] for k in ("z", "activation", "gate", "c_raw", "c", "t", "h_raw", "h")}
    for step in range(steps):
        h_hat = lstm.h.reconstruct(h)
        z = [(x_hat[:, step] @ wx[k] << x_shift) + (h_hat @ wh[k] << h_shift) + b[k] for k in range(4)]
        activation = [lstm.activation(k).compute(lstm.narrow_z(k).compute(z[k])) for k in range(4)]
        i, f, g, o = (lstm.gates[k].quantize(activation[k], lstm.activation(k).target.frac) for k in range(4))
        c_raw = lstm.product_fc.compute(f, c) + lstm.product_ig.compute(i, g)
        c = lstm.c.quantize(c_raw, lstm.c_raw_format.frac)
        t = lstm.tanh.compute(lstm.narrow_c.compute(lstm.c.reconstruct(c) << lstm.widen_c))
        h_raw = lstm.mac.compute(o, t)
        h = lstm.h.quantize(h_raw, lstm.mac.format.frac)
        now = {
            "z": np.stack(z, 1),
            "activation": np.stack(activation, 1),
            "gate": np.stack([i, f, g, o], 1),
            "c_raw": c_raw,
            "c": c,
            "t": t,
            "h_raw": h_raw,
            "h": h,
        }
        for name, value in now.items():
            history[name].append(value)
        out = lstm.h.reconstruct(h) @ dense_w + dense_b
        logits = logits + out if dense.pool is Pool.MEAN else out
    return Trace(x=x, logits=logits, label=np.argmax(logits, 1), **{k: np.stack(v, 1) for k, v in history.items()})


def check_samples(network: NetworkSpec, samples: NDArray[np.integer]) -> None:
    """Raise ValueError unless ``samples`` are stored integers that ``network`` takes."""
    lstm, dense = network.lstm, network.dense
    if samples.ndim != 3 or samples.shape[2] != lstm.features or 0 in samples.shape:
        raise ValueError(f"Samples must be of shape (batch, steps, {lstm.features}), not {samples.shape!r}")
    if not np.issubdtype(samples.dtype, np.integer):
        raise ValueError(f"Samples must be integers of format {lstm.source}, not {samples.dtype!r}")
    low, high = int(samples.min()), int(samples.max())
    if low < lstm.source.min or high > lstm.source.max:
        raise ValueError(f"Samples must be from {lstm.source.min} to {lstm.source.max}, not {low} to {high}")
    if dense.pool is Pool.MEAN and samples.shape[1] > dense.max_steps:
        raise ValueError(f"Number of steps must be at most {dense.max_steps}, not {samples.shape[1]!r}")
