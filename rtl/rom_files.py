"""Weight memories as image files, for simulators, synthesis tools and software."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from model.spec import LOAD_WIDTH, MemoryImage, load_chunks, load_stream
from rtl.weight_memory import READMEMH_VERILOG, WeightStorage


def _words(image: MemoryImage) -> list[str]:
    digits = -(-image.width // 4)
    return [f"{row:0{digits}x}" for row in image.rows]


def _hex(image: MemoryImage) -> str:
    """For ``$readmemh``: one word a line."""
    return "\n".join(_words(image)) + "\n"


def _mem(image: MemoryImage) -> str:
    """For updatemem and ``$readmemh``: the same with addresses."""
    return "".join(f"@{address:x} {word}\n" for address, word in enumerate(_words(image)))


def _mif(image: MemoryImage) -> str:
    """Memory initialization file (Intel)."""
    rows = "".join(f"{address:x} : {word};\n" for address, word in enumerate(_words(image)))
    return (
        f"DEPTH = {image.depth};\nWIDTH = {image.width};\nADDRESS_RADIX = HEX;\nDATA_RADIX = HEX;\n"
        f"CONTENT BEGIN\n{rows}END;\n"
    )


def _coe(image: MemoryImage) -> str:
    """Coefficient file (AMD)."""
    rows = ",\n".join(_words(image))
    return f"memory_initialization_radix = 16;\nmemory_initialization_vector =\n{rows};\n"


def _c(image: MemoryImage) -> str:
    """A C array: each word in little-endian bytes."""
    size = -(-image.width // 8)
    rows = "".join(
        "    {" + ", ".join(f"0x{b:02x}" for b in row.to_bytes(size, "little")) + "},\n" for row in image.rows
    )
    return (
        f"/* {image.depth} words of {image.width} bits; each word little-endian in {size} bytes. */\n"
        f"const unsigned char {image.name}[{image.depth}][{size}] = {{\n{rows}}};\n"
    )


FORMATS: dict[str, Callable[[MemoryImage], str]] = {
    "hex": _hex,
    "mem": _mem,
    "mif": _mif,
    "coe": _coe,
    "c": _c,
}

LOAD = "load"  #: the format of all memories in one file, as the stream ``w`` takes them
LOAD_FILE = "weights.load"
KINDS = (*FORMATS, LOAD)


def load_text(images: Sequence[MemoryImage]) -> str:
    """The beats of a load, one a line, in hexadecimal."""
    return "".join(f"{beat:0{LOAD_WIDTH // 4}x}\n" for beat in load_stream(images))


def beside(images: Sequence[MemoryImage], storage: WeightStorage) -> dict[str, str]:
    """Files that belong beside the Verilog of a network with its weights in ``storage``: name -> text."""
    if storage is WeightStorage.LOAD:
        return {LOAD_FILE: load_text(images)}
    if storage is WeightStorage.READMEMH:
        return {"xnorforge_rom.v": READMEMH_VERILOG, **{f"{i.name}.hex": _hex(i) for i in images}}
    return {}


def write_images(images: Sequence[MemoryImage], kind: str, folder: Path) -> list[Path]:
    """Write one file a memory (``load``: one for all) and ``manifest.json``; all of them or none.

    Parameters
    ----------
    kind
        ``hex``, ``mem``, ``mif``, ``coe``, ``c`` or ``load``.

    Raises
    ------
    ValueError
        If there is no such format.
    """
    if kind not in KINDS:
        raise ValueError(f"ROM format must be {', '.join(KINDS)}, not {kind!r}")
    manifest: dict[str, Any] = {
        "format": kind,
        "memories": [
            {
                "name": i.name,
                "file": LOAD_FILE if kind == LOAD else f"{i.name}.{kind}",
                "width_bits": i.width,
                "depth_words": i.depth,
                "order": i.order,
            }
            for i in images
        ],
    }
    if kind == LOAD:
        for entry, image in zip(manifest["memories"], images, strict=True):
            entry["beats"] = image.depth * load_chunks(image)
        manifest["beat_bits"] = LOAD_WIDTH
        manifest["order"] = "memory after memory, from address 0, each word in whole beats, its lowest bits first"
        contents = {LOAD_FILE: load_text(images)}
    else:
        contents = {f"{image.name}.{kind}": FORMATS[kind](image) for image in images}
    contents["manifest.json"] = json.dumps(manifest, indent=2) + "\n"
    return write_all(contents, folder)


def write_all(contents: dict[str, str], folder: Path) -> list[Path]:
    """Write text files into ``folder`` by way of a temporary one, so that nothing half-written is left."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    try:
        for name, text in contents.items():
            (partial / name).write_text(text, encoding="utf-8")
        for name in contents:
            os.replace(partial / name, folder / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return [folder / name for name in contents]
