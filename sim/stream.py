"""The Verilog of a unit between streams against its golden function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from amaranth.hdl import Shape
from numpy.typing import NDArray

from rtl.streamed import Streamed
from rtl.unit import Unit
from sim.runner import run_bench
from sim.simulators import SimulatorName
from sim.unit import TOP, UnitResult, written
from sim.vectors import Vectors, unit_vectors

PATIENCE = 1000  #: cycles without a transfer
_WORD = ("write_layer", "write_code", "write_data")  #: the ports of a word, where they are there


def simulate_stream(
    unit: Streamed,
    golden: Unit,
    *,
    folder: Path,
    simulator: SimulatorName,
    words: Sequence[tuple[int, int, int]] = (),
    count: int = 200,
    stall: float = 0.0,
    seed: int = 0,
    verilog: Path | None = None,
) -> UnitResult:
    """Extremes and ``count`` random payloads through the emitted (or the given) Verilog, with stalls on both sides.

    golden: a unit without streams and tables that does the same; its golden function is that which must hold.
    words: what is written into tables first, as (layer, code, word).

    Raises
    ------
    SimulationError
        If the simulation cannot be run, or a payload changes while it waits.
    """
    vectors = unit_vectors(golden, count, seed)
    expected = np.asarray(golden.spec.compute(**vectors))
    ports = ("i__valid", "i__payload", "i__ready", "o__valid", "o__payload", "o__ready", "clk", "rst")
    columns = {"write": [1] * len(words), **{name: [word[n] for word in words] for n, name in enumerate(_WORD)}}
    writes = {name: np.array(column, np.int64) for name, column in columns.items() if name in unit.signature.members}
    got = run_bench(
        "sim.bench_stream",
        sources=[verilog or written(unit, folder)],
        top=TOP,
        folder=folder,
        simulator=simulator,
        public={TOP: (*ports, *writes)},
        vectors={"payloads": _packed(vectors, unit), **writes},
        settings={"stall": stall, "seed": seed, "patience": PATIENCE},
    )["o"]
    if len(got) < len(expected):
        return UnitResult(
            compared=len(expected),
            differing=len(expected) - len(got),
            first_difference=f"payload {len(got)}: expected {expected[len(got)]}, got none in {PATIENCE} cycles",
        )
    wrong = np.flatnonzero(expected != got)
    first = None
    if len(wrong):
        inputs = ", ".join(f"{name} = {values[wrong[0]]}" for name, values in vectors.items())
        first = f"payload {wrong[0]} ({inputs}): expected {expected[wrong[0]]}, got {got[wrong[0]]}"
    return UnitResult(compared=len(expected), differing=len(wrong), first_difference=first)


def _packed(vectors: Vectors, unit: Streamed) -> NDArray[np.str_]:
    """Payloads as hexadecimal strings: the first input in the lowest bits."""
    rows, place = np.zeros(len(next(iter(vectors.values()))), object), 0
    for name, shape in unit.fields.items():
        rows, place = rows + (vectors[name].astype(object) << place), place + Shape.cast(shape).width
    return np.array([f"{row:x}" for row in rows])
