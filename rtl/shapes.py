"""Specifications as Amaranth shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Shape, Signal
from amaranth.lib import data

from model.spec import Format, MlbSpec, Quantity
from rtl.logic import ONE, Bit


def shape_of(number: Format) -> Shape:
    """The shape of a stored integer."""
    return Shape(number.width, number.signed)


def named(shape: Shape | int, name: str) -> Signal:
    """A signal without reset that keeps its name in the Verilog, so that a bench can read it."""
    return Signal(shape, name=name, attrs={"keep": True}, reset_less=True)


def code_shape(quantity: Quantity) -> Shape:
    """The shape of a code."""
    return shape_of(quantity.code_format)


def codes(quantity: Quantity, count: int) -> data.ArrayLayout:
    """``count`` codes, the first in the lowest bits."""
    return data.ArrayLayout(code_shape(quantity), count)


def sign(code: Any, level: int) -> Any:
    """Sign bit of ``level`` (0 is s_1) of a code, a value or its bits, lowest first: 1 for +."""
    return code[len(code) - 1 - level]


def signed_levels(mlb: MlbSpec, code: Sequence[Bit]) -> list[tuple[int, Bit]]:
    """The terms of a reconstruction: each factor with its sign bit, and the offset with a sign that is known."""
    terms = [(a, sign(code, i)) for i, a in enumerate(mlb.factors)]
    return [*terms, (mlb.offset, ONE)] if mlb.offset else terms
