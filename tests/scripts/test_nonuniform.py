"""The road from a hardware configuration file to Verilog and gates; proofs and measurements of the units."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from model.spec import EnqSpec, KnqSpec, LayersQuantizerSpec, LayersSpec, nonuniform_file
from rtl.knq import KnqQuantizer
from rtl.plain_nonuniform import PlainKnqQuantizer, RoundTrip
from scripts import bench_nonuniform, proofs
from scripts.bench_rtl import Line
from scripts.claim import Claim
from scripts.claims_nonuniform import nonuniform
from scripts.cli import app
from synth.errors import SynthError
from synth.registry import build

SMALL = KnqSpec(q_bits=6, centroids=(0, 3, 3, 9, 20, 33, 50, 64))
OTHER = KnqSpec(q_bits=6, centroids=(2, 10, 11, 40))
KNQ = LayersSpec(layers=(SMALL, OTHER))
ENQ = LayersSpec(layers=(EnqSpec(q_bits=6, bits=2), EnqSpec(q_bits=6, bits=4), EnqSpec(q_bits=6, bits=3)))


def answer(*words: Any) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def written(folder: Path, layers: LayersSpec) -> Path:
    path = folder / "layers.json"
    nonuniform_file.save(path, layers, [f"conv{n}" for n in range(len(layers.layers))])
    return path


@pytest.mark.parametrize(("kind", "layers"), [("enq", ENQ), ("knq", KNQ)])
@pytest.mark.parametrize("name", ["quantizer", "reconstruct"])
def test_a_configuration_becomes_verilog_and_gates(kind, layers, name, tmp_path):
    unit, chosen = f"{kind}_{name}", ("--set", f"layers={written(tmp_path, layers)}")
    assert build(unit, chosen[1:]).spec.layers == layers
    (file,) = answer("generate", "--unit", unit, *chosen, "--out", tmp_path / "verilog")["files"]
    assert f"module {unit}(" in Path(file).read_text()
    report = answer("synth", "--unit", unit, *chosen, "--generic")
    assert report["area"] > 0
    assert report["equivalence"].startswith("proven")


def test_a_configuration_of_the_other_kind_is_refused(tmp_path):
    path = written(tmp_path, ENQ)
    result = CliRunner().invoke(app, ["synth", "--unit", "knq_quantizer", "--set", f"layers={path}"])
    assert result.exit_code == 1
    assert f"Kind of the hardware configuration {path} must be knq, not 'enq'" in " ".join(result.stderr.split())
    path.write_text("{}")
    result = CliRunner().invoke(app, ["generate", "--unit", "enq_quantizer", "--set", f"layers={path}"])
    assert result.exit_code == 1
    assert "Schema version must be 1, not None" in " ".join(result.stderr.split())


def quantizer(layers: LayersSpec) -> LayersQuantizerSpec:
    return LayersQuantizerSpec(layers=layers, x_bits=8)


def test_proofs_hold_and_a_wrong_centroid_does_not(tmp_path):
    spec, wrong = quantizer(KNQ), quantizer(LayersSpec(layers=(SMALL, KnqSpec(q_bits=6, centroids=(2, 10, 12, 40)))))
    for form in ("small", "fast"):
        right = Claim(claim="right", size="", optimized=KnqQuantizer(spec, 0, form), plain=PlainKnqQuantizer(spec))
        assert proofs.check(right, tmp_path / form, 100).method == "BDD"
        claim = Claim(claim="wrong", size="", optimized=KnqQuantizer(wrong, 0, form), plain=PlainKnqQuantizer(spec))
        # Of one layer and one of its 64 values alone.
        with pytest.raises(SynthError, match=r"for x = 11, layer = 1 its o is 1, not 2|layer = 1, x = 11 its o is 1"):
            proofs.check(claim, tmp_path / f"{form}-wrong", 100)


def test_every_input_is_tried_of_all_layers(tmp_path):
    for layers in (ENQ, KNQ):
        unit = RoundTrip(layers)
        folder = tmp_path / unit.spec.layers.layers[0].__class__.__name__
        claim = Claim(claim="code to x to code", size="", optimized=unit)
        assert proofs.check(claim, folder, 100).method == "exhaustive"
    broken, swapped = RoundTrip(KNQ), LayersSpec(layers=(OTHER, SMALL))
    broken._units = broken._units[0], KnqQuantizer(LayersQuantizerSpec(layers=swapped))
    with pytest.raises(SynthError, match="must hold, and vector"):
        proofs.check(Claim(claim="broken", size="", optimized=broken), tmp_path / "broken", 100)


def test_claims_are_of_all_units_and_differ():
    claims = [(claim.claim, claim.size) for claim in nonuniform()]
    assert len(set(claims)) == len(claims)
    assert {claim[:2] for claim, _ in claims} == {"QE", "CE", "QK", "CK", "co"}


def test_ratios_are_to_the_quantizer_of_the_same_effort():
    figures = {
        ("QE", "area"): (20, 0.2),
        ("QE", "speed"): (40, 0.1),
        ("CK", "area"): (700, 0.5),
        ("CK", "speed"): (800, 0.3),
    }
    lines = [
        Line(table="", design=design, effort=effort, area=area, delay=delay)
        for (design, effort), (area, delay) in figures.items()
    ]
    found = list(bench_nonuniform.rows(lines))
    assert found[2:4] == ["| CK | area | 700 | 0.50 | 35.0 | 2.5 |", "| CK | speed | 800 | 0.30 | 20.0 | 3.0 |"]
    assert found[-2] == "| paper: QK | 90 nm | 7,512 | 0.65 | 9.7 | 1.5 |"
