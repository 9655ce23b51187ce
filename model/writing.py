"""Text that a network writes: it is given a prompt, then its own symbols. numpy only: benches choose by it too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from model import golden
from model.spec import Ints, NetworkSpec, Pool, Weights

Choose = Callable[[Ints], int]  #: the next symbol, by the logits of a step


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What is to be written.

    Parameters
    ----------
    prompt
        The symbols that are given, by number.
    count
        How many follow.
    temperature
        0 for the likeliest symbol each time (the first of several); else symbols are drawn, with probabilities in
        proportion to ``exp(logit / temperature)``.
    seed
        Of what is drawn.

    Raises
    ------
    ValueError
        If the prompt is empty or a number is out of range.
    """

    prompt: tuple[int, ...]
    count: int
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.prompt:
            raise ValueError("Prompt must have at least one symbol, not none")
        if not 1 <= self.count <= 100_000:
            raise ValueError(f"Number of symbols to write must be 1 to 100000, not {self.count!r}")
        if not (self.temperature == 0 or 0.01 <= self.temperature <= 100):
            raise ValueError(f"Temperature must be 0 or 0.01 to 100, not {self.temperature!r}")
        if self.seed < 0:
            raise ValueError(f"Seed must be at least 0, not {self.seed!r}")

    @property
    def steps(self) -> int:
        """Steps that this takes: the last symbol is not given to the network any more."""
        return len(self.prompt) + self.count - 1

    def plain(self) -> dict[str, object]:
        """The same as plain values."""
        return asdict(self)

    def chooser(self, frac: int) -> Choose:
        """Chooses symbol after symbol by logits, stored integers with ``frac`` fraction bits."""
        chance = np.random.default_rng(self.seed)

        def choose(logits: Ints) -> int:
            if self.temperature == 0:
                return int(np.argmax(logits))
            shares = np.exp((logits - logits.max()) * (2.0**-frac / self.temperature)).cumsum()
            return int(np.searchsorted(shares, chance.random() * shares[-1], "right"))

        return choose


def check_symbols(network: NetworkSpec, symbols: str | None) -> None:
    """Raises ValueError if the network cannot be one of a text of these symbols."""
    if symbols is None:
        return
    if network.dense.pool is not Pool.EACH:
        raise ValueError(f"Symbols must go with a result a step, not with pool {network.dense.pool.value!r}")
    if not len(set(symbols)) == len(symbols) == network.features == network.dense.classes:
        raise ValueError(
            f"Symbols must be one a feature ({network.features}) and class ({network.dense.classes}), "
            f"not {len(symbols)} of {len(set(symbols))} kinds"
        )


def encode(text: str, symbols: str) -> tuple[int, ...]:
    """Symbols of a text by number.

    Raises
    ------
    ValueError
        If one is not among ``symbols``.
    """
    for symbol in text:
        if symbol not in symbols:
            raise ValueError(f"Prompt must be made of the {len(symbols)} symbols {symbols!r}, not of {symbol!r}")
    return tuple(symbols.index(symbol) for symbol in text)


def write(network: NetworkSpec, weights: Weights, alphabet: Ints, writing: Writing) -> tuple[int, ...]:
    """The text by the golden function, prompt and what follows, as numbers of symbols.

    alphabet: the sample of each symbol, stored integers of shape (symbols, features).
    """
    choose = writing.chooser(network.logit_format.frac)
    text, given, trace = list(writing.prompt), writing.prompt, None
    for _ in range(writing.count):
        trace = golden.run(network, weights, alphabet[None, list(given)], trace)
        given = (choose(trace.logits[0, -1]),)
        text += given
    return tuple(text)
