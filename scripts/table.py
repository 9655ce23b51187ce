"""``xnorforge table``: tables of a paper, rebuilt."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from model.spec import Datapath
from scripts.console import Json, UsageError, command, emit_json, err, out
from synth.cell_delay import FP, TOP, Accounting, Cell, Factors, Use, paper_ratio
from synth.energy.measure import Energy, measure, require
from synth.flow import Effort, SynthReport, find_liberty, synthesize_text
from synth.liberty import load_library

tables = typer.Typer(no_args_is_help=True, help="Rebuild a table of the MuBiNN paper.")
LEVELS = (1, 2, 3, 4, 5, FP)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A cell operation under one datapath; delays and energies summed over all uses, areas over all units."""

    cell: Cell
    datapath: Datapath
    uses: Sequence[Use]
    reports: Sequence[SynthReport]
    energies: Sequence[Energy | None]

    @property
    def energy(self) -> float | None:
        """pJ, None if it was not measured."""
        if None in self.energies:
            return None
        found = zip(self.uses, self.energies, strict=True)
        return sum(use.times * energy.dynamic * 1e12 for use, energy in found if energy is not None)

    @property
    def depth(self) -> int:
        """Two-input gates, one after another."""
        return sum(use.times * report.depth for use, report in zip(self.uses, self.reports, strict=True))

    @property
    def delay(self) -> float:
        """In the unit of the library."""
        return sum(use.times * (report.delay or 0.0) for use, report in zip(self.uses, self.reports, strict=True))

    @property
    def area(self) -> float:
        """One unit of each kind."""
        return sum(report.area for report in self.reports)

    def as_dict(self, base: Figures) -> dict[str, Any]:
        """For JSON; ratios say how many times less than 32-bit."""
        energy = {}
        if self.energy and base.energy:
            energy = {
                "energy_pj": round(self.energy, 4),
                "leakage_uw": round(sum(each.leakage * 1e6 for each in self.energies if each), 3),
                "ratio_energy": round(base.energy / self.energy, 2),
            }
        timed = all(report.delay_unit == "ns" and report.delay is not None for report in self.reports)
        return {
            "activation": self.cell.activation or "FP",
            "weight": self.cell.weight or "FP",
            "datapath": str(self.datapath),
            "delay_depth": self.depth,
            "delay_sta_ns": round(self.delay, 4) if timed else None,
            "area": round(self.area, 3),
            "ratio_depth": round(base.depth / self.depth, 2),
            "ratio_sta": round(base.delay / self.delay, 2) if self.delay and base.delay else None,
            "ratio_area_delay": round(base.area * base.delay / (self.area * self.delay), 2) if self.delay else None,
            "ratio_paper": round(paper_ratio(self.cell.activation, self.cell.weight), 2),
            **energy,
        }


def _cells(pairs: list[str] | None, features: int, hidden: int, factors: Factors) -> list[Cell]:
    """The cells asked for (all if none), with the 32-bit one that ratios are to."""
    wanted = [(a, w) for a in LEVELS for w in LEVELS]
    if pairs:
        names = {str(level or "FP"): level for level in LEVELS}
        split = [tuple(pair.split(",")) for pair in pairs]
        for pair, parts in zip(pairs, split, strict=True):
            if len(parts) != 2 or not set(parts) <= set(names):
                raise UsageError(f"Cell must be two of {', '.join(names)} such as 3,3, not {pair!r}")
        wanted = list(dict.fromkeys([(names[a], names[w]) for a, w in split] + [(FP, FP)]))
    return [Cell(activation=a, weight=w, features=features, hidden=hidden, factors=factors) for a, w in wanted]


@tables.command()
@command
def delay(
    cell: Annotated[list[str] | None, typer.Option(help="A,W or with FP for 32 bits; repeatable; else all.")] = None,
    accounting: Annotated[Accounting, typer.Option(help="A whole dot product in a pass, or term by term.")] = "pass",
    factors: Annotated[Factors, typer.Option(help="Powers of two, or numbers of 8 bits.")] = "pow2",
    features: Annotated[int, typer.Option(min=1, max=4096, help="Inputs a step.")] = 32,
    hidden: Annotated[int, typer.Option(min=1, max=4096, help="Hidden units.")] = 100,
    effort: Annotated[Effort, typer.Option(help="Of the synthesis of each unit.")] = "area",
    liberty: Annotated[Path | None, typer.Option(help="Liberty file; else OSU 0.18 um, else generic gates.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Units synthesized at once.")] = 2,
    timeout: Annotated[float, typer.Option(help="Seconds for one unit.")] = 3000,
    energy: Annotated[bool, typer.Option("--energy", help="Energy too, by simulation of every unit.")] = False,
    json: Json = False,
) -> None:
    """Delay of one LSTM cell operation for activations and weights of 1 to 5 levels and of 32 bits (Table I).

    One functional unit of each kind, used one after another; see docs/accounting.md.

    Example: xnorforge table delay --cell 3,3 --cell 1,1 --accounting serial
    """
    library = liberty or find_liberty()
    if energy:
        require(library)
    with err.status("writing Verilog"):
        planned = [
            (each, datapath, list(each.uses(accounting, datapath)))
            for each in _cells(cell, features, hidden, factors)
            for datapath in Datapath
            if each.has(datapath)
        ]
    sources = list(dict.fromkeys(use.verilog for _, _, uses in planned for use in uses))

    def figures_of(verilog: str) -> tuple[SynthReport, Energy | None]:
        with tempfile.TemporaryDirectory(prefix="xnorforge-energy-") as folder:
            workdir = Path(folder) if energy else None
            report = synthesize_text(verilog, TOP, liberty=library, effort=effort, timeout_s=timeout, workdir=workdir)
            if workdir is None or library is None:
                return report, None
            return report, measure(workdir, TOP, load_library(library, workdir), timeout_s=timeout)

    with Progress(console=err, transient=True) as progress, ThreadPoolExecutor(jobs) as pool:
        found_of = dict(
            zip(
                sources,
                progress.track(pool.map(figures_of, sources), total=len(sources), description="synthesizing units"),
                strict=True,
            )
        )
    figures = [
        Figures(
            cell=each,
            datapath=datapath,
            uses=uses,
            reports=[found_of[use.verilog][0] for use in uses],
            energies=[found_of[use.verilog][1] for use in uses],
        )
        for each, datapath, uses in planned
    ]
    base = next(f for f in figures if f.cell.activation == f.cell.weight == FP)
    found = [f.as_dict(base) for f in figures]
    some = base.reports[0]
    about = {"library": some.library, "effort": effort, "accounting": accounting, "factors": factors}
    if json:
        return emit_json({**about, "features": features, "hidden": hidden, "units": len(sources), "cells": found})
    _print(found, f"{', '.join(f'{k} {v}' for k, v in about.items())}, {features + hidden} terms")


def _print(found: list[dict[str, Any]], about: str) -> None:
    out.print(f"[bold]Delay of an LSTM cell operation[/], {about}", soft_wrap=True)
    measured = "energy_pj" in found[0]
    kinds = "in gates deep, in ns, by the paper, in area at equal throughput" + (", in energy" if measured else "")
    out.print(f"Times less than with 32 bits: {kinds}")
    columns = {
        "gates": ("delay_depth", ",.0f"),
        "ns": ("delay_sta_ns", ",.2f"),
        "area": ("area", ",.0f"),
        "x gates": ("ratio_depth", ",.1f"),
        "x ns": ("ratio_sta", ",.1f"),
        "paper": ("ratio_paper", ",.1f"),
        "x area": ("ratio_area_delay", ",.1f"),
    }
    if measured:
        columns |= {"pJ": ("energy_pj", ",.2f"), "x energy": ("ratio_energy", ",.1f")}
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("A,W", "datapath", *columns):
        grid.add_column(heading, justify="right" if heading in columns else "left", no_wrap=True)
    for f in found:
        figures = ("" if f[key] is None else format(f[key], form) for key, form in columns.values())
        grid.add_row(f"{f['activation']},{f['weight']}", f["datapath"], *figures)
    out.print(grid)
    out.print("Next: docs/accounting.md says what is counted")
