"""The units that can be generated and synthesized by name: each a function from parameters to a unit.

Add one here and the command line, the cocotb bench, the planted fault and the mutants take it from there.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import get_args

from model.spec import (
    BitSumSpec,
    Format,
    MacSpec,
    MlbDotSpec,
    MlbQuantizerSpec,
    MlbSpec,
    MultiplierSpec,
    NarrowSpec,
    Overflow,
    PopcountSpec,
    PwlSpec,
    ReconstructSpec,
    Rounding,
    ShiftNormSpec,
    SignMatrixSpec,
    TableSpec,
    ThresholdSpec,
    XnorDotSpec,
    XnorMultiplierSpec,
)
from rtl.bit_sum import BitSum
from rtl.mac import Mac
from rtl.mlb_dot import MlbDot
from rtl.mlb_quantizer import MlbQuantizer
from rtl.multiplier import Multiplier
from rtl.narrow import Narrow
from rtl.popcount import Popcount
from rtl.pwl_activation import PwlActivation
from rtl.reconstruct import Reconstruct
from rtl.shift_norm import ShiftNorm
from rtl.sign_matrix import Sharing, SignMatrix
from rtl.table_product import TableProduct
from rtl.threshold_activation import ThresholdActivation
from rtl.unit import Unit
from rtl.xnor_dot import XnorDot
from rtl.xnor_multiplier import XnorMultiplier
from synth.nonuniform_units import enq_quantizer, enq_reconstruct, knq_quantizer, knq_reconstruct
from synth.sum_units import adder_tree, codes, final_adder, integer_dot, scaled_sum

Factors = tuple[int, ...]


def _pwl(function: str, source: Format, target: Format, segments: int) -> PwlSpec:
    if function not in ("sigmoid", "tanh"):
        raise ValueError(f"Activation function must be sigmoid or tanh, not {function!r}")
    return PwlSpec.fit(function, source=source, target=target, segments=segments)  # type: ignore[arg-type]


def popcount(n: int = 128, stages: int = 0, final: str = "small", groups: int = 1) -> Unit:
    """Number of ones among n bits; final adder small, balanced or fast; groups, a power of two, n / 4 for speed."""
    return Popcount(PopcountSpec(n=n), stages, final_adder(final), groups)


def bit_sum(weights: Factors = (0, 0, 0, 1, 1, 2), constant: int = -3, stages: int = 0, final: str = "small") -> Unit:
    """Sum of bits times 2^weight, and a constant."""
    return BitSum(BitSumSpec(weights=weights, constant=constant), stages, final_adder(final))


def xnor_dot(n: int = 128, stages: int = 0, final: str = "small") -> Unit:
    """Number of equal bits of two n-bit vectors."""
    return XnorDot(XnorDotSpec(n=n), stages, final_adder(final))


def mlb_dot(
    n: int = 40,
    x: Factors = (64, 32, 16),
    w: Factors = (64, 32, 16),
    weights: str = "",
    bias: int = 0,
    stages: int = 0,
    final: str = "small",
) -> Unit:
    """Dot product of n binarized inputs (factors x) with n weights (factors w), constant if given as codes."""
    spec = MlbDotSpec(n=n, x=MlbSpec(factors=x), w=MlbSpec(factors=w), weights=codes(weights), bias=bias)
    return MlbDot(spec, stages, final_adder(final))


def sign_matrix(
    outputs: int = 32,
    inputs: int = 32,
    width: int = 1,
    signed: int = 0,
    seed: int = 0,
    stages: int = 0,
    final: str = "small",
    sharing: str = "best",
) -> Unit:
    """Random constant matrix of +-1 times a vector of width-bit inputs; sharing planes, words, rows or best."""
    if sharing not in get_args(Sharing):
        raise ValueError(f"Sharing must be {', '.join(get_args(Sharing))}, not {sharing!r}")
    chance = random.Random(seed)
    weights = tuple(tuple(chance.choice((-1, 1)) for _ in range(inputs)) for _ in range(outputs))
    spec = SignMatrixSpec(weights=weights, source=Format(width, 0, bool(signed)))
    return SignMatrix(spec, stages, final_adder(final), sharing)  # type: ignore[arg-type]


def shift_norm(
    width: int = 16,
    frac: int = 0,
    mean: int = 93,
    shift: int = 4,
    to_width: int = 8,
    to_frac: int = 0,
    rounding: str = "floor",
    overflow: str = "saturate",
) -> Unit:
    """Shift normalization (x - mean) / 2^shift of a signed number, narrowed; mean has frac fraction bits."""
    return ShiftNorm(
        ShiftNormSpec(
            source=Format(width, frac),
            mean=mean,
            shift=shift,
            target=Format(to_width, to_frac),
            rounding=Rounding(rounding),
            overflow=Overflow(overflow),
        )
    )


def mlb_quantizer(
    width: int = 10, frac: int = 6, factors: Factors = (64, 32, 16), offset: int = 0, stages: int = 0
) -> Unit:
    """Multi-level binarization of a signed fixed-point input; factors have frac fraction bits too."""
    mlb = MlbSpec(factors=factors, frac=frac, offset=offset)
    return MlbQuantizer(MlbQuantizerSpec(source=Format(width, frac), mlb=mlb), stages)


def reconstruct(factors: Factors = (64, 32, 16), offset: int = 0) -> Unit:
    """Value of a binarized code."""
    return Reconstruct(ReconstructSpec(mlb=MlbSpec(factors=factors, offset=offset)))


def narrow(
    width: int = 20,
    frac: int = 14,
    to_width: int = 10,
    to_frac: int = 6,
    rounding: str = "floor",
    overflow: str = "saturate",
) -> Unit:
    """Narrowing of a signed fixed-point number; rounding floor or nearest_even, overflow saturate or wrap."""
    return Narrow(
        NarrowSpec(
            source=Format(width, frac),
            target=Format(to_width, to_frac),
            rounding=Rounding(rounding),
            overflow=Overflow(overflow),
        )
    )


def pwl_activation(
    function: str = "sigmoid",
    width: int = 10,
    frac: int = 6,
    to_width: int = 8,
    to_frac: int = 8,
    segments: int = 32,
    stages: int = 0,
) -> Unit:
    """Piecewise-linear sigmoid or tanh of a signed input; the sigmoid's output is unsigned."""
    target = Format(to_width, to_frac, function == "tanh")
    return PwlActivation(_pwl(function, Format(width, frac), target, segments), stages)


def threshold_activation(
    function: str = "sigmoid",
    width: int = 20,
    frac: int = 14,
    to_width: int = 10,
    to_frac: int = 6,
    rounding: str = "floor",
    segments: int = 32,
    factors: Factors = (16, 8, 4),
    offset: int = 32,
    stages: int = 0,
) -> Unit:
    """Binarized sigmoid or tanh of a width-bit sum, by thresholds: narrow, pwl_activation and mlb_quantizer in one."""
    inner, target = Format(to_width, to_frac), Format(8, 7 if function == "tanh" else 8, function == "tanh")
    narrowing = NarrowSpec(source=Format(width, frac), target=inner, rounding=Rounding(rounding))
    mlb = MlbSpec(factors=factors, frac=6, offset=offset)
    return ThresholdActivation(
        ThresholdSpec(narrow=narrowing, activation=_pwl(function, inner, target, segments), mlb=mlb), stages
    )


def table_product(
    f: Factors = (16, 8, 4),
    c: Factors = (64, 32, 16),
    i: Factors = (16, 8, 4),
    g: Factors = (32, 16, 8),
    offset: int = 32,
    factors: Factors = (64, 32, 16),
    stages: int = 0,
) -> Unit:
    """Binarized f*c + i*g of binarized values, as a table of their codes; offset is that of f and i."""
    gates = [MlbSpec(factors=a, frac=6, offset=offset) for a in (f, i)]
    fc, ig = (XnorMultiplierSpec(a=a, b=MlbSpec(factors=b, frac=6)) for a, b in zip(gates, (c, g), strict=True))
    return TableProduct(TableSpec.binarized_sum(fc, ig, MlbSpec(factors=factors, frac=6)), stages)


def xnor_multiplier(a: Factors = (30, 8, 7), b: Factors = (64, 32, 16), offset: int = 0, stages: int = 0) -> Unit:
    """Pointwise product of two binarized values; offset is that of a."""
    return XnorMultiplier(XnorMultiplierSpec(a=MlbSpec(factors=a, offset=offset), b=MlbSpec(factors=b)), stages)


def multiplier(a: int = 8, b: int = 8, stages: int = 0) -> Unit:
    """Product of two signed numbers of a and b bits."""
    return Multiplier(MultiplierSpec(a=Format(a), b=Format(b)), stages)


def mac(a: Factors = (16, 8, 4), offset: int = 32, width: int = 8, frac: int = 7, stages: int = 0) -> Unit:
    """Product of a binarized value and a signed width-bit number."""
    return Mac(MacSpec(a=MlbSpec(factors=a, frac=6, offset=offset), t=Format(width, frac)), stages)


UNITS: dict[str, Callable[..., Unit]] = {
    f.__name__: f
    for f in (
        popcount,
        bit_sum,
        xnor_dot,
        mlb_dot,
        adder_tree,
        integer_dot,
        scaled_sum,
        sign_matrix,
        shift_norm,
        mlb_quantizer,
        reconstruct,
        narrow,
        pwl_activation,
        threshold_activation,
        xnor_multiplier,
        mac,
        multiplier,
        table_product,
        enq_quantizer,
        enq_reconstruct,
        knq_quantizer,
        knq_reconstruct,
    )
}
