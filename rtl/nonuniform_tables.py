"""Units of nonuniform quantization whose layers can be written: shifts in registers, centroids in memories.

Every unit begins with the layers of its specification, as far as registers and memories have initial values: a reset
brings the shifts back, and memories hold centroids from the start in simulators and FPGAs; elsewhere they are written
first.  ``spec.words`` is what to write.  A word that is written is used by what enters in the cycles after; what is on
its way through a search may meet it or not.  Words for an index beyond the last are ignored.

The ports of a write: ``write``, one word this cycle; ``write_layer``, which layer (none of one layer); ``write_code``,
which code (KNQ); ``write_data``, the word: a shift ``q_m - E``, which is at least ``q_m - code_bits`` and below q_m, or
a centroid, of QK up to ``2**q_m``.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import memory
from amaranth.lib.wiring import In

from model.spec import EnqSpec, KnqSpec, LayersQuantizerSpec, LayersReconstructSpec, LayersSpec
from rtl.decisions import table_code
from rtl.logic import delayed
from rtl.nonuniform import LayersUnit, by_index, index_port, saturated


class WritableUnit(LayersUnit):
    """Base of units with a port through which layers are written."""

    SEQUENTIAL = True
    write: Value
    write_layer: Value
    write_code: Value
    write_data: Value

    def __init__(self, spec: LayersQuantizerSpec | LayersReconstructSpec, latency: int) -> None:
        self._data = (
            (spec.layers.q_bits - 1).bit_length() or 1
            if self.KIND is EnqSpec
            else spec.layers.q_bits + isinstance(spec, LayersQuantizerSpec)
        )
        super().__init__(spec, latency)

    def more_ports(self) -> dict[str, Any]:
        """The ports of a write."""
        layers: LayersSpec = self.spec.layers
        code = {"write_code": In(layers.code_bits)} if self.KIND is KnqSpec else {}
        index = {f"write_{name}": port for name, port in index_port(layers).items()}
        return {"write": In(1), **index, **code, "write_data": In(self._data)}

    @property
    def write_index(self) -> Value:
        """The layer to be written; of no bits if there is one layer."""
        return self.write_layer if self.spec.layers.index_bits else Const(0, 0)

    def taken(self, m: Module) -> Value:
        """The index of the layer that is taken: the same, but of one beyond the last."""
        layers: LayersSpec = self.spec.layers
        width = layers.index_bits
        return table_code(m, [self.index], [layers.taken_index(n) for n in range(1 << width)], width)

    def shift(self, m: Module) -> Value:
        """Of ENQ, the shift of the layer that is taken."""
        layers: LayersSpec = self.spec.layers
        shifts = []
        for number, (_, _, word) in enumerate(self.spec.words):
            register = Signal(self._data, name=f"shift_{number}", init=word)
            with m.If(self.write & (self.write_index == number)):
                m.d.sync += register.eq(self.write_data)
            shifts.append(register)
        return by_index(self.index, [shifts[layers.taken_index(n)] for n in range(1 << layers.index_bits)])

    def memory(
        self, m: Module, name: str, words: list[int], address: Value, enable: Value, write_address: Value
    ) -> Value:
        """A memory's word of ``address``, one cycle later; a word of a layer beyond the last is not written."""
        m.submodules[name] = made = memory.Memory(shape=self._data, depth=len(words), init=words)
        read, write = made.read_port(), made.write_port()
        m.d.comb += [
            read.addr.eq(address),
            read.en.eq(1),
            write.addr.eq(write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write & enable & (self.write_index < len(self.spec.layers.layers))),
        ]
        return read.data


class WritableEnqQuantizer(WritableUnit):
    """QE with a shift for each layer in a register: ``o = min(x, 2**q_m - 1) >> shift``.

    Latency ``stages`` cycles, throughput one a cycle. Exact.

    Parameters
    ----------
    spec
        Layers of ENQ at the start, and the width of x.
    stages
        Ranks of registers behind the logic.

    Ports
    -----
    x, layer, o : as of :class:`rtl.enq.EnqQuantizer`
    write, write_layer, write_data : see the top of this file
    """

    KIND = EnqSpec
    x: Value

    def __init__(self, spec: LayersQuantizerSpec, stages: int = 0) -> None:
        super().__init__(spec, stages)

    def build(self) -> Module:
        m = Module()
        m.d.comb += self.o.eq(self.registered(m, saturated(self.x, self.spec.layers.q_bits) >> self.shift(m)))
        return m


class WritableEnqReconstruct(WritableUnit):
    """CE with a shift for each layer in a register: ``o = code << shift``.

    Latency ``stages`` cycles, throughput one a cycle. Exact; bits of the code above the lowest E are ignored.

    Parameters
    ----------
    spec
        Layers of ENQ at the start.
    stages
        Ranks of registers behind the logic.

    Ports
    -----
    code, layer, o : as of :class:`rtl.enq.EnqReconstruct`
    write, write_layer, write_data : see the top of this file
    """

    KIND = EnqSpec
    code: Value

    def __init__(self, spec: LayersReconstructSpec, stages: int = 0) -> None:
        super().__init__(spec, stages)

    def build(self) -> Module:
        m = Module()
        shifted = (self.code << self.shift(m))[: self.spec.layers.q_bits]
        m.d.comb += self.o.eq(self.registered(m, shifted))
        return m


class WritableKnqQuantizer(WritableUnit):
    """QK by binary search: a comparison with a word of its own memory for each bit of the code, highest first.

    The words of all layers for bit n from the top are in memory n, ``2**n`` a layer; word p of a layer is the
    centroid in the middle of the codes that begin with p.

    Latency ``code_bits`` cycles, throughput one a cycle. Exact where centroids never decrease. A wide x saturates.

    Parameters
    ----------
    spec
        Layers of KNQ at the start, and the width of x.

    Ports
    -----
    x, layer, o : as of :class:`rtl.knq.KnqQuantizer`
    write, write_layer, write_code, write_data : see the top of this file; the word of code 0 is ignored
    """

    KIND = KnqSpec
    x: Value

    def __init__(self, spec: LayersQuantizerSpec) -> None:
        super().__init__(spec, spec.layers.code_bits)

    def build(self) -> Module:
        m = Module()
        layers: LayersSpec = self.spec.layers
        width, words = layers.code_bits, self.spec.words
        x, index = saturated(self.x, layers.q_bits), self.taken(m)
        x_later: list[Signal] = []
        index_later: list[Signal] = []
        code: Value = Const(0, 0)
        for place in reversed(range(width)):  # of the bit of the code, from the highest on
            step = width - 1 - place
            here = [word for _, number, word in words if number & ((2 << place) - 1) == 1 << place]
            read = self.memory(
                m,
                f"centroids_{step}",
                here,
                Cat(code, delayed(m, index, index_later, step)),
                self.write_code[: place + 1] == 1 << place,
                Cat(self.write_code[place + 1 :], self.write_index),
            )
            found = Signal(step + 1, name=f"code_{step}")
            later = Signal(step, name=f"before_{step}", reset_less=True)
            m.d.sync += later.eq(code)
            m.d.comb += found.eq(Cat(delayed(m, x, x_later, step + 1) >= read, later))
            code = found
        m.d.comb += self.o.eq(code)
        return m


class WritableKnqReconstruct(WritableUnit):
    """CK as a memory: ``o = d_code``, for every layer ``2**code_bits`` words.

    Latency 1 cycle, throughput one a cycle. Exact. A layer of fewer centroids has them again and again.

    Parameters
    ----------
    spec
        Layers of KNQ at the start.

    Ports
    -----
    code, layer, o : as of :class:`rtl.knq.KnqReconstruct`
    write, write_layer, write_code, write_data : see the top of this file
    """

    KIND = KnqSpec
    code: Value

    def __init__(self, spec: LayersReconstructSpec) -> None:
        super().__init__(spec, 1)

    def build(self) -> Module:
        m = Module()
        words = [word for _, _, word in self.spec.words]
        address, write_address = Cat(self.code, self.taken(m)), Cat(self.write_code, self.write_index)
        m.d.comb += self.o.eq(self.memory(m, "centroids", words, address, Const(1, 1), write_address))
        return m
