"""The layers that a network may have, of either kind."""

from __future__ import annotations

from typing import Any

from amaranth.lib import data

from model.spec import LayerSchedule, LstmSchedule, ReluSchedule, Weights, of_layer
from rtl import lstm_layer, relu_layer
from rtl.lstm_layer import LstmLayer
from rtl.relu_layer import ReluLayer

#: The weights of each unit, where they are constants; see :class:`LstmLayer` and :class:`ReluLayer`.
LayerConstants = tuple[Any, ...]


def build_layer(
    schedule: LayerSchedule, constants: LayerConstants | None, counters: bool = False
) -> LstmLayer | ReluLayer:
    """The hardware of a layer; both kinds have the same ports but for the words of their weights, and the counters."""
    if isinstance(schedule, ReluSchedule):
        return ReluLayer(schedule, constants)
    assert isinstance(schedule, LstmSchedule)
    return LstmLayer(schedule, constants, counters)


def counter_ports(schedule: LayerSchedule) -> data.StructLayout:
    """The counters of a layer whose sums can saturate, see :class:`LstmLayer`."""
    assert isinstance(schedule, LstmSchedule)
    return lstm_layer.counter_ports(schedule)


def weight_ports(schedule: LayerSchedule) -> dict[str, Any]:
    """Those of these words: ``weights`` of a beat and ``biases`` of a group."""
    if isinstance(schedule, ReluSchedule):
        return relu_layer.weight_ports(schedule)
    assert isinstance(schedule, LstmSchedule)
    return lstm_layer.weight_ports(schedule)


def layer_constants(schedule: LayerSchedule, weights: Weights, layer: int) -> LayerConstants:
    """The weights of each unit of a layer (of an LSTM layer, for each gate)."""
    if isinstance(schedule, ReluSchedule):
        w, b = (weights[of_layer(name, layer)] for name in ("w", "b"))
        return tuple((tuple(row), bias) for row, bias in zip(w.tolist(), b.tolist(), strict=True))
    wx, wh, b = (weights[of_layer(name, layer)] for name in ("wx", "wh", "b"))
    return tuple(
        tuple((tuple(wx[k, unit].tolist()), tuple(wh[k, unit].tolist()), int(b[k, unit])) for k in range(4))
        for unit in range(b.shape[1])
    )
