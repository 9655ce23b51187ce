"""Units of nonuniform quantization against their golden functions, over layers, widths, forms and registers."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from amaranth.hdl import Module
from hypothesis import given, settings
from hypothesis import strategies as st

from model.spec import EnqSpec, KnqSpec, LayersQuantizerSpec, LayersReconstructSpec, LayersSpec, RoundTripSpec
from rtl.enq import EnqQuantizer, EnqReconstruct
from rtl.knq import KnqQuantizer, KnqReconstruct
from rtl.verilog import emit
from synth import vgg16
from tests.rtl.units import check

few = settings(max_examples=15)
STAGES = st.integers(0, 3)
FORMS = st.sampled_from(["small", "fast"])


@st.composite
def enq_layers(draw: st.DrawFn) -> LayersSpec:
    q_bits = draw(st.integers(1, 10))
    bits = draw(st.lists(st.integers(1, q_bits), min_size=1, max_size=9))
    return LayersSpec(layers=tuple(EnqSpec(q_bits=q_bits, bits=each) for each in bits))


@st.composite
def knq_layers(draw: st.DrawFn) -> LayersSpec:
    """Layers with different numbers of centroids, of which some repeat and some are past the range."""
    q_bits = draw(st.integers(1, 7))

    def layer() -> KnqSpec:
        count = 1 << draw(st.integers(1, min(q_bits, 4)))
        centroids = draw(st.lists(st.integers(0, 1 << q_bits), min_size=count, max_size=count))
        return KnqSpec(q_bits=q_bits, centroids=tuple(sorted(centroids)))

    return LayersSpec(layers=tuple(layer() for _ in range(draw(st.integers(1, 6)))))


@few
@given(enq_layers(), STAGES, st.integers(0, 3))
def test_enq(layers, stages, more):
    check(EnqQuantizer(LayersQuantizerSpec(layers=layers, x_bits=layers.q_bits + more), stages), count=200)
    check(EnqReconstruct(LayersReconstructSpec(layers=layers), stages))


@few
@given(knq_layers(), STAGES, FORMS, st.integers(0, 2))
def test_knq(layers, stages, form, more):
    quantizer = KnqQuantizer(LayersQuantizerSpec(layers=layers, x_bits=layers.q_bits + more), stages, form)
    assert quantizer.latency == stages
    check(quantizer, count=200)
    check(KnqReconstruct(LayersReconstructSpec(layers=layers), stages, form))


@pytest.mark.parametrize("form", ["small", "fast"])
def test_knq_for_every_input_and_layer(form):
    rng = np.random.default_rng(0)
    rows = [tuple(sorted(rng.integers(0, 65, count).tolist())) for count in (16, 8, 16, 2, 4)]
    layers = LayersSpec(layers=tuple(KnqSpec(q_bits=6, centroids=row) for row in rows))
    check(KnqQuantizer(LayersQuantizerSpec(layers=layers), 0, form), count=1 << 9)
    check(KnqReconstruct(LayersReconstructSpec(layers=layers), 0, form), count=1 << 7)


def test_golden_functions_are_those_of_the_layers():
    for layers in (vgg16.ENQ, vgg16.KNQ):
        x, code = np.arange(1 << layers.q_bits), np.arange(1 << layers.code_bits)
        quantizer, reconstruct = LayersQuantizerSpec(layers=layers), LayersReconstructSpec(layers=layers)
        for index in range(len(layers.layers)):
            assert np.array_equal(quantizer.compute(x, index), layers.quantize(index, x))
            own = code[: 1 << layers.layers[index].bits]
            assert np.array_equal(reconstruct.compute(own, index), layers.reconstruct(index, own))
            # Bits of a code that the layer has not are ignored.
            assert np.array_equal(reconstruct.compute(code, index), reconstruct.compute(code & (len(own) - 1), index))
        # Codes that some x has come back as they are.
        for index, layer in enumerate(layers.layers):
            used = np.unique(layer.quantize(x))
            assert np.array_equal(RoundTripSpec(layers=layers).compute(used, index), used)
            assert np.array_equal(quantizer.compute(reconstruct.compute(used, index), index), used)


def test_an_index_beyond_the_last_ignores_bits_that_lead_beyond():
    enq = LayersSpec(layers=tuple(EnqSpec(bits=1 + n) for n in range(5)))
    assert [layer.bits - 1 for layer in enq.all_taken] == [0, 1, 2, 3, 4, 4, 4, 4]
    twelve = LayersSpec(layers=tuple(EnqSpec(bits=1 + n) for n in range(12)))
    assert [layer.bits - 1 for layer in twelve.all_taken] == [*range(12), 8, 9, 10, 11]
    check(EnqQuantizer(LayersQuantizerSpec(layers=enq)))
    with pytest.raises(ValueError, match="Layer index must be 0 to 4, not 5"):
        enq.layer(5)


def test_printed_centroids_with_repetitions_and_one_past_the_range():
    first, third = vgg16.KNQ.layers[0], vgg16.KNQ.layers[3]
    assert isinstance(first, KnqSpec)
    assert isinstance(third, KnqSpec)
    assert (first.centroids, third.centroids) == (vgg16.PRINTED["conv1_2"], vgg16.PRINTED["conv3_1"])
    assert first.quantize([0, 1, 4095]).tolist() == [12, 13, 31]  # of thirteen zeros only the last has a code
    assert first.used == tuple(range(12, 32))
    assert third.quantize([4095, 5000]).tolist() == [30, 30]  # no x reaches 4096
    assert third.reconstruct(31) == 4095
    assert {len(row) for row in vgg16.PRINTED.values()} == {32}
    assert list(vgg16.BITS)[::3] == ["conv1_2", "conv3_1", "conv4_1", "conv5_1"]


def test_one_layer_has_no_index_and_a_shift_of_no_choice_is_wires():
    layers = LayersSpec(layers=(EnqSpec(bits=5),))
    unit = EnqQuantizer(LayersQuantizerSpec(layers=layers))
    assert "layer" not in unit.signature.members
    assert "assign o = x[11:7]" in emit(unit, "unit")
    check(unit, count=1 << 12)


def test_registers_are_as_many_as_stages_ask_for():
    layers = LayersSpec(layers=(EnqSpec(bits=5), EnqSpec(bits=6)))
    for stages in (0, 1, 2):
        found = re.findall(r"^  reg .*;$", emit(EnqQuantizer(LayersQuantizerSpec(layers=layers), stages), "unit"), re.M)
        assert len(found) == stages


def test_a_wrong_centroid_is_caught():
    class Broken(KnqReconstruct):
        def build(self) -> Module:
            m = super().build()
            m.d.comb += self.o.eq(self.code)  # the later assignment wins
            return m

    with pytest.raises(AssertionError, match="gives"):
        check(Broken(LayersReconstructSpec(layers=vgg16.KNQ)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EnqSpec(q_bits=4, bits=5), "Bits E of ENQ must be 1 to q_m = 4, not 5"),
        (lambda: KnqSpec(q_bits=2, centroids=tuple(range(8))), "must be a power of two from 2 to 4, not 8"),
        (
            lambda: LayersSpec(layers=(EnqSpec(), EnqSpec(q_bits=9))),
            r"Activation width q_m of the layers of one unit must be one, not \[9, 12\]",
        ),
        (lambda: vgg16.KNQ.quantize(12, 0), "Layer index must be 0 to 11, not 12"),
        (lambda: vgg16.KNQ.reconstruct(-1, 0), "Layer index must be 0 to 11, not -1"),
        (
            lambda: LayersQuantizerSpec(layers=vgg16.ENQ, x_bits=11),
            "Input width of a quantizer must be q_m = 12 to 48 bits, not 11",
        ),
        (lambda: EnqQuantizer(LayersQuantizerSpec(layers=vgg16.KNQ)), "must be ENQ, not 'KnqSpec'"),
        (lambda: KnqReconstruct(LayersReconstructSpec(layers=vgg16.ENQ)), "must be KNQ, not 'EnqSpec'"),
        (
            lambda: KnqQuantizer(LayersQuantizerSpec(layers=vgg16.KNQ), 0, "tiny"),  # type: ignore[arg-type]
            "Form must be small or fast, not 'tiny'",
        ),
        (
            lambda: KnqQuantizer(LayersQuantizerSpec(layers=vgg16.KNQ), 99),
            "Pipeline stages must be 0 to 64, not 99",
        ),
        (lambda: dataclasses.replace(vgg16.KNQ, layers=()), "must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        make()
