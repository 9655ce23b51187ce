"""The command check: its table, its numbers, its exit status."""

from __future__ import annotations

import json

import pytest
from torch import nn

from tests.scripts.test_cli import answer, refusal, run


def test_a_network_that_breaks_the_rule():
    result = run("check", "model.cnn:small_vgg", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["limit"] == 256
    assert found["broken"] == 4
    assert found["not_judged"] == {}
    third = found["layers"][5]
    assert third == {
        "name": "12",
        "kind": "Conv2d",
        "width": 3,
        "height": 3,
        "depth": 1,
        "terms": 576,
        "in_channels": 64,
        "weight_bits": 1,
        "excess": 320,
        "bits": 10,
        "groups": 3,
        "kernel": 2,
        "channels": 28,
        "can_overflow": True,
        "exact_bits": 19,
    }
    shown = run("check", "model.cnn:small_vgg")
    assert shown.exit_code == 1
    (line,) = (line.split() for line in shown.stdout.splitlines() if line.startswith("12 "))
    assert line == ["12", "Conv2d", "3x3x64", "576", "256", "320,", "125%", "10", "3", "2", "28", "possible", "19"]
    assert shown.stdout.endswith("4 of 8 layers break the rule, w h c <= 256\n")


def test_a_network_that_keeps_it():
    found = answer("check", "model.cnn:digits_net", "--activation-bits", 1, "--bits", 9, "--eta", 0.5)
    assert found["limit"] == 768
    assert found["broken"] == 0
    assert [row["can_overflow"] for row in found["layers"]] == [False, False, False]
    shown = run("check", "model.cnn:digits_net")
    assert shown.exit_code == 0
    assert shown.stdout.endswith("all 3 layers keep the rule, w h c <= 256\n")


def attending() -> nn.Module:
    """A network of which one module is not known."""
    return nn.Sequential(nn.Linear(8, 8), nn.Bilinear(4, 4, 8), nn.Conv3d(8, 2, 3))


def test_a_module_that_is_not_judged_is_named_and_is_no_pass():
    result = run("check", "tests.scripts.test_check:attending", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["broken"], found["not_judged"]) == (0, {"1": "Bilinear"})
    shown = run("check", "tests.scripts.test_check:attending")
    assert shown.exit_code == 1
    (line,) = (line.split() for line in shown.stdout.splitlines() if line.startswith("2 "))
    assert line[:4] == ["2", "Conv3d", "3x3x3x8", "216"]
    assert shown.stdout.endswith(
        "all 2 layers that were judged keep the rule, w h c <= 256\n"
        "not judged, for it is not known how their weights are added: 1 (Bilinear)\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("model.cnn",), "Model must be module:function such as model.cnn:lenet, not 'model.cnn'"),
        (("torch.nn:ReLU",), "Model must have a layer with a sum of products, not only 'ReLU'"),
        (("model.cnn:lenet", "--bits", 40), "Adder bits must be 2 to 32, not 40"),
        (("model.cnn:lenet", "--eta", "1e308"), "Eta must be 0 to 1000, not 1e+308"),
    ],
)
def test_refusals(words, message):
    assert refusal("check", *words) == message
