"""Text that the golden function writes: what is given, what is chosen, and every refusal."""

from __future__ import annotations

import math

import numpy as np
import pytest

from model import golden
from model.family import Family
from model.random_network import random_network
from model.spec import Pool
from model.writing import Writing, encode, write
from tests.sentences import is_one_sentence

ALPHABET = np.eye(4, dtype=np.int64) * 32  #: one-hot codes in a format with five fraction bits


def of_four_symbols(**choice):
    """A network of four symbols."""
    network, _ = random_network(features=4, classes=4, hidden=6, pool=Pool.EACH, family=Family.FIXED, **choice)
    return network.spec(), network.weights()


@pytest.mark.parametrize("layers", [1, 2])
def test_each_symbol_follows_from_the_logits_before_it(layers):
    spec, weights = of_four_symbols(layers=layers, gain=6.0)
    text = write(spec, weights, ALPHABET, Writing(prompt=(2, 0, 1), count=20))
    assert text[:3] == (2, 0, 1)
    assert len(text) == 23
    whole = golden.run(spec, weights, ALPHABET[None, list(text[:-1])])
    assert whole.label[0, 2:].tolist() == list(text[3:])
    assert len(set(text[3:])) > 1


def test_a_seed_draws_the_same_text_and_another_another():
    spec, weights = of_four_symbols()
    texts = [
        write(spec, weights, ALPHABET, Writing(prompt=(0,), count=40, temperature=1.0, seed=seed))
        for seed in (5, 5, 6)
    ]  # fmt: skip
    assert texts[0] == texts[1] != texts[2]


def test_symbols_are_drawn_as_their_logits_say():
    """Shares of 20,000 draws within five standard deviations; a temperature divides the logits."""
    logits = np.array([3, -40, 16, 0])
    for temperature in (0.5, 2.0):
        choose = Writing(prompt=(0,), count=1, temperature=temperature, seed=1).chooser(frac=4)
        seen = np.bincount([choose(logits) for _ in range(20_000)], minlength=4) / 20_000
        shares = np.exp(logits / 16 / temperature)
        shares /= shares.sum()
        assert (np.abs(seen - shares) < 5 * np.sqrt(shares / 20_000)).all()
    likeliest = Writing(prompt=(0,), count=1).chooser(frac=4)
    assert [likeliest(np.array(each)) for each in ([1, 5, 5, 2], [-3, -4, -3, -9])] == [1, 0]


def test_logits_of_any_size_can_be_drawn_from():
    choose = Writing(prompt=(0,), count=1, temperature=0.01).chooser(frac=0)
    assert choose(np.array([-(2**60), 2**60, 0, -(2**60)])) == 1


def test_a_text_is_numbers_of_its_symbols():
    assert encode("cab", "abc") == (2, 0, 1)
    assert encode("", "abc") == ()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: encode("ax", "ab"), "Prompt must be made of the 2 symbols 'ab', not of 'x'"),
        (lambda: Writing(prompt=(), count=1), "Prompt must have at least one symbol, not none"),
        (lambda: Writing(prompt=(0,), count=0), "Number of symbols to write must be 1 to 100000, not 0"),
        (lambda: Writing(prompt=(0,), count=1, temperature=-1.0), "Temperature must be 0 or 0.01 to 100, not -1.0"),
        (lambda: Writing(prompt=(0,), count=1, temperature=math.nan), "Temperature must be 0 or 0.01 to 100, not nan"),
        (lambda: Writing(prompt=(0,), count=1, seed=-1), "Seed must be at least 0, not -1"),
    ],
)
def test_what_cannot_be_written_is_refused(make, sentence):
    with pytest.raises(ValueError, match=r".") as caught:
        make()
    assert str(caught.value) == sentence
    assert is_one_sentence(sentence)
