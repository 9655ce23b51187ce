"""Sign matrix: against W @ x in exact integers, over shapes, formats, ways to share, final adders and stages."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.spec import Format, SignMatrixSpec
from rtl.compressor import FinalAdder
from rtl.sign_matrix import Sharing, SignMatrix
from sim.vectors import unit_vectors
from tests.rtl.units import check, simulate

few = settings(max_examples=12)
FORMATS = st.builds(Format, st.integers(1, 8), st.just(0), st.booleans())


def random_matrix(outputs: int, inputs: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1, 1], (outputs, inputs))


@few
@given(st.integers(1, 30), st.integers(1, 20), FORMATS, st.sampled_from(get_args(Sharing)), st.integers(0, 99))
def test_every_way_to_share(outputs, inputs, source, sharing, seed):
    spec = SignMatrixSpec.of(random_matrix(outputs, inputs, seed), source)
    check(SignMatrix(spec, sharing=sharing), count=20)


@few
@given(st.integers(1, 12), st.integers(1, 12), FORMATS, st.sampled_from(get_args(FinalAdder)), st.integers(0, 4))
def test_stages_and_final_adders(outputs, inputs, source, final, stages):
    unit = SignMatrix(SignMatrixSpec.of(random_matrix(outputs, inputs, stages), source), stages, final)
    assert unit.latency == stages
    check(unit, count=20)


@pytest.mark.parametrize("sharing", get_args(Sharing))
@pytest.mark.parametrize("source", [Format(1, 0, False), Format(3, 0, True)])
def test_rows_that_are_equal_opposite_or_all_of_one_sign(sharing, source):
    row = random_matrix(1, 17, 3)[0]
    ones, half = np.ones_like(row), np.where(np.arange(17) < 9, row, -row)
    weights = np.stack([row, row, -row, ones, -ones, half])
    check(SignMatrix(SignMatrixSpec.of(weights, source), sharing=sharing))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("source", [Format(1, 0, False), Format(1, 0, True), Format(8, 0, True)])
def test_one_by_one(sign, source):
    check(SignMatrix(SignMatrixSpec.of([[sign]], source)))


def test_golden_is_the_product_in_exact_integers():
    weights = random_matrix(5, 9, 0)
    spec = SignMatrixSpec.of(weights, Format(8, 0, True))
    x = np.random.default_rng(1).integers(-128, 127, (7, 9), endpoint=True)
    exact = [[sum(int(w) * int(v) for w, v in zip(row, vector, strict=True)) for row in weights] for vector in x]
    assert spec.compute(x).tolist() == exact


@given(st.integers(1, 9), st.integers(1, 9), FORMATS, st.integers(0, 99))
def test_outputs_have_the_narrowest_signed_format(outputs, inputs, source, seed):
    spec = SignMatrixSpec.of(random_matrix(outputs, inputs, seed), source)
    ends = spec.matrix * source.min, spec.matrix * source.max
    low, high = np.minimum(*ends).sum(1).min(), np.maximum(*ends).sum(1).max()
    assert spec.format.signed
    assert spec.format.min <= low
    assert high <= spec.format.max
    half = Format(max(1, spec.format.width - 1))
    assert spec.format.width == 1 or low < half.min or high > half.max


def adders(spec: SignMatrixSpec, sharing: Sharing) -> int:
    unit = SignMatrix(spec, sharing=sharing)
    plan = unit.plan()
    assert plan is not None
    return unit.adders(plan)


@pytest.mark.parametrize(("width", "sharing"), [(1, "planes"), (4, "words")])
def test_sharing_saves_adders(width, sharing):
    spec = SignMatrixSpec.of(random_matrix(64, 35, 0), Format(width, 0, False))
    # A row of n bits takes n - w(n) adders by itself, w(n) being the ones in n.
    alone = 64 * (35 - 3) * width
    shared = adders(spec, sharing)
    assert shared < 0.65 * alone
    assert adders(spec, "best") == shared


def test_opposite_rows_share_their_adders():
    row = random_matrix(1, 21, 5)
    one = adders(SignMatrixSpec.of(row), "planes")
    assert adders(SignMatrixSpec.of(np.concatenate([row, row])), "planes") == one


@pytest.mark.parametrize(
    ("weights", "source", "message"),
    [
        ([[1, 0]], Format(1), r"Entries of a sign matrix must be \+1 or -1, not 0"),
        ([[1, 2], [1, 1]], Format(1), r"Entries of a sign matrix must be \+1 or -1, not 2"),
        ([], Format(1), "Sign matrix must be an array of 2 axes, not 1"),
        (np.ones((0, 3)), Format(1), "Sign matrix must be at least 1 x 1, not 0 x 0"),
        (np.ones((3, 0)), Format(1), "Sign matrix must be at least 1 x 1, not 3 x 0"),
        ([[1]], Format(9), "Inputs of a sign matrix must be 1 to 8 bits, not 9"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(weights, source, message):
    with pytest.raises(ValueError, match=message):
        SignMatrixSpec.of(weights, source)


def test_rows_of_different_lengths_and_no_bits_are_refused():
    with pytest.raises(ValueError, match=r"Rows of a sign matrix must be equally long, not \[1, 2\]"):
        SignMatrixSpec(weights=((1,), (1, -1)))
    with pytest.raises(ValueError, match="Format width must be 1 to 62 bits, not 0"):
        Format(0)


def test_an_array_output_is_compared_element_by_element():
    unit = SignMatrix(SignMatrixSpec.of(random_matrix(3, 4, 0), Format(2, 0, True)))
    vectors = unit_vectors(unit, 5, 0)
    assert simulate(unit, vectors).shape == (len(vectors["x"]), 3)
