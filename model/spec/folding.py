"""How a network is folded onto hardware: the schedule of cycles, and the weight memories it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.spec.datapath import Datapath
from model.spec.mlb import MlbSpec, Quantity
from model.spec.network import GATES, NetworkSpec, Pool, Weights
from model.spec.product import MlbDotSpec


@dataclass(frozen=True, kw_only=True)
class Folding:
    """How much hardware works at once. The results do not depend on it.

    Parameters
    ----------
    pe
        Hidden units at once (four gates each); at most ``hidden`` are built.
    simd
        Inputs (features and hidden units together) each unit should take a cycle; more than there
        are means all of them.

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


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The hardware of one network: its folding and datapath, and the cycles it takes, whatever the datapath.

    A time step runs ``groups`` groups of ``pe`` hidden units, each for ``beats`` cycles. In a beat every
    unit takes ``x_lanes`` features and ``h_lanes`` hidden units; lanes past the end of a vector are padded
    with code 0 against the weights' ``padding``, which adds a constant that the start value takes off again.

    Raises
    ------
    ValueError
        If the datapath cannot be built for the network.
    """

    LATENCY = 5  #: cycles from the last beat's address to its hidden unit being stored
    DENSE_LATENCY = 2  #: cycles from the last beat's address to its logit being stored

    network: NetworkSpec
    folding: Folding
    datapath: Datapath = Datapath.ARITHMETIC

    def __post_init__(self) -> None:
        self.datapath.check(self.network.lstm)

    @property
    def pe(self) -> int:
        """Hidden units at once."""
        return min(self.folding.pe, self.network.lstm.hidden)

    @property
    def groups(self) -> int:
        """Groups of units a step."""
        return -(-self.network.lstm.hidden // self.pe)

    @property
    def x_lanes(self) -> int:
        """Features a beat."""
        return -(-self.network.lstm.features // self._wanted_beats)

    @property
    def h_lanes(self) -> int:
        """Hidden units a beat."""
        return -(-self.network.lstm.hidden // self._wanted_beats)

    @property
    def beats(self) -> int:
        """Cycles a group."""
        return max(-(-self.network.lstm.features // self.x_lanes), -(-self.network.lstm.hidden // self.h_lanes))

    @property
    def x_padding(self) -> int:
        """Padding lanes of x over all beats of a group."""
        return self.beats * self.x_lanes - self.network.lstm.features

    @property
    def h_padding(self) -> int:
        """Padding lanes of h over all beats of a group."""
        return self.beats * self.h_lanes - self.network.lstm.hidden

    def z_start(self, gate: int) -> int:
        """What padding lanes take off z, to begin with: with binarized operands each has the most negative product."""
        lstm = self.network.lstm
        lost = 0
        for dot, lanes in zip(lstm.dots(gate), (self.x_padding, self.h_padding), strict=True):
            lost += lanes * self._padding_product(dot) << (lstm.z_frac - dot.frac)
        return -lost

    @property
    def logit_start(self) -> int:
        """The same for a logit."""
        return -self.h_padding * self._padding_product(self.network.dense_dot)

    @staticmethod
    def _padding_product(dot: MlbDotSpec) -> int:
        return int(dot.x.reconstruct(0) * dot.w.reconstruct(dot.w.padding))

    @property
    def _wanted_beats(self) -> int:
        inputs = self.network.lstm.features + self.network.lstm.hidden
        return -(-inputs // min(self.folding.simd, inputs))

    @property
    def step_cycles(self) -> int:
        """Cycles of a time step without its dense layer, from taking x_t until the next x_t could be taken."""
        return 1 + self.groups * self.beats + self.LATENCY

    @property
    def dense_cycles(self) -> int:
        """Cycles of one pass of the dense layer."""
        return self.network.dense.classes * self.beats + self.DENSE_LATENCY

    def sequence_cycles(self, steps: int) -> int:
        """Cycles from taking the first x_t until the result is valid, if no stream ever waits."""
        passes = steps if self.network.dense.pool is Pool.MEAN else 1
        return steps * self.step_cycles + passes * self.dense_cycles


@dataclass(frozen=True, kw_only=True)
class MemoryImage:
    """The contents of one weight memory.

    Parameters
    ----------
    name
        ``lstm_weights``, ``lstm_biases``, ``dense_weights`` or ``dense_biases``.
    width
        Bits a word.
    rows
        One integer a word, from address 0.
    order
        Which code lies where in a word and which word at which address, for people.
    """

    name: str
    width: int
    rows: tuple[int, ...]
    order: str

    @property
    def depth(self) -> int:
        """Number of words."""
        return len(self.rows)

    @property
    def bits(self) -> int:
        """Bits in all."""
        return self.width * self.depth

    @property
    def address_width(self) -> int:
        """Bits of the address."""
        return max(1, (self.depth - 1).bit_length())


Codes = NDArray[np.integer]


def _lanes(codes: Codes, lanes: int, beats: int, pad: int) -> Codes:
    """Last axis (inputs) to (beats, lanes), padded with ``pad``."""
    missing = lanes * beats - codes.shape[-1]
    padded = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, missing)], constant_values=pad)
    return padded.reshape(*codes.shape[:-1], beats, lanes)


def _units(codes: Codes, schedule: Schedule) -> Codes:
    """Axis 1 of (4, hidden, ...) to (groups, pe, 4, ...), padded with 0."""
    missing = schedule.groups * schedule.pe - codes.shape[1]
    padded = np.pad(codes, [(0, 0), (0, missing)] + [(0, 0)] * (codes.ndim - 2))
    grouped = padded.reshape(4, schedule.groups, schedule.pe, *codes.shape[2:])
    return np.moveaxis(grouped, 0, 2)


def _packed(codes: NDArray[Any], width: int) -> NDArray[np.object_]:
    """Last axis as one integer, the first code in the lowest ``width`` bits; a negative one as two's complement."""
    words = np.zeros(codes.shape[:-1], object)
    for place in range(codes.shape[-1]):
        words += (codes[..., place].astype(object) & ((1 << width) - 1)) << (width * place)
    return words


def _image(name: str, words: NDArray[np.object_], width: int, order: str) -> MemoryImage:
    return MemoryImage(name=name, width=width, rows=tuple(int(word) for word in words.ravel()), order=order)


def _code(name: str, spec: Quantity) -> str:
    """What a code is, for people."""
    if isinstance(spec, MlbSpec):
        return f"{name} {spec.width} bits, its top bit the sign of the largest-level factor (1 = +, 0 = -)"
    return f"{name} {spec.width} bits, two's complement of {spec.frac} fraction bits"


def _padding(spec: Quantity) -> str:
    return "all ones" if isinstance(spec, MlbSpec) else "zero"


def memory_images(schedule: Schedule, weights: Weights) -> tuple[MemoryImage, ...]:
    """The four weight memories, in the order in which the hardware names them.

    Raises
    ------
    ValueError
        If the weights do not belong to the network.
    """
    s, network = schedule, schedule.network
    network.check_weights(weights)
    lstm, dense = network.lstm, network.dense
    wx, wh, b, w = lstm.wx[0], lstm.wh[0], lstm.b[0], dense.w
    x_codes = _lanes(_units(weights["wx"], s), s.x_lanes, s.beats, wx.padding)  # (groups, pe, 4, beats, x_lanes)
    h_codes = _lanes(_units(weights["wh"], s), s.h_lanes, s.beats, wh.padding)
    x_bits, gate_bits = wx.width * s.x_lanes, wx.width * s.x_lanes + wh.width * s.h_lanes
    gates = np.moveaxis(_packed(x_codes, wx.width) + (_packed(h_codes, wh.width) << x_bits), 3, 1)
    units = f"word, lowest bits first: for each of {s.pe} units, for each gate {', '.join(GATES)}"
    return (
        _image(
            "lstm_weights",
            _packed(gates.reshape(s.groups, s.beats, 4 * s.pe), gate_bits),
            4 * s.pe * gate_bits,
            f"{_code('wx', wx)}; {_code('wh', wh)}; {units}: "
            f"{s.x_lanes} inputs x, then {s.h_lanes} inputs h; address: group * {s.beats} + beat; "
            f"unit = group * {s.pe} + place, input = beat * lanes + place; padding lanes hold "
            f"{_padding(wx)} (x) and {_padding(wh)} (h)",
        ),
        _image(
            "lstm_biases",
            _packed(_units(weights["b"], s).reshape(s.groups, -1), b.width),
            4 * s.pe * b.width,
            f"{_code('code', b)}; {units}; address: group",
        ),
        _image(
            "dense_weights",
            _packed(_lanes(weights["dense_w"], s.h_lanes, s.beats, w.padding), w.width),  # (classes, beats)
            s.h_lanes * w.width,
            f"{_code('code', w)}; word, lowest bits first: {s.h_lanes} inputs h; address: class * {s.beats} + beat; "
            f"input = beat * {s.h_lanes} + place; padding lanes hold {_padding(w)}",
        ),
        _image(
            "dense_biases",
            _packed(weights["dense_b"][:, None], dense.b.width),
            dense.b.width,
            f"{_code('code', dense.b)}; address: class",
        ),
    )
