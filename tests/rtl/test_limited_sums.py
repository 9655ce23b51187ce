"""Sums in a written order by limited adders: generators against golden functions, and counters of saturation."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from model.spec import AdderTreeSpec, Format, IntegerDotSpec, Order, Overflow, SumSpec
from model.sums import saturation_counts
from rtl.adder_tree import AdderTree
from rtl.compressor import FinalAdder
from rtl.integer_dot import IntegerDot
from rtl.saturation_counter import SaturationCounter, count_up
from rtl.verilog import emit
from sim.vectors import unit_vectors
from tests.rtl.units import check, simulate

FINALS = st.sampled_from(get_args(FinalAdder))
STAGES = st.integers(0, 3)


@st.composite
def rules(draw: st.DrawFn, width: int) -> SumSpec:
    return SumSpec(
        width=draw(st.just(width) | st.none()),
        order=draw(st.sampled_from(Order)),
        overflow=draw(st.sampled_from(Overflow)),
        fan_in=draw(st.integers(2, 4)),
        shift=draw(st.sampled_from([0, 0, 1, 2])),
        unit=draw(st.none() | st.integers(1, 6)),
    )


@st.composite
def limited_sums(draw: st.DrawFn) -> AdderTreeSpec:
    """Sums of which some nodes may overflow, the summands too large for a node among them."""
    node = draw(st.integers(1, 8))
    numbers = st.builds(Format, st.integers(1, node + 1), st.just(0), st.booleans())
    return AdderTreeSpec(
        ranges=tuple((n.min, n.max) for n in draw(st.lists(numbers, min_size=1, max_size=9))),
        constant=draw(st.just(0) | st.integers(-1 << node, 1 << node)),
        rule=draw(rules(node)),
    )


@settings(max_examples=30)
@given(limited_sums(), STAGES, FINALS, st.booleans())
def test_sums_in_a_written_order(spec, stages, final, prune):
    check(AdderTree(spec, stages, final, prune), count=100)


@pytest.mark.parametrize("final", get_args(FinalAdder))
@pytest.mark.parametrize("order", Order)
def test_a_saturating_sum_is_right_for_every_input(order, final):
    rule = SumSpec(width=3, order=order)
    check(AdderTree(AdderTreeSpec(ranges=((-4, 3),) * 4, rule=rule), 0, final), count=1 << 12)
    check(AdderTree(AdderTreeSpec(ranges=((0, 3),) * 6, rule=rule), 0, final), count=1 << 12)  # too large only
    check(AdderTree(AdderTreeSpec(ranges=((-4, 3), (0, 1)) * 3, rule=rule), 0, final), count=1 << 12)  # by one
    rule = SumSpec(width=3, order=order, fan_in=3)
    check(AdderTree(AdderTreeSpec(ranges=((-4, 3),) * 4, rule=rule), 0, final), count=1 << 12)


@pytest.mark.parametrize("order", Order)
def test_what_wraps_is_cut_before_it_is_shifted_again(order):
    rule = SumSpec(width=3, order=order, overflow="wrap", fan_in=4, shift=1)
    check(AdderTree(AdderTreeSpec(ranges=((-4, 3),) * 9, rule=rule)), count=300)


@settings(max_examples=30)
@given(limited_sums(), STAGES, FINALS, st.booleans())
def test_flags_say_which_nodes_saturate(spec, stages, final, prune):
    unit = AdderTree(spec, stages, final, prune, flags=True)
    vectors = unit_vectors(unit, 60, 0)
    expected = spec.saturations(**vectors)
    counts = np.zeros_like(expected)
    if spec.saturating:
        flags = simulate(unit, vectors, unit.saturated)
        for place, node in enumerate(spec.saturating):
            counts[node.level] += flags >> place & 1
    assert np.array_equal(counts, expected)


@st.composite
def integer_dots(draw: st.DrawFn) -> IntegerDotSpec:
    n, bits = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    codes = st.integers(*IntegerDotSpec(n=1, source=Format(1), weight_bits=bits).codes)
    return IntegerDotSpec(
        n=n,
        source=draw(st.builds(Format, st.integers(1, 8), st.just(0), st.booleans())),
        weight_bits=bits,
        weights=draw(st.none() | st.lists(codes, min_size=n, max_size=n).map(tuple)),
        bias=draw(st.just(0) | st.integers(-300, 300)),
        rule=draw(st.integers(1, 12).flatmap(rules)),
    )


@settings(max_examples=60)
@given(integer_dots(), STAGES, FINALS)
def test_a_dot_product_with_weights_of_few_bits(spec, stages, final):
    check(IntegerDot(spec, stages, final), count=60)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "Length of a dot product must be at least 1, not 0"),
        ({"weights": (1, 0)}, "Number of constant weights must be 3, not 2"),
        ({"weights": (1, 0, -1)}, "Constant weight must be a sign bit, 0 or 1, not -1"),
    ],
)
def test_what_a_dot_product_with_signs_cannot_be(change, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        IntegerDotSpec(**{"n": 3, "source": Format(8), **change})


def count_in_hardware(unit: SaturationCounter, rows: list[list[int]], valid: list[int], clear_at: int) -> list[int]:
    """The counts after all rows, of which those that are not valid are not counted; cleared before one of them."""

    async def bench(ctx: Any) -> None:
        for n, (row, counted) in enumerate(zip(rows, valid, strict=True)):
            if n == clear_at:
                ctx.set(unit.valid, 0)
                for _ in range(unit.latency):
                    await ctx.tick()
                ctx.set(unit.clear, 1)
                await ctx.tick()
                ctx.set(unit.clear, 0)
            for i, value in enumerate(row):
                ctx.set(getattr(unit, f"x{i}"), value)
            ctx.set(unit.valid, counted)
            await ctx.tick()
        ctx.set(unit.valid, 0)
        for _ in range(unit.latency):
            await ctx.tick()
        counts.extend(ctx.get(unit.counts[level]) for level in range(unit.spec.levels))

    counts: list[int] = []
    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return counts


def test_a_reset_clears_a_counter():
    async def bench(ctx: Any) -> None:
        for added, cleared in ((5, 0), (7, 0), (7, 0), (7, 1), (3, 0), (0, 0)):
            ctx.set(more, added)
            ctx.set(reset, cleared)
            await ctx.tick()
            found.append(ctx.get(count))

    found: list[int] = []
    m, more, reset = Module(), Signal(3), Signal()
    count = count_up(m, "count", more, 4)
    simulator = Simulator(ResetInserter(reset)(m))
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == [5, 12, 15, 0, 3, 3]


@settings(max_examples=20)
@given(limited_sums(), st.integers(0, 2), st.integers(0, 29), st.integers(0, 10**6))
def test_counters_have_the_numbers_of_the_specification_and_of_the_model(spec, stages, clear_at, seed):
    torch.manual_seed(seed)
    x = torch.stack([torch.randint(low, high + 1, (30,)) for low, high in spec.ranges], 1)
    x[::3] = torch.tensor([high for _, high in spec.ranges])
    valid = torch.rand(30) < 0.8
    got = count_in_hardware(SaturationCounter(spec, stages), x.tolist(), valid.int().tolist(), clear_at)
    counted = x[clear_at:][valid[clear_at:]]
    values = {f"x{i}": column.numpy() for i, column in enumerate(counted.T)}
    assert got == spec.saturations(**values).reshape(spec.levels, -1).sum(1).tolist() or not len(counted)
    if len(counted):
        bias = torch.tensor([spec.constant]) if spec.constant else None
        ones = torch.ones(1, len(spec.ranges), dtype=torch.int64)
        assert got == saturation_counts(counted, ones, spec.rule, bias=bias)[:, 0].tolist()


def test_a_counter_stays_at_its_end_and_is_verilog():
    unit = SaturationCounter(AdderTreeSpec(ranges=((0, 3),) * 4, rule=SumSpec(width=3)), width=2)
    assert count_in_hardware(unit, [[3, 3, 0, 0]], [1], 0) == [1, 0]
    assert count_in_hardware(unit, [[3, 3, 3, 3]] * 5, [1] * 5, 0) == [3, 3]
    assert "module counter" in emit(unit, "counter")
    with pytest.raises(ValueError, match=r"^Width of a counter must be 1 to 62 bits, not 0$"):
        SaturationCounter(unit.spec, width=0)
