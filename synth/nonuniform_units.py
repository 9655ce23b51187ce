"""The units of nonuniform quantization by name; ``synth/units.py`` has them in its registry."""

from __future__ import annotations

from pathlib import Path

from model.spec import (
    EnqSpec,
    KnqSpec,
    LayersQuantizerSpec,
    LayersReconstructSpec,
    LayersSpec,
    nonuniform_file,
)
from rtl.enq import EnqQuantizer, EnqReconstruct
from rtl.knq import KnqQuantizer, KnqReconstruct
from rtl.unit import Unit

Numbers = tuple[int, ...]

# Of the example of KNQ, one layer has repeated centroids, and one has a centroid past the range.
_BITS = (4, 5, 6)
_CENTROIDS = (0, 0, 0, 5, 20, 47, 90, 150, 3, 9, 14, 40, 80, 128, 200, 256, 0, 16, 33, 60, 90, 130, 170, 220)


def enq_quantizer(q_bits: int = 12, bits: Numbers = _BITS, layers: str = "", x_bits: int = 0, stages: int = 0) -> Unit:
    """QE: activation to code, bits (E) for each layer; layers: a hardware configuration file instead."""
    return EnqQuantizer(LayersQuantizerSpec(layers=_enq(q_bits, bits, layers), x_bits=x_bits), stages)


def enq_reconstruct(q_bits: int = 12, bits: Numbers = _BITS, layers: str = "", stages: int = 0) -> Unit:
    """CE: code to activation, bits (E) for each layer; layers: a hardware configuration file instead."""
    return EnqReconstruct(LayersReconstructSpec(layers=_enq(q_bits, bits, layers)), stages)


def knq_quantizer(
    q_bits: int = 8,
    bits: int = 3,
    centroids: Numbers = _CENTROIDS,
    layers: str = "",
    x_bits: int = 0,
    form: str = "small",
    stages: int = 0,
) -> Unit:
    """QK: activation to code, 2^bits centroids a layer; form small or fast; layers: a hardware configuration file."""
    spec = LayersQuantizerSpec(layers=_knq(q_bits, bits, centroids, layers), x_bits=x_bits)
    return KnqQuantizer(spec, stages, form)  # type: ignore[arg-type]


def knq_reconstruct(
    q_bits: int = 8,
    bits: int = 3,
    centroids: Numbers = _CENTROIDS,
    layers: str = "",
    form: str = "small",
    stages: int = 0,
) -> Unit:
    """CK: code to activation, 2^bits centroids a layer; form small or fast; layers: a hardware configuration file."""
    spec = LayersReconstructSpec(layers=_knq(q_bits, bits, centroids, layers))
    return KnqReconstruct(spec, stages, form)  # type: ignore[arg-type]


def _enq(q_bits: int, bits: Numbers, file: str) -> LayersSpec:
    if file:
        return _from_file(file, EnqSpec)
    return LayersSpec(layers=tuple(EnqSpec(q_bits=q_bits, bits=each) for each in bits))


def _knq(q_bits: int, bits: int, centroids: Numbers, file: str) -> LayersSpec:
    if file:
        return _from_file(file, KnqSpec)
    if not 1 <= bits <= q_bits or len(centroids) % (1 << bits):
        raise ValueError(
            f"Number of centroids must be a multiple of 2**bits, bits from 1 to q_m, not {len(centroids)!r}"
        )
    rows = (centroids[start : start + (1 << bits)] for start in range(0, len(centroids), 1 << bits))
    return LayersSpec(layers=tuple(KnqSpec(q_bits=q_bits, centroids=row) for row in rows))


def _from_file(file: str, kind: type[EnqSpec] | type[KnqSpec]) -> LayersSpec:
    layers, _ = nonuniform_file.load(Path(file))
    if not isinstance(layers.layers[0], kind):
        wanted, found = ("enq", "knq") if kind is EnqSpec else ("knq", "enq")
        raise ValueError(f"Kind of the hardware configuration {file} must be {wanted}, not {found!r}")
    return layers
