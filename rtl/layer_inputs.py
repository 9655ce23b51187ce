"""What layers of either kind share: their ports, and inputs that become x, which lies in a register that turns."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from model.spec import LayerSchedule
from rtl.beat import Beat
from rtl.quantity import quantize
from rtl.shapes import codes, named, shape_of


def layer_inputs(schedule: LayerSchedule) -> data.ArrayLayout:
    """What becomes x of a step: numbers to be stored as x, or codes of x as they are."""
    layer, source = schedule.layer, schedule.source
    return codes(layer.x, layer.features) if source is None else data.ArrayLayout(shape_of(source), layer.features)


def layer_ports(schedule: LayerSchedule) -> dict[str, Any]:
    """All ports but those for memory words and counters; see :class:`rtl.lstm_layer.LstmLayer`."""
    return {
        "load": In(1),
        "inputs": In(layer_inputs(schedule)),
        "restart": In(1),
        "beat": In(Beat),
        "turn": In(1),
        "h": Out(codes(schedule.layer.h, schedule.h_beats * schedule.h_lanes)),
        "done": Out(1),
    }


def turning_x(m: Module, schedule: LayerSchedule, inputs: data.View, load: Value, turn: Value) -> Signal:
    """The codes of x and its padding lanes, taken at ``load``; ``turn`` turns them by one beat's lanes."""
    quantity, source = schedule.layer.x, schedule.source
    stored = [
        inputs[i] if source is None else quantize(m, f"x_{i}", quantity, source, inputs[i])
        for i in range(schedule.layer.features)
    ]
    x = named(quantity.width * schedule.beats * schedule.x_lanes, "x")
    with m.If(load):
        m.d.sync += x.eq(Cat(*stored))
    with m.Elif(turn):
        m.d.sync += x.eq(x.rotate_right(quantity.width * schedule.x_lanes))
    return x
