"""Activation and binarization in one: comparisons of a pre-activation with integer constants."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import Format, Ints, NarrowSpec
from model.spec.lstm import LstmSpec
from model.spec.mlb import MlbSpec, binarized
from model.spec.pwl import PwlSpec
from model.spec.steps import search_thresholds

MAX_ACTIVATION_WIDTH = 20  #: every input of an activation is tried to see that the codes never decrease


@dataclass(frozen=True, kw_only=True)
class ThresholdSpec:
    """``code = MLB(activation(narrow(z)))``, the number of ``thresholds`` that z reaches; :meth:`gate` makes one.

    The paper's narrowing, look-up activation and quantizer, found equal by searching their integer function.

    Parameters
    ----------
    narrow
        From z to the input of the activation; None if z is that input.
    activation
        The activation function.
    mlb
        Binarization of its output.

    Raises
    ------
    ValueError
        If ``narrow`` does not lead to ``activation``, can wrap, or the codes decrease somewhere.
    """

    narrow: NarrowSpec | None
    activation: PwlSpec
    mlb: MlbSpec

    def __post_init__(self) -> None:
        inner = self.activation.source
        if inner.width > MAX_ACTIVATION_WIDTH:
            raise ValueError(f"Activation input must be at most {MAX_ACTIVATION_WIDTH} bits wide, not {inner.width!r}")
        if self.narrow is not None:
            if self.narrow.target != inner:
                raise ValueError(f"Narrowing target must be the activation's input {inner}, not {self.narrow.target}")
            if self.narrow.wraps:
                raise ValueError(
                    f"Overflow of a narrowing before thresholds must be saturate, not {str(self.narrow.overflow)!r}"
                )
        codes = self._code_of_inner(np.arange(inner.min, inner.max + 1))
        if falls := np.flatnonzero(np.diff(codes) < 0).tolist():
            raise ValueError(f"Activation codes must never decrease, not after input {inner.min + falls[0]!r}")

    @classmethod
    def gate(cls, lstm: LstmSpec, gate: int) -> ThresholdSpec:
        """The code of a gate of an LSTM."""
        return cls(narrow=lstm.narrow_z(gate), activation=lstm.activation(gate), mlb=binarized(lstm.gates[gate]))

    @property
    def source(self) -> Format:
        """Format of z."""
        return self.activation.source if self.narrow is None else self.narrow.source

    @cached_property
    def thresholds(self) -> tuple[int, ...]:
        """For each code k from 1 on the smallest z whose code is at least k; ``source.max + 1`` if there is none."""
        return search_thresholds(self.compute, self.source, 1 << self.mlb.levels)

    def compute(self, x: ArrayLike) -> Ints:
        """Golden function: stored integers of ``source`` in, codes out; any shape."""
        return self._code_of_inner(x if self.narrow is None else self.narrow.compute(x))

    def _code_of_inner(self, x: ArrayLike) -> Ints:
        return self.mlb.quantize(self.activation.compute(x), self.activation.target.frac)
