"""Input vectors of a unit: all of them where there are few, else extremes, corners, edges and random ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data
from amaranth.lib.wiring import Flow
from numpy.typing import NDArray

from model.spec import Format

Vectors = dict[str, NDArray[np.int64]]  #: port name -> values, shape (vectors,) or (vectors, elements)

EXHAUSTIVE = 1024  #: where there are at most so many inputs, every one is tried
EDGES = 32  #: most places of one port at which an output changes that are sought
CHOICES = 16  #: a port of at most so many values may choose between functions of the others


@dataclass(frozen=True)
class _Port:
    """An input: ``length`` integers of format ``number`` within ``limits``; ``array`` if it is not just one."""

    number: Format
    length: int
    array: bool
    limits: tuple[int, int]


def unit_vectors(unit: Any, count: int, seed: int) -> Vectors:
    """Vectors for every input port, the same ones for the same unit, count and seed.

    Every input if there are at most ``EXHAUSTIVE`` or ``count``. Else, in this order: each port alone and all
    together at both ends of their range; each port at powers of two and one less, and each element of
    an array at the other end than the rest; each port on both sides of where the golden output changes, for each
    value of a port that has few; and
    ``count`` random ones, of which half are of small size or mostly at one end, so that sums get large or rare.

    Parameters
    ----------
    unit
        A unit whose ports are integers or arrays of integers, and its ``spec.compute``; ``spec.limits`` where a port
        gets less than its format holds.
    count
        Random vectors after the others.
    """
    limits = getattr(unit.spec, "limits", {})
    members = unit.signature.members.items()
    ports = {name: _port(member.shape, limits.get(name)) for name, member in members if member.flow == Flow.In}
    inputs = 1 << sum(p.number.width * p.length for p in ports.values())
    if inputs <= max(EXHAUSTIVE, count):
        return _flat(ports, _all_inputs(ports, inputs))
    rng = np.random.default_rng(seed)
    parts = [_extremes(ports, rng), _corners(ports, rng), _edges(unit, ports, rng), _random(ports, rng, count)]
    return _flat(ports, {name: np.concatenate([part[name] for part in parts]) for name in ports})


def _port(shape: Any, limits: tuple[int, int] | None) -> _Port:
    array = isinstance(shape, data.ArrayLayout)
    inner = Shape.cast(shape.elem_shape if array else shape)
    number = Format(inner.width, 0, inner.signed)
    return _Port(number, shape.length if array else 1, array, limits or (number.min, number.max))


def _flat(ports: dict[str, _Port], vectors: Vectors) -> Vectors:
    """What the units take: values within their limits, and an integer where the port is no array."""
    limited = {name: np.clip(values, *ports[name].limits) for name, values in vectors.items()}
    return {name: values if ports[name].array else values[:, 0] for name, values in limited.items()}


def _uniform(ports: dict[str, _Port], rng: np.random.Generator, rows: int) -> Vectors:
    """Below, every part is (rows, elements) for each port."""
    return {
        name: rng.integers(p.number.min, p.number.max, (rows, p.length), endpoint=True) for name, p in ports.items()
    }


def _all_inputs(ports: dict[str, _Port], rows: int) -> Vectors:
    rest, vectors = np.arange(rows), {}
    for name, p in ports.items():
        elements = []
        for _ in range(p.length):
            elements.append((rest & ((1 << p.number.width) - 1)) + p.number.min)
            rest = rest >> p.number.width
        vectors[name] = np.stack(elements, 1)
    return vectors


def _extremes(ports: dict[str, _Port], rng: np.random.Generator) -> Vectors:
    vectors = _uniform(ports, rng, 2 * len(ports) + 2)
    for place, (name, p) in enumerate(ports.items()):
        for row, value in ((0, p.number.min), (1, p.number.max)):
            vectors[name][row] = vectors[name][2 * place + 2 + row] = value
    return vectors


def _corners(ports: dict[str, _Port], rng: np.random.Generator) -> Vectors:
    parts = [_uniform(ports, rng, 0)]
    for name, p in ports.items():
        if p.length > 1:
            rows = np.full((2 * p.length, p.length), p.number.min)
            rows[p.length :] = p.number.max
            each = np.arange(p.length)
            rows[each, each], rows[each + p.length, each] = p.number.max, p.number.min
        else:
            near = {v for k in range(p.number.width) for v in (1 << k, (1 << k) - 1, -1 << k, (-1 << k) - 1)}
            rows = np.array([[v] for v in sorted(near) if p.number.min <= v <= p.number.max])
        parts.append({**_uniform(ports, rng, len(rows)), name: rows})
    return {name: np.concatenate([part[name] for part in parts]) for name in ports}


def _edges(unit: Any, ports: dict[str, _Port], rng: np.random.Generator) -> Vectors:
    """Neighbouring values of one port with different outputs, the others held: by bisection.

    Where the output changes in less than ``EDGES`` places, each is found (between some start
    values it must make a difference), and the values that differ from it in one bit come too: they take the other
    branch at every place where a comparison looks.
    """
    parts = [_uniform(ports, rng, 0)]
    for name, p in ports.items():
        for held in [] if p.array else _held(ports, name, rng):
            found = _edges_of(unit, ports, held, name, rng)
            parts.append({**{key: np.repeat(row, len(found), 0) for key, row in held.items()}, name: found[:, None]})
    return {name: np.concatenate([part[name] for part in parts]) for name in ports}


def _held(ports: dict[str, _Port], name: str, rng: np.random.Generator) -> list[Vectors]:
    """Rows of one vector for what is held while port ``name`` moves: random, with each value of ports that have few."""
    few = [key for key, p in ports.items() if key != name and not p.array and 1 << p.number.width <= CHOICES]
    rows = [
        {**_uniform(ports, rng, 1), key: np.array([[value]])}
        for key in few
        for value in range(ports[key].number.min, ports[key].number.max + 1)
    ]
    return rows or [_uniform(ports, rng, 1)]


def _edges_of(
    unit: Any, ports: dict[str, _Port], held: Vectors, name: str, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Values of port ``name`` for :func:`_edges`."""
    p = ports[name]
    starts = rng.integers(p.number.min, p.number.max, 8, endpoint=True)
    values = np.unique([p.number.min, *starts, p.number.max])
    low, high = _changes(unit, ports, held, name, values[:-1], values[1:], rng)
    for _ in range(p.number.width):
        middle = low + (high - low) // 2
        halves = np.stack([low, middle], 1).ravel(), np.stack([middle, high], 1).ravel()
        low, high = _changes(unit, ports, held, name, *halves, rng)
    found = np.concatenate([low, high])
    if len(low) < EDGES:
        found = np.concatenate([found, *(((high - p.number.min) ^ 1 << k) + p.number.min for k in _bits(p))])
    return found


def _bits(port: _Port) -> range:
    return range(port.number.width)


def _changes(
    unit: Any,
    ports: dict[str, _Port],
    held: Vectors,
    name: str,
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The intervals, at most ``EDGES`` of them, over which the output changes: first, last and any between."""

    def output(values: NDArray[np.int64]) -> NDArray[np.int64]:
        rows = {key: np.repeat(row, len(values), 0) for key, row in held.items()}
        return np.asarray(unit.spec.compute(**_flat(ports, {**rows, name: values[:, None]})))

    if not len(low):
        return low, high
    changing = np.flatnonzero((output(low) != output(high)).reshape(len(low), -1).any(1))
    if len(changing) > EDGES:
        between = rng.choice(changing[1:-1], EDGES - 2, replace=False)
        changing = np.sort(np.concatenate([changing[[0, -1]], between]))
    return low[changing], high[changing]


def _random(ports: dict[str, _Port], rng: np.random.Generator, count: int) -> Vectors:
    vectors = _uniform(ports, rng, count)
    for name, p in ports.items():
        values = vectors[name][::2]
        if p.array:
            share = rng.random((len(values), 1))
            end = np.where(rng.random((len(values), 1)) < 0.5, p.number.min, p.number.max)
            vectors[name][::2] = np.where(rng.random(values.shape) < share, end, values)
        else:
            vectors[name][::2] = values >> rng.integers(0, p.number.width, values.shape)
    return vectors
