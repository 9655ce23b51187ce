"""The units of nonuniform quantization for twelve layers of VGG-16, beside the paper's, as ratios to its or our QE.

Example: python -m scripts.bench_nonuniform --liberty nangate45_typ.lib.gz
Every line is measured in this run (or read from the cache of an equal one); area in um2, delay in ns. A ratio is to QE
under the same effort. Of the constants only four layers are the paper's: see ``synth/vgg16.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, get_args

import typer

from model.spec import LayersQuantizerSpec, LayersReconstructSpec
from rtl.enq import EnqQuantizer, EnqReconstruct
from rtl.knq import KnqQuantizer, KnqReconstruct
from rtl.nonuniform_tables import WritableEnqQuantizer, WritableEnqReconstruct
from rtl.plain_nonuniform import PlainKnqQuantizer, PlainKnqReconstruct
from rtl.unit import Unit
from scripts.bench_rtl import Bench, Line
from scripts.console import Json, UsageError, command, emit_json, library_of, out
from synth import vgg16
from synth.flow import Effort

#: Area and delay of the paper's units, 90 nm.
PAPER = {"QE": (776, 0.43), "CE": (311, 0.25), "QK": (7512, 0.65), "CK": (4087, 0.31)}
BASE = "QE"

_QE, _QK = (LayersQuantizerSpec(layers=layers) for layers in (vgg16.ENQ, vgg16.KNQ))
_CE, _CK = (LayersReconstructSpec(layers=layers) for layers in (vgg16.ENQ, vgg16.KNQ))
UNITS: dict[str, Callable[[], Unit]] = {
    BASE: lambda: EnqQuantizer(_QE),
    "CE": lambda: EnqReconstruct(_CE),
    "QK, small": lambda: KnqQuantizer(_QK, 0, "small"),
    "QK, fast": lambda: KnqQuantizer(_QK, 0, "fast"),
    "CK, small": lambda: KnqReconstruct(_CK, 0, "small"),
    "CK, fast": lambda: KnqReconstruct(_CK, 0, "fast"),
    "QK as the paper's: comparators, encoder": lambda: PlainKnqQuantizer(_QK),
    "CK as the paper's: multiplexer": lambda: PlainKnqReconstruct(_CK),
    "QE, shifts writable": lambda: WritableEnqQuantizer(_QE),
    "CE, shifts writable": lambda: WritableEnqReconstruct(_CE),
}


def measured(bench: Bench, efforts: Sequence[Effort]) -> Iterator[Line]:
    """Every unit under every effort."""
    for design, make in UNITS.items():
        yield from bench.ours(design, make(), *efforts)


def rows(lines: Sequence[Line]) -> Iterator[str]:
    """As lines of a Markdown table, with the paper's last."""
    base = {line.effort: line for line in lines if line.design == BASE}
    for line in lines:
        qe = base[line.effort]
        ratios = f"{line.area / qe.area:.1f} | {line.delay / qe.delay:.1f}"
        yield f"| {line.design} | {line.effort} | {line.area:,.0f} | {line.delay:.2f} | {ratios} |"
    for design, (area, delay) in PAPER.items():
        ratios = f"{area / PAPER[BASE][0]:.1f} | {delay / PAPER[BASE][1]:.1f}"
        yield f"| paper: {design} | 90 nm | {area:,} | {delay:.2f} | {ratios} |"


@command
def main(
    liberty: Annotated[Path | None, typer.Option(help="Liberty file; else OSU 0.18 um.")] = None,
    effort: Annotated[list[str] | None, typer.Option(help="Effort; repeatable. All if not given.")] = None,
    json: Json = False,
) -> None:
    """Measure the units and print area, delay and their ratios to QE."""
    library = library_of(liberty)
    for name in effort or ():
        if name not in get_args(Effort):
            raise UsageError(f"Effort must be one of {', '.join(get_args(Effort))}, not {name!r}")
    efforts: Sequence[Effort] = effort or get_args(Effort)  # type: ignore[assignment]
    lines = list(measured(Bench(library, "nonuniform"), efforts))
    if json:
        return emit_json({"paper": PAPER, "lines": [asdict(line) for line in lines]})
    out.print("| unit | effort | area | delay | area / QE | delay / QE |\n|---|---|---|---|---|---|", soft_wrap=True)
    for row in rows(lines):
        out.print(row, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
