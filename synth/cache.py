"""Reports and netlists of earlier runs, found again by the content of what they were made from.

An entry is one zip file, named after a hash of everything that the result depends on, so that it is written at
once and a damaged one is noticed.  The folder is $XNORFORGE_CACHE, or xnorforge in the user's cache folder.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import platformdirs

from synth import sta

#: What all entries together may take; the ones longest not used go first.
LIMIT_MIB = 256
ENVIRONMENT = "XNORFORGE_CACHE"
_REPORT = "report.json"
# Of this folder, but no part of what makes a netlist.
_NOT_THE_FLOW = {
    *("registry.py", "units.py", "proof.py", "mutants.py", "plain.py"),
    *("datapath.py", "cell_delay.py", "fixed32.py"),
    *("sum_units.py", "nonuniform_units.py", "vgg16.py"),
}


def folder() -> Path:
    """Where the entries are."""
    return Path(os.environ.get(ENVIRONMENT) or platformdirs.user_cache_dir("xnorforge")) / "synth"


def key(verilog: Sequence[Path], library: Path, *settings: str) -> str | None:
    """Name of the entry for these files and settings, this flow and these tools.

    None if that does not fix the result, because the Verilog reads further files.
    """
    digest = hashlib.sha256()

    def add(*parts: bytes) -> None:
        for part in parts:
            digest.update(len(part).to_bytes(8, "little") + part)

    for path in verilog:
        text = path.read_bytes()
        if b"$readmem" in text or b"`include" in text:
            return None
        add(path.suffix.encode(), text)
    add(library.read_bytes(), *(setting.encode() for setting in settings))
    for source in sorted(Path(__file__).parent.glob("*.py")):
        if source.name not in _NOT_THE_FLOW:
            add(source.name.encode(), source.read_bytes())
    add(importlib.metadata.version("pyosys").encode())
    program = shutil.which(sta.find_sta() or "")
    if program is not None:
        about = Path(program).stat()
        add(f"{program} {about.st_size} {about.st_mtime_ns}".encode())
    return digest.hexdigest()


def load(name: str, workdir: Path) -> dict[str, Any] | None:
    """The report under this name, its files put into `workdir`; None if there is none that is whole."""
    entry = folder() / f"{name}.zip"
    try:
        with zipfile.ZipFile(entry) as stored:
            contents = {file: stored.read(file) for file in stored.namelist()}
        report = json.loads(contents.pop(_REPORT))
        for file, data in contents.items():
            (workdir / Path(file).name).write_bytes(data)
        # It was used just now.
        os.utime(entry)
    except (OSError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError):
        return None
    return report


def store(name: str, report: dict[str, Any], files: Sequence[Path]) -> None:
    """Keep a report and its files, as far as the folder can be written, and drop what is over the limit."""
    where = folder()
    with contextlib.suppress(OSError):
        where.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=where, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as stored:
                stored.writestr(_REPORT, json.dumps(report))
                for path in files:
                    stored.write(path, path.name)
            os.replace(temporary, where / f"{name}.zip")
        finally:
            Path(temporary).unlink(missing_ok=True)
        _drop(where)


def _drop(where: Path) -> None:
    left = LIMIT_MIB * 2**20
    for entry in sorted(where.glob("*.zip"), key=lambda path: path.stat().st_mtime, reverse=True):
        left -= entry.stat().st_size
        if left < 0:
            entry.unlink(missing_ok=True)
