"""The code of the new cell state."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import Datapath, LstmSpec, MlbQuantizerSpec, SumSpec, TableSpec
from rtl.adder_tree import AdderTree
from rtl.mlb_quantizer import MlbQuantizer
from rtl.shapes import shape_of
from rtl.table_product import TableProduct
from rtl.unit import Unit
from rtl.xnor_multiplier import XnorMultiplier


class CellCode(Unit):
    """``o = MLB(f^ * c^ + i^ * g^)``: two products and their sum, or a table of the four codes.

    Latency 0, throughput one a cycle. Exact.

    Ports
    -----
    f, c, i, g : In, codes of ``lstm.activation_levels`` bits
    raw : Out, ``lstm.c_raw_format``, but not of datapath ``table``; the sum before binarization
    o : Out, the code of c'
    """

    f: Value
    c: Value
    i: Value
    g: Value
    raw: Value
    o: Value

    def __init__(self, lstm: LstmSpec, datapath: Datapath) -> None:
        self.spec, self.variant = lstm, (datapath.tables,)
        raw = {} if datapath.tables else {"raw": Out(shape_of(lstm.c_raw_format))}
        codes = {name: In(lstm.activation_levels) for name in "fcig"}
        super().__init__({**codes, **raw, "o": Out(lstm.activation_levels)})

    def build(self) -> Module:
        m = Module()
        lstm: LstmSpec = self.spec
        if self.variant[0]:
            m.submodules.table_product = table = TableProduct(TableSpec.cell(lstm))
            m.d.comb += [getattr(table, name).eq(getattr(self, name)) for name in "fcig"]
            m.d.comb += self.o.eq(table.o)
            return m
        m.submodules.xnor_multiplier_fc = fc = XnorMultiplier(lstm.product_fc)
        m.submodules.xnor_multiplier_ig = ig = XnorMultiplier(lstm.product_ig)
        ranges = tuple((p.spec.format.min, p.spec.format.max) for p in (fc, ig))
        m.submodules.adder_tree = adder = AdderTree(SumSpec(ranges=ranges))
        m.submodules.mlb_quantizer = quantizer = MlbQuantizer(MlbQuantizerSpec(source=lstm.c_raw_format, mlb=lstm.c))
        summands: Any = adder
        m.d.comb += [fc.a.eq(self.f), fc.b.eq(self.c), ig.a.eq(self.i), ig.b.eq(self.g)]
        m.d.comb += [summands.x0.eq(fc.o), summands.x1.eq(ig.o), self.raw.eq(adder.o)]
        m.d.comb += [quantizer.x.eq(self.raw), self.o.eq(quantizer.o)]
        return m
