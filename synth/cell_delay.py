"""The delay of one LSTM cell operation: which functional units it takes, and how often each is used.

One cell operation is what one hidden unit does in one time step (equations 1 to 5 of MuBiNN): four dot products over
all inputs, four activations, two products and their sum, tanh and the last product. There is **one functional unit of
each kind**, units work one after another, and registers between them are not counted, so::

    delay = sum over kinds of uses x delay of the unit        area = sum over kinds of the area of the unit

The delay of a unit is that of its synthesized netlist by static timing analysis, or its logic depth in two-input gates.

What differs between the two accountings is the dot product:

- ``pass``: a binarized dot product is one unit that takes all terms at once (that is what popcounts are for), used 4
  times; with a 32-bit operand there is a multiply-accumulate unit for one term, used 4 x terms times.
- ``serial``: binarized terms too come one after another, through a unit for one term and its running sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from model.family import NumberChoice
from model.spec import (
    AdderTreeSpec,
    Datapath,
    Format,
    LstmSpec,
    MacSpec,
    MlbAccumulatorSpec,
    MlbDotSpec,
    MlbQuantizerSpec,
    MlbSpec,
    NarrowSpec,
    PwlSpec,
    ReconstructSpec,
    TableSpec,
    ThresholdSpec,
    XnorMultiplierSpec,
    binarized,
)
from rtl.adder_tree import AdderTree
from rtl.mac import Mac
from rtl.mlb_accumulator import MlbAccumulator
from rtl.mlb_quantizer import MlbQuantizer
from rtl.narrow import Narrow
from rtl.pwl_activation import PwlActivation
from rtl.reconstruct import Reconstruct
from rtl.table_product import TableProduct
from rtl.threshold_activation import ThresholdActivation
from rtl.unit import Unit
from rtl.verilog import emit
from rtl.xnor_multiplier import XnorMultiplier
from synth import fixed32

TOP = "top"
FP = 0  #: levels of a quantity that is a 32-bit fixed-point number
#: Of the 32-bit baseline: a pre-activation, an activation, and their functions, which need more segments.
WIDE_SEGMENTS, WIDE_GUARD = 64, 16

Accounting = Literal["pass", "serial"]
Factors = Literal["pow2", "free"]


@dataclass(frozen=True, kw_only=True)
class Use:
    """A functional unit of a cell operation, as Verilog with top module ``top``, and how often it is used."""

    kind: str
    verilog: str
    times: int


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell operation.

    Parameters
    ----------
    activation, weight
        Levels of activations and of weights, 1 to 5; ``FP`` for 32-bit fixed point.
    features, hidden
        Terms of the dot products.
    factors
        Scaling factors: powers of two, or numbers of 8 bits.
    """

    activation: int
    weight: int
    features: int = 32
    hidden: int = 100
    factors: Factors = "pow2"

    def __post_init__(self) -> None:
        for name, levels in (("activation", self.activation), ("weight", self.weight)):
            if not 0 <= levels <= 5:
                raise ValueError(f"Levels of the {name} must be 1 to 5, or {FP} for 32-bit numbers, not {levels!r}")

    @property
    def binarized(self) -> bool:
        """Whether activations and weights both are."""
        return FP not in (self.activation, self.weight)

    def has(self, datapath: Datapath) -> bool:
        """Whether the cell can be built so: those of codes need codes, and not too many for a table."""
        return datapath is Datapath.ARITHMETIC or (self.binarized and datapath.refusal(self.lstm()) is None)

    def lstm(self) -> LstmSpec:
        """A layer with these levels (where 32-bit: with 5) and factors, formats as in training."""
        a, w = self.activation or 5, self.weight or 5

        def mlb(top: int, levels: int, frac: int, offset: int = 0) -> MlbSpec:
            # Free factors are a little less than powers of two, and odd: they take several digits each.
            small = [top * 213 >> (8 + k) | 1 for k in range(levels)]
            powers = [max(top >> k, 1) for k in range(levels)]
            return MlbSpec(factors=tuple(powers if self.factors == "pow2" else small), frac=frac, offset=offset)

        numbers = NumberChoice()
        frac = numbers.activation_frac
        half, whole = mlb(16, a, frac, numbers.offset(0)), mlb(32, a, frac)
        weights = mlb(128, w, numbers.weight_frac)
        return LstmSpec(
            features=self.features,
            hidden=self.hidden,
            x=mlb(64, a, frac),
            h=whole,
            c=mlb(64, a, frac),
            gates=(half, half, whole, half),
            wx=(weights, weights, weights, weights),
            wh=(weights, weights, weights, weights),
            b=(weights, weights, weights, weights),
            sigmoid=numbers.sigmoid,
            tanh=numbers.tanh,
        )

    def uses(self, accounting: Accounting, datapath: Datapath = Datapath.ARITHMETIC) -> Iterator[Use]:
        """The functional units, and how often each is used.

        Raises
        ------
        ValueError
            If the cell does not have this datapath.
        """
        if not self.has(datapath):
            raise ValueError(f"Datapath must be one that the cell can have, not {str(datapath)!r}")
        lstm, terms = self.lstm(), self.features + self.hidden
        yield from self._dots(lstm, accounting, 4 * terms)
        if self.activation == FP:
            yield from self._wide_pointwise()
            return
        narrow = [lstm.narrow_z(k) for k in (0, 2)]
        if not self.binarized:
            narrow = [NarrowSpec(source=Format(48, 30), target=each.target) for each in narrow]
        for kind, gate, before, times in (("sigmoid", 0, narrow[0], 3), ("tanh", 2, narrow[1], 1)):
            pwl, mlb = lstm.activation(gate), binarized(lstm.gates[gate])
            if datapath is Datapath.ARITHMETIC:
                quantizer = MlbQuantizer(MlbQuantizerSpec(source=pwl.target, mlb=mlb))
                yield _use(f"narrow for {kind}", Narrow(before), times)
                # The unit for tanh is that for tanh(c) too.
                yield _use(kind, PwlActivation(pwl), times + (kind == "tanh"))
                yield _use(f"quantizer of {kind}", quantizer, times)
            else:
                threshold = ThresholdActivation(ThresholdSpec.gate(lstm, gate))
                yield _use(f"{kind} by thresholds", threshold, times)
        if datapath is Datapath.TABLE:
            yield _use("table of c", TableProduct(TableSpec.cell(lstm)), 1)
            yield _use("table of h", TableProduct(TableSpec.hidden(lstm)), 1)
            return
        if datapath is Datapath.THRESHOLD:
            yield _use("tanh", PwlActivation(lstm.tanh), 1)
        (i, f, g, o), c, h = map(binarized, lstm.gates), binarized(lstm.c), binarized(lstm.h)
        products = (XnorMultiplierSpec(a=f, b=c), XnorMultiplierSpec(a=i, b=g))
        ranges = tuple((p.format.min, p.format.max) for p in products)
        yield from (_use("pointwise product", XnorMultiplier(p), 1) for p in products)
        yield _use("pointwise sum", AdderTree(AdderTreeSpec(ranges=ranges)), 1)
        yield _use("quantizer of c", MlbQuantizer(MlbQuantizerSpec(source=lstm.c_raw_format, mlb=c)), 1)
        yield _use("c from its code", Reconstruct(ReconstructSpec(mlb=c)), 1)
        yield _use("narrow of c", Narrow(lstm.narrow_c), 1)
        yield _use("product with tanh(c)", Mac(MacSpec(a=o, t=lstm.tanh.target)), 1)
        yield _use("quantizer of h", MlbQuantizer(MlbQuantizerSpec(source=lstm.mac.format, mlb=h)), 1)

    def _dots(self, lstm: LstmSpec, accounting: Accounting, terms: int) -> Iterator[Use]:
        if self.binarized:
            total = lstm.z_format(0)
            if accounting == "pass":
                dots = lstm.dots(0)
                yield _use("dot product", MlbAccumulator(MlbAccumulatorSpec(dots=dots, total=total)), 4)
            else:
                term = MlbDotSpec(n=1, x=lstm.x, w=lstm.wx[0])
                yield _use("term", MlbAccumulator(MlbAccumulatorSpec(dots=(term,), total=total)), terms)
        elif self.activation == self.weight:
            yield Use(kind="multiply-accumulate", verilog=fixed32.MULTIPLY_ACCUMULATE, times=terms)
        else:
            verilog = fixed32.signed_accumulate(self.activation or self.weight)
            yield Use(kind="add or subtract", verilog=verilog, times=terms)

    @staticmethod
    def _wide_pointwise() -> Iterator[Use]:
        source, target = Format(32, 28), Format(32, 30)
        for kind, times in (("sigmoid", 3), ("tanh", 2)):
            pwl = PwlSpec.fit(kind, source=source, target=target, segments=WIDE_SEGMENTS, guard=WIDE_GUARD)  # type: ignore[arg-type]
            yield _use(kind, PwlActivation(pwl), times)
        yield Use(kind="pointwise product", verilog=fixed32.MULTIPLIER, times=3)
        yield Use(kind="pointwise sum", verilog=fixed32.ADDER, times=1)


def _use(kind: str, unit: Unit, times: int) -> Use:
    return Use(kind=kind, verilog=emit(unit, TOP), times=times)


#: Table I of MuBiNN, seconds for 1,300 steps of 100 units: rows are levels of activations 1 to 5, then 32-bit;
#: columns levels of weights alike.
PAPER_S = (
    (0.042, 0.066, 0.089, 0.120, 0.160, 4.262),
    (0.054, 0.067, 0.090, 0.121, 0.161, 4.263),
    (0.059, 0.072, 0.091, 0.122, 0.162, 4.264),
    (0.066, 0.079, 0.098, 0.123, 0.163, 4.265),
    (0.075, 0.088, 0.107, 0.132, 0.164, 4.266),
    (1.065, 1.079, 1.098, 1.123, 1.154, 4.294),
)


def paper_ratio(activation: int, weight: int) -> float:
    """How many times less delay than 32-bit the paper gives for these levels."""
    return PAPER_S[-1][-1] / PAPER_S[(activation or 6) - 1][(weight or 6) - 1]
