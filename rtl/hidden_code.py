"""The code of the new hidden state."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import Datapath, LstmSpec, MlbQuantizerSpec, ReconstructSpec, TableSpec
from rtl.mac import Mac
from rtl.mlb_quantizer import MlbQuantizer
from rtl.narrow import Narrow
from rtl.pwl_activation import PwlActivation
from rtl.reconstruct import Reconstruct
from rtl.shapes import shape_of
from rtl.table_product import TableProduct
from rtl.unit import Unit


class HiddenCode(Unit):
    """``o = MLB(o^ * tanh(c^))``: reconstruction, look-up activation and product, or a table of the two codes.

    Latency 0, throughput one a cycle. Exact but for the activation's narrowing (see :class:`model.spec.LstmSpec`).

    Ports
    -----
    gate, c : In, codes of o and c, of ``lstm.activation_levels`` bits
    activation : Out, ``lstm.tanh.target``, but not of datapath ``table``; tanh(c^)
    raw : Out, ``lstm.mac.format``, but not of datapath ``table``; the product before binarization
    o : Out, the code of h
    """

    gate: Value
    c: Value
    activation: Value
    raw: Value
    o: Value

    def __init__(self, lstm: LstmSpec, datapath: Datapath) -> None:
        self.spec, self.variant = lstm, (datapath.tables,)
        numbers = {"activation": Out(shape_of(lstm.tanh.target)), "raw": Out(shape_of(lstm.mac.format))}
        codes = {name: In(lstm.activation_levels) for name in ("gate", "c")}
        super().__init__({**codes, **({} if datapath.tables else numbers), "o": Out(lstm.activation_levels)})

    def build(self) -> Module:
        m = Module()
        lstm: LstmSpec = self.spec
        if self.variant[0]:
            m.submodules.table_product = table = TableProduct(TableSpec.hidden(lstm))
            code: Any = table
            m.d.comb += [code.gate_o.eq(self.gate), code.c.eq(self.c), self.o.eq(table.o)]
            return m
        m.submodules.reconstruct = reconstruct = Reconstruct(ReconstructSpec(mlb=lstm.c))
        m.submodules.narrow = narrow = Narrow(lstm.narrow_c)
        m.submodules.pwl_activation = tanh = PwlActivation(lstm.tanh)
        m.submodules.mac = mac = Mac(lstm.mac)
        m.submodules.mlb_quantizer = quantizer = MlbQuantizer(MlbQuantizerSpec(source=lstm.mac.format, mlb=lstm.h))
        m.d.comb += [
            reconstruct.code.eq(self.c),
            narrow.x.eq(reconstruct.o.shift_left(lstm.widen_c)),
            tanh.x.eq(narrow.o),
            self.activation.eq(tanh.o),
        ]
        m.d.comb += [mac.a.eq(self.gate), mac.t.eq(tanh.o), self.raw.eq(mac.o)]
        m.d.comb += [quantizer.x.eq(self.raw), self.o.eq(quantizer.o)]
        return m
