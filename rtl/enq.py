"""Equal-distance quantization of the layers of a network: quantizer (QE) and reconstruction (CE)."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Value

from model.spec import EnqSpec
from rtl.nonuniform import LayersUnit, by_shift, saturated


class EnqQuantizer(LayersUnit):
    """QE: ``o = min(x >> (q_m - E_layer), 2**E_layer - 1)``, a multiplexer of bits of x.

    Latency ``stages`` cycles, throughput one a cycle. Exact. An x of q_m bits needs no clamp, a wider one saturates
    first. What an index beyond the last does: :meth:`model.spec.LayersSpec.taken_index`.

    Source: Sun, Lin, Wang, "Intra-Layer Nonuniform Quantization of Convolutional Neural Network", unit QE.

    Parameters
    ----------
    spec
        Layers of ENQ, and the width of x.
    stages
        Ranks of registers behind the logic.

    Ports
    -----
    x : In, ``spec.source``
    layer : In, ``index_bits``; none of one layer
    o : Out, ``code_bits``, of which a layer uses the lowest E
    """

    KIND = EnqSpec
    x: Value

    def build(self) -> Module:
        m = Module()
        layers = self.spec.layers
        x = saturated(self.x, layers.q_bits)
        m.d.comb += self.o.eq(self.registered(m, by_shift(m, layers, self.index, lambda shift: x[shift:])))
        return m


class EnqReconstruct(LayersUnit):
    """CE: ``o = code << (q_m - E_layer)``, a multiplexer of bits of the code.

    Latency ``stages`` cycles, throughput one a cycle. Exact; bits of the code above the lowest E are ignored. What an
    index beyond the last does: :meth:`model.spec.LayersSpec.taken_index`.

    Source: as :class:`EnqQuantizer`, unit CE.

    Parameters
    ----------
    spec
        Layers of ENQ.
    stages
        Ranks of registers behind the logic.

    Ports
    -----
    code : In, ``code_bits``
    layer : In, ``index_bits``; none of one layer
    o : Out, q_m bits
    """

    KIND = EnqSpec
    code: Value

    def build(self) -> Module:
        m = Module()
        layers = self.spec.layers

        def shifted(shift: int) -> Value:
            return Cat(Const(0, shift), self.code)[: layers.q_bits]

        m.d.comb += self.o.eq(self.registered(m, by_shift(m, layers, self.index, shifted)))
        return m
