"""Multi-level binarization."""

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Value
from amaranth.lib.wiring import In, Out

from model.spec import MlbQuantizerSpec
from rtl.shapes import shape_of
from rtl.unit import Unit


class MlbQuantizer(Unit):
    """The code of a fixed-point value: a chain of signs and residuals, ``s_i = sign(r)``, ``r -= s_i a_i``.

    Latency 0, throughput one a cycle. Exact; sign(0) = +1; +1 is stored as 1.

    Ports
    -----
    x : In, ``spec.source``
    o : Out, ``spec.mlb.levels`` bits, s_1 in the highest
    """

    x: Value
    o: Value

    def __init__(self, spec: MlbQuantizerSpec) -> None:
        self.spec = spec
        super().__init__({"x": In(shape_of(spec.source)), "o": Out(spec.mlb.levels)})

    def build(self) -> Module:
        m = Module()
        mlb, source = self.spec.mlb, self.spec.source
        common = max(source.frac, mlb.frac)
        up = common - mlb.frac
        rest: Value = self.x.shift_left(common - source.frac) - (mlb.offset << up)
        signs: list[Value] = []
        for a in mlb.factors:
            positive = ~rest[-1] if Shape.cast(rest.shape()).signed else Const(1, 1)
            signs.append(positive)
            rest = Mux(positive, rest - (a << up), rest + (a << up))
        m.d.comb += self.o.eq(Cat(*reversed(signs)))
        return m
