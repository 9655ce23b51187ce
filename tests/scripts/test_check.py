"""The command check: its table, its numbers, its exit status."""

from __future__ import annotations

import json

import pytest

from tests.scripts.test_cli import answer, refusal, run


def test_a_network_that_breaks_the_rule():
    result = run("check", "model.cnn:small_vgg", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["limit"] == 256
    assert found["broken"] == 4
    third = found["layers"][5]
    assert third == {
        "name": "12",
        "kind": "Conv2d",
        "width": 3,
        "height": 3,
        "terms": 576,
        "in_channels": 64,
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("model.cnn",), "Model must be module:function such as model.cnn:lenet, not 'model.cnn'"),
        (("torch.nn:ReLU",), "Model must have a layer with a sum of products, not only 'ReLU'"),
        (("model.cnn:lenet", "--bits", 40), "Adder bits must be 2 to 32, not 40"),
    ],
)
def test_refusals(words, message):
    assert refusal("check", *words) == message
