"""The widest check: random networks of every kind, every named value of the Verilog against the golden function.

Example: python -m scripts.check_random --networks 200
Family, levels, factors, words, layers, sizes, pool, folding, datapath, storage of the weights, simulator and stalls are
drawn by Hypothesis; a network that differs is made as small as it can be before it is shown.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from rich.progress import Progress

from model.family import ADDERS, FACTOR_RULES, FactorRule, Family
from model.random_network import random_network, stored
from model.spec import MAX_BITS, Datapath, Folding, Format, Order, Overflow, Pool, Schedule, SumSpec
from rtl.weight_memory import WeightStorage
from scripts.console import command, err, out
from sim.compare import Result
from sim.network import simulate
from sim.simulators import SimulatorName, choose_quick

#: Narrower than the trained ones, so that every rule is at work, and because Icarus reads the activations of those for
#: minutes; whole test sets go through those by ``simulate --simulator bulk`` (docs/results/family.md).
WORDS = (Format(16, 10), Format(8, 5))
FAMILIES = tuple(family for family in Family if family is not Family.FLOAT)

#: Rules of limited sums, from those that hold everything down to those that hold almost nothing.
SUMS = st.builds(
    SumSpec,
    width=st.sampled_from([None, 16, 10, 8, 5]),
    order=st.sampled_from(list(Order)),
    overflow=st.sampled_from(list(Overflow)),
    fan_in=st.sampled_from([2, 2, 3]),
    shift=st.sampled_from([0, 0, 1]),
    unit=st.sampled_from([None, 1, 2, 4]),
)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of :func:`check`."""
    family, a = draw(st.sampled_from(FAMILIES)), draw(st.integers(1, 5))
    words = family is not Family.MUBINN2
    datapaths = [d for d in Datapath if d is Datapath.ARITHMETIC or not (words or (d is Datapath.TABLE and a > 4))]
    return {
        "network": {
            "family": family,
            "factors": draw(st.sampled_from(FACTOR_RULES.get(family, (FactorRule.FREE,)))),
            "word": draw(st.sampled_from(WORDS)),
            "sums": draw(SUMS) if family in ADDERS else None,
            "bits": draw(st.integers(2, MAX_BITS)),
            "a": a,
            "w": draw(st.integers(1, 5)),
            "layers": draw(st.sampled_from([1, 1, 2] if words else [1, 1, 2, 3])),
            "features": draw(st.integers(1, 9)),
            "hidden": draw(st.integers(1, 12)),
            "classes": draw(st.integers(2, 5)),
            "pool": draw(st.sampled_from(list(Pool))),
            "steps": draw(st.integers(1, 6)),
            "seed": draw(st.integers(0, 1000)),
            "gain": draw(st.sampled_from([0.5, 2.0, 6.0])),
        },
        # Units of words are large, and Icarus takes minutes to read many of them.
        "folding": Folding(pe=draw(st.integers(1, 2 if words else 12)), simd=draw(st.integers(1, 24))),
        "datapath": draw(st.sampled_from(datapaths)),
        "storage": draw(st.sampled_from(list(WeightStorage))),
        "stall": draw(st.sampled_from([0.0, 0.3])),
        "counters": draw(st.booleans()),
    }


def check(case: dict[str, Any], folder: Path, simulator: SimulatorName) -> Result:
    """Build the network of a case, simulate it, and compare every named value, and its counters of saturation if it has
    any.

    Raises
    ------
    AssertionError
        If a value, a counter or the number of cycles differs; it names the first difference.
    """
    network, x = random_network(**case["network"])
    schedule = Schedule(network=network.spec(), folding=case["folding"], datapath=case["datapath"])
    result = simulate(
        schedule,
        network.weights(),
        stored(network, x),
        folder=folder,
        simulator=simulator,
        storage=case["storage"],
        stall=case["stall"],
        counters=case["counters"] and any(lstm.saturates for lstm in schedule.network.layers),
    )
    assert result.first_difference is None, str(result.first_difference)
    assert result.equal, f"Counters must be equal, not {result.counters}"
    predicted = schedule.result_cycles(x.shape[1], len(x))
    assert case["stall"] or result.result_cycles == predicted, f"Cycles must be {predicted}, not {result.result_cycles}"
    return result


@command
def main(
    networks: Annotated[int, typer.Option(min=1, help="How many.")] = 200,
    seed: Annotated[int, typer.Option(help="Of Hypothesis.")] = 0,
) -> None:
    """Check random networks, and say what they were."""
    torch.set_num_threads(1)
    seen: dict[str, dict[str, int]] = {}
    total = {"networks": 0, "values": 0, "cycles": 0}
    start, simulator = time.monotonic(), choose_quick()
    with Progress(console=err, transient=True) as progress:
        bar = progress.add_task("simulating", total=networks)

        @seeded(seed)
        @settings(max_examples=networks, deadline=None, database=None, suppress_health_check=(HealthCheck.too_slow,))
        @given(cases())
        def run(case: dict[str, Any]) -> None:
            with tempfile.TemporaryDirectory(prefix="xnorforge-random-") as folder:
                result = check(case, Path(folder), simulator)
            for name, value in {**case["network"], **case, "network": None}.items():
                if name in ("family", "bits", "a", "w", "layers", "pool", "datapath", "storage", "stall"):
                    counts = seen.setdefault(name, {})
                    counts[str(value)] = counts.get(str(value), 0) + 1
            total.update(
                networks=total["networks"] + 1,
                values=total["values"] + result.compared,
                cycles=total["cycles"] + result.cycles,
            )
            progress.advance(bar)

        run()
    for name, counts in seen.items():
        out.print(f"{name:10} {', '.join(f'{value}: {counts[value]}' for value in sorted(counts))}", soft_wrap=True)
    out.print(
        f"{total['networks']} networks, seed {seed}, {simulator}: {total['values']:,} values compared, 0 differing, "
        f"{total['cycles']:,} cycles, {time.monotonic() - start:.0f} s",
        soft_wrap=True,
    )


if __name__ == "__main__":
    typer.run(main)
