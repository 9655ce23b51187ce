"""The cache: the same input gives the same result without a tool; anything else does not."""

import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from synth import cache, mapping, sta
from synth.flow import SynthReport, synthesize
from synth.liberty import GENERIC
from tests.synth import designs
from tests.synth.designs import renamed_generic, write

ROOT = Path(__file__).parents[2]


def entries() -> list[Path]:
    return sorted(cache.folder().glob("*"))


def run(design: Path, **settings: object) -> SynthReport:
    return synthesize([design], "top", **settings)  # pyright: ignore[reportArgumentType]


def test_second_time_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    design = write(tmp_path, designs.COUNTER)
    first = run(design, workdir=tmp_path / "one")
    with monkeypatch.context() as patch:
        patch.setattr("subprocess.Popen", None)
        # The text counts, not where it is.
        again = run(write(tmp_path / "elsewhere", designs.COUNTER, "other.v"), workdir=tmp_path / "two")
    assert (first.cached, again.cached) == (False, True)
    assert replace(again, cached=False) == first
    kept = {path.name for path in (tmp_path / "one").iterdir()}
    assert {"netlist.v", "netlist.json", "yosys.log", "equivalence.log", "library.lib"} <= kept
    assert not {name for name in kept if name.startswith(("mapped", "source", "depth", "adders"))}
    for name in kept:
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert not run(design, cache=False).cached


def test_anything_that_counts_makes_it_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    design = write(tmp_path, designs.NAND)
    run(design)
    assert run(design).cached
    assert not run(write(tmp_path, designs.NAND + "\n", "longer.v")).cached
    assert not run(design, effort="speed").cached
    assert not run(design, liberty=GENERIC).cached
    assert not run(design, liberty=renamed_generic(tmp_path)).cached
    assert not run(write(tmp_path, designs.NAND, "design.sv")).cached
    name = cache.key([design], GENERIC, "top")
    assert name != cache.key([design], GENERIC, "other")
    monkeypatch.setattr(sta, "find_sta", lambda: None if cache.shutil.which("sta") else os.devnull)
    assert name != cache.key([design], GENERIC, "top")
    monkeypatch.undo()
    monkeypatch.setattr("importlib.metadata.version", lambda _: "0")
    assert name != cache.key([design], GENERIC, "top")


def test_the_flow_itself_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    design = write(tmp_path, designs.NAND)
    name = cache.key([design], GENERIC)
    other = tmp_path / "synth"
    other.mkdir()
    for source in Path(cache.__file__).parent.glob("*.py"):
        (other / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr(cache, "__file__", str(other / "cache.py"))
    assert cache.key([design], GENERIC) == name
    (other / "registry.py").write_text("")
    (other / "energy").mkdir()
    (other / "energy" / "measure.py").write_text("")
    assert cache.key([design], GENERIC) == name
    (other / "plan.py").write_text("")
    assert cache.key([design], GENERIC) != name


def test_what_the_flow_imports_counts_and_nothing_else() -> None:
    """So the defaults of a unit, which are in its Verilog, can change without a result being lost."""
    code = "import sys, synth.flow; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    files = {path.name for path in Path(cache.__file__).parent.glob("*.py")} - {"__init__.py"}
    imported = {file for file in files if f"synth.{file.removesuffix('.py')}" in run.stdout.split()}
    assert files - imported == cache._NOT_THE_FLOW


def test_verilog_that_reads_files_is_not_cached(tmp_path: Path) -> None:
    for text in ('`include "b.v"\n', 'initial $readmemh("rom.mem", words);'):
        assert cache.key([write(tmp_path, text)], GENERIC) is None


@pytest.mark.parametrize("damage", [b"", b"PK", None])
def test_a_damaged_entry_is_replaced(tmp_path: Path, damage: bytes | None) -> None:
    design = write(tmp_path, designs.NAND)
    first = run(design)
    (entry,) = entries()
    data = entry.read_bytes()
    # One byte in the middle, which the check sums find.
    at = len(data) // 3
    entry.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if damage is None else damage)
    again = run(design, workdir=tmp_path / "work")
    assert not again.cached
    assert again.cells == first.cells
    assert run(design).cached
    with zipfile.ZipFile(entry) as stored:
        assert stored.testzip() is None


def test_an_entry_of_another_shape_is_replaced(tmp_path: Path) -> None:
    design = write(tmp_path, designs.NAND)
    run(design)
    (entry,) = entries()
    cache.store(entry.stem, {"area": 1}, [])
    assert not run(design).cached
    assert run(design).cached


def test_what_was_not_used_longest_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = tmp_path / "netlist.v"
    big.write_bytes(os.urandom(400_000))
    monkeypatch.setattr(cache, "LIMIT_MIB", 1)
    for age, name in enumerate(("first", "second")):
        cache.store(name, {}, [big])
        os.utime(cache.folder() / f"{name}.zip", (1000 + age, 1000 + age))
    assert cache.load("first", tmp_path) == {}
    cache.store("third", {}, [big])
    assert [entry.name for entry in entries()] == ["first.zip", "third.zip"]


def test_nothing_is_kept_of_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mapping, "map_design", fail)
    with pytest.raises(KeyboardInterrupt):
        run(write(tmp_path, designs.NAND))
    assert entries() == []


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.ENVIRONMENT, str(write(tmp_path, "a file", "cache")))
    assert not run(write(tmp_path, designs.NAND)).cached
