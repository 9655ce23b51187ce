"""``xnorforge generate``: Verilog of a network or of a unit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtl.network import Network
from rtl.rom_files import beside, remove_earlier, write_all
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
    Weights,
    built_as,
    command,
    emit_json,
    one_of,
    open_bundle,
    suggest,
    table,
)
from synth.liberty import find_liberty
from synth.registry import build


@command
def generate(
    bundle: BundleOrUnit = None,
    unit: UnitName = None,
    settings: Settings = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path("verilog"),
    weights: Weights = None,
    pe: Pe = None,
    simd: Simd = None,
    datapath: DatapathOption = None,
    counters: Counters = False,
    json: Json = False,
) -> None:
    """Write Verilog; with --weights readmemh also the ROM images it reads, with load what its stream w takes.

    Images of an earlier network in the folder go, but for those of xnorforge rom.

    Example: xnorforge generate runs/digits/bundle --weights readmemh --out verilog
    """
    one_of(bundle, unit, settings, pe, simd, datapath, weights, counters)
    schedule = None
    if bundle is None:
        assert unit is not None
        contents, about = {f"{unit}.v": emit(build(unit, settings or ()), unit)}, unit
    else:
        loaded, schedule = open_bundle(bundle, pe, simd, datapath, find_liberty())
        storage = weights or WeightStorage.ROM
        network = Network(schedule, loaded.weights, storage, counters)
        contents = {"network.v": emit(network, "network"), **beside(network.images, storage)}
        about = built_as(schedule)
    files = [str(path) for path in write_all(contents, out_folder)]
    if bundle is not None:
        remove_earlier(out_folder, contents)
    if json:
        extra = {} if schedule is None else {"datapath": schedule.datapath.value}
        return emit_json({"files": files, "top": unit or "network", **extra})
    table(f"Verilog of {about}", [("file", f) for f in files])
    # What auto has found is not searched for again.
    built = schedule.datapath if schedule and datapath else None
    suggest(
        "synth", bundle, unit=unit, set=settings, pe=pe, simd=simd, datapath=built, weights=weights, counters=counters
    )
