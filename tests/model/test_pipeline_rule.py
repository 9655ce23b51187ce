"""The small-pipeline rule on every kind of layer; what it suggests keeps it; what is proven is true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from model.overflow_layers import OverflowConv2d, OverflowLinear
from model.pipeline_rule import Rule, Sums, Verdict, check
from model.spec import SumSpec


def test_every_kind_of_layer_is_named():
    model = nn.Sequential(
        nn.Conv2d(12, 4, (3, 5), groups=2),
        nn.Sequential(nn.Linear(300, 2), nn.ReLU()),
        OverflowConv2d(16, 4, 3, spec=SumSpec(width=8)),
        OverflowLinear(20, 4, spec=SumSpec(width=8)),
        nn.LSTM(40, 64),
        nn.Conv1d(6, 2, 7),
    )
    found = [
        (v.sums.name, v.sums.kind, v.sums.width, v.sums.height, v.sums.channels, v.excess) for v in check(model, Rule())
    ]
    assert found == [
        ("0", "Conv2d", 5, 3, 6, 0),
        ("1.0", "Linear", 1, 1, 300, 44),
        ("2", "OverflowConv2d", 3, 3, 16, 0),
        ("3", "OverflowLinear", 1, 1, 20, 0),
        ("4.weight_ih_l0", "LSTM", 1, 1, 40, 0),
        ("4.weight_hh_l0", "LSTM", 1, 1, 64, 0),
        ("5", "Conv1d", 7, 1, 6, 0),
    ]
    assert [v.sums.name for v in check(nn.Linear(3, 1), Rule())] == ["Linear"]


@pytest.mark.parametrize(("eta", "channels"), [(0, 28), (0.25, 35), (0.5, 42)])
def test_channels_of_a_three_by_three_kernel(eta, channels):
    rule = Rule(eta=eta)
    assert Verdict(sums=Sums(name="", kind="", width=3, height=3, channels=1), rule=rule).channels == channels
    assert [check(nn.Conv2d(c, 1, 3), rule)[0].excess > 0 for c in (channels, channels + 1)] == [False, True]


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 600), st.integers(2, 12), st.sampled_from([0, 0.25, 0.3, 1])
)
def test_suggestions_keep_the_rule_and_less_would_not(width, height, channels, bits, eta):
    def excess(width: int, height: int, channels: int, bits: int = bits) -> int:
        sums = Sums(name="", kind="", width=width, height=height, channels=channels, convolves=True)
        return Verdict(sums=sums, rule=Rule(bits=bits, eta=eta)).excess

    sums = Sums(name="", kind="", width=width, height=height, channels=channels, convolves=True)
    found = Verdict(sums=sums, rule=Rule(bits=bits, eta=eta))
    assert found.excess == max(0, width * height * channels - int((1 + eta) * 2**bits))
    assert width * height * channels <= (1 + eta) * 2**found.bits
    assert found.bits == 1 or width * height * channels > (1 + eta) * 2 ** (found.bits - 1)
    if found.groups is None:
        assert excess(width, height, 1)
    else:
        assert not excess(width, height, -(-channels // found.groups))
        assert found.groups == 1 or excess(width, height, -(-channels // (found.groups - 1)))
    assert found.channels == 0 or not excess(width, height, found.channels)
    assert excess(width, height, found.channels + 1)
    assert found.kernel is not None
    assert found.kernel == 0 or not excess(found.kernel, found.kernel, channels)
    assert excess(found.kernel + 1, found.kernel + 1, channels)


@given(
    terms=st.integers(1, 9),
    activation_bits=st.integers(1, 4),
    signed=st.booleans(),
    weight_bits=st.integers(1, 3),
    bits=st.integers(2, 9),
    order=st.sampled_from([SumSpec(), SumSpec(order="sequence"), SumSpec(shift=1)]),
)
def test_what_is_proven_is_true(terms, activation_bits, signed, weight_bits, bits, order):
    """Extremes overflow if and only if something can, and not with as many bits as are said to be enough."""
    rule = Rule(bits=bits, activation_bits=activation_bits, signed=signed, weight_bits=weight_bits)
    found = Verdict(sums=Sums(name="", kind="", width=1, height=1, channels=terms, order=order), rule=rule)
    largest = (2 ** (activation_bits - 1) if signed else 2**activation_bits - 1) * max(1, 2 ** (weight_bits - 1) - 1)

    def overflows(width: int) -> bool:
        spec = SumSpec(width=width, order=order.order, shift=order.shift)
        extremes = [[largest, -largest]] * terms
        return bool(spec.saturations(extremes).any())

    assert found.can_overflow == overflows(bits)
    assert not overflows(found.exact_bits)
    assert found.exact_bits == 1 or overflows(found.exact_bits - 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 1}, "Adder bits must be 2 to 32, not 1"),
        ({"activation_bits": 17}, "Activation bits must be 1 to 16, not 17"),
        ({"weight_bits": 0}, "Weight bits must be 1 to 8, not 0"),
        ({"eta": -0.5}, "Eta must be at least 0, not -0.5"),
        ({"eta": float("nan")}, "Eta must be at least 0, not nan"),
    ],
)
def test_what_a_rule_does_not_take(settings, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Rule(**settings)


def test_a_model_without_sums_is_refused():
    with pytest.raises(ValueError, match=r"^Model must have a layer with a sum of products, not only 'ReLU'$"):
        check(nn.ReLU(), Rule())
