"""``xnorforge synth``: area, cells, logic depth and critical path of a network or of a unit."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from rtl.network import Network
from rtl.rom_files import beside, write_all
from rtl.verilog import emit
from rtl.weight_memory import WeightStorage
from scripts.console import (
    BundleOrUnit,
    Counters,
    DatapathOption,
    Json,
    Pe,
    Settings,
    Simd,
    UnitName,
    UsageError,
    Weights,
    built_as,
    command,
    emit_json,
    err,
    one_of,
    open_bundle,
    out,
    suggest,
    table,
)
from synth.energy.measure import measure, require
from synth.flow import Effort, find_liberty, synthesize
from synth.liberty import load_library
from synth.registry import build
from synth.report import SynthReport


@command
def synth(
    bundle: BundleOrUnit = None,
    unit: UnitName = None,
    settings: Settings = None,
    liberty: Annotated[Path | None, typer.Option(help="Liberty file (.lib, .lib.gz).")] = None,
    generic: Annotated[bool, typer.Option("--generic", help="Our generic gates, even if a library is found.")] = False,
    effort: Annotated[Effort, typer.Option(help="For the least area, area x delay, or delay.")] = "area",
    delay: Annotated[
        float | None, typer.Option(help="ns: the smallest netlist that takes no longer, instead of an effort.")
    ] = None,
    weights: Weights = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for everything.")] = 1200,
    pe: Pe = None,
    simd: Simd = None,
    datapath: DatapathOption = None,
    counters: Counters = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Run the tools even for what was synthesized before.")
    ] = False,
    energy: Annotated[bool, typer.Option("--energy", help="Energy of a clock cycle too, by simulation.")] = False,
    out_folder: Annotated[Path | None, typer.Option("--out", help="Keep netlist, scripts and logs here.")] = None,
    json: Json = False,
) -> None:
    """Map onto gates and measure. Without --liberty: OSU 0.18 um if installed, else our generic gates.

    The netlist is proven equivalent to the Verilog. Results are kept in the user's cache folder, or in that which
    the environment variable XNORFORGE_CACHE names.

    Example: xnorforge synth --unit xnor_dot --set n=128 --delay 2.5
    """
    one_of(bundle, unit, settings, pe, simd, datapath, weights, counters)
    if generic and liberty:
        raise UsageError(f"Option --generic must come without --liberty, not with {str(liberty)!r}")
    library = liberty or (None if generic else find_liberty())
    if energy:
        require(library)
    schedule, rom_bits, images, storage = None, None, {}, weights or WeightStorage.EXTERNAL
    if bundle is None:
        assert unit is not None
        component, top, about = build(unit, settings or ()), unit, unit
    else:
        loaded, schedule = open_bundle(bundle, pe, simd, datapath, library)
        component, top = Network(schedule, loaded.weights, storage, counters), "network"
        rom_bits, images = sum(image.bits for image in component.images), beside(component.images, storage)
        about = f"network, {built_as(schedule)}"
    with tempfile.TemporaryDirectory() as scratch, err.status("writing Verilog") as status:
        workdir = out_folder or (Path(scratch) / "netlist" if energy else None)
        written = write_all({f"{top}.v": emit(component, top), **images}, Path(scratch))
        report = synthesize(
            [path for path in written if path.suffix == ".v"],
            top,
            liberty=library,
            effort=effort,
            delay=delay,
            timeout_s=timeout,
            workdir=workdir,
            progress=status.update,
            # The name of a result is made of the Verilog, and there the weights would not be in it.
            cache=not no_cache and storage is not WeightStorage.READMEMH,
        )
        used = None
        if energy:
            assert library is not None
            assert workdir is not None
            cells = load_library(library, workdir)
            used = measure(workdir, top, cells, timeout_s=timeout, progress=status.update)
    if json:
        extra = (
            {"rom_bits": rom_bits, "cycles_per_step": schedule.step_cycles, "datapath": schedule.datapath.value}
            if schedule
            else {}
        )
        return emit_json({**report.as_dict(), **(used.as_dict() if used else {}), **extra})
    path = "not measured" if report.delay is None else f"{report.delay:.2f} {report.delay_unit} ({report.delay_source})"
    rows: list[tuple[str, object]] = [
        ("area", f"{report.area:,.1f} {report.area_unit}"),
        ("cells", f"{sum(report.cells.values()):,} of which {report.sequential_cells:,} registers"),
        ("logic depth", f"{report.depth} two-input gates"),
        ("critical path", path),
    ]
    if used:
        per = "clock cycle" if report.sequential_cells else "vector"
        shown = f"{used.dynamic * 1e15:,.1f} fJ" if used.dynamic < 1e-12 else f"{used.dynamic * 1e12:,.2f} pJ"
        rows += [
            ("energy", f"{shown} a {per}, mean of {used.cycles:,} random ones without glitches"),
            ("leakage", f"{used.leakage * 1e6:,.3g} µW"),
        ]
    if schedule:
        where = "in the area" if storage is not WeightStorage.EXTERNAL else "not in the area: a memory of its own"
        rows += [("weight ROM", f"{rom_bits:,} bits, {where}"), ("cycles a step", schedule.step_cycles)]
    time = f"{report.seconds:.0f} s" + (" (in an earlier run)" if report.cached else "")
    table(
        f"{about} on {report.library}, {f'effort {report.effort}' if delay is None else f'at most {delay:g} ns'}",
        [*rows, ("equivalence", report.equivalence), ("time", time)],
    )
    shown = sorted(report.cells.items(), key=lambda item: -item[1])[:8]
    table("Most frequent cells", [(name, f"{count:>7,}") for name, count in shown])
    if report.critical_path:
        steps = [p for p in report.critical_path if not p[0].startswith("_")]
        table("Critical path, its named points", [(n, f"{a:8.3f}  {c}") for n, c, a in steps[:16]])
    for note in report.notes:
        out.print(f"Note: {note}", soft_wrap=True, markup=False)
    suggest(
        "synth",
        bundle,
        unit=unit,
        set=settings,
        pe=pe,
        simd=simd,
        datapath=schedule.datapath if schedule and datapath else None,
        weights=weights,
        counters=counters,
        liberty=liberty,
        generic=generic,
        **_other_goal(effort, report),
    )


def _other_goal(effort: Effort, report: SynthReport) -> dict[str, str]:
    """The fastest netlist or, where that was asked for, the smallest that is at most a tenth slower, or of all."""
    if effort != "speed":
        return {"effort": "speed"}
    return {"delay": f"{1.1 * report.delay:.3g}"} if report.delay and report.delay_unit == "ns" else {"effort": "area"}
