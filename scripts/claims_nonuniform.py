"""What ``scripts.proofs`` proves of the units of nonuniform quantization."""

from __future__ import annotations

import random
from collections.abc import Iterator

from model.spec import EnqSpec, KnqSpec, LayersQuantizerSpec, LayersReconstructSpec, LayersSpec
from rtl.enq import EnqQuantizer, EnqReconstruct
from rtl.knq import KnqQuantizer, KnqReconstruct
from rtl.nonuniform import Form
from rtl.plain_nonuniform import (
    PlainEnqQuantizer,
    PlainEnqReconstruct,
    PlainKnqQuantizer,
    PlainKnqReconstruct,
    RoundTrip,
)
from scripts.claim import Claim
from synth import vgg16

FORMS: tuple[Form, ...] = ("small", "fast")


def nonuniform() -> Iterator[Claim]:
    """The twelve layers of VGG-16 exhaustively; the same and wider ones against the plain equations."""
    yield from _of("12 layers", vgg16.ENQ, vgg16.KNQ, 0, exhaustive=True)
    yield from _of("12 layers", vgg16.ENQ, vgg16.KNQ, 16, exhaustive=False)
    yield from _of("5 layers", *_random_layers(24), 24, exhaustive=False)


def _of(layers: str, enq: LayersSpec, knq: LayersSpec, x_bits: int, *, exhaustive: bool) -> Iterator[Claim]:
    size = f"{layers}, x of {x_bits or enq.q_bits} bits to q_m = {enq.q_bits}"
    back = f"{layers}, q_m = {enq.q_bits}"
    qe, qk = (LayersQuantizerSpec(layers=each, x_bits=x_bits) for each in (enq, knq))
    ce, ck = (LayersReconstructSpec(layers=each) for each in (enq, knq))
    if exhaustive:
        yield Claim(claim="QE = golden function", size=size, optimized=EnqQuantizer(qe))
        yield Claim(claim="CE = golden function", size=back, optimized=EnqReconstruct(ce))
        for form in FORMS:
            yield Claim(claim=f"QK, {form} = golden function", size=size, optimized=KnqQuantizer(qk, 0, form))
            yield Claim(claim=f"CK, {form} = golden function", size=back, optimized=KnqReconstruct(ck, 0, form))
        yield Claim(claim="code to x to code, ENQ", size=back, optimized=RoundTrip(enq))
        yield Claim(claim="code to x to code, KNQ", size=back, optimized=RoundTrip(knq))
        return
    yield Claim(claim="QE = shift and minimum", size=size, optimized=EnqQuantizer(qe), plain=PlainEnqQuantizer(qe))
    yield Claim(claim="CE = shift", size=back, optimized=EnqReconstruct(ce), plain=PlainEnqReconstruct(ce))
    for form in FORMS:
        yield Claim(
            claim=f"QK, {form} = comparators, encoder",
            size=size,
            optimized=KnqQuantizer(qk, 0, form),
            plain=PlainKnqQuantizer(qk),
        )
        yield Claim(
            claim=f"CK, {form} = multiplexer",
            size=back,
            optimized=KnqReconstruct(ck, 0, form),
            plain=PlainKnqReconstruct(ck),
        )


def _random_layers(q_bits: int) -> tuple[LayersSpec, LayersSpec]:
    """Five layers with different numbers of bits, small values dense."""
    chance = random.Random(0)
    bits = (5, 4, 3, 5, 2)
    rows = (tuple(sorted(int(2 ** (chance.random() * q_bits)) for _ in range(1 << each))) for each in bits)
    return (
        LayersSpec(layers=tuple(EnqSpec(q_bits=q_bits, bits=each) for each in bits)),
        LayersSpec(layers=tuple(KnqSpec(q_bits=q_bits, centroids=row) for row in rows)),
    )
