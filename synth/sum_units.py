"""Units of sums in a written order by name; see :mod:`synth.units`."""

from __future__ import annotations

from typing import get_args

from model.spec import AdderTreeSpec, Format, IntegerDotSpec, ScaledSumSpec, SumSpec
from rtl.adder_tree import AdderTree
from rtl.compressor import FinalAdder
from rtl.integer_dot import IntegerDot
from rtl.scaled_sum import ScaledSum
from rtl.unit import Unit


def final_adder(name: str) -> FinalAdder:
    """The final adder of that name."""
    if name not in get_args(FinalAdder):
        raise ValueError(f"Final adder must be {', '.join(get_args(FinalAdder))}, not {name!r}")
    return name  # type: ignore[return-value]


def codes(weights: str) -> tuple[int, ...] | None:
    """Constant weights as codes separated by commas; None if there are none."""
    if weights and not all(code.removeprefix("-").isdecimal() for code in weights.split(",")):
        raise ValueError(f"Constant weights must be codes separated by commas, not {weights!r}")
    return tuple(map(int, weights.split(","))) if weights else None


def adder_tree(
    n: int = 9,
    width: int = 12,
    node: int = 0,
    overflow: str = "saturate",
    order: str = "tree",
    fan_in: int = 2,
    shift: int = 0,
    unit: int = 0,
    constant: int = 0,
    stages: int = 0,
    final: str = "small",
) -> Unit:
    """Sum of n signed inputs and a constant: exact (node=0) or by node-bit adders, tree or sequence; unit=0 for one."""
    number = Format(width)
    rule = SumSpec(width=node or None, order=order, overflow=overflow, fan_in=fan_in, shift=shift, unit=unit or None)
    spec = AdderTreeSpec(ranges=((number.min, number.max),) * n, constant=constant, rule=rule)
    return AdderTree(spec, stages, final_adder(final))


def integer_dot(
    n: int = 16,
    width: int = 8,
    signed: int = 0,
    weight_bits: int = 1,
    weights: str = "",
    bias: int = 0,
    node: int = 12,
    overflow: str = "saturate",
    order: str = "tree",
    fan_in: int = 2,
    shift: int = 0,
    unit: int = 0,
    stages: int = 0,
    final: str = "small",
) -> Unit:
    """Dot product of n inputs with +-1 or integers of weight_bits, constant if given; sums as of adder_tree."""
    rule = SumSpec(width=node or None, order=order, overflow=overflow, fan_in=fan_in, shift=shift, unit=unit or None)
    source, constants = Format(width, 0, bool(signed)), codes(weights)
    spec = IntegerDotSpec(n=n, source=source, weight_bits=weight_bits, weights=constants, bias=bias, rule=rule)
    return IntegerDot(spec, stages, final_adder(final))


def scaled_sum(width: int = 12, factors: tuple[int, ...] = (64, 93, 32), stages: int = 0) -> Unit:
    """Sum of signed numbers, each times its constant; of one, a multiplication by a constant."""
    return ScaledSum(ScaledSumSpec(sources=(Format(width),) * len(factors), factors=factors), stages)
