"""The commands that prove and that mutate: what they find, and that they find what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from model.spec import Format, MlbSpec, ReconstructSpec
from rtl.mlb_quantizer import MlbQuantizer
from rtl.plain import PlainQuantizer
from rtl.reconstruct import Reconstruct
from scripts import mutants, proofs
from synth.errors import SynthError


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)


def test_claims_are_proven_both_ways_and_a_wrong_one_is_refused(tmp_path):
    golden, chain = list(proofs.quantizers(proofs.example_lstm()))[:2]
    assert proofs.check(golden, tmp_path / "a", 100).method == "exhaustive"
    assert proofs.check(chain, tmp_path / "b", 100).method == "BDD"
    assert isinstance(chain.optimized, MlbQuantizer)
    other = PlainQuantizer(
        type(chain.optimized.spec)(source=chain.optimized.spec.source, mlb=MlbSpec(factors=(9,) * 3))
    )
    wrong = proofs.Claim(claim="wrong", size="8 bits", optimized=chain.optimized, plain=other)
    with pytest.raises(SynthError, match=r"optimized.v must equal plain.v, and for x = \d+ its o is"):
        proofs.check(wrong, tmp_path / "c", 100)


def test_every_family_makes_claims():
    lstm = proofs.example_lstm()
    claims = list(proofs.claims(Format(8, 5), (lstm, lstm)))
    assert claims[0].size == "x: 8 bits to 3"
    assert len(claims) > 20
    assert len({(c.claim, c.size) for c in claims}) == len(claims)


def test_a_bench_with_too_few_vectors_is_told_which_fault_it_lacks(tmp_path, monkeypatch):
    unit = Reconstruct(ReconstructSpec(mlb=MlbSpec(factors=(64, 32, 16))))
    monkeypatch.setattr(mutants, "unit_vectors", lambda *_: {"code": np.array([5])})
    found = mutants.judge("reconstruct", unit, count=15, seed=1, vectors=1, folder=tmp_path)
    assert found.mutants == 15 == found.killed + found.equivalent + len(found.survivors)
    assert found.killed
    assert all("for code = " in survivor for survivor in found.survivors)
    assert found.survivors


def test_mutants_of_a_unit_are_killed():
    done = run("scripts.mutants", "--unit", "reconstruct", "--count", "15", "--json")
    assert done.returncode == 0, done.stderr
    (unit,) = json.loads(done.stdout)["units"]
    assert (unit["vectors"], unit["survivors"]) == (8, [])


def test_mutants_of_a_pipeline_are_killed_or_proven():
    chosen = [f"--set={setting}" for setting in ("width=7", "factors=27,9", "stages=2")]
    done = run("scripts.mutants", "--unit", "mlb_quantizer", *chosen, "--count", "15", "--json")
    assert done.returncode == 0, done.stderr
    (unit,) = json.loads(done.stdout)["units"]
    assert unit["killed"] + unit["equivalent"] == unit["mutants"] == 15
    assert unit["equivalent"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scripts.mutants"], "Exactly one of --unit and --all must be given, not neither"),
        (["scripts.mutants", "--all", "--set", "n=3"], "Option --set must go with --unit, not with --all: 'n=3'"),
        (["scripts.mutants", "--unit", "adder"], "Unit must be one of popcount"),
        (["scripts.proofs", "--bundle", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_call_is_one_sentence(arguments, words):
    done = run(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("script", ["scripts.mutants", "scripts.proofs"])
def test_help(script):
    done = run(script, "--help")
    assert done.returncode == 0
    assert "--json" in done.stdout
