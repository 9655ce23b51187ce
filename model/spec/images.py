"""The weight memories of a network: what lies in which bits of which word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.spec.folding import LayerSchedule, LstmSchedule, ReluSchedule, Schedule
from model.spec.lstm import GATES
from model.spec.mlb import MlbSpec, Weight
from model.spec.network import Weights, of_layer
from model.spec.step_size import StepSpec


@dataclass(frozen=True, kw_only=True)
class MemoryImage:
    """The contents of one weight memory.

    Parameters
    ----------
    name
        ``lstm_weights_l0``, ``lstm_biases_l0`` (``relu_weights_l0``, ...), those of the layers above,
        ``dense_weights`` or ``dense_biases``.
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


def _units(codes: Codes, schedule: LayerSchedule) -> Codes:
    """Axis 1 of (gates, hidden, ...) to (groups, pe, gates, ...), padded with 0."""
    missing = schedule.groups * schedule.pe - codes.shape[1]
    padded = np.pad(codes, [(0, 0), (0, missing)] + [(0, 0)] * (codes.ndim - 2))
    grouped = padded.reshape(len(codes), schedule.groups, schedule.pe, *codes.shape[2:])
    return np.moveaxis(grouped, 0, 2)


def _packed(codes: NDArray[Any], width: int) -> NDArray[np.object_]:
    """Last axis as one integer, the first code in the lowest ``width`` bits; a negative one as two's complement."""
    words = np.zeros(codes.shape[:-1], object)
    for place in range(codes.shape[-1]):
        words += (codes[..., place].astype(object) & ((1 << width) - 1)) << (width * place)
    return words


def _image(name: str, words: NDArray[np.object_], width: int, order: str) -> MemoryImage:
    return MemoryImage(name=name, width=width, rows=tuple(int(word) for word in words.ravel()), order=order)


def _code(name: str, spec: Weight) -> str:
    """What a code is, for people."""
    if isinstance(spec, MlbSpec):
        return f"{name} {spec.width} bits, its top bit the sign of the largest-level factor (1 = +, 0 = -)"
    if isinstance(spec, StepSpec):
        return f"{name} {spec.width} bits, two's complement from -{spec.top} to {spec.top}, in steps"
    return f"{name} {spec.width} bits, two's complement of {spec.frac} fraction bits"


def _padding(spec: Weight) -> str:
    return "all ones" if isinstance(spec, MlbSpec) else "zero"


def memory_images(schedule: Schedule, weights: Weights) -> tuple[MemoryImage, ...]:
    """The weight memories, two a layer, in the order in which the hardware names them.

    Raises
    ------
    ValueError
        If the weights do not belong to the network.
    """
    schedule.network.check_weights(weights)
    of_layers = [_layer_images(layer, number, weights) for number, layer in enumerate(schedule.layers)]
    return (*(image for images in of_layers for image in images), *_dense_images(schedule, weights))


def _layer_images(s: LayerSchedule, layer: int, weights: Weights) -> tuple[MemoryImage, MemoryImage]:
    if isinstance(s, ReluSchedule):
        return _relu_images(s, layer, weights)
    assert isinstance(s, LstmSchedule)
    return _lstm_images(s, layer, weights)


def _lstm_images(s: LstmSchedule, layer: int, weights: Weights) -> tuple[MemoryImage, MemoryImage]:
    """Weights and biases of an LSTM layer."""
    wx, wh, b = s.lstm.wx[0], s.lstm.wh[0], s.lstm.b[0]
    wx_codes, wh_codes, b_codes = (weights[of_layer(name, layer)] for name in ("wx", "wh", "b"))
    x_codes = _lanes(_units(wx_codes, s), s.x_lanes, s.beats, wx.padding)  # (groups, pe, 4, beats, x_lanes)
    h_codes = _lanes(_units(wh_codes, s), s.h_lanes, s.beats, wh.padding)
    x_bits, gate_bits = wx.width * s.x_lanes, wx.width * s.x_lanes + wh.width * s.h_lanes
    gates = np.moveaxis(_packed(x_codes, wx.width) + (_packed(h_codes, wh.width) << x_bits), 3, 1)
    units = f"word, lowest bits first: for each of {s.pe} units, for each gate {', '.join(GATES)}"
    return (
        _image(
            of_layer("lstm_weights", layer),
            _packed(gates.reshape(s.groups, s.beats, 4 * s.pe), gate_bits),
            4 * s.pe * gate_bits,
            f"{_code('wx', wx)}; {_code('wh', wh)}; {units}: "
            f"{s.x_lanes} inputs x, then {s.h_lanes} inputs h; address: group * {s.beats} + beat; "
            f"unit = group * {s.pe} + place, input = beat * lanes + place; padding lanes hold "
            f"{_padding(wx)} (x) and {_padding(wh)} (h)",
        ),
        _image(
            of_layer("lstm_biases", layer),
            _packed(_units(b_codes, s).reshape(s.groups, -1), b.width),
            4 * s.pe * b.width,
            f"{_code('code', b)}; {units}; address: group",
        ),
    )


def _relu_images(s: ReluSchedule, layer: int, weights: Weights) -> tuple[MemoryImage, MemoryImage]:
    """Weights and biases of a layer with ReLU."""
    w, b = s.layer.w, s.layer.b
    rows, biases = (_units(weights[of_layer(name, layer)][None], s) for name in ("w", "b"))  # (groups, pe, 1, ...)
    units = np.moveaxis(_lanes(rows[:, :, 0], s.x_lanes, s.beats, w.padding), 2, 1)  # (groups, beats, pe, x_lanes)
    unit_bits = w.width * s.x_lanes
    return (
        _image(
            of_layer("relu_weights", layer),
            _packed(_packed(units, w.width), unit_bits),
            s.pe * unit_bits,
            f"{_code('w', w)}; word, lowest bits first: for each of {s.pe} units: {s.x_lanes} inputs x; "
            f"address: group * {s.beats} + beat; unit = group * {s.pe} + place, input = beat * {s.x_lanes} + place; "
            f"padding lanes hold {_padding(w)}",
        ),
        _image(
            of_layer("relu_biases", layer),
            _packed(biases[:, :, 0], b.width),
            s.pe * b.width,
            f"{_code('code', b)}; word, lowest bits first: for each of {s.pe} units; address: group",
        ),
    )


def _dense_images(schedule: Schedule, weights: Weights) -> tuple[MemoryImage, MemoryImage]:
    """Weights and biases of the dense layer."""
    s, dense = schedule.layers[-1], schedule.network.dense
    w = dense.w
    return (
        _image(
            "dense_weights",
            _packed(_lanes(weights["dense_w"], s.h_lanes, s.h_beats, w.padding), w.width),  # (classes, beats)
            s.h_lanes * w.width,
            f"{_code('code', w)}; word, lowest bits first: {s.h_lanes} inputs h; address: class * {s.h_beats} + beat; "
            f"input = beat * {s.h_lanes} + place; padding lanes hold {_padding(w)}",
        ),
        _image(
            "dense_biases",
            _packed(weights["dense_b"][:, None], dense.b.width),
            dense.b.width,
            f"{_code('code', dense.b)}; address: class",
        ),
    )
