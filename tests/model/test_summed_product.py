"""Products by adders of limited width against sums of Python's integers, element by element; and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model import sum_kernel as sum_kernel_module
from model import sum_machine, sums
from model.compiled import load
from model.spec import Order, Overflow, SumSpec
from model.sum_kernel import SumKernel, sum_kernel
from model.sum_program import sum_program
from model.sums import saturation_counts, summed_product
from tests.model.plain_sums import plain_sum


@st.composite
def rules(draw: st.DrawFn) -> SumSpec:
    return SumSpec(
        width=draw(st.none() | st.integers(1, 40)),
        order=draw(st.sampled_from(Order)),
        overflow=draw(st.sampled_from(Overflow)),
        fan_in=draw(st.integers(2, 5)),
        shift=draw(st.sampled_from([0, 0, 0, 1, 2, 9])),
        unit=draw(st.none() | st.integers(1, 40)),
    )


@st.composite
def products(draw: st.DrawFn) -> tuple[SumSpec, Tensor, Tensor, Tensor | None]:
    """A rule and integer operands, all at an end, most small, or anything."""
    batch, outputs, terms = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 150))
    x_max, w_max = draw(st.sampled_from([1, 2, 127, 255])), draw(st.sampled_from([1, 1, 3, 100]))
    low = draw(st.sampled_from([0, -x_max - 1]))
    torch.manual_seed(draw(st.integers(0, 10**6)))
    x = torch.randint(low, x_max + 1, (batch, terms)).double()
    w = torch.randint(-w_max, w_max + 1, (outputs, terms)).double()
    if draw(st.booleans()):
        w = torch.where(w < 0, -1.0, 1.0).double()
    if draw(st.booleans()):
        x[0], w[0] = x_max, w.abs().max()
        x[-1], w[-1] = low, draw(st.sampled_from([1, -1])) * w.abs().max()
    if draw(st.booleans()):
        w[:, : terms // 2] *= -1  # up, then down
    bias = torch.randint(-300, 301, (outputs,)).double() if draw(st.booleans()) else None
    return draw(rules()), x, w, bias


def plainly(rule: SumSpec, x: Tensor, w: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Sums and counts of saturation, by Python's integers."""
    results, counts = [], []
    for row in x.tolist():
        summed = [
            plain_sum(rule, [int(a) * int(b) for a, b in zip(row, weights, strict=True)] + constant)
            for weights, constant in zip(w.tolist(), _constants(bias, w), strict=True)
        ]
        results.append([total for total, _ in summed])
        counts.append([levels for _, levels in summed])
    return torch.tensor(results, dtype=torch.float64), torch.tensor(counts).sum(0).T


def _constants(bias: Tensor | None, w: Tensor) -> list[list[int]]:
    return [[] for _ in w] if bias is None else [[int(b)] for b in bias]


@settings(max_examples=300)
@given(products(), st.sampled_from([torch.float32, torch.float64, torch.int64]))
def test_sums_are_those_of_plain_integers(case, dtype):
    rule, x, w, bias = case
    expected, counts = plainly(rule, x, w, bias)
    operands = x.to(dtype), w.to(dtype)
    bias = None if bias is None else bias.to(dtype)
    got = summed_product(*operands, rule, bias=bias)
    assert torch.equal(got.double(), expected)
    assert torch.equal(saturation_counts(*operands, rule, bias=bias), counts)


def naively(rule: SumSpec, x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    """The definition, element by element, by autograd's own operations."""

    def node(members: Sequence[Tensor], shift: int, level: int) -> Tensor:
        exact = sum(members[1:], members[0]) * 2.0**-shift
        total = exact + (exact.floor() - exact).detach()
        if rule.limit is None:
            return total
        if rule.overflow is Overflow.SATURATE:
            return total.clamp(rule.limit.min, rule.limit.max)
        return total - ((total - rule.limit.min) / 2**rule.limit.width).floor().detach() * 2**rule.limit.width

    summands = list((x[:, None] * w).unbind(-1))
    return rule.walk(summands if bias is None else [*summands, bias.expand(len(x), -1)], node)


def gradients(function: Any, rule: SumSpec, *operands: Tensor | None) -> list[Tensor]:
    """The result and the gradients of its product with small integers, so that every sum is exact."""
    leaves = [None if o is None else o.clone().requires_grad_() for o in operands]
    result = function(rule, *leaves)
    weights = torch.arange(result.numel(), dtype=result.dtype, device=result.device).view_as(result) % 7 - 3
    (result * weights).sum().backward()
    return [result.detach(), *(leaf.grad for leaf in leaves if leaf is not None and leaf.grad is not None)]


def summed(rule: SumSpec, x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    return summed_product(x, w, rule, bias=bias)


@settings(max_examples=200)
@given(products(), st.sampled_from([1, 5, 1 << 16]), st.sampled_from([torch.float32, torch.float64]), st.booleans())
def test_gradients_are_those_of_the_naive_loop(case, block, dtype, compiled):
    """Exactly, with the samples in one block or in several, by the compiled steps (of float32) or the plain ones."""
    rule, *operands = case
    # With shifts of 9 at every node a gradient would have more fraction bits than a float.
    rule = replace(rule, shift=min(rule.shift, 1 if rule.order is Order.TREE else 0))
    expected = gradients(naively, rule, *operands)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums, "BLOCK", block)
        if not compiled:
            patch.setattr(sums, "sum_kernel", lambda *_: None)
        got = gradients(summed, rule, *(None if o is None else o.to(dtype) for o in operands))
    assert len(got) == len(expected) == 3 + (operands[2] is not None)
    assert all(torch.equal(a.double(), b) for a, b in zip(got, expected, strict=True))


@pytest.mark.skipif(load() is None, reason="no compiler: the plain steps are all there is")
@pytest.mark.parametrize("outputs", [1, 4, 7])
@pytest.mark.parametrize(
    "rule",
    [
        SumSpec(width=12),
        SumSpec(width=8),
        SumSpec(width=16),
        SumSpec(width=9, fan_in=3, shift=1),
        SumSpec(width=10, overflow="wrap", shift=1),
        SumSpec(width=12, order="sequence"),
        SumSpec(width=9, order="sequence", fan_in=3),
        SumSpec(width=11, unit=50),
        SumSpec(width=11, unit=50, order="sequence", overflow="wrap", shift=1),
    ],
)
def test_compiled_steps_are_the_plain_ones(rule, outputs, monkeypatch):
    """More samples than a tile has, outputs that fill none, and runs of which some are added at once."""
    torch.manual_seed(0)
    x, w = torch.randint(-128, 128, (150, 300)), torch.randint(0, 2, (outputs, 300)) * 2 - 1
    x[:50] //= 16
    operands = x.float(), w.float(), None
    found = []
    monkeypatch.setattr(sum_kernel_module, "FEW", 1000)
    monkeypatch.setattr(sums, "sum_kernel", lambda *key: found.append(sum_kernel(*key)) or found[-1])
    compiled = gradients(summed, rule, *operands)
    assert isinstance(found[0], SumKernel)
    monkeypatch.setattr(sums, "sum_kernel", lambda *_: None)
    plain = gradients(summed, rule, *operands)
    assert all(torch.equal(a, b) for a, b in zip(compiled, plain, strict=True))
    assert torch.equal(compiled[0], summed_product(x, w, rule).float())


@pytest.mark.parametrize("compiled", [True, False])
def test_both_ends_of_the_range_pass_a_gradient(compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(sums, "sum_kernel", lambda *_: None)
    x = torch.tensor([[100.0, 27], [100, 28], [-100, -28], [-100, -29]], requires_grad=True)
    summed_product(x, torch.ones(1, 2), SumSpec(width=8)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1, 1], [0, 0], [1, 1], [0, 0]]


def test_gradients_of_shifts_divide():
    x, w = torch.tensor([[5.0, 6.0, 7.0]]), torch.tensor([[1.0, -2.0, 3.0]])
    for order, expected in (("tree", [[0.25, -0.5, 0.75]]), ("sequence", [[0.25, -0.5, 1.5]])):
        _, dx, _ = gradients(summed, SumSpec(width=8, order=order, shift=1), x, w, None)
        assert torch.equal(dx * -1 / 3, torch.tensor(expected))  # the weight of the result is -3


@pytest.mark.parametrize("order", Order)
def test_a_long_sequence_overflows_where_it_must(order, monkeypatch):
    """Long runs that cannot overflow, one sample that does late, and a look ahead of any length."""
    torch.manual_seed(0)
    x = torch.randint(0, 4, (3, 900))
    w = torch.randint(0, 2, (5, 900)) * 2 - 1
    x[1, 700:760], w[2, 700:760] = 3, 1
    rule = SumSpec(width=8, order=order)
    expected, counts = plainly(rule, x, w, None)
    assert 0 < counts.sum() < 2000
    for look in (1, 7, 64, 1000):
        monkeypatch.setattr(sum_machine, "LOOK_AHEAD", look)
        assert torch.equal(summed_product(x, w, rule), expected.long())
        assert torch.equal(saturation_counts(x, w, rule), counts)


def test_rows_that_cannot_overflow_are_plain_products():
    x = torch.full((2, 40), 255.0)
    w = torch.ones(3, 40)
    w[1, 5:] = 0
    w[2, 12:] = 0  # just beyond
    rule = SumSpec(width=12)
    assert torch.equal(summed_product(x, w, rule), torch.tensor([[2047.0, 1275.0, 2047.0]] * 2))
    assert torch.equal(summed_product(x, w[1:2], rule), torch.tensor([[1275.0]] * 2))


def test_types_hold_every_result():
    x, w = torch.tensor([[100, -100]], dtype=torch.int8), torch.tensor([[100, 7]], dtype=torch.int8)
    assert summed_product(x, w, SumSpec()).dtype == torch.int64
    half = summed_product(x.half(), w.half(), SumSpec(width=12))
    assert half.dtype == torch.float16
    assert half.item() == 2047
    wide = summed_product(x.half(), w.half(), SumSpec(width=20))
    assert wide.dtype == torch.float64
    assert wide.item() == 9300
    large = torch.tensor([[2.0**30 + 128, 1.0]]), torch.tensor([[2.0**20, 1.0]])
    assert summed_product(*large, SumSpec(width=60)).item() == 2**50 + 2**27 + 1
    huge = torch.tensor([[2**60, 1]]), torch.tensor([[1, 1]])
    assert summed_product(*huge, SumSpec(width=62)).item() == 2**60 + 1


def test_a_type_is_chosen_that_is_exact():
    """Sums around 2**24, where float32 ends, and weights at the end of their type."""
    x = torch.full((1, 257), 255.0)
    for overflow in Overflow:
        for w in (torch.full((1, 257), 257.0), torch.full((1, 257), 256.0), torch.full((1, 257), -258.0)):
            w[0, -1] = 255
            for width in (25, 16, None):
                rule = SumSpec(width=width, overflow=overflow)
                assert summed_product(x, w, rule).item() == plainly(rule, x, w, None)[0].item()
    low = torch.full((1, 300), -128, dtype=torch.int8)
    assert summed_product(low, low, SumSpec(width=20)).item() == 2**19 - 1
    assert summed_product(low, low, SumSpec(width=24)).item() == 300 * 2**14


def test_a_program_knows_the_largest_number_on_the_way():
    """Running totals of products that a node then cannot hold, and what wrapping subtracts."""
    assert sum_program(SumSpec(width=24, fan_in=600), 600, 100_000).size == 60_000_000
    assert sum_program(SumSpec(width=24), 600, 100_000).size == 2 * (1 << 23)
    assert sum_program(SumSpec(width=24, overflow="wrap"), 600, 100_000).size == 60_000_000 + (1 << 23)
    assert sum_program(SumSpec(width=8), 4, 10, 1000).size == 10 + 1000


@pytest.mark.parametrize(
    ("x", "w", "more", "message"),
    [
        (
            (2, 3),
            (4, 5),
            {},
            r"Shapes of a product must be \(batch, terms\), \(outputs, terms\), not \(2, 3\), \(4, 5\)",
        ),
        ((2, 0), (4, 0), {}, r"Shapes of a product must be .* not \(2, 0\), \(4, 0\)"),
        ((2,), (4, 2), {}, r"Shapes of a product must be .* not \(2,\), \(4, 2\)"),
        ((2, 3), (4, 3), {"bias": torch.zeros(3)}, r"Shape of a bias must be \(4,\), not \(3,\)"),
        ((2, 3), (4, 3), {"x_max": 6}, "Inputs of a sum must be at most 6 in size, not 7"),
    ],
)
def test_what_a_product_cannot_be(x, w, more, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        summed_product(torch.full(x, -7.0), torch.ones(w), SumSpec(), **more)


def test_sums_that_could_be_inexact_are_refused():
    with pytest.raises(ValueError, match=r"^Sums must be at most 2\*\*53 in size, not 18014398509481984$"):
        summed_product(torch.full((1, 1), 2.0**54), torch.ones(1, 1), SumSpec(width=None))


def test_no_samples_and_no_outputs():
    assert summed_product(torch.zeros(0, 3), torch.ones(2, 3), SumSpec(width=2)).shape == (0, 2)
    assert summed_product(torch.ones(4, 3), torch.ones(0, 3), SumSpec(width=2)).shape == (4, 0)


def test_rows_may_grow_from_call_to_call():
    """The memory of fewer rows is not enough for more."""
    rule = SumSpec(width=4)
    w, x = torch.ones(2, 40), torch.arange(3 * 40).view(3, 40).float() % 5
    machine = sum_machine.SumMachine(rule, sum_program(rule, 40, 4, None), w)
    for rows in (1, 3):
        machine.run(x[:rows], out := torch.empty(rows, 2))
        assert torch.equal(out, summed_product(x[:rows], w, rule))
