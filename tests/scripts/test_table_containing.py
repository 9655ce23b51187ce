"""The table of contained overflow: what it prints, and that it continues."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from model.regularizers import Kind, Regularizer
from scripts.table_containing import NETWORKS, OTHER_BITS, Run, Tables, runs_of, strongest


def made(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    small = ("--data", "digits", "--images", "64", "--epochs", "1", "--seeds", "1", "--networks", "plain")
    words = [sys.executable, "-m", "scripts.table_containing", *small, "--out", str(folder), *more]
    return subprocess.run(words, capture_output=True, text=True)


def test_tables_are_printed_and_continued(tmp_path):
    first = made(tmp_path)
    assert first.returncode == 0, first.stderr
    heads = [line.split("|")[1].strip() for line in first.stdout.splitlines() if line.startswith("|")]
    assert heads == [
        *("network", "---", "K3S1C16", "plain"),
        *("bits", "---", "12", "10", "8"),
        *("normalization", "---", "shift", "batch"),
        *("regularizer", "---", "none", "cosine", "parabola"),
    ]
    files = sorted(tmp_path.glob("*.json"))
    (one,) = (path for path in files if path.stem == "digits-plain-exact-shift-seed0")
    assert set(json.loads(one.read_text())["test"]) == {"exact", "16", "12", "10", "8"}
    again = made(tmp_path)
    assert again.stdout == first.stdout
    assert again.stderr == ""  # nothing was trained or evaluated
    one.unlink()
    assert made(tmp_path).stdout == first.stdout  # from the checkpoint


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--networks", "eta 9"), "Network must be K3S1C16, eta 0, eta 0.25, eta 0.5, plain, not 'eta 9'"),
        (("--tables", "speed"), "Table must be networks, normalizations, regularizers, not 'speed'"),
    ],
)
def test_what_it_does_not_know(words, sentence, tmp_path):
    refused = made(tmp_path, *words)
    assert refused.returncode == 1
    assert sentence in " ".join(refused.stderr.split())


def test_no_two_runs_have_one_file():
    chosen = {Kind.COSINE: 1e-6, Kind.PARABOLA: 1e-5}
    runs = {run for table in Tables for run in runs_of(table, list(NETWORKS), chosen)}
    assert len({run.name for run in runs}) == len(runs) == 3 * 5 + len(OTHER_BITS) + 1 + 2
    assert Run(network="K3S1C16", penalty=Regularizer(Kind.PARABOLA, 1e-5)) in runs


def test_validation_chooses_the_strength():
    class Known:
        def figures(self, run: Run, seed: int, test: bool) -> dict[str, dict[str, float]]:
            assert (seed, test) == (0, False)
            assert run.penalty is not None
            return {"val": {"8": {1e-6: 0.5, 1e-5: 0.7, 1e-4: 0.7}[run.penalty.strength]}}

    assert strongest(Known(), Kind.COSINE) == 1e-5  # type: ignore[arg-type]
