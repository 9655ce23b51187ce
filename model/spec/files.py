"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to be written; it takes its place when the block is left, and goes if an error leaves it.

    Folders are made. Each writer has a file of its own, so two of them cannot mix what they write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.fchmod(descriptor, 0o644)
    os.close(descriptor)
    partial = Path(name)
    try:
        yield partial
        with open(partial, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(found: dict[str, Any], path: Path) -> None:
    """Write plain values; an older file is replaced only when the new one is complete."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
