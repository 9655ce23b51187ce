"""Multiplication by a constant, as few shifted additions and subtractions."""

from amaranth.hdl import Module, Value
from amaranth.lib.wiring import In, Out

from model.spec import ConstantMultiplierSpec
from rtl.shapes import shape_of
from rtl.unit import Unit


def signed_digits(value: int) -> list[tuple[int, int]]:
    """Canonical signed digits of ``value``: (shift, +1 or -1), the fewest that sum to it."""
    digits, shift = [], 0
    while value:
        if value & 1:
            digit = 2 - (value & 3)
            digits.append((shift, digit))
            value -= digit
        value >>= 1
        shift += 1
    return digits


class ConstantMultiplier(Unit):
    """``o = constant * x``, a sum of shifted copies of x by the canonical signed digits of the constant.

    Latency 0, throughput one a cycle. Exact. A power of two is wires.

    Ports
    -----
    x : In, ``spec.source``
    o : Out, ``spec.format``
    """

    x: Value
    o: Value

    def __init__(self, spec: ConstantMultiplierSpec) -> None:
        self.spec = spec
        super().__init__({"x": In(shape_of(spec.source)), "o": Out(shape_of(spec.format))})

    def build(self) -> Module:
        m = Module()
        # Largest shift first: it is positive for a positive constant, so no intermediate sum is negated.
        digits = sorted(signed_digits(self.spec.constant), reverse=True)
        total: Value | int = 0
        for shift, digit in digits:
            term = self.x.shift_left(shift)
            total = total + term if digit > 0 else total - term
        m.d.comb += self.o.eq(total)
        return m
