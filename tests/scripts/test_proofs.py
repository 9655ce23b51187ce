"""The commands that prove and that mutate: what they find, and that they find what is wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from model.spec import BitSumSpec, Format, MlbSpec, PopcountSpec, ReconstructSpec
from rtl.bit_sum import BitSum
from rtl.mlb_quantizer import MlbQuantizer
from rtl.plain import Delayed, PlainQuantizer
from rtl.plain_sums import PlainBitSum, PlainPopcount
from rtl.popcount import Popcount
from rtl.reconstruct import Reconstruct
from rtl.unit import Unit
from rtl.verilog import emit
from scripts import mutants, proofs
from synth import registry
from synth.errors import SynthError
from tests.rtl.units import check as check_unit


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


CLAIMS = list(proofs.claims(Format(8, 5), (proofs.example_lstm(),)))


def test_every_unit_of_the_registry_is_claimed_and_with_registers_if_it_can_have_them():
    """Its constant form, that is: units with memories or between streams are simulated only."""
    units = {name: type(registry.build(name)) for name in registry.UNITS}
    assert set(units.values()) <= {type(c.optimized) for c in CLAIMS if not c.optimized.latency}
    for ranks in (1, 2):
        claimed = {type(c.optimized) for c in CLAIMS if c.optimized.latency == ranks and c.plain}
        assert {name for name, unit in units.items() if unit not in claimed} == {
            name for name in units if "stages" not in registry.parameters(name)
        }


def plain_units() -> dict[str, Unit]:
    """One of each kind of plain unit in the claims."""
    plain = [c.plain for c in CLAIMS if c.plain and type(c.plain).__module__.startswith("rtl.plain")]
    return {type(unit).__name__: unit for unit in plain if not isinstance(unit, Delayed)}


def test_plain_units_are_made_of_nothing_but_plain_ones():
    assert len(plain_units()) > 20
    for name, unit in plain_units().items():
        modules = set(re.findall(r"^module \\?(\w+)", emit(unit, "top"), re.MULTILINE))
        assert {m for m in modules if m != "top" and not m.startswith("plain_")} == set(), name
    # The only others: the datapath of the paper, of whose units each is claimed, and two forms of one unit.
    others = {type(c.plain).__name__ for c in CLAIMS if c.plain} - set(plain_units())
    assert others == {"Delayed", "Pointwise", "AdderTree", "Limited"}


@pytest.mark.parametrize("name", [n for n, unit in plain_units().items() if hasattr(unit.spec, "compute")])
def test_plain_units_equal_their_golden_functions(name):
    check_unit(plain_units()[name], count=32)


@pytest.mark.parametrize(
    ("inside", "behind", "words"), [(1, 2, "must equal"), (2, 1, "must equal"), (0, 1, "must be combinational")]
)
def test_a_pipeline_of_another_length_is_refused(inside, behind, words, tmp_path):
    spec = PopcountSpec(n=9)
    late = Delayed(PlainPopcount(spec), behind)
    wrong = proofs.Claim(claim="wrong", size="9 bits", optimized=Popcount(spec, inside), plain=late)
    with pytest.raises(SynthError, match=words):
        proofs.check(wrong, tmp_path, 100)


def test_a_wrong_value_in_a_pipeline_is_refused(tmp_path):
    good, other = BitSumSpec(weights=(0, 0, 1, 2), constant=1), BitSumSpec(weights=(0, 0, 1, 2), constant=2)
    late = Delayed(PlainBitSum(other), 1)
    wrong = proofs.Claim(claim="wrong", size="4 bits", optimized=BitSum(good, 1), plain=late)
    with pytest.raises(SynthError, match=r"optimized.v must equal plain.v, and for .*x = \d+ its o is \d+, not \d+$"):
        proofs.check(wrong, tmp_path, 100)


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
