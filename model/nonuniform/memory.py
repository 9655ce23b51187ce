"""Bits that storing all activations of one sample takes."""

from __future__ import annotations

from collections.abc import Sequence

from model.nonuniform.hooks import Layer

FLOAT_BITS = 32


def layer_bits(layers: Sequence[Layer], bits: Sequence[int]) -> tuple[int, ...]:
    """Bits of each layer, with ``bits`` of one of its activations."""
    return tuple(layer.activations * each for layer, each in zip(layers, bits, strict=True))


def total_bits(layers: Sequence[Layer], bits: Sequence[int]) -> int:
    """NB: bits of all layers."""
    return sum(layer_bits(layers, bits))


def normalized(bits: int, of: int) -> float:
    """NNB: bits as a multiple of those of another scheme."""
    return bits / of
