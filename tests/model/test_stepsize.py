"""Weights as integers times a step, and the step with the least error."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from model.stepsize import StepSizeError, best_step, qstep, quantize
from model.stepsize.quantizer import codes, l2_error
from tests.sentences import is_one_sentence

NUMBERS = st.one_of(
    st.floats(-2, 2, width=32, allow_subnormal=False),
    st.integers(-4, 4).map(lambda k: k / 8),
    st.integers(-30, 30).map(lambda e: 2.0**e),
)
TENSORS = st.lists(NUMBERS, min_size=1, max_size=9).filter(any)


def exact_error(w, step, bits) -> Fraction:
    """The squared error by the definition, without rounding."""
    d, top, total = Fraction(step), (1 << (bits - 1)) - 1, Fraction(0)
    for each in w:
        a = abs(Fraction(each))
        total += (a - d * min((a / d + Fraction(1, 2)).__floor__(), top)) ** 2
    return total


def brute_force(w, bits) -> tuple[Fraction, Fraction]:
    """The least error, among the best steps of all assignments of codes, and the largest such step, negated."""
    magnitudes, top = [abs(Fraction(each)) for each in w if each], (1 << (bits - 1)) - 1
    places = {a / (Fraction(2 * j - 1, 2)) for a in magnitudes for j in range(1, top + 1)}
    bests = []
    for place in places:
        k = [min((a / place + Fraction(1, 2)).__floor__(), top) for a in magnitudes]
        bests.append(sum(a * each for a, each in zip(magnitudes, k, strict=True)) / sum(each**2 for each in k))
    return min((exact_error(w, step, bits), -step) for step in bests)


@given(TENSORS, st.integers(2, 5))
@example([0.3], 5)
@example([-0.5, 0.5, 0.5], 4)
@example([2.0**-30, 1.0, 2.0**30], 3)
@example([-2.41, 1.43], 5)  # a third of the step, and codes of three times the size, look better by rounding
def test_no_step_has_less_error(w, bits):
    step = qstep(np.array(w), bits)
    _, best = brute_force(w, bits)
    assert exact_error(w, step, bits) <= exact_error(w, float(-best), bits)
    if exact_error(w, float(-best), bits) == exact_error(w, step, bits):
        assert step >= float(-best)  # the largest of equally good ones
    assert np.gcd.reduce(codes(torch.tensor(w, dtype=torch.float64), step, bits).numpy().astype(int)) == 1


@pytest.mark.parametrize("bits", [2, 3, 8])
@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "few"])
def test_intervals_that_are_ruled_out_hold_nothing_better(bits, draw, monkeypatch):
    chance = np.random.default_rng(0)
    w = chance.integers(-3, 4, 3000) / 8 if draw == "few" else getattr(chance, draw)(3000)
    monkeypatch.setattr(best_step, "CHUNK", 1 << 30)
    whole = qstep(w, bits)
    monkeypatch.setattr(best_step, "CHUNK", 1 << 9)
    assert qstep(w, bits) == whole


def test_it_is_not_above_a_dense_search():
    w = np.random.default_rng(1).standard_t(3, 2000)
    for bits in (2, 4, 8):
        least = min(l2_error(torch.from_numpy(w), step, bits) for step in np.geomspace(1e-3, 10, 500))
        assert l2_error(torch.from_numpy(w), qstep(w, bits), bits) <= least


@given(TENSORS, st.floats(0.01, 4), st.integers(2, 8))
def test_quantize_is_the_equation(w, step, bits):
    d, top = Fraction(step), (1 << (bits - 1)) - 1
    expected = []
    for each in w:
        units = min((abs(Fraction(each)) / d + Fraction(1, 2)).__floor__(), top)
        expected.append(units if each >= 0 else -units)
    found = codes(torch.tensor(w, dtype=torch.float64), step, bits)
    # A quotient that rounds onto a half is a tie by less than float64 can say.
    ties = [abs(abs(each) / step - abs(abs(k) - 0.5)) < 1e-12 or abs(abs(each) / step - abs(k) - 0.5) < 1e-12
            for each, k in zip(w, expected, strict=True)]  # fmt: skip
    assert all(a == b or tie for a, b, tie in zip(found.tolist(), expected, ties, strict=True))
    assert quantize(np.array(w), step, bits).tolist() == (found * step).tolist()


def test_halves_round_away_from_zero_and_the_largest_level_holds():
    w = np.array([0, 0.49, 0.5, -0.5, 1.49, 1.5, -3.5, 99], np.float32)
    wide = torch.from_numpy(w).double()
    quantize(wide, 1.0, 3)
    assert wide[-1] == 99  # what is given is left as it is
    assert not np.signbit(quantize(w[3:4] / 2, 1.0, 3)).any()
    assert quantize(w, 1.0, 3).tolist() == [0, 0, 1, -1, 1, 2, -3, 3]
    assert quantize(w, 1.0, 2).tolist() == [0, 0, 1, -1, 1, 1, -1, 1]
    assert quantize(w, 0.5, 2).dtype == np.float32
    assert quantize(torch.from_numpy(w).half(), 0.5, 2).dtype == torch.float16


def test_weights_that_are_all_the_same_are_their_own_step():
    for bits in (2, 5, 8):
        assert qstep(np.full(7, -0.3), bits) == 0.3
        assert qstep(np.array([0.3, -0.3, 0.0]), bits) == 0.3


def test_of_equal_errors_the_largest_step_counts():
    assert exact_error([1, 1, 1, 3], 1.5, 2) == exact_error([1, 1, 1, 3], 3, 2) == 3
    assert qstep(np.array([1.0, 1, 1, 3]), 2) == 3


def test_gates_and_outputs_have_steps_of_their_own():
    w = torch.randn(8, 5, 3, generator=torch.Generator().manual_seed(0))
    gates, outputs = qstep(w, 3, "gate"), qstep(w, 3, per="output")
    assert gates.tolist() == [qstep(part, 3) for part in w.split(2)]
    assert outputs.tolist() == [qstep(row, 3) for row in w]
    assert torch.equal(
        quantize(w, gates, 3), torch.cat([quantize(p, s, 3) for p, s in zip(w.split(2), gates, strict=True)])
    )
    assert l2_error(w, outputs, 3) < l2_error(w, gates, 3) < l2_error(w, qstep(w, 3), 3)


ONES = np.ones((6, 2))
BAD = [
    (lambda: qstep(ONES, 1), "Bits of a weight must be 2 to 16, not 1"),
    (lambda: qstep(ONES, 17), "Bits of a weight must be 2 to 16, not 17"),
    (lambda: qstep(ONES, 2.5), "Bits of a weight must be 2 to 16, not 2.5"),  # type: ignore[arg-type]
    (lambda: qstep(0 * ONES, 2), "Weights with a step must not all be 0, and all of them are"),
    (lambda: qstep(np.array([[1.0], [0]]), 2, "output"), "must not all be 0, and all of part 1 of 2 are"),
    (lambda: qstep(np.array([1, np.nan]), 2), "Weights must be finite, not nan"),
    (lambda: qstep(torch.tensor([1, -torch.inf]), 2), "Weights must be finite, not -inf"),
    (lambda: qstep(np.ones(0), 2), "Weights must be at least 1 number, not 0"),
    (lambda: qstep(torch.ones(2) * 1j, 2), "Weights must be real numbers, not torch.complex64"),
    (lambda: qstep(ONES, 2, "gate"), "Rows of weights must be a multiple of 4, one part a step, not 6"),
    (lambda: qstep(ONES, 2, "column"), "Steps must be per layer, gate, output, not 'column'"),
    (lambda: quantize(ONES, 0.0, 2), "Step must be finite and above 0, not 0.0"),
    (lambda: quantize(ONES, float("nan"), 2), "Step must be finite and above 0, not nan"),
    (lambda: quantize(ONES, np.ones(4), 2), "Number of steps must divide the 6 rows of the weights, not 4"),
    (lambda: quantize(ONES, 1.0, 17), "Bits of a weight must be 2 to 16, not 17"),
    (lambda: quantize(ONES * np.inf, 1.0, 2), "Weights must be finite real numbers, not inf"),
    (lambda: quantize(np.ones(3, int), 1.0, 2), "Weights must be finite real numbers, not 'torch.int64'"),
]


@pytest.mark.parametrize("place", range(len(BAD)))
def test_bad_input_is_one_sentence(place):
    action, sentence = BAD[place]
    with pytest.raises(StepSizeError) as error:
        action()
    assert sentence in str(error.value)
    assert is_one_sentence(str(error.value))
