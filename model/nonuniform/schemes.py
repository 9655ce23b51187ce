"""The schemes: what each does with a layer of so many bits, and how it chooses the bits of all layers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np

from model.nonuniform.centroids import Rule, check_code_bits, offset_centroids, optimal_centroids
from model.nonuniform.evaluate import Evaluator
from model.nonuniform.histogram import Histogram
from model.nonuniform.hooks import Layer, QuantizationError
from model.nonuniform.memory import total_bits
from model.nonuniform.search import Found, smallest
from model.nonuniform.stored import MAX_BITS, Storage, Stored, check_q_bits, uniform
from model.spec.nonuniform import MAX_CODE_BITS, EnqSpec, KnqSpec

Enough = Callable[[Sequence[Storage]], bool]
FINER = 4  #: how many formats are tried whose range is 1, 1/2, 1/4, ... of the one that holds every activation


class Scheme(StrEnum):
    """A way to store activations.

    CLNQ is uniform with bits for each layer: with one step for all, or with the step that is best for each, as by Lin,
    Talathi, Annapureddy (2015), and then with bits from the noise ratio instead of a search too. ENQ has one range for
    all layers, as in the paper, or a range (2**-F of its own, which costs no hardware) for each, and there half a step
    added in the bias. KNQ has the centroids of k-means, without or with saturating first, or those that are best
    for what it does with them, of activations as they are or with an offset in the bias.
    """

    UNIFORM = "uniform"
    CLNQ_SQNR = "clnq-sqnr"
    CLNQ = "clnq"
    CLNQ_STEP = "clnq-step"
    ENQ = "enq"
    ENQ_RANGE = "enq-range"
    ENQ_ROUND = "enq-round"
    KNQ = "knq"
    KNQ_SATURATED = "knq-saturated"
    KNQ_FLOOR = "knq-floor"
    KNQ_OFFSET = "knq-offset"


KNQS = (Scheme.KNQ, Scheme.KNQ_SATURATED, Scheme.KNQ_FLOOR, Scheme.KNQ_OFFSET)
ENQS = (Scheme.ENQ, Scheme.ENQ_RANGE, Scheme.ENQ_ROUND)


def sqnr(histogram: Histogram, stored: Stored) -> float:
    """Ratio of signal to quantization noise in dB; infinite where there is no noise."""
    x, counts = histogram.reals()
    integers = np.floor(x * 2.0**stored.frac + 0.5) + stored.offset
    integers = np.minimum(integers, (1 << stored.spec.q_bits) - 1).astype(np.int64)
    noise = x - stored.spec.reconstruct(stored.spec.quantize(integers)) * 2.0**-stored.frac
    signal, power = float(counts @ x**2), float(counts @ noise**2)
    return 10 * math.log10(signal / power) if signal and power else math.inf


def check_delta(delta: float) -> None:
    """Raises QuantizationError if a loss of accuracy is not 0 to 1."""
    if not 0 <= delta <= 1:
        raise QuantizationError(f"Loss of accuracy delta must be 0 to 1, not {delta!r}")


class Quantizer:
    """One network, its calibration and its evaluation: what the schemes need to make choices.

    Parameters
    ----------
    evaluator
        Of the network with fixed-point weights, on validation data.
    histograms
        Of its layers, from calibration data.
    reference
        The accuracy that losses are measured from, 0 to 1.
    q_bits
        q_m of ENQ and KNQ, 1 to 16.

    Raises
    ------
    QuantizationError
        If q_m is out of range.
    """

    def __init__(
        self, evaluator: Evaluator, histograms: Sequence[Histogram], *, reference: float, q_bits: int = 12
    ) -> None:
        check_q_bits(q_bits)
        self.evaluator, self.histograms, self.reference, self.q_bits = evaluator, tuple(histograms), reference, q_bits
        self.layers: tuple[Layer, ...] = evaluator.layers
        self.on_evaluation: Callable[[int], None] = lambda _: None  #: is told how many evaluations were asked for
        self._asked = 0
        self.integer_bits = max(h.integer_bits for h in self.histograms)

    @functools.cached_property
    def frac(self) -> int:
        """F of activations of q_m bits: of :data:`FINER` ranges M, the smallest that loses least on validation data."""
        fracs = self._fracs(self.q_bits)
        return max(fracs, key=lambda f: (self.accuracy([uniform(self.q_bits, f)] * len(self.layers)), f))

    def accuracy(self, choice: Sequence[Storage | None]) -> float:
        """On validation data, 0 to 1."""
        return self.evaluator.accuracy(choice)

    def storage(self, scheme: Scheme, bits: Sequence[int], frac: int | None = None) -> tuple[Stored, ...]:
        """What a scheme does with so many bits of each layer.

        frac: F of :attr:`Scheme.UNIFORM` and :attr:`Scheme.CLNQ_STEP`.

        Raises
        ------
        QuantizationError
            If bits are not one number a layer, or out of range.
        """
        if len(bits) != len(self.layers):
            raise QuantizationError(f"Bits must be one number, or one a layer ({len(self.layers)}), not {len(bits)!r}")
        return tuple(self._layer(scheme, place, each, frac) for place, each in enumerate(bits))

    def search(self, scheme: Scheme, delta: float, limit: int = 50) -> tuple[tuple[Stored, ...] | None, Found]:
        """The cheapest choice that loses at most ``delta`` of accuracy; None if there is none.

        limit: of evaluations in a step of the search, see :func:`model.nonuniform.search.smallest`.

        Raises
        ------
        QuantizationError
            If delta is not 0 to 1.
        """
        check_delta(delta)

        def enough(choice: Sequence[Storage]) -> bool:
            self._asked += 1
            self.on_evaluation(self._asked)
            return self.evaluator.reaches(choice, self.reference - delta)

        if scheme is Scheme.UNIFORM:
            return self._search_uniform(enough)
        if scheme is Scheme.CLNQ_SQNR:
            return self._search_sqnr(enough)
        frac, tops = None, [self.q_bits] if scheme in ENQS else [10]
        if scheme in KNQS:  # many centroids take long to find, and are seldom needed
            tops = sorted({min(top, self.q_bits, MAX_CODE_BITS) for top in (6, 8, 10)})
        if scheme is Scheme.CLNQ_STEP:
            one, found = self._search_uniform(enough)
            if one is None:
                return None, found
            frac, tops = one[0].frac, [one[0].bits]
        found = Found(bits=None, exact=False, tried=0, note="")
        for top in tops:
            found = smallest(
                lambda bits: enough(self.storage(scheme, bits, frac)),
                (1,) * len(self.layers),
                (top,) * len(self.layers),
                [layer.activations for layer in self.layers],
                limit,
            )
            if found.bits is not None:
                return self.storage(scheme, found.bits, frac), found
        return None, found

    def bits(self, choice: Sequence[Storage]) -> int:
        """NB, bits of all activations of a sample."""
        return total_bits(self.layers, [stored.bits for stored in choice])

    def _fracs(self, bits: int) -> list[int]:
        finest = min(h.frac for h in self.histograms) - 1
        return [f for f in range(bits - self.integer_bits, bits - self.integer_bits + FINER) if f <= finest]

    def _search_uniform(self, enough: Enough) -> tuple[tuple[Stored, ...] | None, Found]:
        tried = 0
        for bits in range(1, MAX_BITS + 1):
            choices = [(uniform(bits, frac),) * len(self.layers) for frac in self._fracs(bits)]
            tried += len(choices)
            if good := [choice for choice in choices if enough(choice)]:
                note = f"every smaller q was tried with {FINER} ranges"
                return max(good, key=self.accuracy), Found(
                    bits=(bits,) * len(self.layers), exact=True, tried=tried, note=note
                )
        return None, Found(bits=None, exact=False, tried=tried, note=f"{MAX_BITS} bits are not enough")

    def _search_sqnr(self, enough: Enough) -> tuple[tuple[Stored, ...] | None, Found]:
        """Lin, Talathi, Annapureddy (2015): bits differ by 10 log10(activations' ratio) / kappa, kappa dB a bit."""
        largest = max(layer.activations for layer in self.layers)
        extra = [10 * math.log10(largest / layer.activations) / self.kappa for layer in self.layers]
        tried = set[tuple[int, ...]]()
        for quarter in range(4, 4 * MAX_BITS):
            bits = tuple(min(MAX_BITS, max(1, round(quarter / 4 + each))) for each in extra)
            tried.add(bits)
            choice = self.storage(Scheme.CLNQ, bits)
            if enough(choice):
                note = f"{self.kappa:.1f} dB a bit; only what the ratio allows was tried"
                return choice, Found(bits=bits, exact=False, tried=len(tried), note=note)
        return None, Found(bits=None, exact=False, tried=len(tried), note="no bits are enough")

    @functools.cached_property
    def kappa(self) -> float:
        """Quantization efficiency: dB that one more bit brings, on the mean of all layers from 3 to 7 bits."""
        gains = [
            sqnr(h, self._layer(Scheme.CLNQ, place, 7, None)) - sqnr(h, self._layer(Scheme.CLNQ, place, 3, None))
            for place, h in enumerate(self.histograms)
        ]
        finite = [gain / 4 for gain in gains if math.isfinite(gain) and gain > 0]
        return float(np.mean(finite)) if finite else 6.02

    @functools.cache  # noqa: B019  the object lives as long as the command
    def _layer(self, scheme: Scheme, place: int, bits: int, frac: int | None) -> Stored:
        histogram = self.histograms[place]
        if scheme in (Scheme.UNIFORM, Scheme.CLNQ_STEP):
            chosen = self._fracs(bits)[0] if frac is None else frac
            return uniform(bits, chosen)
        if scheme is Scheme.CLNQ:
            check_q_bits(bits)
            fracs = range(bits - histogram.integer_bits, bits - histogram.integer_bits + 6)
            choices = [uniform(bits, f) for f in fracs]
            return max(choices, key=lambda stored: sqnr(histogram, stored))
        if scheme in ENQS:
            spec = EnqSpec(q_bits=self.q_bits, bits=bits)
            if scheme is Scheme.ENQ:
                return Stored(spec, self.frac)
            offset = (1 << spec.shift) // 2 if scheme is Scheme.ENQ_ROUND else 0
            fracs = range(self.q_bits - histogram.integer_bits, self.q_bits - histogram.integer_bits + 6)
            fracs = [f for f in fracs if f < histogram.frac]
            return max((Stored(spec, f, offset) for f in fracs), key=lambda stored: sqnr(histogram, stored))
        q_bits = self.q_bits
        if scheme is Scheme.KNQ:  # wide enough for every activation of every layer at the same F
            q_bits = min(
                MAX_BITS, max(q_bits, max(int(h.integers(self.frac)[0][-1]) for h in self.histograms).bit_length())
            )
        if scheme is Scheme.KNQ_OFFSET:
            check_code_bits(bits, q_bits)
            centroids, offset = offset_centroids(*histogram.integers(self.frac, q_bits), bits, q_bits)
            return Stored(KnqSpec(q_bits=q_bits, centroids=tuple(centroids.tolist())), self.frac, offset)
        rule = Rule.FLOOR if scheme is Scheme.KNQ_FLOOR else Rule.NEAREST
        check_code_bits(bits, q_bits)
        centroids = optimal_centroids(*histogram.integers(self.frac, q_bits), bits, rule)
        return Stored(KnqSpec(q_bits=q_bits, centroids=tuple(centroids.tolist())), self.frac)
