"""A unit's Verilog against its golden function."""

from __future__ import annotations

from collections.abc import Sequence
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
from sim.vectors import Vectors, unit_vectors

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
    got = run_unit(unit, vectors, verilog=verilog or written(unit, folder), folder=folder, simulator=simulator)
    wrong = np.argwhere(expected != got)
    first = None
    if len(wrong):
        place = tuple(wrong[0].tolist())
        at, element = place[0], f" in o[{place[1]}]" if len(place) > 1 else ""
        shown = "unknown" if got[place] == UNKNOWN else got[place]
        inputs = ", ".join(f"{name} = {values[at].tolist()}" for name, values in vectors.items())
        first = f"vector {at} ({inputs}): expected {expected[place]}{element}, got {shown}"
    return UnitResult(compared=len(expected), differing=len(set(wrong[:, 0].tolist())), first_difference=first)


def written(unit: Unit, folder: Path) -> Path:
    """The Verilog of a unit, its top module :data:`TOP`, in a file of ``folder``, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{TOP}.v"
    path.write_text(emit(unit, TOP))
    return path


def run_unit(
    unit: Unit,
    vectors: Vectors,
    *,
    verilog: Path,
    folder: Path,
    simulator: SimulatorName,
    control: tuple[str, Sequence[int]] | None = None,
    timeout_s: float = 3600,
) -> NDArray[np.int64]:
    """The outputs ``o`` of module ``unit`` of ``verilog``: shape (vectors,), of an array (vectors, elements).

    A value with an X bit is ``UNKNOWN``.

    control: one more input port, and the values for each of which all vectors are run; then the shape is
    (values, vectors) or (values, vectors, elements).
    """
    ports: dict[str, Any] = {name: member.shape for name, member in unit.signature.members.items()}
    array = ports["o"] if isinstance(ports["o"], data.ArrayLayout) else None
    number = Shape.cast(array.elem_shape if array else ports["o"])
    extra = (["clk", "rst"] if unit.latency else []) + ([control[0]] if control else [])
    return run_bench(
        "sim.bench_unit",
        sources=[verilog],
        top=TOP,
        folder=folder,
        simulator=simulator,
        public={TOP: (*ports, *extra)},
        vectors={name: _packed(values, ports[name]) for name, values in vectors.items()},
        settings={
            "signed": number.signed,
            "elements": [number.width, array.length] if array else None,
            "latency": unit.latency,
            "control": [control[0], list(control[1])] if control else None,
        },
        timeout_s=timeout_s,
    )["o"]


def _packed(values: NDArray[np.int64], shape: Any) -> NDArray[np.str_]:
    """Port values as hexadecimal strings: the first element of an array in the lowest bits."""
    width = shape.elem_shape if isinstance(shape, data.ArrayLayout) else shape
    bits = Shape.cast(width).width
    rows = values if values.ndim == 2 else values[:, None]
    return np.array([f"{sum((int(v) & ((1 << bits) - 1)) << (bits * n) for n, v in enumerate(row)):x}" for row in rows])
