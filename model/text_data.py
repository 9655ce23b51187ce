"""Text as symbols, for networks that say the next one; as labelled sequences of one-hot codes for LSTM networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from model.data import SPLITS, DataError, Dataset, find_root

PRESET = "shakespeare"

VAL, TEST = 0.025, 0.025  #: shares at the end of a text; 95 % before them are for training
LENGTH, WARM = 100, 50  #: symbols of a window; those at its beginning that are scored in the window before
WINDOWS = {"train": 20_000, "val": 1000, "test": 1000}  #: taken of a text at most
SYMBOLS = 256  #: kinds of characters at most, where they are one-hot codes


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

    def check_windows(self, length: int) -> None:
        """Raises DataError if a part has no window of so many symbols and the one that follows it."""
        for name in SPLITS:
            if len(self.part(name)) <= length:
                raise DataError(
                    f"Part {name} of text {self.name} must be over {length} characters, not {len(self.part(name))}"
                )


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


def named(source: str, data_root: Path | None = None) -> Text | None:
    """The text that is meant by ``shakespeare`` or a file ending in ``.txt``; None if no text is.

    Raises
    ------
    DataError
        If it is not there or cannot be used.
    """
    if source == PRESET:
        return shakespeare(data_root)
    return load(Path(source)) if source.endswith(".txt") else None


def windows(text: Text) -> Dataset:
    """Windows of ``LENGTH`` symbols as one-hot codes; the label of each is the symbol that follows it.

    Those for training lie one behind the other. The others overlap by ``WARM`` symbols, which have no label: each
    symbol is scored once, with at least so many before it. The first ``WINDOWS`` of each part are taken.

    Raises
    ------
    DataError
        If a part is no longer than a window, or there are more than ``SYMBOLS`` kinds of characters.
    """
    if len(text.symbols) > SYMBOLS:
        raise DataError(f"Text {text.name} must have at most {SYMBOLS} kinds of characters, not {len(text.symbols)}")
    text.check_windows(LENGTH)
    x, y, split = [], [], []
    for place, name in enumerate(SPLITS):
        symbols = text.part(name)
        cut = sliding_window_view(symbols, LENGTH + 1)[:: LENGTH if name == "train" else LENGTH - WARM][: WINDOWS[name]]
        following = cut[:, 1:].copy()
        if name != "train":
            following[:, :WARM] = -1
        x.append(cut[:, :-1])
        y.append(following)
        split.append(np.full(len(cut), place))
    return Dataset(
        name=text.name,
        x=np.eye(len(text.symbols), dtype=np.float32)[np.concatenate(x)],
        y=np.concatenate(y),
        split=np.concatenate(split),
        symbols=text.symbols,
    )
