"""The bundle: everything downstream reads, in one folder, written atomically and validated whole on load.

``design.json``   schema version, network, folding, datapath, preprocessing, provenance, SHA-256 of all files
``weights.npz``   weight codes (uint8; int32 in fixed point; int8 with a step), as :class:`model.spec.NetworkSpec` says
``samples.npz``   test samples ``x`` (stored integers of the input format) and labels ``y`` of them or of their steps
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from model.data import DataError, Dataset, read_npz
from model.golden import check_samples
from model.layers import HardwareNetwork
from model.scaling import Scaling, stored_samples
from model.spec import Datapath, Folding, Ints, NetworkSpec, Weights
from model.writing import check_symbols

SCHEMA_VERSION = 5
DESIGN = "design.json"
#: How a quantity may be stored and what a layer may be: fields that tell each from the others; else it is the last one.
KINDS: tuple[dict[str, set[str]], ...] = (
    {"FixedSpec": {"format"}, "StepSpec": {"bits", "step"}, "MlbSpec": {"factors"}},
    {"ReluSpec": {"w"}, "LstmSpec": {"wx"}},
)
FILES = ("weights.npz", "samples.npz")


class BundleError(ValueError):
    """A bundle that cannot be read or written; the message names the field, in one sentence."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a network is from.

    Parameters
    ----------
    data
        Name of the data set.
    sizes
        Sequences in each split.
    settings
        The training configuration.
    metrics
        Accuracies (0 to 1) by name; ``float_test`` and ``golden_test`` are of the whole test split. Of text also
        ``float_bits`` and ``golden_bits``, the bits a character there.
    """

    data: str
    sizes: dict[str, int]
    settings: dict[str, int | float | str]
    metrics: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Design:
    """The contents of ``design.json``; ``symbols`` are those of a text, in the order of features and classes."""

    schema_version: int
    network: NetworkSpec
    folding: Folding
    datapath: Datapath
    scaling: Scaling
    provenance: Provenance
    symbols: str | None = None
    sha256: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A trained network with its weights and test samples.

    ``samples`` are stored integers, shape (sequences, steps, features); ``labels`` have shape (sequences,), or
    (sequences, steps) for ``Pool.EACH``, with -1 for a step without one.
    """

    design: Design
    weights: Weights
    samples: NDArray[np.int64]
    labels: NDArray[np.int64]

    @property
    def network(self) -> NetworkSpec:
        """The network."""
        return self.design.network


def alphabet(bundle: Bundle) -> Ints:
    """The sample of each symbol of a text, as stored integers, (symbols, features).

    Raises
    ------
    BundleError
        If the network is not one of a text.
    """
    if bundle.design.symbols is None:
        raise BundleError(f"Bundle must be of a network of a text, not of {bundle.design.provenance.data}")
    codes = np.eye(len(bundle.design.symbols), dtype=np.float32)
    return stored_samples(bundle.design.scaling, bundle.network.source, codes)


@cache
def _adapter() -> TypeAdapter[Design]:
    return TypeAdapter(Design)


def make(
    network: HardwareNetwork,
    scaling: Scaling,
    data: Dataset,
    *,
    folding: Folding,
    datapath: Datapath,
    provenance: Provenance,
) -> Bundle:
    """The bundle of a trained network, with the test split of its data."""
    spec = network.spec()
    x, y = data.part("test")
    design = Design(
        schema_version=SCHEMA_VERSION,
        network=spec,
        folding=folding,
        datapath=datapath,
        scaling=scaling,
        provenance=provenance,
        symbols=data.symbols,
    )
    return Bundle(
        design=design,
        weights=network.weights(),
        samples=stored_samples(scaling, spec.source, x),
        labels=y,
    )


def save(bundle: Bundle, folder: Path) -> None:
    """Write a bundle; an older one of the same name is replaced only when the new one is complete.

    Raises
    ------
    BundleError
        If the bundle would not load, or the folder holds anything else.
    """
    spec = bundle.network
    try:
        check_samples(spec, bundle.samples)  # before they are made small, which would wrap
    except ValueError as error:
        raise BundleError(f"Bundle {folder}: {error}") from None
    small = np.int8 if spec.source.min >= -128 and spec.source.max <= 127 else np.int64
    contents = {
        "weights.npz": _npz_bytes(dict(bundle.weights)),
        "samples.npz": _npz_bytes({"x": bundle.samples.astype(small), "y": bundle.labels}),
    }
    contents[DESIGN] = seal(json.loads(_adapter().dump_json(bundle.design)), contents)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists() and not _holds_a_bundle(folder):
        raise BundleError(f"Bundle folder must be new, or an older bundle and nothing else, not {str(folder)!r}")
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        partial.chmod(0o755)
        for name, blob in contents.items():
            with open(partial / name, "wb") as handle:
                handle.write(blob)
                handle.flush()
                os.fsync(handle.fileno())
        load(partial)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            try:
                os.replace(folder, old / folder.name)
                os.replace(partial, folder)
            finally:
                if not folder.exists():
                    os.replace(old / folder.name, folder)
                shutil.rmtree(old)
        else:
            os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def seal(design: dict[str, Any], files: dict[str, bytes]) -> bytes:
    """The text of ``design.json``: ``design`` with the SHA-256 of ``files`` and of the text itself."""
    digests = {name: hashlib.sha256(blob).hexdigest() for name, blob in files.items()}
    text = json.dumps({**design, "sha256": {**digests, DESIGN: ""}}, indent=2).encode() + b"\n"
    unsealed = f'"{DESIGN}": ""'.encode()
    return text.replace(unsealed, unsealed[:-1] + _digest_of_design(text, "").encode() + b'"')


def _digest_of_design(text: bytes, stated: str) -> str:
    """The SHA-256 of ``design.json`` with its own digest, ``stated``, left out."""
    return hashlib.sha256(text.replace(stated.encode(), b"", 1)).hexdigest()


def _holds_a_bundle(folder: Path) -> bool:
    return (folder / DESIGN).is_file() and {p.name for p in folder.iterdir()} <= {DESIGN, *FILES}


def load(folder: Path) -> Bundle:
    """Read a bundle and check all of it.

    Raises
    ------
    BundleError
        If a file is missing or was changed, a field is missing, unknown or out of range, or parts do not fit.
    """
    if not folder.is_dir():
        raise BundleError(f"Bundle must be a folder, not {str(folder)!r}")
    for name in (DESIGN, *FILES):
        if not (folder / name).is_file():
            raise BundleError(f"Bundle {folder} must hold {name}, and it is not there")
    design = _read_design(folder / DESIGN)
    for name in (DESIGN, *FILES):
        blob, stated = (folder / name).read_bytes(), design.sha256.get(name, "")
        found = _digest_of_design(blob, stated) if name == DESIGN else hashlib.sha256(blob).hexdigest()
        if found != stated:
            raise BundleError(f"Bundle file {folder / name} must have the SHA-256 written in design.json, not {found}")
    try:
        weights = read_npz(folder / "weights.npz", tuple(design.network.weight_specs()))
        archive = read_npz(folder / "samples.npz", ("x", "y"))
        design.network.check_weights(weights)
        for layer in design.network.layers:
            design.datapath.check(layer)
        check_samples(design.network, archive["x"])
    except (DataError, ValueError) as error:
        raise BundleError(f"Bundle {folder}: {error}") from None
    samples, labels = archive["x"].astype(np.int64), archive["y"]
    shape = (len(samples), *design.network.results(samples.shape[1]))
    lowest, highest = -1 if len(shape) > 1 else 0, design.network.dense.classes - 1
    if labels.dtype != np.int64 or labels.shape != shape or labels.min() < lowest or labels.max() > highest:
        raise BundleError(
            f"Bundle {folder}: labels must be {' x '.join(map(str, shape))} from {lowest} to "
            f"{highest}, not {labels.ravel()[:4].tolist()!r}..."
        )
    if not len(design.scaling.mean) == len(design.scaling.scale) == design.network.features:
        raise BundleError(
            f"Bundle {folder}: scaling must be one mean and scale a feature, "
            f"not {len(design.scaling.mean)} and {len(design.scaling.scale)}"
        )
    return Bundle(design=design, weights=weights, samples=samples, labels=labels)


def _read_design(path: Path) -> Design:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise BundleError(f"Bundle file {path} must be JSON text, and it is not") from None
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise BundleError(f"Bundle schema version of {path} must be {SCHEMA_VERSION}, not {version!r}")
    try:
        design = _adapter().validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        where, first = next((where, e) for e in error.errors() if (where := _field(e["loc"], raw)))
        raise BundleError(f"Bundle field {where} of {path}: {first['msg'].removeprefix('Value error, ')}") from None
    difference = _first_difference(raw, json.loads(_adapter().dump_json(design)))
    if difference:
        raise BundleError(f"Bundle field {difference[0]} of {path} {difference[1]}")
    try:
        check_symbols(design.network, design.symbols)
    except ValueError as error:
        raise BundleError(f"Bundle field symbols of {path}: {error}") from None
    return design


def _field(place: tuple[int | str, ...], raw: Any) -> str:
    """The path of a field in JSON; empty if validation took a quantity or layer for one of the kind that it is not."""
    path: list[str] = []
    for part in place:
        if kinds := next((kinds for kinds in KINDS if part in kinds), None):
            named = [kind for kind, fields in kinds.items() if isinstance(raw, dict) and fields & raw.keys()]
            if part != (named[0] if named else list(kinds)[-1]):
                return ""
            continue
        path.append(str(part))
        within: dict[Any, Any] = raw if isinstance(raw, dict) else dict(enumerate(raw)) if isinstance(raw, list) else {}
        raw = within.get(part)
    return ".".join(path)


def _first_difference(raw: Any, known: Any, where: str = "") -> tuple[str, str] | None:
    """Path of the first value of ``raw`` that validation dropped, added or changed, and what is wrong with it."""
    if isinstance(raw, dict) and isinstance(known, dict):
        pairs = [(key, raw, known) for key in {**raw, **known}]
    elif isinstance(raw, list) and isinstance(known, list) and len(raw) == len(known):
        pairs = [(i, dict(enumerate(raw)), dict(enumerate(known))) for i in range(len(raw))]
    else:
        return None if raw == known else (where, f"must be a finite number or plain text, not {raw!r}")
    for key, given, wanted in pairs:
        path = f"{where}.{key}".lstrip(".")
        if key not in wanted:
            return path, f"must be one of schema version {SCHEMA_VERSION}, and it is unknown"
        if key not in given:
            return path, "must be there, and it is missing"
        if found := _first_difference(given[key], wanted[key], path):
            return found
    return None


def _npz_bytes(arrays: dict[str, NDArray]) -> bytes:
    """A compressed ``.npz`` whose bytes depend on the arrays only (zip entries carry no time)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
