"""Specifications as Amaranth shapes."""

from __future__ import annotations

from amaranth.hdl import Shape, Signal, Value
from amaranth.lib import data

from model.spec import Format, MlbSpec


def shape_of(number: Format) -> Shape:
    """The shape of a stored integer."""
    return Shape(number.width, number.signed)


def named(shape: Shape | int, name: str) -> Signal:
    """A signal without reset that keeps its name in the Verilog, so that a bench can read it."""
    return Signal(shape, name=name, attrs={"keep": True}, reset_less=True)


def codes(levels: int, count: int) -> data.ArrayLayout:
    """``count`` codes of ``levels`` bits, the first in the lowest bits."""
    return data.ArrayLayout(levels, count)


def sign(code: Value, level: int) -> Value:
    """Sign bit of ``level`` (0 is s_1) of a code: 1 for +."""
    return code[len(code) - 1 - level]


def signed_levels(mlb: MlbSpec, code: Value) -> list[tuple[int, Value | None]]:
    """The terms of a reconstruction: each factor with its sign bit, the offset with None (its sign is known)."""
    terms: list[tuple[int, Value | None]] = [(a, sign(code, i)) for i, a in enumerate(mlb.factors)]
    return [*terms, (mlb.offset, None)] if mlb.offset else terms
