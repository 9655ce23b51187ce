"""Logic on single bits whose arrival times are known: counters take the earliest, registers go where time is up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value

from rtl.adders import FullAdder, HalfAdder
from rtl.unit import Connected, Unit


@dataclass(frozen=True, eq=False)
class Bit:
    """A bit, ``time`` levels of two-input gates behind the inputs, in pipeline stage ``stage``.

    ``value`` is None while only times are computed; a constant has time -1 and belongs to every stage.
    """

    time: int
    stage: int
    value: Any
    later: list[Any] = field(default_factory=list)  #: the value one, two, ... registers on

    @property
    def constant(self) -> int | None:
        """0 or 1 if the bit is known, else None."""
        return self.value.value if isinstance(self.value, Const) else None


ZERO, ONE = Bit(-1, 0, Const(0, 1)), Bit(-1, 0, Const(1, 1))


def delayed(m: Module, value: Value, later: list[Any], cycles: int) -> Value:
    """``value`` so many registers on; those are made once and kept in ``later``. A constant needs none."""
    if isinstance(value, Const):
        return value
    while len(later) < cycles:
        register = Signal(value.shape(), reset_less=True)
        m.d.sync += register.eq(later[-1] if later else value)
        later.append(register)
    return later[cycles - 1] if cycles else value


def known(value: int, width: int) -> list[Bit]:
    """The bits of a number that is a constant, lowest first."""
    return [ONE if value >> place & 1 else ZERO for place in range(width)]


class Logic:
    """Gates and counters in a module; each result goes to the stage in which its last input arrives.

    Parameters
    ----------
    m
        The module that gets the logic; None to compute times only.
    levels
        Levels of two-input gates in one pipeline stage; None for no registers at all.
    stages
        Registers on every path from input to output, at most.
    """

    def __init__(self, m: Module | None, levels: int | None = None, stages: int = 0) -> None:
        self.m, self._levels, self._stages = m, levels, stages
        self.counters = 0  #: full and half adders so far
        self._wires = 0

    def inputs(self, value: Value, time: int = 0) -> list[Bit]:
        """The bits of a value that is there from the beginning, lowest first."""
        return [Bit(time, 0, bit) for bit in value]

    def full_adder(self, a: Bit, b: Bit, c: Bit, *, cell: bool = True) -> tuple[Bit, Bit]:
        """Sum and carry of three bits: two levels from any as a cell, in gates but one from the last."""
        *early, last = sorted(bit.time for bit in (a, b, c))
        return self._adder(FullAdder, (a, b, c), last + 2 if cell else max(early[-1] + 2, last + 1))

    def half_adder(self, a: Bit, b: Bit) -> tuple[Bit, Bit]:
        """Sum and carry of two bits."""
        return self._adder(HalfAdder, (a, b), max(a.time, b.time) + 1)

    def gate(self, function: Callable[..., Any], *bits: Bit, levels: int = 1) -> Bit:
        """A one-bit function of bits, ``levels`` gates deep."""
        stage, values = self._meet(bits)
        result = None
        if self.m is not None:
            result = self._wire("bit")
            self.m.d.comb += result.eq(function(*values))
        return Bit(max(bit.time for bit in bits) + levels, stage, result)

    def invert(self, bit: Bit) -> Bit:
        """The other value; counts no level."""
        if bit.constant is not None:
            return ZERO if bit.constant else ONE
        return Bit(bit.time, bit.stage, None if self.m is None else ~bit.value)

    def both(self, a: Bit, b: Bit) -> Bit:
        """Whether two bits are 1; either may be known."""
        if a.constant is not None or b.constant is not None:
            known, free = (a, b) if a.constant is not None else (b, a)
            return free if known.constant else ZERO
        return self.gate(lambda p, q: p & q, a, b)

    def any(self, bits: Sequence[Bit]) -> Bit:
        """Whether one of the bits, at least one, is 1."""
        return self._balanced(lambda p, q: p | q, bits)

    def all(self, bits: Sequence[Bit]) -> Bit:
        """Whether all of the bits, at least one, are 1."""
        return self._balanced(lambda p, q: p & q, bits)

    def _balanced(self, function: Callable[..., Any], bits: Sequence[Bit]) -> Bit:
        """An associative function, the earliest bits first."""
        waiting = sorted(bits, key=lambda bit: bit.time)
        while len(waiting) > 1:
            waiting.append(self.gate(function, *waiting[:2]))
            waiting = sorted(waiting[2:], key=lambda bit: bit.time)
        return waiting[0]

    def xnor(self, a: Bit, b: Bit) -> Bit:
        """Whether two bits are equal; one of them may be known."""
        if a.constant is not None or b.constant is not None:
            known, free = (a, b) if a.constant is not None else (b, a)
            return free if known.constant else self.invert(free)
        return self.gate(lambda p, q: ~(p ^ q), a, b)

    def align(self, bits: Sequence[Bit]) -> Value:
        """The bits as one value, lowest first, all in the last stage."""
        return Cat(*(self._at(bit, self._stages) for bit in bits))

    def _adder(self, kind: type[Unit], bits: Sequence[Bit], time: int) -> tuple[Bit, Bit]:
        self.counters += 1
        stage, values = self._meet(bits)
        if self.m is None:
            return Bit(time, stage, None), Bit(time, stage, None)
        total, carry = self._wire("sum"), self._wire("carry")
        ports = {**dict(zip("abc", values, strict=False)), "sum": total, "carry": carry}
        self.m.submodules[f"adder_{self.counters}"] = Connected(kind, ports)
        return Bit(time, stage, total), Bit(time, stage, carry)

    def _wire(self, kind: str) -> Signal:
        """A signal that keeps its name in the Verilog."""
        self._wires += 1
        return Signal(name=f"{kind}_{self._wires}", attrs={"keep": True})

    def _meet(self, bits: Sequence[Bit]) -> tuple[int, list[Any]]:
        """The stage in which the last of ``bits`` arrives, and the values of all in it."""
        stage = max(bit.stage for bit in bits)
        if self._levels is not None:
            stage = max(stage, min(max(bit.time for bit in bits) // self._levels, self._stages))
        return stage, [self._at(bit, stage) for bit in bits]

    def _at(self, bit: Bit, stage: int) -> Any:
        """The value of a bit in a later stage; a constant is there in every stage."""
        return bit.value if self.m is None else delayed(self.m, bit.value, bit.later, max(stage - bit.stage, 0))


class LogicUnit(Unit):
    """Base of units whose output is made of :class:`Logic`, ``latency`` cycles behind the inputs."""

    o: Any

    def bits(self, logic: Logic) -> list[Bit]:
        """The output, lowest bit first; called more than once where there are pipeline registers."""
        raise NotImplementedError

    def build(self) -> Module:
        m = Module()
        m.d.comb += Value.cast(self.o).eq(pipelined(m, self.latency, self.bits))
        return m


def pipelined(m: Module, stages: int, construct: Callable[[Logic], Sequence[Bit]]) -> Value:
    """What ``construct`` builds, as one value ``stages`` cycles later, with equally deep stages.

    ``construct`` is called once without a module if registers are asked for, to learn how deep it is.
    """
    if not stages:
        return (logic := Logic(m)).align(construct(logic))
    depth = max(bit.time for bit in construct(Logic(None)))
    logic = Logic(m, -(-max(depth, 1) // (stages + 1)), stages)
    return logic.align(construct(logic))
