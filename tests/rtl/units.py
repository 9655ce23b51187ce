"""Every combinational unit against its golden function: ten lines a unit, the base does the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.lib import data, wiring
from amaranth.sim import Simulator
from numpy.typing import NDArray

from sim.vectors import Vectors, unit_vectors


def simulate(unit: wiring.Component, vectors: Vectors) -> NDArray[np.int64]:
    """Outputs ``o`` of a combinational unit in Amaranth's simulator, shape (vectors,)."""
    count, output = len(next(iter(vectors.values()))), unit.o  # type: ignore[attr-defined]
    seen: list[int] = []

    async def bench(ctx: Any) -> None:
        for n in range(count):
            for name, values in vectors.items():
                port = getattr(unit, name)
                if isinstance(port, data.View):
                    ctx.set(port, [int(v) for v in values[n]])
                else:
                    ctx.set(port, int(values[n]))
            await ctx.delay(1e-6)
            seen.append(ctx.get(output))

    sim = Simulator(unit)
    sim.add_testbench(bench)
    sim.run()
    return np.array(seen, np.int64)


def check(unit: Any, *, count: int = 64, seed: int = 0) -> None:
    """Fail unless ``unit`` equals ``unit.spec.compute`` on extremes and ``count`` random vectors."""
    vectors = unit_vectors(unit, count, seed)
    expected = np.asarray(unit.spec.compute(**vectors))
    got = simulate(unit, vectors)
    wrong = np.flatnonzero(expected != got)
    if len(wrong):
        first = int(wrong[0])
        inputs = {name: values[first].tolist() for name, values in vectors.items()}
        raise AssertionError(f"{unit.spec}: {inputs} gives {got[first]}, not {expected[first]}")
