"""How a network is folded onto hardware: lanes, groups and beats of its layers, and the schedule of cycles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from model.spec.datapath import Datapath
from model.spec.fixed import Format
from model.spec.lstm import LstmSpec
from model.spec.network import LayerSpec, NetworkSpec, Pool
from model.spec.product import MlbDotSpec
from model.spec.relu import ReluSpec
from model.spec.running_sum import RunningSumSpec


@dataclass(frozen=True, kw_only=True)
class Folding:
    """How much hardware works at once. The results do not depend on it.

    Parameters
    ----------
    pe
        Hidden units at once (of LSTM layers, four gates each); at most ``hidden`` are built.
    simd
        Inputs (of LSTM layers, features and hidden units together) each unit should take a cycle; more than there
        are means all of them. Where sums are limited and their order counts, it takes whole units of it: half of
        ``simd`` of features and of hidden units each, or all of them where the order has no unit.

    Raises
    ------
    ValueError
        If a parameter is outside 1 to 8192.
    """

    pe: int
    simd: int

    def __post_init__(self) -> None:
        for name, value in (("pe", self.pe), ("simd", self.simd)):
            if not 1 <= value <= 8192:
                raise ValueError(f"Folding {name} must be 1 to 8192, not {value!r}")


def _padding_product(dot: MlbDotSpec) -> int:
    """What a padding lane adds to a dot product."""
    return int(dot.x.reconstruct(0) * dot.w.reconstruct(dot.w.padding))


@dataclass(frozen=True, kw_only=True)
class LayerSchedule:
    """The hardware of one layer, and the cycles it takes, whatever the datapath.

    A time step runs ``groups`` groups of ``pe`` hidden units, each for ``beats`` cycles. In a beat every
    unit takes ``x_lanes`` features. The dense layer takes ``h_lanes`` hidden units a beat, ``h_beats`` times a class.
    Lanes past the end of a vector are padded with code 0 against the weights' ``padding``.

    Parameters
    ----------
    layer, source
        What is computed; the format of what becomes x, see :meth:`NetworkSpec.x_source`.
    folding, datapath
        On which hardware.

    Raises
    ------
    ValueError
        If the datapath cannot be built for the layer.
    """

    LATENCY: ClassVar[int]  #: cycles from the last beat's address to its hidden unit being stored

    layer: LayerSpec
    source: Format | None
    folding: Folding
    datapath: Datapath

    def __post_init__(self) -> None:
        self.datapath.check(self.layer)

    @property
    def pe(self) -> int:
        """Hidden units at once."""
        return min(self.folding.pe, self.layer.hidden)

    @property
    def groups(self) -> int:
        """Groups of units a step."""
        return -(-self.layer.hidden // self.pe)

    @property
    def x_lanes(self) -> int:
        """Features a beat."""
        return self._lanes(self.layer.features)

    @property
    def h_lanes(self) -> int:
        """Hidden units that are taken from h in a beat."""
        return self._lanes(self.layer.hidden)

    def _lanes(self, inputs: int) -> int:
        """Of so many inputs, those of a beat."""
        raise NotImplementedError

    @property
    def beats(self) -> int:
        """Cycles a group."""
        raise NotImplementedError

    @property
    def h_beats(self) -> int:
        """Cycles in which all of h is taken once."""
        return -(-self.layer.hidden // self.h_lanes)

    @property
    def h_padding(self) -> int:
        """Padding lanes of h over all these."""
        return self.h_beats * self.h_lanes - self.layer.hidden

    @property
    def step_cycles(self) -> int:
        """Cycles of a time step, from taking x_t until h_t is there and the next x_t could be taken."""
        return 1 + self.groups * self.beats + self.LATENCY


@dataclass(frozen=True, kw_only=True)
class ReluSchedule(LayerSchedule):
    """Of a layer with ReLU, whose units take ``simd`` features a beat, and the dense layer so many hidden units."""

    LATENCY = 3

    layer: ReluSpec

    def _lanes(self, inputs: int) -> int:
        return -(-inputs // -(-inputs // min(self.folding.simd, inputs)))

    @property
    def beats(self) -> int:
        return -(-self.layer.features // self.x_lanes)


@dataclass(frozen=True, kw_only=True)
class LstmSchedule(LayerSchedule):
    """Of an LSTM layer, whose units take ``x_lanes`` features and ``h_lanes`` hidden units a beat.

    What padding lanes add to z is a constant that the start value takes off again.
    """

    LATENCY = 5

    layer: LstmSpec

    @property
    def lstm(self) -> LstmSpec:
        """What is computed."""
        return self.layer

    def _lanes(self, inputs: int) -> int:
        """Of so many inputs, those of a beat; where sums are limited, in whole units of their order."""
        sums = self.lstm.sums
        if sums is None or sums.linear:
            return -(-inputs // self._wanted_beats)
        if sums.unit is None:
            return inputs
        return min(inputs, sums.unit * max(1, self.folding.simd // (2 * sums.unit)))

    @property
    def h_beats(self) -> int:
        return self.beats

    @property
    def running_sums(self) -> tuple[RunningSumSpec, RunningSumSpec]:
        """The sums of x and of h of every gate, a beat a cycle, where sums are limited."""
        dots, lanes = self.lstm.integer_dots(0), (self.x_lanes, self.h_lanes)
        x, h = (RunningSumSpec(dot=dot, lanes=each) for dot, each in zip(dots, lanes, strict=True))
        return x, h

    @property
    def beats(self) -> int:
        return max(-(-self.lstm.features // self.x_lanes), -(-self.lstm.hidden // self.h_lanes))

    @property
    def x_padding(self) -> int:
        """Padding lanes of x over all beats of a group."""
        return self.beats * self.x_lanes - self.lstm.features

    def z_start(self, gate: int) -> int:
        """What padding lanes take off z, to begin with: with binarized operands each has the most negative product."""
        lost = 0
        for dot, lanes in zip(self.lstm.dots(gate), (self.x_padding, self.h_padding), strict=True):
            lost += lanes * _padding_product(dot) << (self.lstm.z_frac - dot.frac)
        return -lost

    @property
    def _wanted_beats(self) -> int:
        inputs = self.lstm.features + self.lstm.hidden
        return -(-inputs // min(self.folding.simd, inputs))


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The hardware of one network: its folding and datapath, the same for all layers, and the cycles it takes.

    The layers work at the same time, each on a later step than the one above it; the dense layer turns h of the last
    one, which waits meanwhile.

    Raises
    ------
    ValueError
        If the datapath cannot be built for the network.
    """

    DENSE_LATENCY = 2  #: cycles from the last beat's address to its logit being stored

    network: NetworkSpec
    folding: Folding
    datapath: Datapath = Datapath.ARITHMETIC

    def __post_init__(self) -> None:
        _ = self.layers

    @cached_property
    def layers(self) -> tuple[LayerSchedule, ...]:
        """The hardware of each layer."""
        hardware = {"folding": self.folding, "datapath": self.datapath}
        return tuple(
            ReluSchedule(layer=layer, source=self.network.x_source(k), **hardware)
            if isinstance(layer, ReluSpec)
            else LstmSchedule(layer=layer, source=self.network.x_source(k), **hardware)
            for k, layer in enumerate(self.network.layers)
        )

    @property
    def logit_start(self) -> int:
        """What padding lanes take off a logit, to begin with."""
        return -self.layers[-1].h_padding * _padding_product(self.network.dense_dot)

    @property
    def step_cycles(self) -> int:
        """Cycles of a time step without its dense layer, once all layers are at work: those of the slowest layer."""
        return max(layer.step_cycles for layer in self.layers)

    @property
    def dense_cycles(self) -> int:
        """Cycles of one pass of the dense layer."""
        return self.network.dense.classes * self.layers[-1].h_beats + self.DENSE_LATENCY

    def sequence_cycles(self, steps: int) -> int:
        """Cycles from taking the first x_t of a sequence until its (last) result is valid, if no stream ever waits.

        So it is for hardware that is empty to begin with, which that of one layer always is.
        """
        return self.result_cycles(steps, 1)[-1]

    @property
    def feedback_cycles(self) -> int:
        """Cycles from result to result of ``Pool.EACH`` where x_t+1 is made of result t and taken a cycle after it."""
        return self.sequence_cycles(1) + 1

    def result_cycles(self, steps: int, sequences: int) -> list[int]:
        """Cycles from taking the very first x_t until each result is valid; sequences follow at once.

        A layer below the last can take its next x_t when the layer above takes h_t from it, in the same cycle; the last
        one when the dense layer has turned its h_t, and a result, if there is one, was taken, in one cycle.
        """
        pool = self.network.dense.pool
        *below, last = (layer.step_cycles for layer in self.layers)
        free, results = [0] * len(self.layers), []  # the cycle from which on each layer can take its next x_t
        for step in range(steps * sequences):
            taken, ends = free[0], step % steps == steps - 1
            for layer, cycles in enumerate(below):
                taken = free[layer] = max(taken + cycles, free[layer + 1])
            free[-1] = taken + last
            if ends or pool is not Pool.LAST:
                free[-1] += self.dense_cycles
            if ends or pool is Pool.EACH:
                results.append(free[-1])
                free[-1] += 1
        return results
