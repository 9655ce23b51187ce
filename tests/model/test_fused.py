"""The fused pass equals the plain loop: h^ number for number, gradients up to the order of their sums."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model import compiled
from model.cell import LstmFunction, plain_lstm
from model.family import Family
from model.fused import fused_lstm
from model.gate_product import Product
from model.layers import HardwareNetwork
from model.random_network import random_network
from model.spec import FixedSpec, Format, LstmSpec, Overflow, PwlSpec, Rounding, SumSpec

pytestmark = pytest.mark.skipif(compiled.load() is None, reason="no g++: there is no fused pass to compare")

Factors = tuple[Tensor | None, Tensor | None, Tensor | None]  #: of gates, c and h

WORDS: Factors = (None, None, None)


def plain_states(*arguments) -> Tensor:
    return plain_lstm(*arguments)["h"]


def binarized(**choice) -> tuple[LstmSpec, Factors]:
    """A layer with gates, c and h binarized, and their factors in float64."""
    network = random_network(hidden=7, **choice)[0]
    gates, c, h = (network.factors[f"{name}_l0"]().double().detach() for name in ("gates", "c", "h"))
    return network.spec().lstms[0], (gates, c[0], h[0])


@cache
def base(hidden: int) -> LstmSpec:
    """A layer of words as the family has it; made once, since its activations take long."""
    return random_network(family=Family.B_LSTM, hidden=hidden)[0].spec().lstms[0]


def words(
    *,
    hidden: int = 7,
    width: int = 22,
    gates: tuple[int, ...] = (20, 20, 20, 20),
    c_width: int = 32,
    h: tuple[int, int] = (22, 20),
    source: tuple[int, int] = (16, 12),
    target: int = 12,
    roundings: tuple[Rounding, ...] = (Rounding.FLOOR,) * 4,
) -> LstmSpec:
    """A layer with gates (of one width; fraction bits of each), c and h in fixed point; roundings of z, gates, c, h."""
    z, of_gates, of_c, of_h = roundings
    i, f, g, _ = gates
    segments = 1 << min(6, source[0] - 1)
    return replace(
        base(hidden),
        gates=tuple(FixedSpec(format=Format(width, frac), rounding=of_gates) for frac in gates),
        c=FixedSpec(format=Format(c_width, i + g - f), rounding=of_c),
        h=FixedSpec(format=Format(*h), rounding=of_h),
        sigmoid=PwlSpec.fit("sigmoid", source=Format(*source), target=Format(target + 1, target), segments=segments),
        tanh=PwlSpec.fit("tanh", source=Format(*source), target=Format(target + 1, target), segments=segments),
        rounding=z,
    )


def inputs(lstm: LstmSpec, dtype: torch.dtype, gain: float, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Random reals as zx and wh, some far outside every range, some on the grid of ties and of zero."""
    random = torch.Generator().manual_seed(seed)
    zx = gain * torch.randn(6, 4, 4 * lstm.hidden, generator=random, dtype=torch.float64)
    kind = torch.randint(8, zx.shape, generator=random)
    zx = torch.where(kind == 0, 1e4 * zx, torch.where(kind == 1, (16 * zx).round() / 16, zx))
    wh = gain * torch.randn(4 * lstm.hidden, lstm.hidden, generator=random, dtype=torch.float64) / lstm.hidden
    return zx.to(dtype), wh.to(dtype)


def gradients(function: LstmFunction, lstm: LstmSpec, zx: Tensor, wh: Tensor, factors: Factors) -> list[Tensor]:
    """h^, and the gradients to zx, wh and the factors there are."""
    leaves = [None if value is None else value.clone().requires_grad_() for value in (zx, wh, *factors)]
    h = function(lstm, leaves[0], Product(leaves[1]), *leaves[2:])  # type: ignore[arg-type]
    random = torch.Generator().manual_seed(2)
    (h * torch.randn(h.shape, generator=random, dtype=torch.float64).to(h.dtype)).sum().backward()
    return [h.detach(), *(leaf.grad for leaf in leaves if leaf is not None and leaf.grad is not None)]


def check(lstm: LstmSpec, zx: Tensor, wh: Tensor, factors: Factors) -> list[Tensor]:
    """The two passes compared; what the plain one gives."""
    plain, fused = (gradients(function, lstm, zx, wh, factors) for function in (plain_states, fused_lstm))
    assert torch.equal(plain[0], fused[0])
    assert len(plain) == len(fused)
    if zx.dtype == torch.float64:
        for expected, got in zip(plain[1:], fused[1:], strict=True):
            assert torch.allclose(expected, got, rtol=1e-10, atol=1e-12)
    return plain


@pytest.mark.parametrize("levels", [1, 2, 3, 5])
@pytest.mark.parametrize("gain", [0.5, 6.0])
def test_where_all_is_binarized(levels, gain):
    lstm, factors = binarized(a=levels, gain=gain)
    zx, wh = ((256 * value).round() / 256 for value in inputs(lstm, torch.float64, 1.0))
    assert all(value.abs().max() > 0 for value in check(lstm, zx, wh, factors))


@settings(max_examples=60)
@given(
    st.fixed_dictionaries(
        {
            "hidden": st.sampled_from([1, 2, 7, 17, 37]),
            "width": st.sampled_from([4, 8, 12, 22]),
            "gates": st.tuples(*(st.integers(3, 20),) * 4).filter(lambda v: v[0] + v[2] >= v[1]),
            "c_width": st.sampled_from([2, 6, 8, 16, 32]),
            "h": st.sampled_from([(22, 20), (8, 4), (8, 7), (5, 5), (2, 0)]),
            "source": st.sampled_from([(16, 12), (10, 6), (8, 7), (5, 1)]),
            "target": st.integers(3, 20),
            "roundings": st.tuples(*(st.sampled_from(Rounding),) * 4),
        }
    ),
    st.sampled_from([0.3, 2.0, 8.0]),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 1000),
)
def test_where_all_are_words(choice, gain, dtype, seed):
    lstm = words(**choice)
    check(lstm, *inputs(lstm, dtype, gain, seed), WORDS)


def test_sums_that_float32_rounds_are_rounded_alike():
    """In 32-bit words and a shape for which BLAS rounds a product of other strides or alignment otherwise."""
    lstm, random = words(hidden=99), torch.Generator().manual_seed(0)
    zx = torch.randn(40, 3, 4 * lstm.hidden, generator=random)
    wh = torch.randn(4 * lstm.hidden, lstm.hidden, generator=random) / 10
    assert torch.equal(plain_states(lstm, zx, Product(wh), *WORDS), fused_lstm(lstm, zx, Product(wh), *WORDS))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_in_small_words_everything_saturates_somewhere(rounding, dtype):
    frac = 7
    lstm = words(
        width=frac + 1,
        gates=(frac,) * 4,
        c_width=frac + 1,
        h=(4, 4),
        source=(10, 6),
        target=8,
        roundings=(rounding,) * 4,
    )
    zx, wh = inputs(lstm, dtype, 3.0)
    named = plain_lstm(lstm, zx, Product(wh), *WORDS)
    for name, raw, spec in (("gate", "activation", lstm.gates[0]), ("c", "c_raw", lstm.c), ("h", "h_raw", lstm.h)):
        ends = [spec.format.max * spec.format.step] + [spec.format.min * spec.format.step] * (name != "gate")
        assert all((named[name] == end).any() for end in ends), name
        assert (named[raw] > ends[0]).any(), name
        assert (named[name] != named[raw]).any(), name
    assert all(value.abs().max() > 0 for value in check(lstm, zx, wh, WORDS))


@pytest.mark.parametrize("family", [Family.FIXED32, Family.B_LSTM, Family.BLSTM, Family.MUBINN1, Family.MUBINN2])
@pytest.mark.parametrize("training", [False, True])
def test_without_a_compiler_the_plain_loop_gives_the_same(monkeypatch, family, training):
    sums = SumSpec(width=8, unit=4) if family is Family.BLSTM else None
    network, x = random_network(family=family, hidden=20, steps=9, sums=sums)

    def logits_and_gradients(network: HardwareNetwork) -> list[Tensor]:
        network.zero_grad()
        logits = network.train(training)(x)
        logits.sum().backward()
        parameters = [p for p in network.parameters() if p.requires_grad]
        return [logits.detach(), *(p.grad if p.grad is not None else torch.zeros(()) for p in parameters)]

    expected = logits_and_gradients(network)
    monkeypatch.setattr(compiled, "load", lambda: None)
    plain = logits_and_gradients(network)
    assert torch.equal(plain[0], expected[0])
    assert sum(gradient.abs().max() > 0 for gradient in expected[1:]) >= 5
    for got, gradient in zip(plain[1:], expected[1:], strict=True):
        assert torch.allclose(got, gradient, rtol=1e-3, atol=1e-5)


def test_words_that_wrap_and_mixtures_take_the_plain_loop():
    lstm = words(c_width=21)
    zx, wh = inputs(lstm, torch.float64, 4.0)
    assert isinstance(lstm.c, FixedSpec)
    wrapping = replace(lstm, c=replace(lstm.c, overflow=Overflow.WRAP))
    assert not torch.equal(check(wrapping, zx, wh, WORDS)[0], check(lstm, zx, wh, WORDS)[0])
    lstm, (gates, _, h) = binarized()
    check(replace(lstm, c=FixedSpec(format=Format(16, lstm.c.frac))), zx, wh, (gates, None, h))


@pytest.mark.parametrize("case", [binarized(), (words(), WORDS)])
def test_what_is_no_number_stays_inside_the_tables(case):
    lstm, factors = case
    zx, wh = inputs(lstm, torch.float64, 1.0)
    zx[2, 1, ::5] = -1e9
    expected = fused_lstm(lstm, zx, Product(wh), *factors)
    zx[2, 1, ::5] = torch.nan
    assert torch.equal(fused_lstm(lstm, zx, Product(wh), *factors), expected)
