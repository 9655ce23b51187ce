"""Every combinational unit against its golden function: ten lines a unit, the base does the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.lib import data
from amaranth.sim import Simulator
from numpy.typing import NDArray

from rtl.unit import Unit
from sim.vectors import Vectors, unit_vectors


def simulate(unit: Unit, vectors: Vectors, output: Any = None) -> NDArray[np.int64]:
    """Outputs in Amaranth's simulator (of ``o``, if not told), a row a vector: a vector a cycle, ``latency`` later."""
    count = len(next(iter(vectors.values())))
    output = unit.o if output is None else output  # type: ignore[attr-defined]
    seen: list[int | list[int]] = []

    async def bench(ctx: Any) -> None:
        for n in range(count + unit.latency):
            for name, values in vectors.items():
                port, value = getattr(unit, name), values[min(n, count - 1)]
                ctx.set(port, [int(v) for v in value] if isinstance(port, data.View) else int(value))
            await ctx.delay(1e-7)
            seen.append(list(ctx.get(output)) if isinstance(output, data.View) else ctx.get(output))
            if unit.sequential:
                await ctx.tick()

    sim = Simulator(unit)
    if unit.sequential:
        sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return np.array(seen[unit.latency :], np.int64)


def check(unit: Any, *, count: int = 64, seed: int = 0) -> None:
    """Fail unless ``unit`` equals ``unit.spec.compute`` on extremes and ``count`` random vectors."""
    vectors = unit_vectors(unit, count, seed)
    expected = np.asarray(unit.spec.compute(**vectors))
    got = simulate(unit, vectors)
    wrong = np.argwhere(expected != got)
    if len(wrong):
        first = int(wrong[0][0])
        inputs = {name: values[first].tolist() for name, values in vectors.items()}
        raise AssertionError(f"{unit.spec}: {inputs} gives {got[first]}, not {expected[first]}")
