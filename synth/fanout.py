"""Buffers on nets that many cells read, in a mapped netlist in Yosys' JSON."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from synth.liberty import Cell, Library

#: Most cell inputs on one net.  On 45 nm a matrix of shared adders got 29 % faster and 2 % larger, a network 4 %
#: faster and 1 % larger.  With 8 it is 34 % and 5 %, for three times the area of the buffers in the network.
LIMIT = 12
# How many times the load of a full net of adders a buffer must be able to drive; its edges are steep then.
_MARGIN = 2


def buffer_fanout(module: dict[str, Any], library: Library, limit: int = LIMIT, *, overloaded: bool = False) -> int:
    """Put a balanced tree of buffers on each net that more than `limit` cell inputs read, and on each that asks more of
    the cell that drives it than the library lets it drive; returns how many buffers.

    overloaded: only on the latter.
    Clock pins are left alone (a clock tree is laid out with the placement), and ports too: what drives them is
    not ours to know.
    """
    buffer = _buffer(library, limit)
    if buffer is None:
        return 0
    (source,), (output,) = buffer.inputs, buffer.outputs
    sinks: dict[int, list[_Reader]] = {}
    most: dict[int, float] = {}
    last = 1
    for name, cell in module["cells"].items():
        known = library.cells[cell["type"]]
        for pin, (bit, *_) in cell["connections"].items():
            if isinstance(bit, int):
                last = max(last, bit)
                if cell["port_directions"][pin] == "output":
                    most[bit] = known.max_load
                elif pin != known.clock:
                    sinks.setdefault(bit, []).append(_Reader(name, pin, known.load))
    last = max([last, *(bit for wire in module["netnames"].values() for bit in wire["bits"] if isinstance(bit, int))])
    count = 0
    for net, readers in sinks.items():
        level: Sequence[_Reader] = readers
        # A port has no driver here.  One buffer is the least that a net can be left with.
        while net in most and (_load(level) > most[net] or (len(level) > limit and not overloaded)):
            groups = -(-len(level) // limit)
            while groups < len(level) and max(_load(level[g::groups]) for g in range(groups)) > buffer.max_load:
                groups += 1
            if groups == len(level):
                break
            above = []
            for group in range(groups):
                last += 1
                count += 1
                name = next(name for n in itertools.count(count) if (name := f"buffer_{n}") not in module["cells"])
                for reader in level[group::groups]:
                    module["cells"][reader.cell]["connections"][reader.pin] = [last]
                module["cells"][name] = {
                    "hide_name": 0,
                    "type": buffer.name,
                    "parameters": {},
                    "attributes": {},
                    "port_directions": {source: "input", output: "output"},
                    "connections": {source: [net], output: [last]},
                }
                above.append(_Reader(name, source, buffer.load))
            level = above
    return count


class _Reader(NamedTuple):
    """An input of a cell, and what it asks of its driver."""

    cell: str
    pin: str
    load: float


def _load(readers: Sequence[_Reader]) -> float:
    return math.fsum(reader.load for reader in readers)


def _buffer(library: Library, limit: int) -> Cell | None:
    """The smallest buffer that is strong enough for `limit` inputs of adders, else the strongest, if any."""
    load = library.cells[library.full_adder.cell].load if library.full_adder else 0.0
    strong = [cell for cell in library.buffers if cell.max_load >= _MARGIN * limit * load]
    return strong[0] if strong else max(library.buffers, key=lambda cell: cell.max_load, default=None)
