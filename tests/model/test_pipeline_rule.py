"""The small-pipeline rule on every kind of layer; what it suggests keeps it; what is proven is true."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations

from model.aggregated import AggregatedConv2d, AggregatedLinear
from model.overflow_layers import OverflowConv2d, OverflowLinear
from model.pipeline_rule import Rule, Sums, Verdict, check, unjudged
from model.spec import AggregatedSumSpec, SumSpec


def test_every_kind_of_layer_is_named():
    model = nn.Sequential(
        nn.Conv2d(12, 4, (3, 5), groups=2),
        nn.Sequential(nn.Linear(300, 2), nn.ReLU()),
        OverflowConv2d(16, 4, 3, spec=SumSpec(width=8)),
        OverflowLinear(20, 4, spec=SumSpec(width=8)),
        nn.LSTM(40, 64),
        nn.Conv1d(6, 2, 7),
        nn.Conv3d(512, 4, (2, 3, 4)),
        nn.ConvTranspose2d(512, 4, 3, stride=(2, 1)),
        nn.LSTMCell(2000, 8),
        nn.LSTM(40, 64, proj_size=5),
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
        ("6", "Conv3d", 4, 3, 512, 2 * 12 * 512 - 256),
        ("7", "ConvTranspose2d", 3, 2, 512, 6 * 512 - 256),
        ("8.weight_ih", "LSTMCell", 1, 1, 2000, 1744),
        ("8.weight_hh", "LSTMCell", 1, 1, 8, 0),
        ("9.weight_ih_l0", "LSTM", 1, 1, 40, 0),
        ("9.weight_hh_l0", "LSTM", 1, 1, 5, 0),
        ("9.weight_hr_l0", "LSTM", 1, 1, 64, 0),
    ]
    assert unjudged(model) == {}
    assert [v.sums.name for v in check(nn.Linear(3, 1), Rule())] == ["Linear"]


@given(
    axes=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=2),
    groups=st.integers(1, 2),
)
def test_what_meets_in_an_output_of_a_transposed_convolution(axes, groups):
    """Of ones by ones, the largest output is the number of its products."""
    kind = (nn.ConvTranspose1d, nn.ConvTranspose2d)[len(axes) - 1]
    kernel, stride, dilation = zip(*axes, strict=True)
    layer = kind(6, 2, kernel, stride, groups=groups, dilation=dilation, bias=False)
    nn.init.ones_(layer.weight)
    with torch.no_grad():
        most = layer(torch.ones(1, 6, *[24] * len(axes))).max().item()  # 24: no end is near the middle
    assert [verdict.sums.terms for verdict in check(layer, Rule())] == [most]


@pytest.mark.parametrize("stride", [1, 2])
def test_a_transposed_convolution_of_three_axes(stride):
    layer = nn.ConvTranspose3d(2, 1, (2, 3, 4), stride, bias=False)
    nn.init.ones_(layer.weight)
    (found,) = check(layer, Rule())
    assert found.sums.terms == layer(torch.ones(1, 2, 6, 6, 6)).max().item()
    assert found.kernel is None


class _Own(nn.Linear):
    """A linear layer with more weights than those of its kind."""

    def __init__(self) -> None:
        super().__init__(4, 4)
        self.low_rank = nn.Parameter(torch.ones(4, 4))


def test_modules_with_other_weights_are_named():
    model = nn.Sequential(
        nn.Linear(4, 4),
        nn.Bilinear(4, 4, 4),
        nn.MultiheadAttention(4, 2),
        nn.Sequential(nn.EmbeddingBag(4, 4), nn.Embedding(4, 4), nn.BatchNorm1d(4), nn.LayerNorm([2, 4]), nn.PReLU(4)),
        _Own(),
        parametrizations.weight_norm(nn.Linear(4, 4)),
        parametrizations.weight_norm(nn.Bilinear(4, 4, 4)),
        parametrizations.weight_norm(nn.GRU(4, 4), "weight_hh_l0"),
    )
    assert unjudged(model) == {
        "1": "Bilinear",
        "2": "MultiheadAttention",
        "3.0": "EmbeddingBag",
        "4": "_Own",
        "6": "ParametrizedBilinear",
    }
    assert unjudged(nn.Bilinear(2, 2, 2)) == {"Bilinear": "Bilinear"}
    judged = ["0", "2.out_proj", "4", "5", "7.weight_ih_l0", "7.weight_hh_l0"]
    assert [verdict.sums.name for verdict in check(model, Rule())] == judged


def test_the_bits_of_a_layers_own_weights_count():
    """A layer of 8-bit weights on 8-bit activations: 100 products of up to 255 times 127, whatever the rule says."""
    layer = OverflowLinear(100, 2, spec=SumSpec(width=16), weight_bits=8)
    (found,) = check(layer, Rule(bits=16))
    assert (found.weight_bits, found.can_overflow, found.exact_bits) == (8, True, 23)
    (of_rule,) = check(nn.Linear(100, 2), Rule(bits=16))
    assert (of_rule.weight_bits, of_rule.can_overflow, of_rule.exact_bits) == (1, False, 16)


@pytest.mark.parametrize("bits", range(4, 10))
@pytest.mark.parametrize(("groups", "shift"), [(4, 0), (4, 2), (8, 1)])
def test_the_sum_of_the_groups_is_judged_too(bits, groups, shift):
    """Extremes make it overflow if and only if it is said to."""
    spec = AggregatedSumSpec(rule=SumSpec(width=bits), groups=groups, shift=shift)
    rule = Rule(bits=bits, activation_bits=2, weight_bits=1)
    (whole, *parts) = check(AggregatedLinear(64, 3, spec=spec, weight_bits=2), rule)
    assert (whole.sums.name, whole.sums.kind, whole.sums.terms) == ("AggregatedLinear", "AggregatedLinear", groups)
    assert [part.sums.terms for part in parts] == [64 // groups] * groups
    assert (whole.weight_bits, parts[0].weight_bits) == (2, 2)

    def overflows(width: int | None, parts_too: int | None) -> bool:
        extremes = [[3, -3]] * (64 // groups)
        quotients = [SumSpec(width=parts_too).fold(extremes) >> shift] * groups
        return bool(SumSpec(width=width).saturations(quotients).any())

    assert whole.can_overflow == overflows(bits, bits)
    assert not overflows(whole.exact_bits, None)
    assert overflows(whole.exact_bits - 1, None)


def test_an_aggregated_convolution_is_judged():
    spec = AggregatedSumSpec(rule=SumSpec(width=8), groups=2, shift=3)
    found = check(nn.Sequential(AggregatedConv2d(8, 2, 3, spec=spec)), Rule())
    assert [(v.sums.name, v.sums.terms) for v in found] == [("0", 2), ("0.parts.0", 36), ("0.parts.1", 36)]


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
        ({"eta": -0.5}, "Eta must be 0 to 1000, not -0.5"),
        ({"eta": float("nan")}, "Eta must be 0 to 1000, not nan"),
        ({"eta": 1e308}, r"Eta must be 0 to 1000, not 1e\+308"),
    ],
)
def test_what_a_rule_does_not_take(settings, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Rule(**settings)


def test_a_model_without_sums_is_refused():
    with pytest.raises(ValueError, match=r"^Model must have a layer with a sum of products, not only 'ReLU'$"):
        check(nn.ReLU(), Rule())


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_model_without_shapes_is_refused():
    with pytest.raises(ValueError, match=r"^Model must have weights of known shapes, and '1.weight' has none yet$"):
        check(nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(2)), Rule())
