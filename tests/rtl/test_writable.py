"""Units whose layers are written, and units between streams, in Amaranth's simulator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from model.spec import EnqSpec, KnqSpec, LayersQuantizerSpec, LayersReconstructSpec, LayersSpec
from rtl.enq import EnqQuantizer
from rtl.knq import KnqQuantizer, KnqReconstruct
from rtl.nonuniform_tables import (
    WritableEnqQuantizer,
    WritableEnqReconstruct,
    WritableKnqQuantizer,
    WritableKnqReconstruct,
)
from rtl.streamed import Streamed

few = settings(max_examples=8)


def run(unit: Any, bench: Any) -> None:
    """Run ``bench(context)``, which is to end within 20,000 cycles."""
    simulator, ended = Simulator(unit), []

    async def process(context: Any) -> None:
        await bench(context)
        ended.append(True)

    simulator.add_clock(1e-6)
    simulator.add_testbench(process)
    simulator.run_until(2e-2)
    assert ended, "the bench must end"


async def write(ctx: Any, unit: Any, words: Any, index: bool) -> None:
    """Words, one a cycle."""
    ctx.set(unit.write, 1)
    for layer, code, word in words:
        if index:
            ctx.set(unit.write_layer, layer)
        if hasattr(unit, "write_code"):
            ctx.set(unit.write_code, code)
        ctx.set(unit.write_data, word)
        await ctx.tick()
    ctx.set(unit.write, 0)


async def outputs(ctx: Any, unit: Any, values: Any, layers: Any) -> list[int]:
    """An input each cycle, and what comes out ``latency`` cycles later."""
    port, seen = unit.x if hasattr(unit, "x") else unit.code, []
    for n in range(len(values) + unit.latency):
        ctx.set(port, int(values[min(n, len(values) - 1)]))
        if hasattr(unit, "layer"):
            ctx.set(unit.layer, int(layers[min(n, len(values) - 1)]))
        await ctx.delay(1e-7)
        seen.append(ctx.get(unit.o))
        await ctx.tick()
    return seen[unit.latency :]


def check_written(make: Any, spec: Any, first: LayersSpec, second: LayersSpec) -> None:
    """Equal to the golden function of the layers at the start, and of those that are written, for every input."""
    count, width = 1 << first.index_bits, spec(first).source.width
    values, layers = (each.ravel() for each in np.meshgrid(np.arange(1 << width), np.arange(count)))
    unit = make(spec(first))

    async def bench(ctx: Any) -> None:
        assert await outputs(ctx, unit, values, layers) == spec(first).compute(values, layers).tolist()
        # Words for indices beyond the last are ignored.
        beyond = [(layer, 1, 1) for layer in range(len(first.layers), count)]
        await write(ctx, unit, [*spec(second).words, *beyond], first.index_bits > 0)
        assert await outputs(ctx, unit, values, layers) == spec(second).compute(values, layers).tolist()

    run(unit, bench)


def quantizer(more: int) -> Any:
    return lambda layers: LayersQuantizerSpec(layers=layers, x_bits=layers.q_bits + more)


def reconstruct(layers: LayersSpec) -> LayersReconstructSpec:
    return LayersReconstructSpec(layers=layers)


@few
@given(st.data(), st.integers(1, 5), st.integers(0, 2), st.integers(0, 2))
def test_shifts_are_written(data, q_bits, stages, more):
    most = data.draw(st.integers(1, q_bits))
    count = data.draw(st.integers(1, 6))

    def layers() -> LayersSpec:
        bits = [most, *(data.draw(st.integers(1, most)) for _ in range(count - 1))]
        return LayersSpec(layers=tuple(EnqSpec(q_bits=q_bits, bits=each) for each in bits))

    first, second = layers(), layers()
    check_written(lambda spec: WritableEnqQuantizer(spec, stages), quantizer(more), first, second)
    check_written(lambda spec: WritableEnqReconstruct(spec, stages), reconstruct, first, second)


def knq(q_bits: int, most: int, count: int, seed: int) -> LayersSpec:
    """Layers of which the first has the most centroids; some repeat or are past the range."""
    rng = np.random.default_rng(seed)
    bits = [most, *rng.integers(1, most + 1, count - 1).tolist()]
    rows = (sorted(rng.integers(0, (1 << q_bits) + 1, 1 << each).tolist()) for each in bits)
    return LayersSpec(layers=tuple(KnqSpec(q_bits=q_bits, centroids=tuple(row)) for row in rows))


@few
@given(st.data(), st.integers(1, 5), st.integers(1, 6), st.integers(0, 2), st.integers(0, 1000))
def test_centroids_are_written(data, q_bits, count, more, seed):
    most = data.draw(st.integers(1, min(q_bits, 4)))
    first, second = knq(q_bits, most, count, seed), knq(q_bits, most, count, seed + 1)
    check_written(WritableKnqQuantizer, quantizer(more), first, second)
    check_written(WritableKnqReconstruct, reconstruct, first, second)


def test_a_word_in_the_wrong_place_is_caught(monkeypatch):
    words: Any = vars(LayersQuantizerSpec)["words"].fget
    swapped = {5: 6, 6: 5}
    monkeypatch.setattr(
        LayersQuantizerSpec,
        "words",
        property(lambda self: tuple((layer, swapped.get(code, code), word) for layer, code, word in words(self))),
    )
    with pytest.raises(AssertionError):
        check_written(WritableKnqQuantizer, quantizer(0), knq(5, 3, 2, 0), knq(5, 3, 2, 1))


def check_stream(unit: Any, stall: float, seed: int, *, count: int = 60) -> int:
    """Random payloads through a stream that waits at random on both sides; the number of cycles."""
    rng = np.random.default_rng(seed)
    width, indices = unit.spec.source.width, 1 << unit.spec.layers.index_bits
    values, layers = rng.integers(0, 1 << width, count), rng.integers(0, indices, count)
    expected, streamed = unit.spec.compute(values, layers).tolist(), Streamed(unit)
    name, seen, cycles = ("x" if hasattr(unit, "x") else "code"), [], []

    async def bench(ctx: Any) -> None:
        given, valid, cycle, waiting = 0, False, 0, None
        while len(seen) < count:
            valid = valid or (given < count and rng.random() >= stall)
            ctx.set(streamed.i.valid, valid)
            if valid:
                index = {"layer": int(layers[given])} if indices > 1 else {}
                ctx.set(streamed.i.payload, {name: int(values[given]), **index})
            # Neither valid nor ready moves with the other side of this cycle.
            ctx.set(streamed.o.ready, 0)
            before = ctx.get(streamed.o.valid), ctx.get(streamed.i.ready)
            ready = rng.random() >= stall
            ctx.set(streamed.o.ready, ready)
            assert (ctx.get(streamed.o.valid), ctx.get(streamed.i.ready)) == before
            payload = ctx.get(streamed.o.payload) if before[0] else None
            assert waiting is None or payload == waiting  # holds until it is taken
            waiting = None if ready else payload
            if before[0] and ready:
                seen.append(payload)
            if valid and before[1]:
                given, valid = given + 1, False
            await ctx.tick()
            cycle += 1
        cycles.append(cycle)

    run(streamed, bench)
    assert seen == expected
    return cycles[0]


UNITS = {
    "enq": lambda: EnqQuantizer(LayersQuantizerSpec(layers=LayersSpec(layers=(EnqSpec(bits=5), EnqSpec(bits=4))))),
    "knq": lambda: KnqQuantizer(LayersQuantizerSpec(layers=knq(6, 3, 3, 0)), 2),
    "one layer": lambda: KnqReconstruct(LayersReconstructSpec(layers=knq(6, 3, 1, 0)), 1),
    "memory": lambda: WritableKnqReconstruct(LayersReconstructSpec(layers=knq(6, 3, 3, 0))),
    "search": lambda: WritableKnqQuantizer(LayersQuantizerSpec(layers=knq(6, 4, 5, 0))),
}


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize("stall", [0.0, 0.2, 0.8])
def test_a_stream_gives_every_code_once_in_order(name, stall):
    unit = UNITS[name]()
    cycles = check_stream(unit, stall, 3)
    if not stall:
        assert cycles == 60 + unit.latency + 1  # one a cycle, and the latency


def test_a_queue_too_short_is_caught(monkeypatch):
    unit = UNITS["search"]()
    latency = unit.latency
    build = Streamed.build

    def short(self: Any) -> Any:
        self.unit.latency = latency - 1  # an output is taken a cycle early
        return build(self)

    monkeypatch.setattr(Streamed, "build", short)
    with pytest.raises(AssertionError):
        check_stream(unit, 0.2, 3)
