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
from rtl.nonuniform_tables import (
    WritableEnqQuantizer,
    WritableEnqReconstruct,
    WritableKnqQuantizer,
    WritableKnqReconstruct,
)
from rtl.streamed import Streamed
from rtl.unit import Unit

Numbers = tuple[int, ...]

# Of the example of KNQ, one layer has repeated centroids, and one has a centroid past the range.
_ENQ_Q_BITS, _BITS = 12, (4, 5, 6)
_KNQ_Q_BITS, _KNQ_BITS = 8, 3
_CENTROIDS = (0, 0, 0, 5, 20, 47, 90, 150, 3, 9, 14, 40, 80, 128, 200, 256, 0, 16, 33, 60, 90, 130, 170, 220)


def enq_quantizer(
    q_bits: int = _ENQ_Q_BITS,
    bits: Numbers = _BITS,
    layers: str = "",
    x_bits: int = 0,
    stages: int = 0,
    tables: str = "const",
    stream: int = 0,
) -> Unit:
    """QE: activation to code, bits E for each layer, or a hardware configuration file; tables const or writable."""
    spec = LayersQuantizerSpec(layers=_enq(q_bits, bits, layers), x_bits=x_bits)
    return _between(stream, (WritableEnqQuantizer if _writable(tables) else EnqQuantizer)(spec, stages))


def enq_reconstruct(
    q_bits: int = _ENQ_Q_BITS,
    bits: Numbers = _BITS,
    layers: str = "",
    stages: int = 0,
    tables: str = "const",
    stream: int = 0,
) -> Unit:
    """CE: code to activation, bits E for each layer, or a hardware configuration file; tables const or writable."""
    spec = LayersReconstructSpec(layers=_enq(q_bits, bits, layers))
    return _between(stream, (WritableEnqReconstruct if _writable(tables) else EnqReconstruct)(spec, stages))


def knq_quantizer(
    q_bits: int = _KNQ_Q_BITS,
    bits: int = _KNQ_BITS,
    centroids: Numbers = _CENTROIDS,
    layers: str = "",
    x_bits: int = 0,
    form: str = "small",
    stages: int = 0,
    tables: str = "const",
    stream: int = 0,
) -> Unit:
    """QK: activation to code, 2^bits centroids a layer, or a hardware configuration file; form small or fast."""
    spec = LayersQuantizerSpec(layers=_knq(q_bits, bits, centroids, layers), x_bits=x_bits)
    if _writable(tables):
        _no_stages(stages, spec.layers.code_bits)
        return _between(stream, WritableKnqQuantizer(spec))
    return _between(stream, KnqQuantizer(spec, stages, form))  # type: ignore[arg-type]


def knq_reconstruct(
    q_bits: int = _KNQ_Q_BITS,
    bits: int = _KNQ_BITS,
    centroids: Numbers = _CENTROIDS,
    layers: str = "",
    form: str = "small",
    stages: int = 0,
    tables: str = "const",
    stream: int = 0,
) -> Unit:
    """CK: code to activation, 2^bits centroids a layer, or a hardware configuration file; form small or fast."""
    spec = LayersReconstructSpec(layers=_knq(q_bits, bits, centroids, layers))
    if _writable(tables):
        _no_stages(stages, 1)
        return _between(stream, WritableKnqReconstruct(spec))
    return _between(stream, KnqReconstruct(spec, stages, form))  # type: ignore[arg-type]


def _between(stream: int, unit: Unit) -> Unit:
    """The unit itself, or between streams."""
    if stream not in (0, 1):
        raise ValueError(f"Setting stream must be 0 or 1, not {stream!r}")
    return Streamed(unit) if stream else unit


def _writable(tables: str) -> bool:
    if tables not in ("const", "writable"):
        raise ValueError(f"Tables must be const or writable, not {tables!r}")
    return tables == "writable"


def _no_stages(stages: int, latency: int) -> None:
    if stages:
        raise ValueError(f"Stages of a unit with memories must be 0, because it has {latency} anyway, not {stages!r}")


def _enq(q_bits: int, bits: Numbers, file: str) -> LayersSpec:
    if file:
        _check_alone((q_bits, bits) == (_ENQ_Q_BITS, _BITS))
        return _from_file(file, EnqSpec)
    return LayersSpec(layers=tuple(EnqSpec(q_bits=q_bits, bits=each) for each in bits))


def _knq(q_bits: int, bits: int, centroids: Numbers, file: str) -> LayersSpec:
    if file:
        _check_alone((q_bits, bits, centroids) == (_KNQ_Q_BITS, _KNQ_BITS, _CENTROIDS))
        return _from_file(file, KnqSpec)
    if not 1 <= bits <= q_bits or len(centroids) % (1 << bits):
        raise ValueError(
            f"Number of centroids must be a multiple of 2**bits, bits from 1 to q_m, not {len(centroids)!r}"
        )
    rows = (centroids[start : start + (1 << bits)] for start in range(0, len(centroids), 1 << bits))
    return LayersSpec(layers=tuple(KnqSpec(q_bits=q_bits, centroids=row) for row in rows))


def _check_alone(alone: bool) -> None:
    if not alone:
        raise ValueError("Setting layers must come without q_bits, bits and centroids, which its file has")


def _from_file(file: str, kind: type[EnqSpec] | type[KnqSpec]) -> LayersSpec:
    layers, _ = nonuniform_file.load(Path(file))
    if not isinstance(layers.layers[0], kind):
        wanted, found = ("enq", "knq") if kind is EnqSpec else ("knq", "enq")
        raise ValueError(f"Kind of the hardware configuration {file} must be {wanted}, not {found!r}")
    return layers
