"""The arithmetic units beside what one would write without them, through the same synthesis flow.

Example: python -m scripts.bench_rtl --liberty nangate45_typ.lib.gz popcount mlb_dot
Every line is measured in this run (or read from the cache of an equal one); area in um2, delay in ns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from model.spec import AdderTreeSpec, Format, MlbDotSpec, MlbSpec, PopcountSpec, SumSpec
from rtl.adder_tree import AdderTree
from rtl.mlb_dot import MlbDot
from rtl.popcount import Popcount
from rtl.unit import Unit
from rtl.verilog import emit
from scripts.console import Json, UsageError, command, delay_of, emit_json, err, goal_of, library_of, out
from scripts.naive import naive_mlb_dot, naive_popcount, naive_saturating, naive_sum
from synth.fixed32 import MULTIPLY_ACCUMULATE
from synth.flow import Effort, synthesize_text
from synth.plain import synthesize_plainly

PLAINLY = "Yosys' defaults"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One design under one effort."""

    table: str
    design: str
    effort: str
    area: float
    delay: float

    def row(self) -> str:
        """As a line of a Markdown table."""
        product = self.area * self.delay
        return f"| {self.design} | {self.effort} | {self.area:,.0f} | {self.delay:.3g} | {product:,.0f} |"


class Bench:
    """Measures designs on one library."""

    def __init__(self, liberty: Path, table: str) -> None:
        self._liberty, self._table = liberty, table

    def ours(self, design: str, unit: Unit, *goals: Effort | float) -> Iterator[Line]:
        """One of our units, for each goal: an effort, or a delay in ns."""
        yield from self._measure(design, emit(unit, "top"), goals or ("area", "speed"))

    def peer(self, design: str, verilog: str, *goals: Effort | float) -> Iterator[Line]:
        """Verilog that someone else could have written, through our flow."""
        yield from self._measure(design, verilog, goals or ("area", "speed"))

    def plainly(self, design: str, verilog: str) -> Iterator[Line]:
        """The same under the defaults of Yosys and ABC."""
        yield from self._measure(design, verilog, (PLAINLY,))

    def _measure(self, design: str, verilog: str, goals: Sequence[str | float]) -> Iterator[Line]:
        for goal in goals:
            effort, wanted = goal_of(goal)
            with err.status(f"{self._table}: {design}, {effort}"):
                if goal == PLAINLY:
                    area, delay = synthesize_plainly(verilog, "top", self._liberty, timeout_s=3000)
                else:
                    report = synthesize_text(verilog, "top", liberty=self._liberty, timeout_s=3000, **wanted)
                    area, delay = report.area, delay_of(report)
            line = Line(table=self._table, design=design, effort=effort, area=area, delay=delay)
            err.print(line.row())
            yield line


def popcounts(bench: Bench) -> Iterator[Line]:
    """Popcount of 128 bits."""
    naive, spec = naive_popcount(128), PopcountSpec(n=128)
    yield from bench.plainly("tree of additions", naive)
    yield from bench.peer("tree of additions", naive)
    yield from bench.ours("Popcount, small", Popcount(spec))
    yield from bench.ours("Popcount, balanced", Popcount(spec, final="balanced"), "speed")
    yield from bench.ours("Popcount, fast", Popcount(spec, final="fast"), "speed", 0.97, 0.82)
    yield from bench.ours("Popcount, small, 2 groups", Popcount(spec, groups=2), 0.798)
    yield from bench.ours("Popcount, small, 64 groups", Popcount(spec, groups=64), "speed", 0.89, 0.7, 0.64, 0.60)
    yield from bench.ours("Popcount, balanced, 32 groups", Popcount(spec, final="balanced", groups=32), "speed", 0.64)
    yield from bench.ours("Popcount, small, 32 groups", Popcount(spec, groups=32), "speed")
    yield from bench.peer("tree of additions", naive, 0.97, 0.89, 0.8, 0.7, 0.64, 0.60)


def mlb_dots(bench: Bench) -> Iterator[Line]:
    """(3,3) MlbDot of 132 terms; and a 32 x 32 multiply-accumulate, which takes 132 cycles for as many terms."""
    for kind, factors in (("powers of two", (4, 2, 1)), ("8-bit factors", (213, 107, 54))):
        mlb = MlbSpec(factors=factors)
        spec = MlbDotSpec(n=132, x=mlb, w=mlb)
        yield from bench.peer(f"{kind}: popcount trees of additions", naive_mlb_dot(132, factors))
        yield from bench.ours(f"{kind}: MlbDot, small", MlbDot(spec))
        yield from bench.ours(f"{kind}: MlbDot, fast", MlbDot(spec, final="fast"), "speed")
        if kind == "powers of two":
            yield from bench.ours(f"{kind}: MlbDot, small", MlbDot(spec), 1.13)
    yield from bench.peer("32 x 32 multiply-accumulate", MULTIPLY_ACCUMULATE)


def adder_trees(bench: Bench, width: int = 16) -> Iterator[Line]:
    """Sum of 128 signed 16-bit numbers: exact, and with 16-bit saturating nodes."""
    number = Format(width)
    ranges = ((number.min, number.max),) * 128
    exact = AdderTreeSpec(ranges=ranges)
    saturating = AdderTreeSpec(ranges=ranges, rule=SumSpec(width=width))
    yield from bench.peer("exact: tree of additions", naive_sum(128, width))
    yield from bench.ours("exact: AdderTree, small", AdderTree(exact), "area")
    yield from bench.ours("exact: AdderTree, fast", AdderTree(exact, final="fast"), "speed")
    yield from bench.peer("saturating: tree of additions and clamps", naive_saturating(128, width))
    yield from bench.ours("saturating: AdderTree, small", AdderTree(saturating), "area")
    fitting = (4.27,) if width == 16 else ()  # twice the tree of additions
    yield from bench.ours("saturating: AdderTree, balanced", AdderTree(saturating, final="balanced"), "area", *fitting)
    yield from bench.ours("saturating: AdderTree, fast", AdderTree(saturating, final="fast"), "speed")


def adder_trees_of_bytes(bench: Bench) -> Iterator[Line]:
    """Sum of 128 signed 8-bit numbers: exact, and with 8-bit saturating nodes."""
    yield from adder_trees(bench, 8)


TABLES: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "popcount": popcounts,
    "mlb_dot": mlb_dots,
    "adder_tree": adder_trees,
    "adder_tree_8": adder_trees_of_bytes,
}


@command
def main(
    tables: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(TABLES)}; all if not given.")] = None,
    liberty: Annotated[Path | None, typer.Option(help="Liberty file; else OSU 0.18 um.")] = None,
    json: Json = False,
) -> None:
    """Measure our units and their peers, and print a table for each."""
    library = library_of(liberty)
    lines: list[Line] = []
    for name in tables or TABLES:
        if name not in TABLES:
            raise UsageError(f"Table must be one of {', '.join(TABLES)}, not {name!r}")
        lines += list(TABLES[name](Bench(library, name)))
    if json:
        return emit_json({"lines": [asdict(line) for line in lines]})
    for name in dict.fromkeys(line.table for line in lines):
        out.print(f"\n{(TABLES[name].__doc__ or '').strip()}\n", soft_wrap=True)
        out.print("| design | effort | area | delay | area x delay |\n|---|---|---|---|---|", soft_wrap=True)
        for line in lines:
            if line.table == name:
                out.print(line.row(), soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
