"""Pictures are whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from model.nonuniform.histogram import Histogram
from model.nonuniform.picture import draw
from model.nonuniform.stored import uniform
from scripts.table_accuracy import grid
from scripts.table_nonuniform import CURVE, SHOWN, curve


class Runs:
    """Every run scores the same."""

    def figures(self, *_: object) -> dict[str, float]:
        return {"accuracy_golden": 0.5, "accuracy_float": 0.5}


def distributions(path: Path) -> None:
    histogram = Histogram("relu")
    histogram.add(torch.arange(9) / 4)
    draw([histogram], {"uniform": [uniform(3, 1)]}, path)


def levels(path: Path) -> None:
    grid("digits", Runs(), 1, path)  # type: ignore[arg-type]


def bits(path: Path) -> None:
    names = ("float", *(f"{scheme} {bits} bits" for scheme in SHOWN for bits in CURVE))
    curve("digits", [{name: {"test": 0.5} for name in names}], path)


@pytest.mark.parametrize("drawn", [distributions, levels, bits])
def test_an_error_leaves_the_older_picture_and_nothing_else(
    drawn: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture.svg"
    drawn(path)
    before = path.read_bytes()
    assert before.startswith(b"<?xml")

    def broken_off(_: Figure, target: Path, **__: Any) -> None:
        Path(target).write_text("<?xm")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", broken_off)
    with pytest.raises(KeyboardInterrupt):
        drawn(path)
    assert [each.name for each in tmp_path.iterdir()] == ["picture.svg"]
    assert path.read_bytes() == before
