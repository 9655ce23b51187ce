"""Text as symbols, for networks that say the next one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.data import SPLITS, DataError, find_root

VAL, TEST = 0.025, 0.025  #: shares at the end of a text; 95 % before them are for training


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text in three parts, the first for training.

    Parameters
    ----------
    name
        Where it is from.
    symbols
        Every character in it, sorted.
    parts
        Of each of ``SPLITS``: places in ``symbols``, int64.
    """

    name: str
    symbols: str
    parts: dict[str, NDArray[np.int64]]

    def part(self, name: str) -> NDArray[np.int64]:
        """One of ``SPLITS``."""
        return self.parts[name]


def load(path: Path) -> Text:
    """A file in UTF-8: the last 2.5 % are for testing, the 2.5 % before for validation.

    Raises
    ------
    DataError
        If it is not there, is no text, or too short: 4,000 characters of 2 kinds at least.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise DataError(f"Text must be an existing file, not {str(path)!r}") from None
    except UnicodeDecodeError:
        raise DataError(f"Text {path} must be in UTF-8, and is not") from None
    symbols = "".join(sorted(set(text)))
    if len(text) < 4000 or len(symbols) < 2:
        raise DataError(f"Text {path} must have at least 4000 characters of 2 kinds, not {len(text)} of {len(symbols)}")
    place = {symbol: index for index, symbol in enumerate(symbols)}
    whole = np.array([place[symbol] for symbol in text], np.int64)
    test = round(len(whole) * (1 - TEST))
    val = round(len(whole) * (1 - TEST - VAL))
    return Text(name=path.stem, symbols=symbols, parts=dict(zip(SPLITS, np.split(whole, [val, test]), strict=True)))


def shakespeare(data_root: Path | None = None) -> Text:
    """A megabyte of Shakespeare's plays, 65 symbols, from ``text/tinyshakespeare.txt`` (Karpathy's selection).

    Raises
    ------
    DataError
        If it is not there.
    """
    root = find_root(data_root)
    if root is None:
        raise DataError("Folder of the presets' data must be given, or XNORFORGE_DATA be set, and neither is")
    return load(root / "text" / "tinyshakespeare.txt")
