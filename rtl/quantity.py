"""How quantities are stored, as hardware: the units between codes and values, for both kinds."""

from __future__ import annotations

from amaranth.hdl import Array, Const, Module, Value

from model.spec import (
    FixedSpec,
    Format,
    MacSpec,
    MlbQuantizerSpec,
    MlbSpec,
    ProductSpec,
    Quantity,
    ReconstructSpec,
    XnorMultiplierSpec,
)
from rtl.mac import Mac
from rtl.mlb_quantizer import MlbQuantizer
from rtl.multiplier import Multiplier
from rtl.narrow import Narrow
from rtl.reconstruct import Reconstruct
from rtl.shapes import shape_of
from rtl.xnor_multiplier import XnorMultiplier


def quantize(m: Module, name: str, quantity: Quantity, source: Format, value: Value) -> Value:
    """The code of a ``value`` of format ``source``: a quantizer, or a narrowing; ``name`` ends that of the unit."""
    if isinstance(quantity, FixedSpec):
        m.submodules[f"narrow_to_{name}"] = unit = Narrow(quantity.narrowing(source))
        m.d.comb += unit.x.eq(value.shift_left(quantity.widening(source.frac)))
    else:
        m.submodules[f"mlb_quantizer_{name}"] = unit = MlbQuantizer(MlbQuantizerSpec(source=source, mlb=quantity))
        m.d.comb += unit.x.eq(value)
    return unit.o


def reconstruct(m: Module, name: str, quantity: Quantity, code: Value) -> Value:
    """The value of a code, in ``quantity.format``; a fixed-point number is its own code."""
    if isinstance(quantity, MlbSpec):
        m.submodules[name] = unit = Reconstruct(ReconstructSpec(mlb=quantity))
        m.d.comb += unit.code.eq(code)
        code = unit.o
    return code


def multiply(m: Module, name: str, spec: ProductSpec, a: Value, b: Value) -> Value:
    """The pointwise product of two codes, in ``spec.format``; ``name`` ends that of the unit."""
    if isinstance(spec, XnorMultiplierSpec):
        m.submodules[f"xnor_multiplier_{name}"] = unit = XnorMultiplier(spec)
        m.d.comb += unit.b.eq(b)
    elif isinstance(spec, MacSpec):
        m.submodules[f"mac_{name}"] = unit = Mac(spec)
        m.d.comb += unit.t.eq(b)
    else:
        m.submodules[f"multiplier_{name}"] = unit = Multiplier(spec)
        m.d.comb += unit.b.eq(b)
    m.d.comb += unit.a.eq(a)
    return unit.o


def start_value(quantity: Quantity, code: Value, shift: int, constant: int, total: Format) -> Value:
    """Where a sum begins: a bias with ``shift`` fraction bits appended, and a constant; of format ``total``."""
    if isinstance(quantity, FixedSpec):
        return code.as_signed().shift_left(shift) + constant
    return Array(Const((b << shift) + constant, shape_of(total)) for b in quantity.values)[code]
