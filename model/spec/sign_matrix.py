"""A constant matrix of +-1 times a vector of integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import Format, Ints

MAX_WIDTH = 8  #: widest input

BIT = Format(1, 0, False)


@dataclass(frozen=True, kw_only=True)
class SignMatrixSpec:
    """``o = W x`` for a constant matrix W of +1 and -1, exact.

    Parameters
    ----------
    weights
        W as a tuple of rows, shape (outputs, inputs).
    source
        Format of one input: 1 to 8 bits, signed or not; its fraction bits are those of the outputs too.

    Raises
    ------
    ValueError
        If the matrix is empty, not rectangular or not of +1 and -1, or the input has more than 8 bits.
    """

    weights: tuple[tuple[int, ...], ...]
    source: Format = BIT

    def __post_init__(self) -> None:
        if not self.weights or not self.weights[0]:
            raise ValueError(f"Sign matrix must be at least 1 x 1, not {len(self.weights)!r} x 0")
        if len(lengths := {len(row) for row in self.weights}) > 1:
            raise ValueError(f"Rows of a sign matrix must be equally long, not {sorted(lengths)!r}")
        for entry in set().union(*self.weights):
            if entry not in (-1, 1):
                raise ValueError(f"Entries of a sign matrix must be +1 or -1, not {entry!r}")
        if self.source.width > MAX_WIDTH:
            raise ValueError(f"Inputs of a sign matrix must be 1 to {MAX_WIDTH} bits, not {self.source.width!r}")

    @classmethod
    def of(cls, weights: ArrayLike, source: Format = BIT) -> SignMatrixSpec:
        """From an array of shape (outputs, inputs).

        Raises
        ------
        ValueError
            If it has another number of axes, or as above.
        """
        array = np.asarray(weights)
        if array.ndim != 2:
            raise ValueError(f"Sign matrix must be an array of 2 axes, not {array.ndim!r}")
        return cls(weights=tuple(map(tuple, array.tolist())), source=source)

    @property
    def matrix(self) -> Ints:
        """W, shape (outputs, inputs)."""
        return np.array(self.weights, np.int64)

    @property
    def outputs(self) -> int:
        """Number of rows."""
        return len(self.weights)

    @property
    def inputs(self) -> int:
        """Number of columns."""
        return len(self.weights[0])

    @property
    def format(self) -> Format:
        """The narrowest format that holds every output, signed."""
        low, high = self.source.min, self.source.max
        plus = [row.count(1) for row in self.weights]
        least = min(p * low - (self.inputs - p) * high for p in plus)
        most = max(p * high - (self.inputs - p) * low for p in plus)
        return Format.covering(min(least, -1), most, self.source.frac)

    def compute(self, x: ArrayLike) -> Ints:
        """Golden function: stored integers of shape (..., inputs) in, of shape (..., outputs) out."""
        return np.asarray(x, np.int64) @ self.matrix.T
