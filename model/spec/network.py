"""The network: layers one above the other, and a dense layer on the last, the mean or every h of the uppermost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.spec.fixed import FixedSpec, Format, Ints
from model.spec.lstm import LARGEST_SUM, LstmSpec, sum_format
from model.spec.mlb import MlbSpec, Quantity, Weight
from model.spec.product import MlbDotSpec
from model.spec.relu import ReluSpec
from model.spec.step_size import StepSpec

MAX_LAYERS = 8  #: of a network, apart from the dense one on top

LayerSpec = LstmSpec | ReluSpec  #: with features, hidden, x, h

Weights = Mapping[str, NDArray[np.integer]]  #: code arrays by name; shapes in :meth:`NetworkSpec.weight_specs`


def of_layer(name: str, layer: int) -> str:
    """What a quantity, an array or a memory of a layer is called, as ``torch.nn.LSTM`` does: ``wx_l0``."""
    return f"{name}_l{layer}"


class Pool(StrEnum):
    """Which hidden state the dense layer reads."""

    LAST = "last"  #: the last one
    MEAN = "mean"  #: the mean over all steps; computed as the sum of the logits of every step
    EACH = "each"  #: that of every step, which has a result of its own


@dataclass(frozen=True, kw_only=True)
class DenseSpec:
    """The classifier: ``logits = w^ h^ + b^`` of the last step, its sum over all steps, or that of each step.

    Parameters
    ----------
    classes
        Number of outputs; the class is the index of the largest logit, the lowest index on a tie.
    w, b
        How weights and biases are stored; no offset, the same ``frac``, and the same width unless weights are integers
        times a step. Those are summed as integers, and the sum is multiplied by the step; h and b are words then.
    pool
        Which hidden state is read.
    max_steps
        Longest sequence whose logits are certain to fit (``Pool.MEAN``: the accumulators grow with it).
    """

    classes: int
    w: Weight
    b: Quantity
    pool: Pool = Pool.LAST
    max_steps: int = 256

    def __post_init__(self) -> None:
        if not 2 <= self.classes <= 4096:
            raise ValueError(f"Number of classes must be 2 to 4096, not {self.classes!r}")
        for name, quantity in (("w", self.w), ("b", self.b)):
            if isinstance(quantity, FixedSpec) and not quantity.format.signed:
                raise ValueError(f"Format of {name} must be signed, not {str(quantity.format)!r}")
        if self.w.frac != self.b.frac:
            raise ValueError(f"Fraction bits of b must be those of w ({self.w.frac}), not {self.b.frac!r}")
        if isinstance(self.w, StepSpec):
            if not isinstance(self.b, FixedSpec):
                raise ValueError(f"Storage of b must be a word where w has a step, not {self.b.width} levels")
        elif self.w.code_format != self.b.code_format:
            raise ValueError(f"Code of b must be as wide as that of w ({self.w.width}), not {self.b.width!r}")
        if self.w.offset or self.b.offset:
            raise ValueError(f"Offset of weights must be 0, not {self.w.offset or self.b.offset!r}")
        if not 1 <= self.max_steps <= 1 << 20:
            raise ValueError(f"Longest sequence must be 1 to {1 << 20} steps, not {self.max_steps!r}")


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """LSTM layers or layers with ReLU, the first one first, and the dense layer on top of the last one.

    A network without LSTM layers is a feed-forward one: each step of a sequence is a sample by itself until the dense
    layer, which reads the last one or the mean of them.

    x^ of the first layer is stored from the samples; that of a layer above is h^ of the layer below, as that is stored
    or, where x is binarized and h a word, binarized from it.

    Parameters
    ----------
    source
        Format of the samples.
    layers
        1 to ``MAX_LAYERS``; each has as many features as the one below it has hidden units.
    dense
        The classifier.

    Raises
    ------
    ValueError
        If layers do not fit on each other.
    """

    source: Format
    layers: tuple[LayerSpec, ...]
    dense: DenseSpec

    def __post_init__(self) -> None:
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise ValueError(f"Number of layers must be 1 to {MAX_LAYERS}, not {len(self.layers)!r}")
        for number, (below, above) in enumerate(pairwise(self.layers), 1):
            if above.features != below.hidden:
                raise ValueError(
                    f"Features of layer {number} must be the hidden units of the one below ({below.hidden}), "
                    f"not {above.features!r}"
                )
            if above.x != below.h and not (isinstance(above.x, MlbSpec) and isinstance(below.h, FixedSpec)):
                raise ValueError(f"Storage of x of layer {number} must be that of h of the one below, not another")
        last = self.layers[-1]
        if isinstance(self.dense.w, StepSpec) and not isinstance(h := last.h, FixedSpec):
            raise ValueError(f"Storage of h must be a word where the dense weights have a step, not {h.width} levels")
        if isinstance(last, ReluSpec) and not isinstance(w := self.dense.w, StepSpec):
            raise ValueError(f"Dense weights must have a step above a layer with ReLU, not {w.width} bits without one")
        _ = self.logit_format

    def x_source(self, layer: int) -> Format | None:
        """Format of the numbers that become x of a layer; None where it takes codes of h as they are."""
        if not layer:
            return self.source
        h = self.layers[layer - 1].h
        return h.format if self.layers[layer].x != h else None

    def x_codes(self, layer: int, given: ArrayLike) -> Ints:
        """Golden function: codes of x of a layer, from samples or from codes of h of the layer below; any shape."""
        source = self.x_source(layer)
        return np.asarray(given, np.int64) if source is None else self.layers[layer].x.quantize(given, source.frac)

    @property
    def lstms(self) -> tuple[LstmSpec, ...]:
        """The LSTM layers among the layers."""
        return tuple(layer for layer in self.layers if isinstance(layer, LstmSpec))

    @property
    def features(self) -> int:
        """Numbers of a sample."""
        return self.layers[0].features

    @property
    def dense_dot(self) -> MlbDotSpec:
        """The dot product of one class, over all hidden units of the last layer."""
        return MlbDotSpec(n=self.layers[-1].hidden, x=self.layers[-1].h, w=self.dense.w)

    @property
    def logit_format(self) -> Format:
        """Format of a logit; holds for every sequence of at most ``max_steps`` steps."""
        bound = self.dense_dot.bound + (self.dense.b.bound << self.layers[-1].h.frac)
        return sum_format(bound * self._passes, self.dense_dot.frac)

    def results(self, steps: int) -> tuple[int, ...]:
        """Shape of the labels of a sequence: one, or one a step."""
        return (steps,) if self.dense.pool is Pool.EACH else ()

    @property
    def _passes(self) -> int:
        """Passes of the dense layer that are summed up, at most."""
        return self.dense.max_steps if self.dense.pool is Pool.MEAN else 1

    def weight_specs(self) -> dict[str, tuple[tuple[int, ...], tuple[Weight, ...]]]:
        """Name -> (shape of the code array, how it is stored: one a gate, or one for all)."""
        specs: dict[str, tuple[tuple[int, ...], tuple[Weight, ...]]] = {}
        for layer, spec in enumerate(self.layers):
            specs |= {of_layer(name, layer): stored for name, stored in spec.weight_specs().items()}
        specs["dense_w"] = ((self.dense.classes, self.layers[-1].hidden), (self.dense.w,))
        specs["dense_b"] = ((self.dense.classes,), (self.dense.b,))
        return specs

    def check_weights(self, weights: Weights) -> None:
        """Raise ValueError unless ``weights`` has exactly the arrays, shapes and codes of this network."""
        specs = self.weight_specs()
        if set(weights) != set(specs):
            raise ValueError(f"Weight arrays must be {', '.join(specs)}, not {', '.join(sorted(weights))!r}")
        for name, (shape, stored) in specs.items():
            array, dtype, (low, high) = weights[name], np.dtype(stored[0].dtype), stored[0].code_range
            if array.dtype != dtype or array.shape != shape:
                raise ValueError(f"Weights {name} must be {dtype} of shape {shape}, not {array.dtype} {array.shape}")
            if int(array.max()) > high:
                raise ValueError(f"Weights {name} must be codes below {high + 1}, not {int(array.max())!r}")
            if int(array.min()) < low:
                raise ValueError(f"Weights {name} must be codes from {low} on, not {int(array.min())!r}")
        for name, bound in self._sum_bounds(weights).items():
            if bound > LARGEST_SUM:
                raise ValueError(f"Sums {name} must be at most {LARGEST_SUM} in size, not {bound!r}")

    def _sum_bounds(self, weights: Weights) -> dict[str, int]:
        """Largest size of z of each LSTM layer and of the logits with these weights, as stored integers."""

        def sizes(spec: Weight, codes: NDArray[np.integer]) -> NDArray[np.object_]:
            values = np.abs(spec.reconstruct(codes))
            return (values.sum(-1) if values.ndim == 2 else values).astype(object)  # exact, however large

        found = {}
        for layer, lstm in enumerate(self.layers):
            if isinstance(lstm, ReluSpec):
                continue  # its format holds every sum
            wx, wh, b = (weights[of_layer(name, layer)] for name in ("wx", "wh", "b"))
            z = [
                (sizes(lstm.wx[k], wx[k]) * lstm.x.bound << (lstm.z_frac - lstm.x.frac - lstm.wx[k].frac))
                + (sizes(lstm.wh[k], wh[k]) * lstm.h.bound << (lstm.z_frac - lstm.h.frac - lstm.wh[k].frac))
                + (sizes(lstm.b[k], b[k]) << lstm.bias_shift)
                for k in range(4)
            ]
            found[of_layer("z", layer)] = int(np.max(z))
        dense, h = self.dense, self.layers[-1].h
        logits = sizes(dense.w, weights["dense_w"]) * h.bound + (sizes(dense.b, weights["dense_b"]) << h.frac)
        return {**found, "of the logits": int(logits.max()) * self._passes}
