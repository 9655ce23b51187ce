"""The stated error of the piecewise-linear activations, over every input."""

from __future__ import annotations

import math

import pytest

from model.spec import Format, PwlSpec

#: Largest size of the second derivative: 1 / (6 sqrt 3) of the sigmoid, 4 / (3 sqrt 3) of tanh.
CURVATURE = {"sigmoid": 1 / (6 * math.sqrt(3)), "tanh": 4 / (3 * math.sqrt(3))}


def real(function: str, x: float) -> float:
    return math.tanh(x) if function == "tanh" else 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
@pytest.mark.parametrize("segments", [4, 8, 16, 32, 64])
@pytest.mark.parametrize(("width", "frac"), [(8, 4), (10, 6), (12, 8)])
@pytest.mark.parametrize("bits", [6, 8, 12])
def test_error_over_every_input_is_what_is_stated_and_within_its_bound(function, segments, width, frac, bits):
    target = Format(bits, bits - (function == "tanh"), function == "tanh")
    spec = PwlSpec.fit(function, source=Format(width, frac), target=target, segments=segments)
    inputs = range(spec.source.min, spec.source.max + 1)
    errors = [
        abs(int(y) * target.step - real(function, x / 2**frac))
        for x, y in zip(inputs, spec.compute(inputs), strict=True)
    ]
    assert spec.max_error() == pytest.approx(max(errors), abs=1e-12)
    # A chord is off by h^2/8 f''; its floored slope by one guarded bit for each step along it, its ends by half of
    # one; the result is rounded to the nearest or, at the upper end, held one last bit below 1.
    chord = (2.0 ** (width - frac) / segments) ** 2 / 8 * CURVATURE[function]
    guarded = 2.0 ** -(target.frac + spec.guard)
    assert max(errors) <= chord + guarded * (2**spec.low_bits + 0.5) + target.step


def test_more_segments_and_finer_formats_come_nearer():
    def error(segments: int, bits: int) -> float:
        source, target = Format(12, 8), Format(bits, bits, False)
        return PwlSpec.fit("sigmoid", source=source, target=target, segments=segments).max_error()

    coarse_to_fine = [error(segments, 12) for segments in (4, 8, 16, 32, 64)]
    assert coarse_to_fine == sorted(coarse_to_fine, reverse=True)
    assert error(64, 6) > error(64, 8) > error(64, 12)
