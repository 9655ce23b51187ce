"""The top module: a stream of samples in, a stream of classes out."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, Signature

from model.spec import LOAD_WIDTH, LayerSchedule, Pool, Schedule, Weights, memory_images, of_layer
from rtl.beat import BeatCounter
from rtl.dense_layer import DenseLayer
from rtl.layer_stage import LayerStage
from rtl.layers import build_layer, counter_ports, layer_constants
from rtl.shapes import shape_of
from rtl.unit import Unit
from rtl.weight_loader import WeightLoader
from rtl.weight_memory import WeightMemory, WeightStorage


class Network(Unit):
    """A whole network: layers, dense layer, argmax, and the sequencer of the last layer and the dense one::

        i -> stage 0 -> stage 1 -> ... -> last layer -> dense layer -> o

    Every layer but the last is a stage of a pipeline of time steps, see :class:`LayerStage`; of one layer there is only
    the last. The dense layer turns the h of the last one, which begins its next step after that.

    Latency and throughput: ``Schedule.sequence_cycles(steps)`` cycles from the first x_t being taken until
    the (last) result is valid, if no sequence before is left inside; ``Schedule.result_cycles`` for sequences that
    follow at once. With ``Pool.EACH`` every step has a result, and the last layer waits until it is taken. Numbers:
    those of :func:`model.golden.run`. ``rst`` is synchronous; it only reaches the sequencers, which then clear the
    layers for a new sequence in one cycle.

    Parameters
    ----------
    schedule, weights
        What is computed, on which hardware, with which weight codes.
    storage
        Where the weights are. ``EXTERNAL`` adds, for each memory, the ports ``<name>_addr`` (Out) and
        ``<name>_data`` (In), the word of the address one cycle before. ``LOAD`` adds the stream ``w``: after a
        reset no sample is taken until the beats of :func:`model.spec.load_stream` are, one a cycle. Between
        two sequences another beat begins a new load, before any sample that waits and when the results of all samples
        before are taken; within one it waits.
    counters
        Whether saturations are counted, in each layer whose sums can saturate.

    Raises
    ------
    ValueError
        If there are to be counters and no sum can saturate.

    Ports
    -----
    i : In, stream of {x: features numbers of the input format, last: the sequence ends here}
    o : Out, stream of {label, logits: classes numbers of ``logit_format``}, one a sequence; with ``Pool.EACH`` one a
        step, and a field more, last: the sequence ends here
    w : In, stream of ``LOAD_WIDTH`` bits, with ``LOAD`` only
    saturations : Out, with counters only; of each such layer ``x_l0`` and ``h_l0``, a counter for each level of nodes
        of its sums over x and over h: the numbers of :func:`model.saturations.saturations`, over all gates and units,
        of all samples since the last reset, complete when a result is there; see :class:`LstmLayer`
    """

    SEQUENTIAL = True
    i: stream.Interface
    w: stream.Interface
    o: stream.Interface
    saturations: Any

    def __init__(
        self,
        schedule: Schedule,
        weights: Weights,
        storage: WeightStorage = WeightStorage.ROM,
        counters: bool = False,
    ) -> None:
        self.spec = schedule
        self.images, self.storage = memory_images(schedule, weights), storage
        # Where a step is one beat the sums themselves are made for the weights; elsewhere words are chosen.
        self.constants = [
            layer_constants(s, weights, k) if storage is WeightStorage.CONST and s.groups * s.beats == 1 else None
            for k, s in enumerate(schedule.layers)
        ]
        network = schedule.network
        classes = network.dense.classes
        sample = data.StructLayout({"x": data.ArrayLayout(shape_of(network.source), network.features), "last": 1})
        result = data.StructLayout(
            {
                "label": range(classes),
                "logits": data.ArrayLayout(shape_of(network.logit_format), classes),
                **({"last": 1} if network.dense.pool is Pool.EACH else {}),
            }
        )
        ports = {"i": In(stream.Signature(sample)), "o": Out(stream.Signature(result))}
        self.counted = [counters and s.layer.saturates for s in schedule.layers]
        if counters:
            ports["saturations"] = Out(self._counters())
        if storage is WeightStorage.LOAD:
            ports["w"] = In(stream.Signature(LOAD_WIDTH))
        if storage is WeightStorage.EXTERNAL:
            for image in self.images:
                ports[f"{image.name}_addr"] = Out(image.address_width)
                ports[f"{image.name}_data"] = In(image.width)
        super().__init__(ports)

    def _counters(self) -> Signature:
        """The counters of all layers that have them."""
        if not any(self.counted):
            rules = ", ".join(dict.fromkeys(str(lstm.sums or "exact") for lstm in self.spec.network.lstms)) or "exact"
            raise ValueError(f"Sums of a network with counters must be able to saturate, not {rules!r}")
        return Signature(
            {
                of_layer(name, number): Out(counters)
                for number, layer in enumerate(self.spec.layers)
                if self.counted[number]
                for name, counters in counter_ports(layer).members.items()
            }
        )

    def build(self) -> Module:
        m = Module()
        *below, s = self.spec.layers
        pool = self.spec.network.dense.pool
        loader = self._loader(m)
        stages = [LayerStage(*each) for each in zip(below, self.constants, self.counted, strict=False)]
        hold = Signal()  # no sample is taken
        x = self._pipeline(m, stages, hold, loader)
        top = build_layer(s, self.constants[-1], self.counted[-1])
        m.submodules[f"{s.layer.kind}_layer"] = top
        m.submodules.dense_layer = dense = DenseLayer(self.spec)
        m.d.comb += [
            top.inputs.eq(x.payload.x),
            top.turn.eq(dense.turn),
            dense.lanes.eq(top.h),  # the first of them
            self.o.payload.logits.eq(dense.logits),
            self.o.payload.label.eq(dense.label),
        ]
        for number, layer in enumerate([*stages, top]):
            for name in "xh" if self.counted[number] else "":
                m.d.comb += getattr(self.saturations, of_layer(name, number)).eq(layer.saturations[name])
        counter = BeatCounter((s.groups, s.beats), (self.spec.network.dense.classes, s.h_beats))
        if top.constants is None:
            self._layer_memories(m, s, len(below), counter.address, counter.block, top, loader)
        self._memory(m, "dense_weights", counter.address, dense.weights, loader)
        self._memory(m, "dense_biases", counter.block, dense.bias, loader)

        between = Signal(reset_less=True)  # two sequences, of those that the last layer has seen
        empty = Cat(between, *(stage.idle for stage in stages)).all()  # nothing of a sequence is anywhere
        if loader:
            m.d.comb += hold.eq((stages[0].between if stages else between) & self.w.valid)
        last = Signal(reset_less=True)
        if pool is Pool.EACH:
            m.d.comb += self.o.payload.last.eq(last)
        with m.FSM():
            with m.State("RESTART"):  # after a reset; the data registers themselves have none
                m.d.comb += [top.restart.eq(1), dense.restart.eq(1)]
                m.d.sync += between.eq(1)
                m.next = "WEIGHTS" if loader else "LOAD"
            if loader:
                with m.State("WEIGHTS"):
                    m.d.comb += [hold.eq(1), loader.enable.eq(1)]
                    with m.If(loader.last):
                        m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += [x.ready.eq(1), top.load.eq(x.valid)]
                with m.If(top.load):
                    m.d.sync += [last.eq(x.payload.last), between.eq(0)]
                    m.next = "STEP"
                if loader:
                    with m.Elif(empty & self.w.valid):
                        m.next = "WEIGHTS"
            with m.State("STEP"):
                counter.run(m, top.beat, 0, "STEP_END")
            with m.State("STEP_END"), m.If(top.done):
                m.next = "DENSE"
                if pool is Pool.LAST:
                    with m.If(~last):
                        m.next = "LOAD"
            with m.State("DENSE"):
                counter.run(m, dense.beat, 1, "DENSE_END")
            with m.State("DENSE_END"), m.If(dense.done):
                m.next = "RESULT"
                if pool is Pool.MEAN:
                    with m.If(~last):
                        m.next = "LOAD"
            with m.State("RESULT"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "LOAD"
                    with m.If(last):
                        m.d.comb += [top.restart.eq(1), dense.restart.eq(1)]
                        m.d.sync += between.eq(1)
        return m

    def _loader(self, m: Module) -> WeightLoader | None:
        """What fills writable memories from port ``w``, if there are any."""
        if self.storage is not WeightStorage.LOAD:
            return None
        m.submodules.weight_loader = loader = WeightLoader(self.images)
        m.d.comb += [loader.w.valid.eq(self.w.valid), self.w.ready.eq(loader.w.ready)]
        return loader

    def _pipeline(self, m: Module, stages: list[LayerStage], hold: Signal, loader: WeightLoader | None) -> Any:
        """Connect the stages one behind the other, from port ``i`` on; the stream that the last layer takes."""
        given: Any = stream.Signature(self.i.payload.shape()).create()
        m.d.comb += [
            given.payload.eq(self.i.payload),
            given.valid.eq(self.i.valid & ~hold),
            self.i.ready.eq(given.ready & ~hold),
        ]
        for layer, stage in enumerate(stages):
            m.submodules[f"{stage.module_name}_{layer}"] = stage
            m.d.comb += [
                stage.i.payload.eq(given.payload),
                stage.i.valid.eq(given.valid),
                given.ready.eq(stage.i.ready),
            ]
            if stage.constants is None:
                self._layer_memories(m, stage.spec, layer, stage.address, stage.group, stage, loader)
            given = stage.o
        return given

    def _layer_memories(
        self, m: Module, s: LayerSchedule, layer: int, address: Value, group: Value, ports: Any, loader: Any
    ) -> None:
        """Connect the weight ports of a layer to its two memories."""
        self._memory(m, of_layer(f"{s.layer.kind}_weights", layer), address, ports.weights, loader)
        self._memory(m, of_layer(f"{s.layer.kind}_biases", layer), group, ports.biases, loader)

    def _memory(self, m: Module, name: str, address: Value, port: Any, loader: WeightLoader | None) -> None:
        """Connect a layer's weight port to its memory, inside or outside."""
        if self.storage is WeightStorage.EXTERNAL:
            m.d.comb += getattr(self, f"{name}_addr").eq(address)
            word = getattr(self, f"{name}_data")
        else:
            number = [image.name for image in self.images].index(name)
            m.submodules[name] = memory = WeightMemory(self.images[number], self.storage)
            m.d.comb += memory.addr.eq(address)
            word = memory.data
            if loader:
                m.d.comb += [
                    memory.write.eq(loader.write[number] << loader.chunk),
                    memory.write_addr.eq(loader.address),
                    memory.write_data.eq(self.w.payload),
                ]
        m.d.comb += (port if isinstance(port, Signal) else port.as_value()).eq(word)
