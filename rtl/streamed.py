"""Any unit between two streams."""

from __future__ import annotations

import itertools
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Flow, In, Out

from rtl.unit import Unit


class Streamed(Unit):
    """A unit of fixed latency that takes its inputs from a stream and gives its output to one.

    Neither stream waits for the other within a cycle: valid waits for nobody, ready is known at the start of the cycle,
    and a payload holds until it is taken. Latency ``unit.latency + 1`` cycles, throughput one a cycle; at most
    ``unit.latency + 2`` payloads are on their way. A reset forgets them.

    Parameters
    ----------
    unit
        Inputs and an output ``o``; it may have registers, but its latency is fixed.

    Ports
    -----
    i : In, stream of a structure of the unit's inputs, the first in the lowest bits
    o : Out, stream of the unit's ``o``
    write... : In, as of the unit; not part of the stream
    """

    SEQUENTIAL = True
    i: stream.Interface
    o: stream.Interface

    def __init__(self, unit: Any) -> None:
        self.unit, self.spec, self.variant = unit, unit.spec, (unit.key,)
        inputs = {name: member for name, member in unit.signature.members.items() if member.flow == Flow.In}
        self._writes = [name for name in inputs if name.startswith("write")]
        self.fields = {name: inputs[name].shape for name in inputs if name not in self._writes}
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout(self.fields))),
                "o": Out(stream.Signature(unit.signature.members["o"].shape)),
                **{name: inputs[name] for name in self._writes},
            }
        )

    def build(self) -> Module:
        m = Module()
        m.submodules.unit = unit = self.unit
        depth = unit.latency + 2
        used = Signal(range(depth + 1))  # payloads taken and not given yet
        held = Signal(range(depth + 1))  # of these, those that wait as outputs
        take = Signal()
        give = Signal()
        m.d.comb += [
            self.i.ready.eq(used != depth),
            self.o.valid.eq(held != 0),
            take.eq(self.i.valid & self.i.ready),
            give.eq(self.o.valid & self.o.ready),
            *(getattr(unit, name).eq(getattr(self.i.payload, name)) for name in self.fields),
            *(getattr(unit, name).eq(getattr(self, name)) for name in self._writes),
        ]
        arrives = take
        for _ in range(unit.latency):
            following = Signal()
            m.d.sync += following.eq(arrives)
            arrives = following
        m.d.sync += [used.eq(used + take - give), held.eq(held + arrives - give)]
        # The outputs in their order; that which is given next is the first.
        outputs = [Signal.like(self.o.payload, name=f"output_{n}", reset_less=True) for n in range(depth)]
        m.d.comb += self.o.payload.eq(outputs[0])
        with m.If(give):
            m.d.sync += [output.eq(after) for output, after in itertools.pairwise(outputs)]
        with m.If(arrives), m.Switch(held - give):
            for place, output in enumerate(outputs):
                with m.Case(place):
                    m.d.sync += output.eq(unit.o)
        return m
