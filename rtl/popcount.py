"""Number of ones of a vector."""

from amaranth.hdl import Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import PopcountSpec
from rtl.compressor import FinalAdder, compress
from rtl.logic import Bit, Logic, LogicUnit
from rtl.shapes import shape_of


class Popcount(LogicUnit):
    """``o`` = number of ones in ``x``.

    Latency ``stages`` cycles, throughput one a cycle. Exact. In one group, with the small final adder, it has
    n - w(n) full and half adders, w(n) being the ones in the binary n: as few as there can be. In many it is the
    fastest, for more area.

    Parameters
    ----------
    spec
        The length.
    stages
        Pipeline registers between input and output.
    final
        The adder that ends the count of each group: small, balanced or fast.
    groups
        How many groups are counted by themselves, a power of two; their counts are added in pairs, pairs of pairs
        and so on.

    Ports
    -----
    x : In, n bits
    o : Out, ``spec.format``
    """

    x: data.View
    o: Value

    def __init__(self, spec: PopcountSpec, stages: int = 0, final: FinalAdder = "small", groups: int = 1) -> None:
        if not (1 <= groups <= spec.n and groups.bit_count() == 1):
            raise ValueError(f"Groups of a popcount must be a power of two up to its {spec.n} bits, not {groups!r}")
        self.spec, self.latency, self.variant = spec, stages, (final, groups)
        super().__init__({"x": In(data.ArrayLayout(1, spec.n)), "o": Out(shape_of(spec.format))})

    def bits(self, logic: Logic) -> list[Bit]:
        final, groups = self.variant
        ones = logic.inputs(self.x.as_value())
        parts = [ones[k::groups] for k in range(groups)]
        counts = [compress(logic, [(0, bit) for bit in part], 0, len(part).bit_length(), final) for part in parts]
        while len(counts) > 1:
            counts = [self._sum(logic, *pair) for pair in zip(counts[::2], counts[1::2], strict=True)]
        return counts[0]

    def _sum(self, logic: Logic, a: list[Bit], b: list[Bit]) -> list[Bit]:
        # Low bits come first and go on first, so carries that ripple overlap from addition to addition; with prefix
        # adders in their place netlists were slower (`docs/results/units.md`).
        width = min(max(len(a), len(b)) + 1, self.spec.format.width)
        return compress(logic, [*enumerate(a), *enumerate(b)], 0, width)
