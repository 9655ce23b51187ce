"""Thresholds and tables: equal to the golden function, and what cannot be built refused with a sentence."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.random_network import random_network
from model.spec import (
    Format,
    MlbQuantizerSpec,
    MlbSpec,
    NarrowSpec,
    Overflow,
    PwlSpec,
    Rounding,
    TableSpec,
    ThresholdSpec,
    XnorMultiplierSpec,
)
from rtl import decisions
from rtl.mlb_quantizer import MlbQuantizer
from rtl.table_product import TableProduct
from rtl.threshold_activation import ThresholdActivation
from rtl.verilog import emit
from tests.rtl.units import check

few = settings(max_examples=15)
STAGES = st.integers(0, 3)
FACTORS = st.lists(st.integers(1, 90), min_size=1, max_size=4).map(tuple)
SIGMOID = PwlSpec.fit("sigmoid", source=Format(8, 4), target=Format(8, 8, False), segments=16)


@few
@given(
    st.sampled_from(["sigmoid", "tanh"]),
    st.tuples(st.integers(8, 24), st.integers(4, 10), st.booleans()),
    st.sampled_from(Rounding),
    FACTORS,
    st.integers(-60, 60),
    STAGES,
)
def test_threshold_activation(function, source, rounding, factors, offset, stages):
    activation = PwlSpec.fit(function, source=Format(8, 4), target=Format(8, 7, function == "tanh"), segments=16)
    narrow = NarrowSpec(source=Format(*source), target=activation.source, rounding=rounding)
    mlb = MlbSpec(factors=factors, frac=6, offset=offset)
    spec = ThresholdSpec(narrow=narrow, activation=activation, mlb=mlb)
    check(ThresholdActivation(spec, stages), count=200)
    x = np.unique(np.clip([t + d for t in spec.thresholds for d in (-1, 0)], spec.source.min, spec.source.max))
    assert np.array_equal(spec.compute(x), sum((x >= t).astype(int) for t in spec.thresholds))


@few
@given(FACTORS, FACTORS, st.integers(-60, 60), STAGES)
def test_table_product(f, g, offset, stages):
    a, b = (MlbSpec(factors=factors[:3], offset=offset) for factors in (f, g))
    spec = TableSpec.binarized_sum(XnorMultiplierSpec(a=a, b=b), XnorMultiplierSpec(a=b, b=a), MlbSpec(factors=f))
    unit = TableProduct(spec, stages)
    assert unit.latency == stages
    check(unit, count=100)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_both_tables_of_a_network(levels):
    lstm = random_network(a=levels)[0].spec().lstms[0]
    for table in (TableSpec.cell(lstm), TableSpec.hidden(lstm)):
        check(TableProduct(table))


MID = MlbSpec(factors=(64,), frac=8, offset=128)  # at one half


def test_more_registers_than_multiplexers():
    for stages in range(8):
        check(MlbQuantizer(MlbQuantizerSpec(source=Format(4, 8, False), mlb=MlbSpec(factors=(3, 2), frac=8)), stages))


def test_a_constant_comes_with_a_clock_too():
    unit = MlbQuantizer(MlbQuantizerSpec(source=Format(2, 0), mlb=MlbSpec(factors=(90,), offset=60)), 2)
    verilog = emit(unit, "unit")
    assert "input clk" in verilog
    assert "always" not in verilog
    check(unit)


def test_registers_part_a_diagram_evenly():
    spec = TableSpec(inputs=(("a", 8),), width=1, codes=tuple(n.bit_count() & 1 for n in range(256)))
    for stages, registers in ((0, 0), (1, 2 + 4), (3, 3 * 2 + 2 + 4 + 6)):
        # Two functions at each cut, parity and its inverse; and the bits that are tested later.
        found = re.findall(r"^  reg .*;$", emit(TableProduct(spec, stages), "unit"), re.MULTILINE)
        assert len(found) == registers, stages


def test_a_register_too_few_is_caught(monkeypatch):
    late = decisions.delayed
    monkeypatch.setattr(decisions, "delayed", lambda m, value, later, n: late(m, value, later, min(n, 1)))
    with pytest.raises(AssertionError, match="gives"):
        check(ThresholdActivation(ThresholdSpec(narrow=None, activation=SIGMOID, mlb=MID), 2))


def test_a_quantizer_whose_factors_are_powers_of_two_is_wires():
    mlb = MlbSpec(factors=(64, 32, 16), frac=8, offset=128)
    verilog = emit(MlbQuantizer(MlbQuantizerSpec(source=Format(8, 8, False), mlb=mlb)), "unit")
    assert "x[4]" not in verilog  # only the three bits on top are read
    check(MlbQuantizer(MlbQuantizerSpec(source=Format(10, 9), mlb=mlb)))


def test_a_low_bit_that_no_threshold_needs_is_not_read():
    narrow = NarrowSpec(source=Format(20, 14), target=SIGMOID.source)
    verilog = emit(ThresholdActivation(ThresholdSpec(narrow=narrow, activation=SIGMOID, mlb=MID)), "unit")
    assert "o = x[19] ? 1'h0 : 1'h1" in verilog  # sigmoid(z) is at least one half where z is not negative


XY = MlbSpec(factors=(4, 2))
FIVE = MlbSpec(factors=(1,) * 5)
TABLE = TableSpec(inputs=(("a", 1), ("b", 1)), width=1, codes=(0, 1, 1, 0))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: ThresholdSpec(
                narrow=NarrowSpec(source=Format(9, 4), target=Format(8, 4), overflow=Overflow.WRAP),
                activation=SIGMOID,
                mlb=XY,
            ),
            "Overflow of a narrowing before thresholds must be saturate, not 'wrap'",
        ),
        (
            lambda: ThresholdSpec(
                narrow=NarrowSpec(source=Format(9, 4), target=Format(7, 4)), activation=SIGMOID, mlb=XY
            ),
            "Narrowing target must be the activation's input s8.4, not s7.4",
        ),
        (
            lambda: ThresholdSpec(
                narrow=None,
                activation=dataclasses.replace(SIGMOID, bases=SIGMOID.bases[::-1]),
                mlb=MID,
            ),
            "Activation codes must never decrease, not after input -?[0-9]+$",
        ),
        (
            lambda: ThresholdSpec(
                narrow=None,
                activation=PwlSpec.fit("tanh", source=Format(24, 16), target=Format(8, 7), segments=8),
                mlb=XY,
            ),
            "Activation input must be at most 20 bits wide, not 24",
        ),
        (lambda: MlbQuantizerSpec(source=Format(60, 0), mlb=MlbSpec(factors=(1,), frac=9)), "at most 53 bits wide"),
        (
            lambda: TableSpec.binarized_sum(XnorMultiplierSpec(a=FIVE, b=FIVE), XnorMultiplierSpec(a=FIVE, b=FIVE), XY),
            r"Table must have at most 65536 entries, not 2\*\*20",
        ),
        (
            lambda: TableSpec.binarized_sum(
                XnorMultiplierSpec(a=XY, b=XY), XnorMultiplierSpec(a=XY, b=MlbSpec(factors=(1,), frac=2)), XY
            ),
            r"Fraction bits of i\^ g\^ must be those of f\^ c\^ \(0\), not 2",
        ),
        (lambda: dataclasses.replace(TABLE, codes=(0, 1)), "Table must be of 4 codes, not 2"),
        (lambda: dataclasses.replace(TABLE, codes=(0, 1, 2, 0)), "Table codes must be from 0 to 1, not 2"),
        (lambda: dataclasses.replace(TABLE, width=9), "Table output must be 1 to 8 bits wide, not 9"),
        (lambda: dataclasses.replace(TABLE, inputs=()), "Table inputs must be different names"),
        (lambda: dataclasses.replace(TABLE, inputs=(("a", 1), ("o", 1))), "none of them o, not"),
        (lambda: dataclasses.replace(TABLE, inputs=(("a", 2), ("b", 0))), "at least 1 bit wide, not 0"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_wrap_that_cannot_happen_is_no_obstacle():
    narrow = NarrowSpec(source=Format(6, 4), target=SIGMOID.source, overflow=Overflow.WRAP)
    check(ThresholdActivation(ThresholdSpec(narrow=narrow, activation=SIGMOID, mlb=MlbSpec(factors=(3,)))))
