"""The code of the new cell state."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import AdderTreeSpec, Datapath, LstmSpec, TableSpec
from rtl.adder_tree import AdderTree
from rtl.quantity import multiply, quantize
from rtl.shapes import code_shape, shape_of
from rtl.table_product import TableProduct
from rtl.unit import Unit


class CellCode(Unit):
    """``o = Q(f^ * c^ + i^ * g^)``: two products and their sum, or a table of the four codes.

    Latency 0, throughput one a cycle. Exact.

    Ports
    -----
    f, c, i, g : In, codes
    raw : Out, ``lstm.c_raw_format``, but not of datapath ``table``; the sum before it is stored
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
        i, f, g, _ = lstm.gates
        codes = {name: In(code_shape(q)) for name, q in zip("fcig", (f, lstm.c, i, g), strict=True)}
        super().__init__({**codes, **raw, "o": Out(code_shape(lstm.c))})

    def build(self) -> Module:
        m = Module()
        lstm: LstmSpec = self.spec
        if self.variant[0]:
            m.submodules.table_product = table = TableProduct(TableSpec.cell(lstm))
            m.d.comb += [getattr(table, name).eq(getattr(self, name)) for name in "fcig"]
            m.d.comb += self.o.eq(table.o)
            return m
        fc = multiply(m, "fc", lstm.product_fc, self.f, self.c)
        ig = multiply(m, "ig", lstm.product_ig, self.i, self.g)
        ranges = tuple((p.format.min, p.format.max) for p in (lstm.product_fc, lstm.product_ig))
        m.submodules.adder_tree = adder = AdderTree(AdderTreeSpec(ranges=ranges))
        summands: Any = adder
        m.d.comb += [summands.x0.eq(fc), summands.x1.eq(ig), self.raw.eq(adder.o)]
        m.d.comb += self.o.eq(quantize(m, "c", lstm.c, lstm.c_raw_format, self.raw))
        return m
