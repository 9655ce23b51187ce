"""Functions of a few bits as reduced ordered decision diagrams: one row of multiplexers for each bit tested."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from model.spec import MlbQuantizerSpec, ThresholdSpec
from rtl.logic import delayed
from rtl.shapes import shape_of
from rtl.unit import Unit

Key = TypeVar("Key", bound=Hashable)


def threshold_code(m: Module, x: Value, thresholds: Sequence[int], width: int, stages: int = 0) -> Value:
    """The number of ``thresholds`` that ``x`` reaches, in ``width`` bits, ``stages`` cycles later.

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
    return chosen_threshold_code(m, Const(0, 0), x, [thresholds], width, stages)


def chosen_threshold_code(
    m: Module, choice: Value, x: Value, thresholds: Sequence[Sequence[int]], width: int, stages: int = 0
) -> Value:
    """The same with one of several lists of thresholds: ``thresholds[choice]``, one for each value of ``choice``."""
    n, signed = len(x), x.shape().signed
    # Counted from the smallest x, where the sign bit of a signed x is inverted.
    smallest = -(1 << (n - 1)) if signed else 0
    bits = [*reversed(choice), ~x[-1] if signed else x[-1], *reversed(x[:-1])]

    # A key is the lists that may still be chosen; of one list its range of x and the thresholds within it.
    def cofactors(key: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        if len(key) > 1:
            return key[: len(key) // 2], key[len(key) // 2 :]
        size, *rest = key[0]
        half = size // 2
        return ((half, *(min(t, half) for t in rest)),), ((half, *(max(t - half, 0) for t in rest)),)

    def known(key: tuple[Any, ...]) -> int | None:
        size, *rest = key[0]
        return rest.count(0) if len(key) == 1 and all(t in (0, size) for t in rest) else None

    size = 1 << n
    root = tuple((size, *(min(max(t - smallest, 0), size) for t in row)) for row in thresholds)
    return _diagram(m, bits, root, cofactors, known, width, stages)


def table_code(m: Module, inputs: Sequence[Value], table: Sequence[int], width: int, stages: int = 0) -> Value:
    """``table[i]``, in ``width`` bits, ``stages`` cycles later.

    ``i`` is all ``inputs`` in a row, the first in the highest bits.
    """
    address = Cat(*reversed(inputs))

    def cofactors(key: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return key[: len(key) // 2], key[len(key) // 2 :]

    def known(key: tuple[int, ...]) -> int | None:
        return key[0] if key.count(key[0]) == len(key) else None

    return _diagram(m, list(reversed(address)), tuple(table), cofactors, known, width, stages)


@dataclass(eq=False)
class Staged:
    """A value in pipeline stage ``stage``, and the registers behind each of its bits that have been made."""

    stage: int
    value: Value

    def __post_init__(self) -> None:
        self._later: list[list[Any]] = [[] for _ in self.value]

    def at(self, m: Module, stage: int) -> Value:
        """The value in a later stage; a constant is there in every stage.

        A register for each bit, because some bits of codes are constant or those of other codes.
        """
        if isinstance(self.value, Const) or stage == self.stage:
            return self.value
        bits = zip(self.value, self._later, strict=True)
        return Cat(*(delayed(m, bit, later, stage - self.stage) for bit, later in bits))


def _diagram(
    m: Module,
    bits: Sequence[Value],
    root: Key,
    cofactors: Callable[[Key], tuple[Key, Key]],
    known: Callable[[Key], int | None],
    width: int,
    stages: int,
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
    stages
        Registers on every path from ``bits``, after equally many multiplexers of the longest one.
    """
    inputs = [Staged(0, bit) for bit in bits]
    made: dict[tuple[int, Key], Staged] = {}

    @functools.cache
    def height(key: Key) -> int:
        """Multiplexers in a row."""
        if known(key) is not None:
            return 0
        zero, one = cofactors(key)
        return height(zero) if zero == one else 1 + max(height(zero), height(one))

    def node(place: int, key: Key) -> Staged:
        if (value := known(key)) is not None:
            return Staged(0, Const(value, width))
        if (place, key) not in made:
            zero, one = cofactors(key)
            if zero == one:
                made[place, key] = node(place + 1, zero)
            else:
                signal = Signal(width, name=f"code_{len(made)}")
                stage = (height(key) - 1) * (stages + 1) // height(root) if stages else 0
                made[place, key] = Staged(stage, signal)
                test, *branches = inputs[place], node(place + 1, one), node(place + 1, zero)
                m.d.comb += signal.eq(Mux(test.at(m, stage), *(branch.at(m, stage) for branch in branches)))
        return made[place, key]

    return node(0, root).at(m, stages)


class ThresholdUnit(Unit):
    """Base of units whose code is the number of ``spec.thresholds`` that x reaches, ``stages`` cycles later."""

    x: Value
    o: Value

    def __init__(self, spec: MlbQuantizerSpec | ThresholdSpec, stages: int = 0) -> None:
        self.spec, self.latency = spec, stages
        super().__init__({"x": In(shape_of(spec.source)), "o": Out(spec.mlb.levels)})

    def build(self) -> Module:
        m = Module()
        spec = self.spec
        m.d.comb += self.o.eq(threshold_code(m, self.x, spec.thresholds, spec.mlb.levels, self.latency))
        return m
