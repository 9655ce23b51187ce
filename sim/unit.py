"""A combinational unit's Verilog against its golden function."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data
from numpy.typing import NDArray

from rtl.unit import Unit
from rtl.verilog import emit
from sim.job import UNKNOWN
from sim.runner import run_bench
from sim.simulators import SimulatorName
from sim.vectors import unit_vectors

TOP = "unit"


@dataclass(frozen=True, kw_only=True)
class UnitResult:
    """Vectors compared and differing; ``first_difference`` is a sentence, None if there is none."""

    compared: int
    differing: int
    first_difference: str | None


def simulate_unit(
    unit: Unit,
    *,
    folder: Path,
    simulator: SimulatorName,
    count: int = 200,
    seed: int = 0,
    verilog: Path | None = None,
) -> UnitResult:
    """Extremes and ``count`` random vectors through the emitted (or the given) Verilog.

    Raises
    ------
    SimulationError
        If the simulation cannot be run.
    """
    vectors = unit_vectors(unit, count, seed)
    expected = np.asarray(unit.spec.compute(**vectors))
    folder.mkdir(parents=True, exist_ok=True)
    if verilog is None:
        verilog = folder / f"{TOP}.v"
        verilog.write_text(emit(unit, TOP))
    ports: dict[str, Any] = {name: member.shape for name, member in unit.signature.members.items()}
    packed = {name: _packed(values, ports[name]) for name, values in vectors.items()}
    got = run_bench(
        "sim.bench_unit",
        sources=[verilog],
        top=TOP,
        folder=folder,
        simulator=simulator,
        public={TOP: tuple(ports)},
        vectors=packed,
        settings={"signed": Shape.cast(ports["o"]).signed},
    )["o"]
    wrong = np.flatnonzero(expected != got)
    first = None
    if len(wrong):
        at = int(wrong[0])
        shown = "unknown" if got[at] == UNKNOWN else got[at]
        inputs = ", ".join(f"{name} = {values[at].tolist()}" for name, values in vectors.items())
        first = f"vector {at} ({inputs}): expected {expected[at]}, got {shown}"
    return UnitResult(compared=len(expected), differing=len(wrong), first_difference=first)


def _packed(values: NDArray[np.int64], shape: Any) -> NDArray[np.str_]:
    """Port values as hexadecimal strings: the first element of an array in the lowest bits."""
    width = shape.elem_shape if isinstance(shape, data.ArrayLayout) else shape
    bits = Shape.cast(width).width
    rows = values if values.ndim == 2 else values[:, None]
    return np.array([f"{sum((int(v) & ((1 << bits) - 1)) << (bits * n) for n, v in enumerate(row)):x}" for row in rows])
