"""How the activations of a layer are stored: float to integer to code and back, as the specification says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from model.nonuniform.hooks import QuantizationError
from model.spec.nonuniform import EnqSpec, KnqSpec

MAX_BITS = 16  #: widest activation that is quantized here: its code is looked up in a table


@dataclass(frozen=True)
class Stored:
    """Activations of a layer as integers ``i = floor(x * 2**frac + 1/2) + offset``, saturated, then coded by ``spec``.

    ``EnqSpec(q_bits=q, bits=q)`` is uniform quantization.

    Parameters
    ----------
    spec
        ENQ or KNQ of integers of at most 16 bits.
    frac
        F: an integer i means ``i * 2**-F``; may be negative.
    offset
        Half the distance of two points makes of ENQ's floor the nearest. It costs nothing: behind a ReLU, adding it to
        the bias before gives the same codes, as long as nothing below it has another code than 0 has.

    Raises
    ------
    QuantizationError
        If activations are too wide.
    """

    spec: EnqSpec | KnqSpec
    frac: int
    offset: int = 0

    def __post_init__(self) -> None:
        check_q_bits(self.spec.q_bits)

    @property
    def bits(self) -> int:
        """Of a code."""
        return self.spec.bits

    @cached_property
    def _values(self) -> Tensor:
        """What each integer of q bits becomes, as a float; the specification itself says it."""
        every = torch.arange(1 << self.spec.q_bits).numpy()
        points = self.spec.reconstruct(self.spec.quantize(every))
        return torch.from_numpy(points * 2.0**-self.frac).float()

    def integers(self, x: Tensor) -> Tensor:
        """Integers of q bits, int32, of activations of at least 0, float32; any shape."""
        # floor(y + 1/2) = floor((floor(2 y) + 1) / 2), and nothing here is rounded, as y + 1/2 would be.
        doubled = (x * 2.0 ** (self.frac + 1)).clamp_(max=2.0 ** (self.spec.q_bits + 1)).floor_()
        numbers = doubled.add_(1 + 2 * self.offset).mul_(0.5).floor_()
        return numbers.clamp_(max=(1 << self.spec.q_bits) - 1).int()

    def apply(self, x: Tensor) -> Tensor:
        """What is read back: points times ``2**-F``, with gradients passed straight through where x is in range."""
        found = _look_up(self._values, self.integers(x.detach()))
        if not x.requires_grad:
            return found
        inside = x.clamp(max=float(self._values[-1]))
        return inside + (found - inside).detach()

    def plain(self) -> dict[str, object]:
        """As plain values, from which it can be told."""
        what = {"bits": self.spec.bits} if isinstance(self.spec, EnqSpec) else {"centroids": list(self.spec.centroids)}
        return {"q_bits": self.spec.q_bits, "frac": self.frac, "offset": self.offset, **what}


@dataclass(frozen=True)
class Half:
    """Activations in half precision (IEEE 754 binary16)."""

    bits: int = 16

    def apply(self, x: Tensor) -> Tensor:
        """The nearest half-precision number."""
        return x.half().to(x.dtype)

    def plain(self) -> dict[str, object]:
        """As plain values, from which it can be told."""
        return {"half": self.bits}


Storage = Stored | Half


def _look_up(values: Tensor, numbers: Tensor) -> Tensor:
    """``values[numbers]``, in the same memory format and in a third of the time."""
    if numbers.ndim == 4 and numbers.is_contiguous(memory_format=torch.channels_last):
        rows = numbers.permute(0, 2, 3, 1)
        return values.index_select(0, rows.reshape(-1)).view(rows.shape).permute(0, 3, 1, 2)
    return values.index_select(0, numbers.reshape(-1)).view(numbers.shape)


def check_q_bits(q_bits: int) -> None:
    """Raises QuantizationError if activations of so many bits are not quantized here."""
    if not 1 <= q_bits <= MAX_BITS:
        raise QuantizationError(f"Activation width q_m must be 1 to {MAX_BITS} bits, not {q_bits!r}")


def uniform(bits: int, frac: int) -> Stored:
    """``bits`` bits with the step ``2**-frac``."""
    check_q_bits(bits)
    return Stored(EnqSpec(q_bits=bits, bits=bits), frac)
