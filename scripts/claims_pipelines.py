"""What is claimed of units with pipeline registers, for :mod:`scripts.proofs`: one family a kind of unit.

Each equals its plain equations so many cycles later, whatever its registers hold at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from model.spec import (
    AdderTreeSpec,
    BitSumSpec,
    EnqSpec,
    Format,
    IntegerDotSpec,
    KnqSpec,
    LayersQuantizerSpec,
    LayersReconstructSpec,
    LayersSpec,
    MacSpec,
    MlbDotSpec,
    MlbQuantizerSpec,
    MlbSpec,
    MultiplierSpec,
    NarrowSpec,
    PopcountSpec,
    PwlSpec,
    ScaledSumSpec,
    SignMatrixSpec,
    SumSpec,
    TableSpec,
    ThresholdSpec,
    XnorDotSpec,
    XnorMultiplierSpec,
)
from rtl.adder_tree import AdderTree
from rtl.bit_sum import BitSum
from rtl.enq import EnqQuantizer, EnqReconstruct
from rtl.integer_dot import IntegerDot
from rtl.knq import KnqQuantizer, KnqReconstruct
from rtl.mac import Mac
from rtl.mlb_dot import MlbDot
from rtl.mlb_quantizer import MlbQuantizer
from rtl.multiplier import Multiplier
from rtl.plain import Delayed, PlainActivation, PlainCell, PlainQuantizer, PlainThresholds
from rtl.plain_nonuniform import PlainEnqQuantizer, PlainEnqReconstruct, PlainKnqQuantizer, PlainKnqReconstruct
from rtl.plain_products import PlainDot, PlainProduct
from rtl.plain_sums import (
    PlainBitSum,
    PlainIntegerDot,
    PlainPopcount,
    PlainScaledSum,
    PlainSignMatrix,
    PlainSum,
    PlainXnorDot,
)
from rtl.popcount import Popcount
from rtl.pwl_activation import PwlActivation
from rtl.scaled_sum import ScaledSum
from rtl.sign_matrix import SignMatrix
from rtl.table_product import TableProduct
from rtl.threshold_activation import ThresholdActivation
from rtl.unit import Unit
from rtl.xnor_dot import XnorDot
from rtl.xnor_multiplier import XnorMultiplier
from scripts.claim import Claim, example_lstm

RANKS = (1, 2)

_THREE = MlbSpec(factors=(27, 9, 4), frac=6, offset=32)
_TWO = MlbSpec(factors=(90, 41), frac=6)
_BYTE = Format(8, 5)
_TANH = PwlSpec.fit("tanh", source=_BYTE, target=Format(8, 7), segments=16)
_SIGNS = ((1, -1, 1, 1, -1, 1), (1, 1, -1, 1, -1, -1), (-1, 1, 1, 1, 1, 1), (1, -1, 1, -1, 1, -1))


def pipelines() -> Iterator[Claim]:
    """Each unit with registers within against its plain equations with registers behind them."""
    for name, optimized, plain in _units():
        for ranks in RANKS:
            size = f"{name}, {ranks} rank{'s' if ranks > 1 else ''}"
            later = Delayed(plain, ranks)
            yield Claim(claim="pipeline = plain unit, later", size=size, optimized=optimized(ranks), plain=later)


def _units() -> Iterator[tuple[str, Callable[[int], Unit], Unit]]:
    """Name, the unit with so many ranks, and its plain equations."""
    popcount = PopcountSpec(n=16)
    yield "popcount of 16 bits", lambda n: Popcount(popcount, n), PlainPopcount(popcount)
    bits = BitSumSpec(weights=(0, 0, 0, 1, 1, 1, 1, 2, 2, 4, 4, 5), constant=-7)
    yield "bit sum of 12 bits", lambda n: BitSum(bits, n), PlainBitSum(bits)
    xnor_dot = XnorDotSpec(n=8)
    yield "XNOR dot of 8 bits", lambda n: XnorDot(xnor_dot, n), PlainXnorDot(xnor_dot)
    dot = MlbDotSpec(n=3, x=_TWO, w=_TWO, bias=-7)
    yield "MLB dot of 3 terms", lambda n: MlbDot(dot, n), PlainDot(dot)
    for rule in (SumSpec(width=None), SumSpec(width=5)):
        tree = AdderTreeSpec(ranges=((-8, 7),) * 5, rule=rule)
        name = "exact" if rule.exact else "saturating"
        yield f"{name} adder tree of 5", lambda n, tree=tree: AdderTree(tree, n), PlainSum(tree)
    integers = IntegerDotSpec(n=3, source=Format(3, 0, False), bias=-3, rule=SumSpec(width=5))
    yield "integer dot of 3 terms", lambda n: IntegerDot(integers, n), PlainIntegerDot(integers)
    scaled = ScaledSumSpec(sources=(Format(5),) * 3, factors=(64, -93, 32))
    yield "scaled sum of 3 terms", lambda n: ScaledSum(scaled, n), PlainScaledSum(scaled)
    matrix = SignMatrixSpec(weights=_SIGNS, source=Format(2))
    yield "matrix of 4 x 6", lambda n: SignMatrix(matrix, n), PlainSignMatrix(matrix)
    quantizer = MlbQuantizerSpec(source=Format(12, 7), mlb=_THREE)
    yield "quantizer of 12 bits", lambda n: MlbQuantizer(quantizer, n), PlainQuantizer(quantizer)
    yield "activation of 8 bits", lambda n: PwlActivation(_TANH, n), PlainActivation(_TANH)
    narrow = NarrowSpec(source=Format(14, 9), target=_BYTE)
    thresholds = ThresholdSpec(narrow=narrow, activation=_TANH, mlb=_THREE)
    yield "thresholds of 14 bits", lambda n: ThresholdActivation(thresholds, n), PlainThresholds(thresholds)
    xnor = XnorMultiplierSpec(a=_THREE, b=_TWO)
    yield "XNOR product", lambda n: XnorMultiplier(xnor, n), PlainProduct(xnor)
    mac = MacSpec(a=_THREE, t=Format(6))
    yield "mac", lambda n: Mac(mac, n), PlainProduct(mac)
    words = MultiplierSpec(a=Format(5), b=Format(6))
    yield "multiplier", lambda n: Multiplier(words, n), PlainProduct(words)
    small = example_lstm(2)
    table = TableSpec.cell(small)
    yield "table of 4 codes", lambda n: TableProduct(table, n), PlainCell(small)
    yield from _nonuniform()


def _nonuniform() -> Iterator[tuple[str, Callable[[int], Unit], Unit]]:
    enq = LayersSpec(layers=tuple(EnqSpec(q_bits=8, bits=bits) for bits in (4, 3)))
    rows = ((0, 5, 20, 47, 90, 150, 151, 256), (3, 9, 14, 40, 80, 128, 200, 256))
    knq = LayersSpec(layers=tuple(KnqSpec(q_bits=8, centroids=row) for row in rows))
    to_enq, to_knq = (LayersQuantizerSpec(layers=layers, x_bits=10) for layers in (enq, knq))
    of_enq, of_knq = (LayersReconstructSpec(layers=layers) for layers in (enq, knq))
    yield "QE of 2 layers", lambda n: EnqQuantizer(to_enq, n), PlainEnqQuantizer(to_enq)
    yield "CE of 2 layers", lambda n: EnqReconstruct(of_enq, n), PlainEnqReconstruct(of_enq)
    yield "QK of 2 layers", lambda n: KnqQuantizer(to_knq, n), PlainKnqQuantizer(to_knq)
    yield "CK of 2 layers", lambda n: KnqReconstruct(of_knq, n), PlainKnqReconstruct(of_knq)
