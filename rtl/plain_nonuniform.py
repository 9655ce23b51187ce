"""The units of nonuniform quantization as plainly as Amaranth can say them, and one behind the other."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from model.spec import EnqSpec, KnqSpec, LayersQuantizerSpec, LayersReconstructSpec, LayersSpec, RoundTripSpec
from rtl.enq import EnqQuantizer, EnqReconstruct
from rtl.knq import KnqQuantizer, KnqReconstruct
from rtl.nonuniform import Form, index_port
from rtl.shapes import shape_of
from rtl.unit import Unit


class PlainEnqQuantizer(EnqQuantizer):
    """``min(x >> (q_m - E), 2**E - 1)`` in each case of the layer."""

    def build(self) -> Module:
        m = Module()
        with m.Switch(self.index):
            for number, layer in enumerate(self.spec.layers.all_taken):
                with m.Case(number):
                    shifted = self.x >> (layer.q_bits - layer.bits)
                    limit = (1 << layer.bits) - 1
                    m.d.comb += self.o.eq(Mux(shifted > limit, limit, shifted))
        return m


class PlainEnqReconstruct(EnqReconstruct):
    """``code << (q_m - E)`` in each case of the layer."""

    def build(self) -> Module:
        m = Module()
        with m.Switch(self.index):
            for number, layer in enumerate(self.spec.layers.all_taken):
                with m.Case(number):
                    m.d.comb += self.o.eq(self.code << (layer.q_bits - layer.bits))
        return m


class PlainKnqQuantizer(KnqQuantizer):
    """As in the paper: a comparator for each code, with the centroid of the layer, and a priority encoder."""

    def build(self) -> Module:
        m = Module()
        layers = self.spec.layers
        limit = Signal(layers.q_bits)
        m.d.comb += limit.eq(Mux(self.x > (1 << layers.q_bits) - 1, (1 << layers.q_bits) - 1, self.x))
        reached = Signal(1 << layers.code_bits)
        for code in range(1, 1 << layers.code_bits):
            centroid = Signal(layers.q_bits + 1, name=f"centroid_{code}")
            with m.Switch(self.index):
                for number, layer in enumerate(layers.all_taken):
                    assert isinstance(layer, KnqSpec)
                    with m.Case(number):
                        past = code >= len(layer.centroids)
                        m.d.comb += centroid.eq(1 << layers.q_bits if past else layer.centroids[code])
            m.d.comb += reached[code].eq(limit >= centroid)
        for code in range(1, 1 << layers.code_bits):
            with m.If(reached[code]):
                m.d.comb += self.o.eq(code)
        return m


class PlainKnqReconstruct(KnqReconstruct):
    """As in the paper: a multiplexer of constants."""

    def build(self) -> Module:
        m = Module()
        with m.Switch(Cat(self.code, self.index)):
            for number, point in enumerate(point for row in self.spec.tables for point in row):
                with m.Case(number):
                    m.d.comb += self.o.eq(point)
        return m


class RoundTrip(Unit):
    """Reconstruction and quantizer of the same layers one behind the other.

    Ports
    -----
    code : In, ``code_bits``
    layer : In, ``index_bits``; none of one layer
    o : Out, ``code_bits``
    """

    code: Value
    layer: Value
    o: Value

    def __init__(self, layers: LayersSpec, form: Form = "small") -> None:
        self.spec, self.variant = RoundTripSpec(layers=layers), (form,)
        back, there = LayersReconstructSpec(layers=layers), LayersQuantizerSpec(layers=layers)
        self._units: tuple[EnqReconstruct | KnqReconstruct, EnqQuantizer | KnqQuantizer]
        if isinstance(layers.layers[0], EnqSpec):
            self._units = EnqReconstruct(back), EnqQuantizer(there)
        else:
            self._units = KnqReconstruct(back, 0, form), KnqQuantizer(there, 0, form)
        super().__init__({"code": In(shape_of(back.source)), **index_port(layers), "o": Out(layers.code_bits)})

    def build(self) -> Module:
        m = Module()
        m.submodules.reconstruct, m.submodules.quantizer = back, there = self._units
        if self.spec.layers.index_bits:
            m.d.comb += [back.layer.eq(self.layer), there.layer.eq(self.layer)]
        m.d.comb += [back.code.eq(self.code), there.x.eq(back.o), self.o.eq(there.o)]
        return m
