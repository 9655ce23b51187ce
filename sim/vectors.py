"""Input vectors of a combinational unit: extremes first, then random ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data
from amaranth.lib.wiring import Flow
from numpy.typing import NDArray

from model.spec import Format

Vectors = dict[str, NDArray[np.int64]]  #: port name -> values, shape (vectors,) or (vectors, elements)


def unit_vectors(unit: Any, count: int, seed: int) -> Vectors:
    """Vectors for every input port: each alone and all together at both ends of their range, then random.

    Parameters
    ----------
    unit
        A ``wiring.Component`` whose ports are integers or arrays of integers.
    count
        Random vectors after the extremes.
    """
    ports = {name: member.shape for name, member in unit.signature.members.items() if member.flow == Flow.In}
    rng = np.random.default_rng(seed)
    extremes = 2 * len(ports) + 2
    vectors: Vectors = {}
    for place, (name, shape) in enumerate(ports.items()):
        array = isinstance(shape, data.ArrayLayout)
        inner = Shape.cast(shape.elem_shape if array else shape)
        number = Format(inner.width, 0, inner.signed)
        values = rng.integers(number.min, number.max, (extremes + count, shape.length if array else 1), endpoint=True)
        values[0], values[1] = number.min, number.max
        values[2 + 2 * place], values[3 + 2 * place] = number.min, number.max
        vectors[name] = values if array else values[:, 0]
    return vectors
