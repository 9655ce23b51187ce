"""Dot product of numbers with signs, summed in a written order."""

from __future__ import annotations

from amaranth.hdl import Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import IntegerDotSpec
from rtl.compressor import FinalAdder
from rtl.logic import ONE, ZERO, Bit, Logic, LogicUnit
from rtl.saturation import Word
from rtl.shapes import shape_of
from rtl.sum_nodes import SumNodes


class IntegerDot(LogicUnit):
    """``o = sum_i w_i x_i`` with ``w_i`` = +1 or -1, added in the order of ``spec.rule``.

    Latency ``stages`` cycles, throughput one a cycle. Rounding and overflow of every node are those of the rule.
    ``-x`` is ``not x`` and a one, which goes into the sum beside it; a constant weight takes no gate.

    Parameters
    ----------
    spec
        Length, format of x, constant weights if any, bias, rule.
    stages, final
        As for :class:`rtl.adder_tree.AdderTree`.

    Ports
    -----
    x : In, array of n numbers in ``spec.source``
    w : In, n bits, 1 for +1 and 0 for -1; unless the weights are constants
    o : Out, ``spec.format``
    """

    x: data.View
    w: data.View
    o: Value

    def __init__(self, spec: IntegerDotSpec, stages: int = 0, final: FinalAdder = "small") -> None:
        self.spec, self.latency, self.variant = spec, stages, (final,)
        weights = {} if spec.weights else {"w": In(data.ArrayLayout(1, spec.n))}
        x = In(data.ArrayLayout(shape_of(spec.source), spec.n))
        super().__init__({"x": x, **weights, "o": Out(shape_of(spec.format))})

    def bits(self, logic: Logic) -> list[Bit]:
        """The dot product, lowest bit first."""
        spec: IntegerDotSpec = self.spec
        signs = [ONE if bit else ZERO for bit in spec.weights] if spec.weights else logic.inputs(self.w.as_value())
        x, width = logic.inputs(self.x.as_value()), spec.source.width
        products = [self._product(logic, x[i * width :][:width], sign) for i, sign in enumerate(signs)]
        return SumNodes(logic=logic, spec=spec.sum, final=self.variant[0]).total(products)

    def _product(self, logic: Logic, x: list[Bit], sign: Bit) -> list[Word]:
        number = x if self.spec.source.signed else [*x, ZERO]
        turned = Word([logic.xnor(bit, sign) for bit in number])
        return [turned] if sign is ONE else [turned, Word([logic.invert(sign), ZERO])]
