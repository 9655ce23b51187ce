"""Sums whose division by a power of two is made group by group, before they overflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import Ints
from model.spec.sums import SumSpec


class Form(StrEnum):
    """What follows an aggregated sum."""

    RELU = "relu"  #: max(y, 0)
    HARD_TANH = "hard_tanh"  #: y from -one to one


@dataclass(frozen=True, kw_only=True)
class AggregatedSumSpec:
    """``sum(x) / 2**shift``, in ``groups`` parts: each is summed, divided, and only then added to the others.

    1. Summands are cut, in their order, into ``groups`` runs of one length; each is summed by the nodes of ``rule``.
    2. Each sum loses its lowest ``shift`` bits (towards minus infinity).
    3. Quotients, and ``bias`` as one more, the last, unless it is None, are summed by the nodes of ``rule``.
    4. ``relu``: negative results become 0. ``hard_tanh``: results are clamped to -one ... one.

    Source: equations (4) to (7) of Li, Wang, Liu, Han, Li, "Simulate-the-hardware". Their example: 512 in four groups,
    in nodes of 8 bits: 4 x (127 >> 2) = 124 of 128, where one sum would saturate at 127 and leave 31.

    Parameters
    ----------
    rule
        Order and nodes, of the groups as of their quotients.
    groups
        G, how many.
    shift
        The divisor is ``2**shift``.
    form
        ``relu`` or ``hard_tanh``.
    one
        The stored integer that means 1, for ``hard_tanh``.

    Raises
    ------
    ValueError
        If a parameter is outside its range.
    """

    rule: SumSpec
    groups: int
    shift: int
    form: Form | str = Form.RELU
    one: int = 127

    def __post_init__(self) -> None:
        if self.form not in list(Form):
            raise ValueError(f"Form of an aggregated sum must be {' or '.join(Form)}, not {self.form!r}")
        object.__setattr__(self, "form", Form(self.form))
        if self.groups < 1:
            raise ValueError(f"Number of groups must be at least 1, not {self.groups!r}")
        if not 0 <= self.shift <= 62:
            raise ValueError(f"Shift of an aggregated sum must be 0 to 62, not {self.shift!r}")
        if self.one < 1:
            raise ValueError(f"One of an aggregated sum must be at least 1, not {self.one!r}")

    @property
    def ends(self) -> tuple[int, int | None]:
        """Smallest and largest result that the form leaves; None without a largest."""
        return (0, None) if self.form is Form.RELU else (-self.one, self.one)

    def size(self, terms: int, unit: str = "summands") -> int:
        """How many of ``terms`` a group has."""
        if terms % self.groups:
            raise ValueError(f"Number of {unit} must be a multiple of {self.groups} groups, not {terms!r}")
        return terms // self.groups

    def compute(self, summands: Sequence[ArrayLike], bias: ArrayLike | None = None) -> Ints:
        """Golden function on a sequence, or an array of which the first axis is summed; values of any one shape."""
        each = self.size(len(summands))
        groups = [summands[i : i + each] for i in range(0, len(summands), each)]
        quotients: list[ArrayLike] = [self.rule.fold(group) >> self.shift for group in groups]
        total = self.rule.fold(quotients if bias is None else [*quotients, bias])
        return np.clip(total, *self.ends)
