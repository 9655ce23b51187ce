"""Weight memories as image files, for simulators, synthesis tools and software."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from model.spec import LOAD_WIDTH, MemoryImage, load_chunks, load_stream
from model.spec.files import replacing
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
READMEMH_FILE = "xnorforge_rom.v"
MANIFEST = "manifest.json"

# Names that are given here, whatever the network and the format.
_IMAGE = rf"(lstm|relu|dense)_(weights|biases)(_l\d+)?\.({'|'.join(FORMATS)})|{re.escape(LOAD_FILE)}"
_BESIDE = rf"{_IMAGE}|{re.escape(READMEMH_FILE)}"


def load_text(images: Sequence[MemoryImage]) -> str:
    """The beats of a load, one a line, in hexadecimal."""
    return "".join(f"{beat:0{LOAD_WIDTH // 4}x}\n" for beat in load_stream(images))


def beside(images: Sequence[MemoryImage], storage: WeightStorage) -> dict[str, str]:
    """Files that belong beside the Verilog of a network with its weights in ``storage``: name -> text."""
    if storage is WeightStorage.LOAD:
        return {LOAD_FILE: load_text(images)}
    if storage is WeightStorage.READMEMH:
        return {READMEMH_FILE: READMEMH_VERILOG, **{f"{i.name}.hex": _hex(i) for i in images}}
    return {}


def write_images(images: Sequence[MemoryImage], kind: str, folder: Path) -> list[Path]:
    """Write one file a memory (``load``: one for all) and ``manifest.json``, as :func:`write_all` does.

    Images that the manifest of an earlier run names go if they are no part of this one, but for those that generated
    Verilog beside them reads.

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
    contents[MANIFEST] = json.dumps(manifest, indent=2) + "\n"
    earlier = _listed(folder)
    written = write_all(contents, folder)
    read = {name for name in earlier if name.endswith(".hex") and (folder / READMEMH_FILE).exists()}
    _remove(folder, earlier - read - contents.keys())
    return written


def remove_earlier(folder: Path, contents: Collection[str]) -> None:
    """Remove what an earlier network had beside its Verilog in ``folder`` and is not in ``contents``.

    Only files with names of :func:`beside`, and none that ``manifest.json`` names: those are of :func:`write_images`.
    """
    found = {path.name for path in folder.iterdir() if re.fullmatch(_BESIDE, path.name)}
    _remove(folder, found - _listed(folder) - set(contents))


def _listed(folder: Path) -> set[str]:
    """The images that the manifest in a folder names; none if it is not there or not one of ours."""
    try:
        entries = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["memories"]
        names = {str(entry["file"]) for entry in entries}
    except (OSError, ValueError, LookupError, TypeError):
        return set()
    return {name for name in names if re.fullmatch(_IMAGE, name)}


def _remove(folder: Path, names: Collection[str]) -> None:
    for name in names:
        if (folder / name).is_file():
            (folder / name).unlink()


def write_all(contents: dict[str, str], folder: Path) -> list[Path]:
    """Write text files into ``folder``, each whole or not there; none takes its place before all are written."""
    with contextlib.ExitStack() as partials:
        for name, text in contents.items():
            partials.enter_context(replacing(folder / name)).write_text(text, encoding="utf-8")
    return [folder / name for name in contents]
