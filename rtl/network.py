"""The top module: a stream of samples in, a stream of classes out."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from model.spec import LOAD_WIDTH, MemoryImage, Pool, Schedule, Weights, memory_images
from rtl.dense_layer import DenseLayer
from rtl.lstm_layer import Beat, LstmLayer
from rtl.shapes import shape_of
from rtl.unit import Unit
from rtl.weight_loader import WeightLoader
from rtl.weight_memory import WeightMemory, WeightStorage


class Network(Unit):
    """A whole network: LSTM layer, dense layer, argmax, and the sequencer that drives them.

    Latency and throughput: ``Schedule.sequence_cycles(steps)`` cycles from the first x_t being taken until
    the result is valid; x_t is taken once every ``Schedule.step_cycles`` cycles (with ``Pool.MEAN``, plus
    ``Schedule.dense_cycles``). Numbers: those of :func:`model.golden.run`. ``rst`` is synchronous; it
    only reaches the sequencer, which then clears the layers for a new sequence in one cycle.

    Parameters
    ----------
    schedule, weights
        What is computed, on which hardware, with which weight codes.
    storage
        Where the weights are. ``EXTERNAL`` adds, for each memory, the ports ``<name>_addr`` (Out) and
        ``<name>_data`` (In), the word of the address one cycle before. ``LOAD`` adds the stream ``w``: after a
        reset no sample is taken until the beats of :func:`model.spec.load_stream` are, one a cycle. Between
        two sequences another beat begins a new load, before any sample that waits; within one it waits.

    Ports
    -----
    i : In, stream of {x: features numbers of the input format, last: the sequence ends here}
    o : Out, stream of {label, logits: classes numbers of ``logit_format``}, one a sequence
    w : In, stream of ``LOAD_WIDTH`` bits, with ``LOAD`` only
    """

    SEQUENTIAL = True
    i: stream.Interface
    w: stream.Interface
    o: stream.Interface

    def __init__(
        self,
        schedule: Schedule,
        weights: Weights,
        storage: WeightStorage = WeightStorage.ROM,
    ) -> None:
        self.spec = schedule
        self.images, self.storage = memory_images(schedule, weights), storage
        # Where a step is one beat the sums themselves are made for the weights; elsewhere words are chosen.
        one_beat = schedule.groups * schedule.beats == 1
        self.constants = weights if storage is WeightStorage.CONST and one_beat else None
        network = schedule.network
        lstm, classes = network.lstm, network.dense.classes
        sample = data.StructLayout({"x": data.ArrayLayout(shape_of(lstm.source), lstm.features), "last": 1})
        result = data.StructLayout(
            {
                "label": range(classes),
                "logits": data.ArrayLayout(shape_of(network.logit_format), classes),
            }
        )
        ports = {"i": In(stream.Signature(sample)), "o": Out(stream.Signature(result))}
        if storage is WeightStorage.LOAD:
            ports["w"] = In(stream.Signature(LOAD_WIDTH))
        if storage is WeightStorage.EXTERNAL:
            for image in self.images:
                ports[f"{image.name}_addr"] = Out(image.address_width)
                ports[f"{image.name}_data"] = In(image.width)
        super().__init__(ports)

    def build(self) -> Module:
        m = Module()
        s = self.spec
        m.submodules.lstm_layer = lstm = LstmLayer(s, self.constants)
        m.submodules.dense_layer = dense = DenseLayer(s)
        blocks = max(s.groups, s.network.dense.classes)
        last, address, beat = Signal(reset_less=True), Signal(range(blocks * s.beats)), Signal(range(s.beats))
        block = Signal(range(blocks))  # a group of units, or a class
        last_beat = beat == s.beats - 1
        loader = WeightLoader(self.images) if self.storage is WeightStorage.LOAD else None
        ports = ((lstm, "weights"), (lstm, "biases"), (dense, "weights"), (dense, "bias"))
        for image, (layer, name), at in zip(self.images, ports, (address, block, address, block), strict=True):
            if name in layer.signature.members:
                self._memory(m, image, at, getattr(layer, name), loader)

        def run(layer_beat: Beat, blocks: int, following: str) -> None:
            """A beat a cycle, for every group of units or every class."""
            final = block == blocks - 1
            m.d.comb += [
                layer_beat.valid.eq(1),
                layer_beat.first.eq(beat == 0),
                layer_beat.last.eq(last_beat),
                layer_beat.final.eq(final),
            ]
            m.d.sync += [address.eq(address + 1), beat.eq(beat + 1)]
            with m.If(last_beat):
                m.d.sync += [beat.eq(0), block.eq(block + 1)]
                with m.If(final):
                    m.d.sync += [address.eq(0), block.eq(0)]
                    m.next = following

        restart = Signal()
        m.d.comb += [lstm.restart.eq(restart), dense.restart.eq(restart)]
        m.d.comb += [lstm.samples.eq(self.i.payload.x), lstm.turn.eq(dense.turn)]
        m.d.comb += [
            dense.lanes.eq(lstm.lanes),
            self.o.payload.logits.eq(dense.logits),
            self.o.payload.label.eq(dense.label),
        ]
        between = Signal(reset_less=True)  # two sequences
        with m.FSM():
            with m.State("RESTART"):  # after a reset; the data registers themselves have none
                m.d.comb += restart.eq(1)
                m.d.sync += between.eq(1)
                m.next = "WEIGHTS" if loader else "LOAD"
            if loader:
                m.submodules.weight_loader = loader
                m.d.comb += [loader.w.valid.eq(self.w.valid), self.w.ready.eq(loader.w.ready)]
                with m.State("WEIGHTS"):
                    m.d.comb += loader.enable.eq(1)
                    with m.If(loader.last):
                        m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += lstm.load.eq(self.i.valid & self.i.ready)
                m.d.comb += self.i.ready.eq(~(between & self.w.valid) if loader else 1)
                with m.If(lstm.load):
                    m.d.sync += [last.eq(self.i.payload.last), between.eq(0)]
                    m.next = "STEP"
                if loader:
                    with m.Elif(~self.i.ready):
                        m.next = "WEIGHTS"
            with m.State("STEP"):
                run(lstm.beat, s.groups, "STEP_END")
            with m.State("STEP_END"), m.If(lstm.done):
                m.next = "DENSE"
                if s.network.dense.pool is Pool.LAST:
                    with m.If(~last):
                        m.next = "LOAD"
            with m.State("DENSE"):
                run(dense.beat, s.network.dense.classes, "DENSE_END")
            with m.State("DENSE_END"), m.If(dense.done):
                m.next = "LOAD"
                with m.If(last):
                    m.next = "RESULT"
            with m.State("RESULT"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.comb += restart.eq(1)
                    m.d.sync += between.eq(1)
                    m.next = "LOAD"
        return m

    def _memory(
        self, m: Module, image: MemoryImage, address: Signal, port: object, loader: WeightLoader | None
    ) -> None:
        """Connect a layer's weight port to its memory, inside or outside."""
        if self.storage is WeightStorage.EXTERNAL:
            m.d.comb += getattr(self, f"{image.name}_addr").eq(address)
            word = getattr(self, f"{image.name}_data")
        else:
            m.submodules[image.name] = memory = WeightMemory(image, self.storage)
            m.d.comb += memory.addr.eq(address)
            word = memory.data
            if loader:
                m.d.comb += [
                    memory.write.eq(loader.write[self.images.index(image)] << loader.chunk),
                    memory.write_addr.eq(loader.address),
                    memory.write_data.eq(self.w.payload),
                ]
        m.d.comb += (port if isinstance(port, Signal) else port.as_value()).eq(word)  # type: ignore[attr-defined]
