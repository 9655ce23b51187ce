"""Functions of a few bits as reduced ordered decision diagrams: one row of multiplexers for each bit tested."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from model.spec import MlbQuantizerSpec, ThresholdSpec
from rtl.shapes import shape_of
from rtl.unit import Unit

Key = TypeVar("Key", bound=Hashable)


def threshold_code(m: Module, x: Value, thresholds: Sequence[int], width: int) -> Value:
    """The number of ``thresholds`` that ``x`` reaches, in ``width`` bits.

    A bit of ``x`` that no threshold needs is not read.

    Parameters
    ----------
    m
        The module that gets the logic.
    x
        Signed or unsigned.
    thresholds
        At most ``2**width - 1`` integers in any order, possibly outside the range of ``x``.
    """
    n, signed = len(x), x.shape().signed
    # Counted from the smallest x, where the sign bit of a signed x is inverted.
    smallest = -(1 << (n - 1)) if signed else 0
    bits = [~x[-1] if signed else x[-1], *reversed(x[:-1])]

    def cofactors(key: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        size, *rest = key
        half = size // 2
        return (half, *(min(t, half) for t in rest)), (half, *(max(t - half, 0) for t in rest))

    def known(key: tuple[int, ...]) -> int | None:
        size, *rest = key
        return rest.count(0) if all(t in (0, size) for t in rest) else None

    size = 1 << n
    root = (size, *(min(max(t - smallest, 0), size) for t in thresholds))
    return _diagram(m, bits, root, cofactors, known, width)


def table_code(m: Module, inputs: Sequence[Value], table: Sequence[int], width: int) -> Value:
    """``table[i]``, in ``width`` bits, where ``i`` is all ``inputs`` in a row, the first in the highest bits."""
    address = Cat(*reversed(inputs))

    def cofactors(key: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return key[: len(key) // 2], key[len(key) // 2 :]

    def known(key: tuple[int, ...]) -> int | None:
        return key[0] if key.count(key[0]) == len(key) else None

    return _diagram(m, list(reversed(address)), tuple(table), cofactors, known, width)


def _diagram(
    m: Module,
    bits: Sequence[Value],
    root: Key,
    cofactors: Callable[[Key], tuple[Key, Key]],
    known: Callable[[Key], int | None],
    width: int,
) -> Value:
    """The function ``root`` of ``bits``; equal functions of the bits from some place on are built once.

    Parameters
    ----------
    bits
        In the order in which they are tested.
    root, cofactors
        A description of the function, and what is left of one if its first bit is 0 and if it is 1.
    known
        The value of a function that is constant, else None.
    """
    made: dict[tuple[int, Key], Value] = {}

    def node(place: int, key: Key) -> Value:
        if (value := known(key)) is not None:
            return Const(value, width)
        if (place, key) not in made:
            zero, one = cofactors(key)
            if zero == one:
                made[place, key] = node(place + 1, zero)
            else:
                signal = made[place, key] = Signal(width, name=f"code_{len(made)}")
                m.d.comb += signal.eq(Mux(bits[place], node(place + 1, one), node(place + 1, zero)))
        return made[place, key]

    return node(0, root)


class ThresholdUnit(Unit):
    """Base of units whose code is the number of ``spec.thresholds`` that x reaches.

    Ports
    -----
    x : In, ``spec.source``
    o : Out, ``spec.mlb.levels`` bits, s_1 in the highest
    """

    x: Value
    o: Value

    def __init__(self, spec: MlbQuantizerSpec | ThresholdSpec) -> None:
        self.spec = spec
        super().__init__({"x": In(shape_of(spec.source)), "o": Out(spec.mlb.levels)})

    def build(self) -> Module:
        m = Module()
        m.d.comb += self.o.eq(threshold_code(m, self.x, self.spec.thresholds, self.spec.mlb.levels))
        return m
