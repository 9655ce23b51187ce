"""Text as windows of one-hot codes."""

from __future__ import annotations

import numpy as np
import pytest

from model import text_data
from model.config import TrainConfig
from model.data import DataError, load
from model.family import BINARIZED, FACTOR_RULES, FactorRule, Family
from model.scaling import Scaling, stored_samples
from model.spec import Pool
from model.text_data import LENGTH, WARM
from model.training import untrained
from tests.sentences import is_one_sentence

TEXT = "the quick brown fox jumps over the lazy dog\n" * 120


@pytest.fixture
def path(tmp_path):
    """A text of 5,280 characters."""
    (tmp_path / "fox.txt").write_text(TEXT)
    return tmp_path / "fox.txt"


def test_every_symbol_has_the_next_one_for_a_label(path):
    data, text = load(str(path)), text_data.load(path)
    assert (data.name, data.symbols, data.classes) == ("fox", text.symbols, 28)
    assert (data.x.sum(2) == 1).all()
    place = 0
    for name in ("train", "val", "test"):
        x, y = data.part(name)
        hop, symbols = (LENGTH if name == "train" else LENGTH - WARM), text.part(name)
        assert len(x) == (len(symbols) - LENGTH - 1) // hop + 1
        for number, (codes, labels) in enumerate(zip(x, y, strict=True)):
            at = place + number * hop
            assert "".join(text.symbols[k] for k in codes.argmax(1)) == TEXT[at : at + LENGTH]
            scored = labels >= 0
            assert scored.tolist() == [name == "train" or step >= WARM for step in range(LENGTH)]
            following = "".join(text.symbols[k] for k in labels[scored])
            assert following == TEXT[at + 1 + (~scored).sum() : at + LENGTH + 1]
        place += len(symbols)


def test_scored_symbols_are_scored_once(tmp_path):
    (tmp_path / "long.txt").write_text(TEXT * 4)
    _, y = load(str(tmp_path / "long.txt")).part("test")
    assert len(y) > 2
    assert (y >= 0).sum() == len(y) * (LENGTH - WARM)


def test_only_so_many_windows_are_taken(path, monkeypatch):
    monkeypatch.setattr(text_data, "WINDOWS", {"train": 7, "val": 1, "test": 1})
    assert load(str(path)).sizes == {"train": 7, "val": 1, "test": 1}


@pytest.mark.parametrize("family", [family for family in Family if family is not Family.FLOAT])
def test_codes_are_exact(path, family):
    """Words of a one-hot code are 0 and 1; what is made of signs says which it is."""
    data = load(str(path))
    rule = FACTOR_RULES.get(family, (FactorRule.FREE,))[0]
    network = untrained(TrainConfig(family=family, factors=rule, hidden=3, pool=Pool.EACH), data)
    scaling = Scaling.identity(28).shifted(network.take_shift())
    spec, x = network.spec(), data.part("test")[0]
    codes = spec.x_codes(0, stored_samples(scaling, spec.source, x))
    if "x" not in BINARIZED[family]:
        assert spec.source.width == 1
        assert np.array_equal(codes, x)
    zero, one = codes[x == 0], codes[x == 1]
    values = spec.layers[0].x.reconstruct(np.array([zero[0], one[0]]))
    assert (len(np.unique(zero)), len(np.unique(one))) == (1, 1)
    assert values[1] > 0 > values[0] or values.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ab" * 2000, "Part val of text bad must be over 100 characters, not 100"),
        ("".join(map(chr, range(1000, 1257))) * 40, "Text bad must have at most 256 kinds of characters, not 257"),
    ],
    ids=["short", "symbols"],
)
def test_what_cannot_be_cut_is_refused(tmp_path, text, words):
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(DataError) as caught:
        load(str(tmp_path / "bad.txt"))
    assert str(caught.value) == words
    assert is_one_sentence(words)
