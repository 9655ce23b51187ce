"""``xnorforge rom``: the weight memories as image files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model.spec import memory_images
from rtl.rom_files import KINDS, LOAD, write_images
from scripts.console import BundlePath, Json, Pe, Simd, command, emit_json, open_bundle, suggest, table


@command
def rom(
    bundle: BundlePath,
    kind: Annotated[str, typer.Option("--format", help=", ".join(KINDS))] = "hex",
    out_folder: Annotated[Path | None, typer.Option("--out", help="Folder; RUN/rom if not given.")] = None,
    pe: Pe = None,
    simd: Simd = None,
    json: Json = False,
) -> None:
    """Write one image a memory and a manifest: width, depth, order and meaning of the bits.

    Images of an earlier run, which its manifest names, go. With --format load one image for all: the beats of the
    stream w of generate --weights load, in hexadecimal.

    Example: xnorforge rom runs/digits/bundle --format mif --out rom
    """
    loaded, schedule = open_bundle(bundle, pe, simd)
    images = memory_images(schedule, loaded.weights)
    files = [str(p) for p in write_images(images, kind, out_folder or bundle.resolve().parent / "rom")]
    bits = {image.name: image.bits for image in images}
    if json:
        return emit_json({"files": files, "bits": bits})
    rows = [(i.name, f"{i.depth:>5} words x {i.width:>5} bits = {bits[i.name]:>9,} bits") for i in images]
    table(
        f"ROM images ({kind})",
        [*rows, ("all", f"{sum(bits.values()):,} bits"), *(("file", f) for f in files)],
    )
    suggest("generate", bundle, pe=pe, simd=simd, weights="load" if kind == LOAD else "readmemh")
