"""Nonuniform quantization of the activations of any network: hooks, calibration, searches, accounting.

Source: Sun, Lin, Wang, "Intra-Layer Nonuniform Quantization of Convolutional Neural Network". What is computed with
integers is in :mod:`model.spec.nonuniform`, and is what the hardware is built from.
"""

from model.spec.nonuniform import EnqSpec, KnqSpec, LayersSpec

__all__ = ["EnqSpec", "KnqSpec", "LayersSpec"]
