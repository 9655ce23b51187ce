"""How often each activation occurs, counted as a stream: memory does not grow with the number of samples."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.nonuniform.hooks import QuantizationError
from model.spec.fixed import Ints

BITS = 18  #: of the number of a bin


class Histogram:
    """Counts of ``floor(x * 2**frac)`` below ``2**18``; bins are joined in pairs when a larger x comes.

    Joining loses nothing that a coarser count would have: counts of every coarser ``frac`` are exact.

    Parameters
    ----------
    name
        Of the layer, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.frac = 100  #: of the bins; before anything above 0 has been seen, finer than anything
        self.counts: Ints = np.zeros(1 << BITS, np.int64)
        self.top = 0.0  #: the largest activation seen

    @property
    def total(self) -> int:
        """Activations seen."""
        return int(self.counts.sum())

    @property
    def integer_bits(self) -> int:
        """The least I, which may be negative, with every activation below ``2**I``; 0 if all are 0."""
        return math.frexp(self.top)[1]

    def add(self, x: Tensor) -> None:
        """Count activations, any shape.

        Raises
        ------
        QuantizationError
            If one is negative, infinite or not a number.
        """
        flat = x.detach().reshape(-1)
        check_activations(self.name, flat)
        self.top = max(self.top, float(flat.max()) if len(flat) else 0.0)
        if self.top > 0:
            self._coarsen(BITS - self.integer_bits)
        numbers = (flat.double() * 2.0**self.frac).long()
        self.counts += torch.bincount(numbers, minlength=len(self.counts)).numpy()

    def _coarsen(self, frac: int) -> None:
        if frac >= self.frac:
            return
        joined = np.bincount(
            np.arange(len(self.counts)) >> min(self.frac - frac, 62), weights=self.counts, minlength=len(self.counts)
        )
        self.counts, self.frac = joined.astype(np.int64), frac

    def integers(self, frac: int, q_bits: int | None = None) -> tuple[Ints, Ints]:
        """Distinct ``i = floor(x * 2**frac + 1/2)`` in ascending order, and how often each occurs.

        q_bits: above ``2**q_bits - 1`` they saturate; not given, they do not.

        Raises
        ------
        QuantizationError
            If ``frac`` is finer than what was counted, or nothing was.
        """
        if not self.total:
            raise QuantizationError(f"Activations of layer {self.name} must be at least 1, not 0")
        numbers = np.flatnonzero(self.counts)
        shift = min(self.frac - frac, 62)
        if shift < 1 and self.top > 0:
            raise QuantizationError(
                f"Fraction bits of layer {self.name} must be at most {self.frac - 1}, as counted, not {frac!r}"
            )
        values = numbers + (1 << (shift - 1)) >> shift if self.top > 0 else numbers
        values = values if q_bits is None else np.minimum(values, (1 << q_bits) - 1)
        distinct, place = np.unique(values, return_inverse=True)
        counts = np.zeros(len(distinct), np.int64)
        np.add.at(counts, place, self.counts[numbers])
        return distinct, counts

    def reals(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The middle of each bin that is not empty (0 for the first), and how often it occurs."""
        numbers = np.flatnonzero(self.counts)
        return np.where(numbers > 0, numbers + 0.5, 0) * 2.0**-self.frac, self.counts[numbers].astype(np.float64)


def check_activations(name: str, x: Tensor) -> None:
    """Raises QuantizationError if an activation is negative, infinite or not a number."""
    total, size = x.detach().sum(), x.detach().abs().sum()
    if torch.equal(total, size) and bool(size.isfinite()):  # the quick way: equal only if none is negative
        return
    low, high = (float(v) for v in torch.aminmax(x.detach()))
    if not (math.isfinite(low) and math.isfinite(high)):
        wrong = low if not math.isfinite(low) else high
        raise QuantizationError(f"Activations of layer {name} must be finite, not {wrong!r}")
    if low < 0:
        raise QuantizationError(f"Activations of layer {name} must be at least 0, not {low!r}")
