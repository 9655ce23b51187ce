"""The hardware configuration of nonuniform quantization: the layers of one unit and their names, as a JSON file.

``schema_version``  1
``kind``            ``enq`` or ``knq``
``q_bits``          width q_m of an activation
``layers``          in the order of their index, each with ``name`` and ``bits`` (ENQ) or ``centroids`` (KNQ)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from model.spec.files import replacing
from model.spec.nonuniform import EnqSpec, KnqSpec, LayersSpec

SCHEMA_VERSION = 1


class LayersFileError(ValueError):
    """A hardware configuration that cannot be read or written; the message names the field, in one sentence."""


def save(path: Path, layers: LayersSpec, names: Sequence[str]) -> None:
    """Write a hardware configuration; an older file is replaced only when the new one is complete.

    Raises
    ------
    LayersFileError
        If there is not one name, unlike all others, for each layer.
    """
    _check_names(names, len(layers.layers), f"hardware configuration {path}")
    kind = "enq" if isinstance(layers.layers[0], EnqSpec) else "knq"
    rows = [
        {"name": name, **({"bits": layer.bits} if isinstance(layer, EnqSpec) else {"centroids": layer.centroids})}
        for name, layer in zip(names, layers.layers, strict=True)
    ]
    text = ",\n".join(f"    {json.dumps(row)}" for row in rows)
    head = f'  "schema_version": {SCHEMA_VERSION},\n  "kind": "{kind}",\n  "q_bits": {layers.q_bits},\n'
    with replacing(path) as partial:
        partial.write_text(f'{{\n{head}  "layers": [\n{text}\n  ]\n}}\n', encoding="utf-8")


def load(path: Path) -> tuple[LayersSpec, tuple[str, ...]]:
    """Read a hardware configuration and check all of it: the layers, and the name of each.

    Raises
    ------
    LayersFileError
        If the file is not there, or a field is missing, unknown, of another type or out of range.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except OSError:
        raise LayersFileError(f"Hardware configuration must be a file that can be read, not {str(path)!r}") from None
    except LayersFileError as error:
        raise LayersFileError(f"Hardware configuration {path}: {error}") from None
    except (ValueError, RecursionError):
        raise LayersFileError(f"Hardware configuration {path} must be JSON text, and it is not") from None
    try:
        return _layers(raw)
    except ValueError as error:
        raise LayersFileError(f"Hardware configuration {path}: {error}") from None


def _layers(raw: Any) -> tuple[LayersSpec, tuple[str, ...]]:
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if type(version) is not int or version != SCHEMA_VERSION:
        raise ValueError(f"Schema version must be {SCHEMA_VERSION}, not {version!r}")
    _check_fields(raw, ("schema_version", "kind", "q_bits", "layers"), "")
    kind, q_bits, rows = raw["kind"], _integer(raw["q_bits"], "q_bits"), raw["layers"]
    if kind not in ("enq", "knq"):
        raise ValueError(f"Field kind must be enq or knq, not {kind!r}")
    if not isinstance(rows, list):
        raise ValueError(f"Field layers must be a list, not {rows!r}")
    layers = LayersSpec(layers=tuple(_layer(kind, q_bits, row, f"layers.{n}") for n, row in enumerate(rows)))
    names = tuple(row["name"] for row in rows)
    _check_names(names, len(rows), "field layers")
    return layers, names


def _layer(kind: str, q_bits: int, row: Any, where: str) -> Any:
    given = "bits" if kind == "enq" else "centroids"
    _check_fields(row, ("name", given), f"{where}.")
    if kind == "enq":
        bits = _integer(row[given], f"{where}.{given}")
        return _within(where, lambda: EnqSpec(q_bits=q_bits, bits=bits))
    if not isinstance(row[given], list):
        raise ValueError(f"Field {where}.{given} must be a list, not {row[given]!r}")
    centroids = tuple(_integer(value, f"{where}.{given}.{n}") for n, value in enumerate(row[given]))
    return _within(where, lambda: KnqSpec(q_bits=q_bits, centroids=centroids))


def _within(where: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except ValueError as error:
        raise ValueError(f"Field {where}: {error}") from None


def _integer(value: Any, where: str) -> int:
    if type(value) is not int:
        raise ValueError(f"Field {where} must be an integer, not {value!r}")
    return value


def _check_fields(row: Any, wanted: tuple[str, ...], where: str) -> None:
    if not isinstance(row, dict):
        raise ValueError(f"Field {where.rstrip('.')} must be an object, not {row!r}")
    for name in (*wanted, *row):
        if name not in row:
            raise ValueError(f"Field {where}{name} must be there, and it is missing")
        if name not in wanted:
            raise ValueError(f"Field {where}{name} must be one of schema version {SCHEMA_VERSION}, and it is unknown")


def _check_names(names: Sequence[Any], count: int, where: str) -> None:
    if len(names) != count:
        raise LayersFileError(f"Names of the layers of {where} must be as many as these, {count}, not {len(names)!r}")
    if wrong := [name for name in names if not isinstance(name, str) or not name.isprintable() or not name.strip()]:
        raise LayersFileError(f"Names of the layers of {where} must be printable text, not {wrong[0]!r}")
    if repeated := [name for place, name in enumerate(names) if name in names[:place]]:
        raise LayersFileError(f"Names of the layers of {where} must differ, not be {repeated[0]!r} twice")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose fields are each there once."""
    names = [name for name, _ in pairs]
    if repeated := [name for place, name in enumerate(names) if name in names[:place]]:
        raise LayersFileError(f"Field {repeated[0]} must be there once, not twice")
    return dict(pairs)
