"""The code of the new hidden state."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import Datapath, LstmSpec, TableSpec
from rtl.narrow import Narrow
from rtl.pwl_activation import PwlActivation
from rtl.quantity import multiply, quantize, reconstruct
from rtl.shapes import code_shape, shape_of
from rtl.table_product import TableProduct
from rtl.unit import Unit


class HiddenCode(Unit):
    """``o = Q(o^ * tanh(c^))``: reconstruction, look-up activation and product, or a table of the two codes.

    Latency 0, throughput one a cycle. Exact but for the activation's narrowing (see :class:`model.spec.LstmSpec`).

    Ports
    -----
    gate, c : In, codes of o and c
    activation : Out, ``lstm.tanh.target``, but not of datapath ``table``; tanh(c^)
    raw : Out, ``lstm.mac.format``, but not of datapath ``table``; the product before it is stored
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
        codes = {"gate": In(code_shape(lstm.gates[3])), "c": In(code_shape(lstm.c))}
        super().__init__({**codes, **({} if datapath.tables else numbers), "o": Out(code_shape(lstm.h))})

    def build(self) -> Module:
        m = Module()
        lstm: LstmSpec = self.spec
        if self.variant[0]:
            m.submodules.table_product = table = TableProduct(TableSpec.hidden(lstm))
            code: Any = table
            m.d.comb += [code.gate_o.eq(self.gate), code.c.eq(self.c), self.o.eq(table.o)]
            return m
        m.submodules.narrow = narrow = Narrow(lstm.narrow_c)
        m.submodules.pwl_activation = tanh = PwlActivation(lstm.tanh)
        c = reconstruct(m, "reconstruct", lstm.c, self.c)
        m.d.comb += [narrow.x.eq(c.shift_left(lstm.widen_c)), tanh.x.eq(narrow.o), self.activation.eq(tanh.o)]
        m.d.comb += self.raw.eq(multiply(m, "h", lstm.mac, self.gate, tanh.o))
        m.d.comb += self.o.eq(quantize(m, "h", lstm.h, lstm.mac.format, self.raw))
        return m
