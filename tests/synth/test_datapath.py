"""The smallest datapath by synthesis, of those that can be built."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from model.random_network import random_network
from model.spec import Datapath, Overflow
from synth.datapath import areas, measure, smallest
from synth.errors import TimeLimitError
from synth.report import SynthReport


@pytest.fixture(scope="module")
def reports():
    return measure(random_network(a=1)[0].spec().lstms[0], liberty=None)


def test_all_are_measured(reports):
    assert list(reports) == list(Datapath)
    assert all(report.top == "pointwise" and report.area > 0 for report in reports.values())


@pytest.mark.parametrize("datapath", Datapath)
def test_the_smallest_is_taken(reports, datapath):
    report = reports[datapath]
    assert smallest(areas([{**reports, datapath: replace(report, area=report.area / 2)}])) is datapath


def test_of_equal_ones_the_first_is_taken(reports):
    assert smallest(dict.fromkeys(reports, 1.0)) is Datapath.ARITHMETIC


def test_of_several_layers_it_is_the_sum_that_counts():
    def layer(**given: float) -> dict[Datapath, Any]:
        return {Datapath(path): SimpleNamespace(area=area) for path, area in given.items()}

    layers = [layer(arithmetic=3, threshold=4, table=1), layer(arithmetic=3, threshold=1)]
    assert areas(layers) == {Datapath.ARITHMETIC: 6, Datapath.THRESHOLD: 5}


def test_what_cannot_be_built_is_not_measured(monkeypatch, reports):
    monkeypatch.setattr("synth.datapath.synthesize_text", lambda *_, **__: reports[Datapath.ARITHMETIC])
    wrapping = replace(random_network(a=2)[0].spec().lstms[0], overflow=Overflow.WRAP)
    assert list(measure(wrapping, liberty=None)) == [Datapath.ARITHMETIC]


def test_what_is_not_done_in_time_is_left_out(monkeypatch, reports):
    def synthesize(verilog: str, *_: object, **__: object) -> SynthReport:
        if "module table_product(" in verilog:
            raise TimeLimitError("Synthesis must finish")
        return reports[Datapath.ARITHMETIC]

    lstm = random_network(a=1)[0].spec().lstms[0]
    with pytest.raises(TimeLimitError, match=r"^Synthesis must finish within 0\.001 s"):
        measure(lstm, liberty=None, timeout_s=0.001, cache=False)
    monkeypatch.setattr("synth.datapath.synthesize_text", synthesize)
    assert list(measure(lstm, liberty=None)) == [Datapath.ARITHMETIC, Datapath.THRESHOLD]
