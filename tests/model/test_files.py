"""Files that are whole or not there, and checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import checkpoint
from model.config import TrainingError
from model.spec.files import replacing


def broken_off(path: Path) -> None:
    """Ctrl-C while a file is written."""
    with replacing(path) as partial:
        partial.write_text("ne")
        raise KeyboardInterrupt


def test_an_error_leaves_the_older_file_and_nothing_else(tmp_path):
    path = tmp_path / "folder" / "result.json"
    with replacing(path) as partial:
        partial.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        broken_off(path)
    assert [(each.name, each.read_text()) for each in path.parent.iterdir()] == [("result.json", "old")]


def test_two_writers_do_not_mix(tmp_path):
    path = tmp_path / "result.json"
    with replacing(path) as first, replacing(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the block that is left last


@settings(max_examples=40)
@given(st.integers(0, 511), st.integers(0, 31))
def test_a_flipped_bit_of_a_tensor_is_seen(tmp_path_factory, place, bit):
    path = tmp_path_factory.mktemp("run") / "checkpoint.pt"
    numbers = torch.from_numpy(np.random.default_rng(0).standard_normal(512).astype(np.float32))
    checkpoint.save({"identity": {"seed": 0}, "numbers": numbers}, path)
    assert torch.equal(checkpoint.load(path, "identity")["numbers"], numbers)
    content = bytearray(path.read_bytes())
    at = bytes(content).index(numbers.numpy().tobytes()) + 4 * place + bit // 8
    content[at] ^= 1 << bit % 8
    path.write_bytes(content)
    with pytest.raises(TrainingError, match="Checkpoint must be a readable one"):
        checkpoint.load(path, "identity")


def test_a_checkpoint_without_a_field_is_refused(tmp_path):
    checkpoint.save({"identity": {}}, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="Checkpoint must be a readable one"):
        checkpoint.load(tmp_path / "checkpoint.pt", "identity", "phases")
