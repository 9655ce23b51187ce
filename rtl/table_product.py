"""A code as a table of codes: pointwise products, activation and binarization in one."""

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import TableSpec
from rtl.decisions import table_code
from rtl.unit import Unit


class TableProduct(Unit):
    """``o = table[inputs]``, as a decision diagram: equal parts of the table are built once.

    Latency ``stages`` cycles, throughput one a cycle. Exact: the table is the golden function of all inputs.

    Parameters
    ----------
    spec
        Inputs and table.
    stages
        Pipeline registers between input and output.

    Ports
    -----
    one a code : In, its bits; for the new cell state f, c, i, g, for the new hidden state gate_o, c
    o : Out, ``spec.width`` bits
    """

    o: Value

    def __init__(self, spec: TableSpec, stages: int = 0) -> None:
        self.spec, self.latency = spec, stages
        super().__init__({**{name: In(bits) for name, bits in spec.inputs}, "o": Out(spec.width)})

    def build(self) -> Module:
        m = Module()
        inputs = [getattr(self, name) for name, _ in self.spec.inputs]
        m.d.comb += self.o.eq(table_code(m, inputs, self.spec.codes, self.spec.width, self.latency))
        return m
