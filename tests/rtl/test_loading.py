"""Loading weights: twice, broken off, and while samples wait; results against the golden function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ClockDomain, Module, ResetSignal, Signal
from amaranth.sim import Simulator

from model import golden
from model.random_network import random_network, stored
from model.spec import LOAD_WIDTH, Folding, Schedule, load_chunks, load_stream, memory_images
from rtl.network import Network
from rtl.weight_memory import WeightStorage

FOLDINGS = [Folding(pe=2, simd=2), Folding(pe=3, simd=99)]


@pytest.fixture(scope="module")
def case():
    """A specification, two sets of weights for it, and samples that they classify differently."""
    mlb, x = random_network(features=2, hidden=3, classes=3, a=1, w=2, steps=2, batch=4, gain=6.0)
    spec, first, samples = mlb.spec(), mlb.weights(), stored(mlb, x)
    rng = np.random.default_rng(0)
    second = {name: rng.integers(0, 1 << 2, codes.shape, np.uint8) for name, codes in first.items()}
    return spec, first, second, samples


class Host:
    """Drives a network in Amaranth's simulator."""

    def __init__(self, network: Any, rst: Signal, context: Any):
        self.network, self.rst, self.context = network, rst, context

    async def send(self, beats):
        """Beats, one a cycle as long as they are taken; the number of cycles."""
        ctx, w = self.context, self.network.w
        cycles = 0
        for beat in beats:
            ctx.set(w.payload, beat)
            ctx.set(w.valid, 1)
            while True:
                ready = ctx.get(w.ready)
                assert not (ready and ctx.get(self.network.i.ready))
                await ctx.tick()
                cycles += 1
                if ready:
                    break
        ctx.set(w.valid, 0)
        return cycles

    async def sample(self, row, last):
        """Give one sample."""
        ctx, i = self.context, self.network.i
        ctx.set(i.payload, {"x": row.tolist(), "last": last})
        ctx.set(i.valid, 1)
        while not ctx.get(i.ready):
            await ctx.tick()
        await ctx.tick()
        ctx.set(i.valid, 0)

    async def classify(self, sequences):
        """Give sequences and take their logits."""
        ctx, o, found = self.context, self.network.o, []
        for sequence in sequences:
            for row in sequence[:-1]:
                await self.sample(row, 0)
            await self.sample(sequence[-1], 1)
            while not ctx.get(o.valid):
                await ctx.tick()
            found.append(list(ctx.get(o.payload.logits)))
            ctx.set(o.ready, 1)
            await ctx.tick()
            ctx.set(o.ready, 0)
        return found

    async def reset(self):
        self.context.set(self.rst, 1)
        await self.context.tick()
        self.context.set(self.rst, 0)


def simulate(spec, weights, folding, bench):
    """Run ``bench(host)``, which is to end within 20,000 cycles."""
    m, rst = Module(), Signal()
    m.domains.sync = ClockDomain()
    m.submodules.network = network = Network(Schedule(network=spec, folding=folding), weights, WeightStorage.LOAD)
    m.d.comb += ResetSignal().eq(rst)
    simulator, ended = Simulator(m), []

    async def process(context):
        await bench(Host(network, rst, context))
        ended.append(True)

    simulator.add_clock(1e-6)
    simulator.add_testbench(process)
    simulator.run_until(2e-2)
    assert ended, "the bench must end"


def beats(spec, folding, weights):
    return load_stream(memory_images(Schedule(network=spec, folding=folding), weights))


def logits(spec, weights, samples):
    return golden.run(spec, weights, samples).logits.tolist()


@pytest.mark.parametrize("folding", FOLDINGS, ids=["folded", "parallel"])
def test_two_loads_give_the_results_of_two_networks(folding, case):
    spec, first, second, samples = case
    assert logits(spec, first, samples) != logits(spec, second, samples)

    async def bench(host):
        for weights in (first, second):
            stream = beats(spec, folding, weights)
            cycles = await host.send(stream)
            # One more: from idle to loading, or from the reset to idle.
            assert cycles == len(stream) + 1
            assert await host.classify(samples) == logits(spec, weights, samples)

    simulate(spec, first, folding, bench)


def test_no_sample_is_taken_before_the_last_beat(case):
    spec, first, _, samples = case
    stream = beats(spec, FOLDINGS[0], first)

    async def bench(host):
        ctx, i = host.context, host.network.i
        ctx.set(i.valid, 1)
        ctx.set(i.payload, {"x": samples[0, 0].tolist(), "last": 0})
        await host.send(stream[:-1])
        for _ in range(10):  # however long the host takes
            assert not ctx.get(i.ready)
            await ctx.tick()
        await host.send(stream[-1:])
        assert ctx.get(i.ready)
        assert await host.classify(samples) == logits(spec, first, samples)

    simulate(spec, first, FOLDINGS[0], bench)


def test_a_broken_off_load_and_a_reset_start_anew(case):
    spec, first, second, samples = case
    stream = beats(spec, FOLDINGS[0], second)
    places = [1, len(stream) // 2, len(stream) - 1]

    async def bench(host):
        for place in places:
            await host.send(stream[:place])
            await host.reset()
            await host.send(beats(spec, FOLDINGS[0], first))
            assert await host.classify(samples) == logits(spec, first, samples)
            await host.reset()  # after a whole load too, all weights are asked for

    simulate(spec, first, FOLDINGS[0], bench)


def test_a_beat_within_a_sequence_waits_for_its_end(case):
    spec, first, second, samples = case
    stream = beats(spec, FOLDINGS[0], second)

    async def bench(host):
        ctx, w = host.context, host.network.w
        await host.send(beats(spec, FOLDINGS[0], first))
        await host.sample(samples[0, 0], 0)
        ctx.set(w.payload, stream[0])
        ctx.set(w.valid, 1)
        for _ in range(100):
            assert not ctx.get(w.ready)
            await ctx.tick()
        await host.sample(samples[0, 1], 1)
        while not ctx.get(host.network.o.valid):
            assert not ctx.get(w.ready)
            await ctx.tick()
        assert list(ctx.get(host.network.o.payload.logits)) == logits(spec, first, samples[:1])[0]
        ctx.set(host.network.o.ready, 1)
        await ctx.tick()
        ctx.set(host.network.o.ready, 0)
        await host.send(stream)
        assert await host.classify(samples) == logits(spec, second, samples)

    simulate(spec, first, FOLDINGS[0], bench)


@pytest.mark.parametrize("folding", [*FOLDINGS, Folding(pe=3, simd=1)])
def test_the_beats_hold_the_images(folding, case):
    spec, first, _, _ = case
    images = memory_images(Schedule(network=spec, folding=folding), first)
    stream = list(beats(spec, folding, first))
    assert all(0 <= beat < 1 << LOAD_WIDTH for beat in stream)
    for image in images:
        size = load_chunks(image)
        for row in image.rows:
            word, stream = stream[:size], stream[size:]
            assert sum(beat << (LOAD_WIDTH * place) for place, beat in enumerate(word)) == row
    assert stream == []


@pytest.fixture(scope="module")
def stacked():
    """Two layers, two sets of weights for them, samples, and the logits with each."""
    mlb, x = random_network(features=1, hidden=2, classes=2, a=1, w=2, steps=2, batch=2, gain=6.0, layers=2)
    spec, first, samples = mlb.spec(), mlb.weights(), stored(mlb, x)
    rng = np.random.default_rng(1)
    second = {name: rng.integers(0, 1 << 2, codes.shape, np.uint8) for name, codes in first.items()}
    wanted = [logits(spec, weights, samples) for weights in (first, second)]
    assert wanted[0] != wanted[1]
    return spec, first, second, samples, wanted


def test_a_load_waits_until_the_pipeline_is_empty(stacked):
    """Of two layers the first has nothing to do long before the result is taken; sample and beat wait till then."""
    spec, first, second, samples, wanted = stacked
    folding = Folding(pe=2, simd=99)

    async def bench(host):
        ctx, i, w, o = host.context, host.network.i, host.network.w, host.network.o
        stream = beats(spec, folding, first)
        ctx.set(i.valid, 1)
        await host.send(stream[:-1])
        for _ in range(5):  # a sample waits, however long the host takes
            assert not ctx.get(i.ready)
            await ctx.tick()
        ctx.set(i.valid, 0)
        await host.send(stream[-1:])
        await host.sample(samples[0, 0], 0)
        await host.sample(samples[0, 1], 1)
        stream = beats(spec, folding, second)
        ctx.set(w.payload, stream[0])
        ctx.set(w.valid, 1)
        ctx.set(i.payload, {"x": samples[1, 0].tolist(), "last": 0})
        ctx.set(i.valid, 1)
        waited = 0
        while not ctx.get(o.valid) or waited < 100:
            assert not ctx.get(i.ready)
            assert not ctx.get(w.ready)
            await ctx.tick()
            waited += 1
        assert list(ctx.get(o.payload.logits)) == wanted[0][0]
        ctx.set(o.ready, 1)
        await ctx.tick()
        ctx.set(o.ready, 0)
        assert await host.send(stream) == len(stream) + 1
        assert await host.classify(samples) == wanted[1]

    simulate(spec, first, folding, bench)


def test_a_sample_that_is_inside_comes_before_a_load(stacked):
    """The first layer already works on the next sequence when the beat comes; the load is for the one after."""
    spec, first, _, samples, wanted = stacked
    folding = Folding(pe=2, simd=99)

    async def bench(host):
        ctx, w, o = host.context, host.network.w, host.network.o

        async def result(expected):
            assert list(ctx.get(o.payload.logits)) == expected
            ctx.set(o.ready, 1)
            await ctx.tick()
            ctx.set(o.ready, 0)

        await host.send(beats(spec, folding, first))
        await host.sample(samples[0, 0], 0)
        await host.sample(samples[0, 1], 1)
        while not ctx.get(o.valid):
            await ctx.tick()
        await host.sample(samples[1, 0], 0)
        ctx.set(w.valid, 1)
        await result(wanted[0][0])  # now the last layer is between two sequences, and the first one is not
        for _ in range(100):
            assert not ctx.get(w.ready)
            await ctx.tick()
        await host.sample(samples[1, 1], 1)
        while not ctx.get(o.valid):
            assert not ctx.get(w.ready)
            await ctx.tick()
        await result(wanted[0][1])
        await ctx.tick()
        assert ctx.get(w.ready)

    simulate(spec, first, folding, bench)
