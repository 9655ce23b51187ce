"""``xnorforge generate``: Verilog of a network or of a unit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rtl.network import Network
from rtl.rom_files import beside, write_all
from rtl.verilog import emit
from rtl.weight_memory import WeightStorage
from scripts.console import (
    BundleOrUnit,
    Json,
    Pe,
    Settings,
    Simd,
    UnitName,
    Weights,
    command,
    emit_json,
    folding_line,
    one_of,
    open_bundle,
    out,
    table,
)
from synth.registry import build


@command
def generate(
    bundle: BundleOrUnit = None,
    unit: UnitName = None,
    settings: Settings = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path("verilog"),
    weights: Weights = WeightStorage.ROM,
    pe: Pe = None,
    simd: Simd = None,
    json: Json = False,
) -> None:
    """Write Verilog; with --weights readmemh also the ROM images it reads, with load what its stream w takes.

    Example: xnorforge generate runs/digits/bundle --weights readmemh --out verilog
    """
    one_of(bundle, unit, settings, pe, simd)
    if bundle is None:
        assert unit is not None
        contents, about = {f"{unit}.v": emit(build(unit, settings or ()), unit)}, unit
    else:
        loaded, schedule = open_bundle(bundle, pe, simd)
        network = Network(loaded.network, schedule.folding, loaded.weights, weights)
        contents = {"network.v": emit(network, "network"), **beside(network.images, weights)}
        about = folding_line(schedule)
    files = [str(path) for path in write_all(contents, out_folder)]
    if json:
        return emit_json({"files": files, "top": unit or "network"})
    table(f"Verilog of {about}", [("file", f) for f in files])
    out.print(f"Next: xnorforge synth {bundle or f'--unit {unit}'}", soft_wrap=True, markup=False)
