"""What benchmarks of synthesis cannot do without."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import typer

from scripts import bench_datapath, bench_nonuniform, bench_rtl, bench_sign_matrix
from scripts.console import UsageError, delay_of, library_of
from synth.flow import synthesize_text
from synth.liberty import GENERIC
from tests.needs import needs_osu, needs_sta


@pytest.mark.parametrize("benchmark", [bench_datapath, bench_nonuniform, bench_rtl, bench_sign_matrix])
def test_without_a_liberty_file_nothing_is_measured(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scripts.console.find_liberty", lambda: None)
    with pytest.raises(typer.Exit):
        benchmark.main(liberty=None)
    assert (
        "A Liberty file must be given with --liberty, because OSU 0.18 um is not installed" in capsys.readouterr().err
    )


@needs_osu
@needs_sta
def test_our_sign_matrix_for_a_delay(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    matrix = np.random.default_rng(0).choice([-1, 1], (4, 6))
    monkeypatch.setattr(bench_sign_matrix, "matrices", lambda: {"small": matrix})
    bench_sign_matrix.main(bits=[1], delay=[5.0], ours=True, json=True)
    found = json.loads(capsys.readouterr().out)
    (line,) = found["lines"]
    assert found["alkaid"] is None
    assert (line["design"], line["effort"], line["stages"]) == ("ours", "at most 5 ns", 0)
    assert line["delay"] <= 5


def test_the_library_that_is_given_comes_before_the_one_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.console.find_liberty", lambda: Path("installed"))
    assert library_of(None) == Path("installed")
    assert library_of(GENERIC) == GENERIC


def test_a_netlist_that_is_not_timed_is_of_no_use() -> None:
    report = synthesize_text("module top(input a, output o); assign o = ~a; endmodule", "top", liberty=GENERIC)
    assert delay_of(report) == report.delay
    with pytest.raises(UsageError, match=r"^Timing must be there for this benchmark$"):
        delay_of(dataclasses.replace(report, delay=None, note=None))
    with pytest.raises(UsageError, match=r"^OpenSTA is not there$"):
        delay_of(dataclasses.replace(report, delay=None, note="OpenSTA is not there"))
