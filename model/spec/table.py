"""Functions of codes as tables: the new cell code and the new hidden code of an LSTM."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from model.spec.fixed import Ints
from model.spec.lstm import LstmSpec
from model.spec.mlb import MlbSpec, binarized
from model.spec.pointwise import XnorMultiplierSpec

Inputs = tuple[tuple[str, int], ...]

MAX_ENTRIES = 1 << 16  #: four inputs of four levels


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """A code as a table of codes (``table`` datapath); :meth:`cell` and :meth:`hidden` make those of an LSTM.

    Parameters
    ----------
    inputs
        Name and bits of each input code.
    width
        Bits of the output code, 1 to 8.
    codes
        The output for every combination of inputs, the last input counting fastest.

    Raises
    ------
    ValueError
        If a name or width cannot be, the table is larger than 65536 entries or its length or a code does not fit.
    """

    inputs: Inputs
    width: int
    codes: tuple[int, ...]

    def __post_init__(self) -> None:
        names = [name for name, _ in self.inputs]
        if not names or len(set(names)) < len(names) or not all(n.isidentifier() and n != "o" for n in names):
            raise ValueError(f"Table inputs must be different names, and none of them o, not {names!r}")
        for _, bits in self.inputs:
            if bits < 1:
                raise ValueError(f"Table input must be at least 1 bit wide, not {bits!r}")
        if not 1 <= self.width <= 8:
            raise ValueError(f"Table output must be 1 to 8 bits wide, not {self.width!r}")
        _check_entries(self.inputs)
        if len(self.codes) != math.prod(self.shape):
            raise ValueError(f"Table must be of {math.prod(self.shape)} codes, not {len(self.codes)!r}")
        if wrong := [code for code in self.codes if not 0 <= code < 1 << self.width]:
            raise ValueError(f"Table codes must be from 0 to {(1 << self.width) - 1}, not {wrong[0]!r}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of codes of each input."""
        return tuple(1 << bits for _, bits in self.inputs)

    @classmethod
    def binarized_sum(cls, fc: XnorMultiplierSpec, ig: XnorMultiplierSpec, mlb: MlbSpec) -> TableSpec:
        """``MLB(f^ c^ + i^ g^)`` of the codes f, c, i and g."""
        if fc.format.frac != ig.format.frac:
            raise ValueError(f"Fraction bits of i^ g^ must be those of f^ c^ ({fc.format.frac}), not {ig.format.frac}")
        inputs = (("f", fc.a.levels), ("c", fc.b.levels), ("i", ig.a.levels), ("g", ig.b.levels))
        f, c, i, g = _all_codes(inputs)
        codes = mlb.quantize(fc.compute(f, c) + ig.compute(i, g), fc.format.frac)
        return cls(inputs=inputs, width=mlb.levels, codes=tuple(codes.ravel().tolist()))

    @classmethod
    def cell(cls, lstm: LstmSpec) -> TableSpec:
        """``c' = MLB(f^ c^ + i^ g^)`` of the codes f, c, i and g."""
        i, f, g, _ = (binarized(gate) for gate in lstm.gates)
        c = binarized(lstm.c)
        return cls.binarized_sum(XnorMultiplierSpec(a=f, b=c), XnorMultiplierSpec(a=i, b=g), c)

    @classmethod
    def hidden(cls, lstm: LstmSpec) -> TableSpec:
        """``h = MLB(o^ tanh(c^))`` of the codes gate_o and c."""
        inputs = (("gate_o", binarized(lstm.gates[3]).levels), ("c", binarized(lstm.c).levels))
        o, c = _all_codes(inputs)
        t = lstm.tanh.compute(lstm.narrow_c.compute(lstm.c.reconstruct(c) << lstm.widen_c))
        codes = lstm.h.quantize(lstm.mac.compute(o, t), lstm.mac.format.frac)
        return cls(inputs=inputs, width=binarized(lstm.h).levels, codes=tuple(codes.ravel().tolist()))

    def compute(self, **inputs: ArrayLike) -> Ints:
        """Golden function: codes by input name in, codes out; any shape."""
        table = np.asarray(self.codes, np.int64).reshape(self.shape)
        return table[tuple(np.asarray(inputs[name]) for name, _ in self.inputs)]


def _check_entries(inputs: Inputs) -> None:
    if (bits := sum(bits for _, bits in inputs)) > MAX_ENTRIES.bit_length() - 1:
        raise ValueError(f"Table must have at most {MAX_ENTRIES} entries, not 2**{bits}")


def _all_codes(inputs: Inputs) -> list[Ints]:
    """Every combination of the input codes, as arrays that broadcast against each other."""
    _check_entries(inputs)  # before an array is made that is too large
    return list(np.meshgrid(*(np.arange(1 << bits) for _, bits in inputs), indexing="ij", sparse=True))
