"""QStep beside searches for the step: errors of 1,000 random tensors, and times as ratios in one run.

Example: python -m scripts.bench_qstep --json
The dense search tries 2,000 steps over the whole range, all breakpoints of the error, and 1,001 around the best.
The plain search, that of the times, evaluates the error of 200 steps and 200 more around the best of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from model.stepsize import qstep
from model.stepsize.quantizer import top_code
from scripts.console import Json, command, emit_json, err, out

Array = NDArray[np.float64]

#: Weights and bits that are timed: a gate, layers of LeNet, of the feed-forward stack, of a large network.
SIZES = ((1_024, 2), (16_384, 3), (16_384, 8), (262_144, 2), (262_144, 4), (262_144, 8), (1_048_576, 4))
KINDS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "normal": lambda chance, n: chance.normal(size=n),
    "heavy tails": lambda chance, n: chance.standard_cauchy(n),
    "few values": lambda chance, n: chance.integers(-4, 5, n) / 8,
    "uniform": lambda chance, n: chance.uniform(-1, 1, n),
    "many sizes": lambda chance, n: np.exp(3 * chance.normal(size=n)) * chance.choice([-1, 1], n),
}


def errors(magnitudes: Array, steps: Array, limit: int) -> Array:
    """The squared error of each step, straight from the definition, in extended precision where there is one."""
    a, at = magnitudes.astype(np.longdouble)[:, None], steps.astype(np.longdouble)
    return ((a - np.minimum(np.floor(a / at + 0.5), limit) * at) ** 2).sum(0)


def dense(magnitudes: Array, limit: int) -> float:
    """The least error of many steps."""
    a = magnitudes[magnitudes > 0]
    halves = np.arange(1, limit + 1) - 0.5
    steps = np.concatenate([np.geomspace(a.min() / limit, 2 * a.max(), 2_000), np.unique(a[:, None] / halves)])
    found = np.concatenate([errors(a, part, limit) for part in np.array_split(steps, 1 + len(steps) * len(a) // 10**6)])
    best = steps[np.argmin(found)]
    return float(min(found.min(), errors(a, best * np.linspace(0.999, 1.001, 1001), limit).min()))


def plain_search(w: Array, bits: int) -> float:
    """A step by trying: what one would write."""
    limit, a = top_code(bits), np.abs(w)
    top = a.max()

    def best(steps: Array) -> float:
        return float(min(steps, key=lambda d: ((a - d * np.minimum(np.floor(a / d + 0.5), limit)) ** 2).sum()))

    first = best(np.geomspace(top / limit / 100, 2 * top, 200))
    return best(first * np.linspace(0.95, 1.05, 200))


def exactness(tensors: int) -> list[dict[str, Any]]:
    """Of each kind of tensor: how many were tried, where the dense search found less, and by how much it was above."""
    chance, rows = np.random.default_rng(0), []
    for place, (name, draw) in enumerate(KINDS.items()):
        above, excess = 0, []
        count = len(range(place, tensors, len(KINDS)))
        err.print(f"{count} tensors: {name}")
        for _ in range(count):
            bits = int(chance.integers(2, 9))
            w = draw(chance, int(chance.integers(1, 120)))
            if not w.any():
                w = w + 0.5
            limit = top_code(bits)
            ours = float(errors(np.abs(w), np.array([qstep(w, bits)]), limit)[0])
            theirs = dense(np.abs(w), limit)
            # The error of a tensor that fits exactly is the rounding of its own sum, on both sides.
            noise = len(w) * 2.0**-100 * float(np.abs(w).max()) ** 2
            above += ours > theirs + noise
            excess.append(theirs / ours - 1 if ours > noise else 0.0)
        rows.append({"kind": name, "tensors": count, "above": above, "search_excess": statistics.median(excess)})
    return rows


def timed(action: Callable[[], object], rounds: int) -> float:
    """Median seconds of CPU."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def times(rounds: int) -> list[dict[str, Any]]:
    """QStep and the plain search of normal weights, one after the other."""
    rows = []
    for count, bits in SIZES:
        err.print(f"timing {count:,} weights of {bits} bits")
        w = np.random.default_rng(1).normal(size=count).astype(np.float32).astype(np.float64)
        exact_s = timed(lambda w=w, bits=bits: qstep(w, bits), rounds)
        search_s = timed(lambda w=w, bits=bits: plain_search(w, bits), 1)
        limit = top_code(bits)
        found = [errors(np.abs(w), np.array([step]), limit)[0] for step in (plain_search(w, bits), qstep(w, bits))]
        rows.append(
            {
                "weights": count,
                "bits": bits,
                "exact_s": exact_s,
                "search_s": search_s,
                "ratio": search_s / exact_s,
                "search_excess": float(found[0] / found[1] - 1),
            }
        )
    return rows


@command
def main(
    tensors: Annotated[int, typer.Option(min=5, help="Random tensors of the comparison of errors.")] = 1000,
    rounds: Annotated[int, typer.Option(min=1, help="Timed rounds; the median counts.")] = 5,
    json: Json = False,
) -> None:
    """Compare errors and CPU times of QStep with searches."""
    compared, timings = exactness(tensors), times(rounds)
    if json:
        return emit_json({"exactness": compared, "times": timings})
    for rows, heads in (
        (compared, ("kind", "tensors", "QStep above a dense search", "search above QStep, median")),
        (timings, ("weights", "bits", "QStep ms", "search ms", "search / QStep", "search above QStep")),
    ):
        grid = Table(box=None, pad_edge=False, header_style="bold")
        for head in heads:
            grid.add_column(head, justify="left" if head == "kind" else "right")
        for row in rows:
            grid.add_row(*cells(row))
        out.print(grid)


def cells(row: dict[str, Any]) -> list[str]:
    """A row for people."""
    last = f"{100 * row['search_excess']:.4f} %"
    if "kind" in row:
        return [row["kind"], f"{row['tensors']:,}", str(row["above"]), last]
    milliseconds = (f"{1000 * row[name]:.1f}" for name in ("exact_s", "search_s"))
    return [f"{row['weights']:,}", str(row["bits"]), *milliseconds, f"{row['ratio']:.0f}", last]


if __name__ == "__main__":
    typer.run(main)
