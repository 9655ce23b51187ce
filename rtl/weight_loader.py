"""Where each beat of the stream of weights belongs."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from model.spec import LOAD_WIDTH, MemoryImage, load_chunks
from rtl.unit import Unit


class WeightLoader(Unit):
    """Counts the beats of :func:`model.spec.load_stream`: memory, word, 32 bits of the word.

    Latency 0: a beat is written at the end of the cycle in which it is taken. Throughput a beat a cycle, so a
    load takes ``len(load_stream(images))`` cycles if the stream never waits. After its last beat, and after a
    reset, the next beat is the first of a load.

    Parameters
    ----------
    images
        The memories, of which only width and depth matter.

    Ports
    -----
    enable : In; beats are taken
    w : In, stream of ``LOAD_WIDTH`` bits
    write : Out, one bit a memory; the beat goes into this one
    address : Out; word of the memory
    chunk : Out; which ``LOAD_WIDTH`` bits of the word, lowest first
    last : Out; the last beat of a load is taken in this cycle
    """

    SEQUENTIAL = True
    enable: Value
    w: stream.Interface
    write: Value
    address: Value
    chunk: Value
    last: Value

    def __init__(self, images: tuple[MemoryImage, ...]) -> None:
        self.spec = images
        super().__init__(
            {
                "enable": In(1),
                "w": In(stream.Signature(LOAD_WIDTH)),
                "write": Out(len(images)),
                "address": Out(range(max(image.depth for image in images))),
                "chunk": Out(range(max(2, *(load_chunks(image) for image in images)))),
                "last": Out(1),
            }
        )

    def build(self) -> Module:
        m = Module()
        memory = Signal(range(len(self.spec)))
        address, chunk = Signal.like(self.address), Signal.like(self.chunk)
        taken, word_ends, memory_ends = Signal(), Signal(), Signal()
        m.d.comb += [
            self.w.ready.eq(self.enable),
            taken.eq(self.w.valid & self.enable),
            word_ends.eq(chunk == Array(load_chunks(image) - 1 for image in self.spec)[memory]),
            memory_ends.eq(word_ends & (address == Array(image.depth - 1 for image in self.spec)[memory])),
            self.write.eq(taken << memory),
            self.address.eq(address),
            self.chunk.eq(chunk),
            self.last.eq(taken & memory_ends & (memory == len(self.spec) - 1)),
        ]
        with m.If(taken):
            m.d.sync += chunk.eq(chunk + 1)
            with m.If(word_ends):
                m.d.sync += [chunk.eq(0), address.eq(address + 1)]
            with m.If(memory_ends):
                m.d.sync += [address.eq(0), memory.eq(memory + 1)]
            with m.If(self.last):
                m.d.sync += memory.eq(0)
        return m
