"""One compiled time step of an LSTM layer, as the fused pass uses it, whatever kind of layer it is for."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from model.spec import Format, LstmSpec, Rounding

#: Suffix of the C functions and the C type, by the type of the tensors.
REALS = {torch.float32: ("f32", ctypes.c_float), torch.float64: ("f64", ctypes.c_double)}


@cache
def narrow_structure(real: Any) -> type[ctypes.Structure]:
    """The C++ struct ``Narrow`` for one real type."""

    class Narrow(ctypes.Structure):
        _fields_ = (("scale", real), ("low", real), ("high", real), ("nearest", ctypes.c_int64))

    return Narrow


class Kernel:
    """The step for one specification: its tables, kept alive, and the two C functions.

    A *history* is what passes from step to step and what the backward pass looks up, time first: the cell state
    (steps + 1, batch, hidden) from before the first step on, the indices of the activations (steps, batch, 4 * hidden),
    and of ``notes`` each (steps, batch, hidden). The tables are filled in by the kinds of kernel.

    Parameters
    ----------
    library
        The compiled kernels.
    structure
        The C++ struct ``Tables`` for a real type.
    dtype
        Of the real values, float32 or float64.
    """

    name: ClassVar[str]  #: prefix of the C functions
    notes: ClassVar[int] = 0  #: how many bytes a unit and step the backward pass needs besides

    h_start = 0.0  #: h^ before the first step
    c_start = 0  #: c^ before it, as ``c_dtype`` holds it

    def __init__(self, library: ctypes.CDLL, structure: Any, lstm: LstmSpec, dtype: torch.dtype) -> None:
        suffix, self._real = REALS[dtype]
        self._forward, self._backward = (library[f"{self.name}_{way}_{suffix}"] for way in ("forward", "backward"))
        self._keep: list[Tensor] = []
        self._tables: Any = structure(self._real)()
        self.hidden, self.dtype, self.c_dtype = lstm.hidden, dtype, dtype

    def _hold(self, table: Tensor, dtype: torch.dtype) -> int:
        """Address of a table, which lives as long as the kernel."""
        self._keep.append(table.to(dtype).contiguous())
        return self._keep[-1].data_ptr()

    def _narrow(self, target: Format, rounding: Rounding) -> ctypes.Structure:
        nearest = rounding is Rounding.NEAREST_EVEN
        return narrow_structure(self._real)(2.0**target.frac, target.min, target.max, nearest)

    def history(self, steps: int, batch: int) -> tuple[Tensor, ...]:
        """Room for a history, with the cell state before the first step."""
        c = torch.empty(steps + 1, batch, self.hidden, dtype=self.c_dtype)
        c[0] = self.c_start
        index = torch.empty(steps, batch, 4 * self.hidden, dtype=torch.int32)
        return c, index, *(torch.empty(steps, batch, self.hidden, dtype=torch.uint8) for _ in range(self.notes))

    def forward(self, t: int, history: Sequence[Tensor], zx: Tensor, product: Tensor, h: Tensor) -> None:
        """Step ``t``: z = ``zx + product`` (batch, 4 * hidden) to ``h`` (batch, hidden) and the history."""
        self._call(self._forward, t, history, zx, product, h)

    def backward(
        self, t: int, history: Sequence[Tensor], dh: Tensor, dc: Tensor, dz: Tensor, sums: Sequence[Tensor]
    ) -> None:
        """Gradient ``dh`` of the h^ of step ``t`` to ``dz``; ``dc`` of its c^ to that of the c^ before it."""
        self._call(self._backward, t, history, dh, dc, dz, last=sums)

    def _call(
        self, function: Any, t: int, history: Sequence[Tensor], *first: Tensor, last: Sequence[Tensor] = ()
    ) -> None:
        c, *others = history
        tensors = (*first, c[t], c[t + 1], *(values[t] for values in others), *last)
        pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
        function(ctypes.byref(self._tables), ctypes.c_int64(c.shape[1]), ctypes.c_int64(self.hidden), *pointers)

    def factor_sums(self) -> tuple[Tensor, ...]:
        """What the backward pass adds up, step by step, for the gradients of scaling factors."""
        return ()

    def factor_gradients(
        self, sums: Sequence[Tensor], dc_start: Tensor, dh_start: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of the factors of gates, c and h, from the sums and the gradients of the first c^ and h^."""
        return None, None, None
