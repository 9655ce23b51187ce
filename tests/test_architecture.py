"""Imports point one way: scripts -> synth, sim -> rtl, model -> model.spec."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    "model.spec": {"model.spec"},
    "model": {"model", "model.spec"},
    "rtl": {"rtl", "model.spec"},
    "sim": {"sim", "rtl", "model", "model.spec"},
    "synth": {"synth", "rtl", "model", "model.spec"},
    "scripts": {"scripts", "sim", "synth", "rtl", "model", "model.spec"},
}
FORBIDDEN = {"model": {"amaranth"}, "model.spec": {"amaranth", "torch"}, "rtl": {"torch"}}


def package(module: str) -> str:
    """The layer of a dotted name; empty for a foreign one."""
    if module == "model.spec" or module.startswith("model.spec."):
        return "model.spec"
    top = module.split(".")[0]
    return top if top in ALLOWED or top == "tests" else ""


def violations(path: Path, source: str) -> list[str]:
    """Imports of one file that its layer does not allow."""
    layer = package(".".join(path.relative_to(ROOT).with_suffix("").parts))
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            # ``from model import spec`` names a module too.
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names if node.module == "model")]
            names = names[1:] if node.module == "model" else names
        for name in names:
            target = package(name)
            if (target and target not in ALLOWED[layer]) or name.split(".")[0] in FORBIDDEN.get(layer, set()):
                found.append(f"{path.relative_to(ROOT)} must not import {name}")
    return found


FILES = sorted(p for layer in ("model", "rtl", "sim", "synth", "scripts") for p in (ROOT / layer).rglob("*.py"))


def test_imports_point_one_way():
    assert len(FILES) > 30
    assert [v for path in FILES for v in violations(path, path.read_text())] == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("rtl/x.py", "import torch"),
        ("rtl/x.py", "from model.golden import run"),
        ("rtl/x.py", "from model import golden"),
        ("model/x.py", "from amaranth.hdl import Module"),
        ("model/spec/x.py", "from model.golden import run"),
        ("synth/x.py", "from scripts.console import out"),
        ("sim/x.py", "import tests"),
    ],
)
def test_a_wrong_import_is_seen(file, line):
    assert violations(ROOT / file, line)


def test_no_file_grows_too_long():
    long = {str(p.relative_to(ROOT)): n for p in FILES if (n := len(p.read_text().splitlines())) > 320}
    assert long == {}
