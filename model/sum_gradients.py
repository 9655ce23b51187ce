"""Gradients of the operands of a product, from the gradients of its parts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.sum_program import Span

#: Products of fewer terms are faster with the terms as rows.
NARROW = 32


class Gradients:
    """What the parts of ``x @ w.T`` add to the gradients of ``x`` (batch, terms) and ``w`` (outputs, terms).

    Parameters
    ----------
    x, w
        The operands.
    wanted
        Whether each has a gradient.
    """

    def __init__(self, x: Tensor, w: Tensor, wanted: Sequence[bool]) -> None:
        self._x, self._w, self._wanted = x, w, wanted
        self._wide: list[Tensor | None] = [None, None]
        self._narrow: list[Tensor | None] = [None, None]
        self._columns: tuple[Tensor, Tensor] | None = None

    def add(self, rows: slice, span: Span, passed: Tensor, scale: float) -> None:
        """``passed`` (rows, outputs) times ``scale`` is the gradient of the sum of the products of a span of terms."""
        terms = slice(*span)
        if terms.stop - terms.start >= NARROW:
            if (dx := self._room(self._wide, 0)) is not None:
                _add(dx[rows, terms], passed, self._w[:, terms], scale)
            if (dw := self._room(self._wide, 1)) is not None:
                _add(dw[:, terms], passed.T, self._x[rows, terms], scale)
            return
        if self._columns is None:
            self._columns = self._x.T.contiguous(), self._w.T.contiguous()
        x, w = self._columns
        if (dx := self._room(self._narrow, 0)) is not None:
            _add(dx[terms, rows], w[terms], passed.T, scale)
        if (dw := self._room(self._narrow, 1)) is not None:
            _add(dw[terms], x[terms, rows], passed, scale)

    def of_x(self) -> Tensor | None:
        """The gradient of ``x``."""
        return self._total(0)

    def of_w(self) -> Tensor | None:
        """The gradient of ``w``."""
        return self._total(1)

    def _room(self, kind: list[Tensor | None], operand: int) -> Tensor | None:
        if not self._wanted[operand]:
            return None
        room = kind[operand]
        if room is None:
            like = (self._x, self._w)[operand]
            room = kind[operand] = torch.zeros_like(like if kind is self._wide else like.T)
        return room

    def _total(self, operand: int) -> Tensor | None:
        wide, narrow = self._wide[operand], self._narrow[operand]
        if narrow is None:
            return self._room(self._wide, operand)
        return narrow.T if wide is None else wide.add_(narrow.T)


def _add(total: Tensor, a: Tensor, b: Tensor, scale: float) -> None:
    """``total`` += ``scale`` times ``a @ b``."""
    if total.device.type == "cpu":
        total.addmm_(a, b, alpha=scale)
    else:
        total += a @ b * scale  # cuBLAS refuses to add to some views of one row or column
