"""The golden integer function of a network: every named value, exactly as the hardware computes it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from model.spec import Ints, LstmSpec, NetworkSpec, Pool, ReluSpec, Weights, of_layer


@dataclass(frozen=True, kw_only=True)
class LayerTrace:
    """Every named value of an LSTM layer for a batch of sequences, as stored integers or codes.

    Shapes: x (batch, steps, features); z, activation, gate (batch, steps, 4, hidden), gates in the
    order i, f, g, o; c_raw, c, t, h_raw, h (batch, steps, hidden). x, gate, c and h are codes (a fixed-point
    number is its own code); t is tanh(c^).
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


@dataclass(frozen=True, kw_only=True)
class ReluTrace:
    """The same of a layer with ReLU: x (batch, steps, features); z and h (batch, steps, hidden)."""

    x: Ints
    z: Ints
    h: Ints


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The layers' named values, the first layer first, and results: logits (batch, classes) and label (batch,).

    Of ``Pool.EACH`` these are (batch, steps, classes) and (batch, steps).
    """

    layers: tuple[LayerTrace | ReluTrace, ...]
    logits: Ints
    label: Ints

    @property
    def lstms(self) -> tuple[LayerTrace, ...]:
        """Those of the LSTM layers."""
        return tuple(layer for layer in self.layers if isinstance(layer, LayerTrace))

    @property
    def last(self) -> Ints:
        """1 where a result is the last one of its sequence, as ``label``."""
        ends = np.zeros_like(self.label)
        ends[..., -1:] = 1
        return ends


def run(network: NetworkSpec, weights: Weights, samples: NDArray[np.integer], before: Trace | None = None) -> Trace:
    """Compute a network on ``samples``, stored integers of shape (batch, steps, features).

    before: of the steps that these follow, if they are not the first of their sequences.

    Raises
    ------
    ValueError
        If a sample is outside the input format, the shape does not fit, or a mean runs over too many steps.
    """
    network.check_weights(weights)
    check_samples(network, samples)
    layers: list[LayerTrace | ReluTrace] = []
    given = np.asarray(samples, np.int64)
    for layer, spec in enumerate(network.layers):
        if isinstance(spec, ReluSpec):
            w, b = (weights[of_layer(name, layer)] for name in ("w", "b"))
            layers.append(_run_relu(spec, w, b, network.x_codes(layer, given)))
            given = layers[-1].h
            continue
        wx, wh, b = (weights[of_layer(name, layer)] for name in ("wx", "wh", "b"))
        past = None if before is None else before.layers[layer]
        state = (past.c[:, -1], past.h[:, -1]) if isinstance(past, LayerTrace) else None
        layers.append(_run_layer(spec, wx, wh, b, network.x_codes(layer, given), state))
        given = layers[-1].h
    dense, h = network.dense, network.layers[-1].h
    logits = h.reconstruct(given) @ dense.w.reconstruct(weights["dense_w"]).T
    logits += dense.b.reconstruct(weights["dense_b"]) << h.frac
    if dense.pool is not Pool.EACH:
        logits = logits.sum(1) if dense.pool is Pool.MEAN else logits[:, -1]
    return Trace(layers=tuple(layers), logits=logits, label=np.argmax(logits, -1))


def _run_layer(
    lstm: LstmSpec,
    wx_codes: NDArray,
    wh_codes: NDArray,
    b_codes: NDArray,
    x: NDArray[np.int64],
    state: tuple[Ints, Ints] | None,
) -> LayerTrace:
    """An LSTM layer on the codes of x, shape (batch, steps, features), from codes of c and h on."""
    batch, steps, _ = x.shape
    x_hat = lstm.x.reconstruct(x)
    wx = [lstm.wx[k].reconstruct(wx_codes[k]) for k in range(4)]
    wh = [lstm.wh[k].reconstruct(wh_codes[k]) for k in range(4)]
    b = [lstm.b[k].reconstruct(b_codes[k]) << lstm.bias_shift for k in range(4)]
    c, h = state or (np.broadcast_to(q.quantize(0, 0), (batch, lstm.hidden)) for q in (lstm.c, lstm.h))
    history: dict[str, list[Ints]] = {f.name: [] for f in fields(LayerTrace) if f.name != "x"}
    for step in range(steps):
        h_hat = lstm.h.reconstruct(h)
        z = [_products(lstm, k, x_hat[:, step], wx[k], h_hat, wh[k]) + b[k] for k in range(4)]
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
    return LayerTrace(x=x, **{name: np.stack(values, 1) for name, values in history.items()})


def _run_relu(relu: ReluSpec, w: NDArray, b: NDArray, x: Ints) -> ReluTrace:
    """A layer with ReLU on the codes of x, shape (batch, steps, features)."""
    z = relu.x.reconstruct(x) @ relu.w.reconstruct(w).T + (relu.b.reconstruct(b) << relu.bias_shift)
    return ReluTrace(x=x, z=z, h=relu.h.quantize(z, relu.z_frac))


def _products(lstm: LstmSpec, gate: int, x: Ints, wx: Ints, h: Ints, wh: Ints) -> Ints:
    """What x^ (batch, features) and h^ (batch, hidden) add to z of a gate, (batch, hidden)."""
    result = np.zeros((len(x), lstm.hidden), np.int64)
    for dot, value, w in zip(lstm.dots(gate), (x, h), (wx, wh), strict=True):
        total = value @ w.T if lstm.sums is None else lstm.sums.product(value, w // dot.w.unit) * dot.w.unit
        result += total << (lstm.z_frac - dot.frac)
    return result


def check_samples(network: NetworkSpec, samples: NDArray[np.integer]) -> None:
    """Raise ValueError unless ``samples`` are stored integers that ``network`` takes."""
    source, dense = network.source, network.dense
    if samples.ndim != 3 or samples.shape[2] != network.features or 0 in samples.shape:
        raise ValueError(f"Samples must be of shape (batch, steps, {network.features}), not {samples.shape!r}")
    if not np.issubdtype(samples.dtype, np.integer):
        raise ValueError(f"Samples must be integers of format {source}, not {samples.dtype!r}")
    low, high = int(samples.min()), int(samples.max())
    if low < source.min or high > source.max:
        raise ValueError(f"Samples must be from {source.min} to {source.max}, not {low} to {high}")
    if dense.pool is Pool.MEAN and samples.shape[1] > dense.max_steps:
        raise ValueError(f"Number of steps must be at most {dense.max_steps}, not {samples.shape[1]!r}")
