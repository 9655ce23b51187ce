"""Beats: what a layer is told each cycle, and the counters that tell it."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data


class Beat(data.Struct):
    """A cycle of work, announced with the address of its weights."""

    valid: 1
    first: 1  #: of its group of units (of its class)
    last: 1  #: of its group (of its class)
    final: 1  #: in all beats of the last group of the step (of the last class of the pass)


class BeatCounter:
    """Where a pass is: a pass takes block after block, a group of units or a class, each for some beats.

    All are 0 before a pass, and again after it.

    Parameters
    ----------
    passes
        Blocks and beats of each kind of pass.

    Attributes
    ----------
    block, beat
        The block, and the beat within it.
    address
        ``block * beats + beat``.
    """

    def __init__(self, *passes: tuple[int, int]) -> None:
        self._passes = passes
        self.address = Signal(range(max(blocks * beats for blocks, beats in passes)))
        self.block = Signal(range(max(blocks for blocks, _ in passes)))
        self.beat = Signal(range(max(beats for _, beats in passes)))

    def run(self, m: Module, layer_beat: Beat, kind: int, following: str) -> None:
        """In a state of an FSM: announce a beat a cycle, for every block of a pass, then go to state ``following``."""
        blocks, beats = self._passes[kind]
        last, final = self.beat == beats - 1, self.block == blocks - 1
        m.d.comb += [
            layer_beat.valid.eq(1),
            layer_beat.first.eq(self.beat == 0),
            layer_beat.last.eq(last),
            layer_beat.final.eq(final),
        ]
        m.d.sync += [self.address.eq(self.address + 1), self.beat.eq(self.beat + 1)]
        with m.If(last):
            m.d.sync += [self.beat.eq(0), self.block.eq(self.block + 1)]
            with m.If(final):
                m.d.sync += [self.address.eq(0), self.block.eq(0)]
                m.next = following
