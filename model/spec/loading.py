"""The stream that fills writable weight memories."""

from __future__ import annotations

from collections.abc import Sequence

from model.spec.images import MemoryImage

LOAD_WIDTH = 32  #: bits of a beat


def load_chunks(image: MemoryImage) -> int:
    """Beats that one word of a memory takes."""
    return -(-image.width // LOAD_WIDTH)


def load_stream(images: Sequence[MemoryImage]) -> tuple[int, ...]:
    """The beats of one load: memory after memory, word after word from address 0, the lowest 32 bits of a word first.

    A word begins with a beat of its own; what its last beat has beyond the word is 0 here, and ignored by the hardware.
    """
    mask = (1 << LOAD_WIDTH) - 1
    return tuple(
        row >> (LOAD_WIDTH * chunk) & mask
        for image in images
        for row in image.rows
        for chunk in range(load_chunks(image))
    )
