"""Sums by limited adders, some lanes a cycle, and what z is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from model.spec import Format, IntegerDotSpec, RunningSumSpec, ScaledSumSpec, SumSpec
from rtl.running_sum import RunningSum
from rtl.scaled_sum import ScaledSum
from scripts.check_random import SUMS
from tests.rtl.units import check


def totals(
    spec: RunningSumSpec, x: np.ndarray, w: np.ndarray, idle: list[bool], beats: int
) -> tuple[list[int], list[int]]:
    """The hardware's sums of rows (rows, beats * lanes), a beat a cycle, with idle cycles between; and how many nodes
    of each level it says to have saturated, over all cycles."""
    found: list[int] = []
    saturated = [0] * spec.levels

    def count(ctx: Any) -> None:
        for place, level in enumerate(spec.saturating):
            saturated[level] += ctx.get(unit.saturated[place])

    async def bench(ctx: Any) -> None:
        waits = iter(idle)
        for numbers, codes in zip(x, w, strict=True):
            for beat in range(beats):
                if next(waits):
                    ctx.set(unit.valid, 0)
                    await ctx.tick()
                    count(ctx)
                lanes = slice(beat * spec.lanes, (beat + 1) * spec.lanes)
                ctx.set(unit.x, numbers[lanes].tolist())
                if spec.dot.weights is None:
                    ctx.set(unit.w, codes[lanes].tolist())
                ctx.set(unit.valid, 1)
                ctx.set(unit.first, beat == 0)
                await ctx.tick()
                count(ctx)
            found.append(ctx.get(unit.o))

    unit = RunningSum(spec, flags=True)
    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found, saturated


@st.composite
def running_sums(draw: st.DrawFn) -> RunningSumSpec:
    rule, n = draw(SUMS), draw(st.integers(1, 9))
    units = draw(st.integers(1, 3))
    lanes = n if rule.unit is None or rule.unit * units > n else rule.unit * units
    if rule.linear:
        lanes = draw(st.integers(1, n))
    dot = IntegerDotSpec(n=n, source=Format(6), weight_bits=draw(st.sampled_from([1, 1, 2, 3, 4])), rule=rule)
    weights = draw(st.none() | st.lists(st.integers(*dot.codes), min_size=n, max_size=n).map(tuple))
    return RunningSumSpec(dot=replace(dot, weights=weights) if lanes == n else dot, lanes=lanes)


@settings(max_examples=60)
@given(running_sums(), st.integers(0, 2), st.randoms(use_true_random=False))
def test_beats_add_up_in_the_written_order(spec, more, random):
    """Also where other sums of the same beats are longer, so that zeros follow. Nodes that saturate are told once."""
    rows, n, beats = 8, spec.dot.n, spec.beats + more
    source = spec.dot.source
    x = np.zeros((rows, beats * spec.lanes), np.int64)
    x[:, :n] = [[random.choice([source.min, source.max, random.randint(-9, 9)]) for _ in range(n)] for _ in x]
    w = np.array([[random.randint(*spec.dot.codes) for _ in range(beats * spec.lanes)] for _ in x])
    idle = [random.random() < 0.3 for _ in range(rows * beats)]
    codes = None if spec.dot.weights else w[:, :n]
    found, saturated = totals(spec, x, w, idle, beats)
    assert found == spec.dot.compute(x[:, :n], codes).tolist()
    products = x[:, :n] * spec.dot.integers(spec.dot.weights or w[:, :n])
    assert saturated == spec.dot.rule.saturations(list(products.T)).sum(1).tolist()


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.builds(Format, st.integers(1, 9), st.just(0), st.booleans()), st.integers(-300, 300)),
        min_size=1,
        max_size=3,
    ),
    st.integers(0, 2),
)
def test_a_scaled_sum(terms, stages):
    sources, factors = zip(*terms, strict=True)
    check(ScaledSum(ScaledSumSpec(sources=sources, factors=factors), stages), count=100)


def test_what_cannot_be_built_is_refused_in_a_sentence():
    dot = IntegerDotSpec(n=6, source=Format(8), rule=SumSpec(unit=2))
    for lanes, words in (
        (0, "Lanes of a running sum must be 1 to 6, not 0"),
        (7, "Lanes of a running sum must be 1 to 6, not 7"),
        (3, r"Lanes of a running sum must be a multiple of its unit \(2\), not 3"),
    ):
        with pytest.raises(ValueError, match=f"^{words}$"):
            RunningSumSpec(dot=dot, lanes=lanes)
    constant = IntegerDotSpec(n=2, source=Format(8), weights=(0, 1), rule=SumSpec(unit=1))
    with pytest.raises(ValueError, match=r"^Lanes of a running sum with constants must be all 2, not 1$"):
        RunningSumSpec(dot=constant, lanes=1)
    with pytest.raises(ValueError, match=r"^Factors of a scaled sum must be one a number, not 2$"):
        ScaledSumSpec(sources=(Format(3),), factors=(1, 2))
