"""Bits of 64 streams in a word: packing, counting, and the functions of Liberty files on them."""

import re
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from synth.boolean import truth_table
from synth.errors import SynthError

Words = NDArray[np.uint64]
ONES = np.uint64(2**64 - 1)


def pack(bits: NDArray[np.bool_]) -> Words:
    """(cycles, streams, width) to (cycles, words, width)."""
    cycles, streams, width = bits.shape
    whole = np.zeros((cycles, -(-streams // 64) * 64, width), bool)
    whole[:, :streams] = bits
    return (
        np.ascontiguousarray(np.packbits(whole, axis=1, bitorder="little").transpose(0, 2, 1))
        .view(np.uint64)
        .transpose(0, 2, 1)
    )


def count_bits(words: Words) -> NDArray[np.int64]:
    """Ones of each row."""
    return np.bitwise_count(words).sum(axis=-1, dtype=np.int64)


def evaluate(function: str, pins: Mapping[str, Words]) -> Words:
    """A Liberty function of the values of pins, bit by bit."""
    used = tuple(dict.fromkeys(re.findall(r"[A-Za-z_]\w*", function)))
    return _decide(_table(function, used), [pins[pin] for pin in used], next(iter(pins.values())))


@cache
def _table(function: str, used: tuple[str, ...]) -> tuple[bool, ...]:
    table = truth_table(function, used)
    if table is None:
        raise SynthError(f"Function of a cell must be an expression of its pins, not {function!r}")
    return table


def _decide(table: tuple[bool, ...], values: Sequence[Words], like: Words) -> Words:
    """The function with this truth table, by Shannon's expansion; the first value is that of the slowest place."""
    if not any(table):
        return np.zeros_like(like)
    if all(table):
        return np.full_like(like, ONES)
    half = len(table) // 2
    low, high = table[:half], table[half:]
    if low == high:
        return _decide(low, values[1:], like)
    if all(a != b for a, b in zip(low, high, strict=True)):
        return values[0] ^ _decide(low, values[1:], like)
    return (~values[0] & _decide(low, values[1:], like)) | (values[0] & _decide(high, values[1:], like))
