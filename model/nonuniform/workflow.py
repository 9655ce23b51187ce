"""From a trained network and images to how its activations are stored, and the files that say so."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from model.image_data import Images, part
from model.nonuniform.centroids import Rule, lloyd_centroids, optimal_centroids, squared_error
from model.nonuniform.evaluate import Evaluator, calibrate, fix_weights
from model.nonuniform.hooks import QuantizationError, find_layers
from model.nonuniform.memory import FLOAT_BITS, layer_bits, normalized, total_bits
from model.nonuniform.schemes import ENQS, KNQS, Quantizer, Scheme, sqnr
from model.nonuniform.stored import Half, Storage, Stored, check_q_bits
from model.spec.nonuniform import LayersSpec
from model.spec.nonuniform_file import save as save_layers
from model.user_model import short

Progress = Callable[[str, int, int], None]  #: what is done, how many, of how many


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a network is quantized with.

    Parameters
    ----------
    q_bits
        q_m of ENQ and KNQ.
    calibration, validation
        Images, the first of the training and of the validation split, that are counted and evaluated.
    weight_bits
        Of weights and biases, 2 to 24.
    layers
        Names or patterns of modules; all ReLU modules if None.

    Raises
    ------
    QuantizationError
        If a number is out of range.
    """

    q_bits: int = 12
    calibration: int = 1000
    validation: int = 1000
    weight_bits: int = 14
    layers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_q_bits(self.q_bits)
        for name, value in (("calibration", self.calibration), ("validation", self.validation)):
            if not value >= 1:
                raise QuantizationError(f"Number of {name} images must be at least 1, not {value!r}")
        if not 2 <= self.weight_bits <= 24:
            raise QuantizationError(f"Bits of weights must be 2 to 24, not {self.weight_bits!r}")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A network ready to be quantized.

    Parameters
    ----------
    model
        With float weights.
    fixed
        With fixed-point weights: what is quantized.
    quantizer
        Its calibration and its evaluation on validation images.
    images
        Where the test images are.
    """

    model: nn.Module
    fixed: nn.Module
    quantizer: Quantizer
    images: Images
    cache: Path | None

    def test_accuracy(self, choice: Sequence[Storage] | None, model: nn.Module | None = None) -> float:
        """On the test images, 0 to 1; without a choice, of the float network."""
        x, y = part(self.images, "test", None)
        if choice is None:
            return Evaluator(self.model, self.quantizer.layers, x, y, None).float_accuracy
        return Evaluator(model or self.fixed, self.quantizer.layers, x, y, self.cache).accuracy(choice)


def prepare(
    model: nn.Module, images: Images, settings: Settings, cache: Path | None, progress: Progress = lambda *_: None
) -> Prepared:
    """Find the layers, round the weights, count activations and score the float network.

    Raises
    ------
    QuantizationError
        If the network cannot be quantized, see :mod:`model.nonuniform.hooks` and :mod:`model.nonuniform.evaluate`.
    """
    x, _ = part(images, "train", settings.calibration)
    validation = part(images, "val", settings.validation)
    try:
        layers = find_layers(model, x[:2], settings.layers)
    except QuantizationError:
        raise
    except Exception as error:  # whatever the forward pass of a user's model raises
        shape = tuple(x.shape[1:])
        raise QuantizationError(f"Model must take images of {shape!r}, and does not: {short(error)}") from None
    fixed = fix_weights(model, settings.weight_bits)
    histograms = calibrate(fixed, layers, x, lambda done, of: progress("counting activations", done, of))
    reference = Evaluator(model, layers, *validation, None).float_accuracy
    evaluator = Evaluator(fixed, layers, *validation, cache)
    quantizer = Quantizer(evaluator, histograms, reference=reference, q_bits=settings.q_bits)
    return Prepared(model=model, fixed=fixed, quantizer=quantizer, images=images, cache=cache)


def describe(prepared: Prepared, scheme: Scheme, choice: Sequence[Stored]) -> dict[str, Any]:
    """What a choice is and costs, layer by layer; as plain values."""
    quantizer = prepared.quantizer
    bits = layer_bits(quantizer.layers, [stored.bits for stored in choice])
    rows = []
    for layer, histogram, stored, total in zip(quantizer.layers, quantizer.histograms, choice, bits, strict=True):
        ratio = sqnr(histogram, stored)
        row = {
            "name": layer.name,
            "activations": layer.activations,
            "bits": stored.bits,
            "total_bits": total,
            "range": histogram.top,
            "sqnr_db": round(ratio, 2) if math.isfinite(ratio) else None,
            **stored.plain(),
        }
        if scheme in KNQS:
            values, counts = histogram.integers(stored.frac, stored.spec.q_bits)
            errors = [
                squared_error(values, counts, find(values, counts, stored.bits), Rule.NEAREST)
                for find in (optimal_centroids, lloyd_centroids)
            ]
            row["lloyd_excess"] = round(errors[1] / errors[0] - 1, 4) if errors[0] else 0.0
        rows.append({**row, "bits": stored.bits})
    return {"scheme": scheme.value, "accuracy_val": quantizer.accuracy(choice), "bits": sum(bits), "layers": rows}


def compare(found: dict[str, Any], others: dict[str, int], layers: Sequence[Any]) -> dict[str, float]:
    """NNB: bits as a multiple of those of other schemes, and of half and single precision."""
    widths = {"half": Half.bits, "float": FLOAT_BITS}
    plain = {name: total_bits(layers, [bits] * len(layers)) for name, bits in widths.items()}
    return {name: round(normalized(found["bits"], of), 4) for name, of in (others | plain).items()}


def hardware(scheme: Scheme, choice: Sequence[Stored], names: Sequence[str], path: Path) -> bool:
    """Write what the hardware is built from; false if the scheme has no units of its own."""
    if scheme not in (*ENQS, *KNQS):
        return False
    save_layers(path, LayersSpec(layers=tuple(stored.spec for stored in choice)), names)  # type: ignore[arg-type]
    return True
