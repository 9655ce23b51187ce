"""What a simulation of a whole network takes and records: which bits of which signal, when, and where they go.

Every engine (cocotb, bulk) follows this one table, so their observations can be compared value for value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.golden import Trace
from model.spec import GATES, Format, LayerSchedule, LstmSchedule, Pool, ReluSchedule, Schedule, of_layer
from rtl.saturation_counter import COUNTER_WIDTH
from sim.job import UNKNOWN

#: Which pipeline stage shows a value of an LSTM layer, if the datapath computes it; those of one stage are in order.
STAGE = {
    "x": "x_valid",
    "z": "gates_valid",
    "activation": "gates_valid",
    "gate": "cell_valid",
    "c_raw": "cell_valid",
    "c": "cell_valid",
    "t": "hidden_valid",
    "h_raw": "hidden_valid",
    "h": "hidden_valid",
}
RELU_STAGE = {"x": "x_valid", "z": "hidden_valid", "h": "hidden_valid"}  #: the same of a layer with ReLU
RESULTS = ("logits", "label", "last")  #: of a sequence or a step, recorded when the result is taken; last of steps only


@dataclass(frozen=True, kw_only=True)
class Field:
    """Bits of a signal that hold one number, and its place in the recorded array.

    Parameters
    ----------
    array, place, stride
        It is element ``place`` of the row of its step (of its result, for results) when the first group of
        units is there, and ``stride`` further on for every later group.
    signal, low, width, signed
        Path below the top module, lowest bit, number of bits, whether in two's complement.
    groups
        Only the first so many groups have it.
    """

    array: str
    place: int
    signal: str
    width: int
    signed: bool
    low: int = 0
    stride: int = 0
    groups: int = 1


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A pipeline stage of a layer: while ``strobe`` is high, its ``fields`` are those of one of its ``groups``."""

    name: str
    strobe: str
    fields: tuple[Field, ...]
    groups: int


@dataclass(frozen=True, kw_only=True)
class Value:
    """A named value: as it is called in :class:`model.golden.LayerTrace` (``Trace``, if ``layer`` is None).

    ``stage`` shows it (of a value of a layer).
    """

    name: str
    layer: int | None
    stage: str = ""

    @property
    def array(self) -> str:
        """What its array is called: ``z_l0``."""
        return self.name if self.layer is None else of_layer(self.name, self.layer)

    @property
    def cycles(self) -> str:
        """The array of the cycles in which it is shown."""
        return "cycle_logits" if self.layer is None else f"cycle_{of_layer(self.stage, self.layer)}"

    def of(self, trace: Trace) -> NDArray[np.int64]:
        """As the golden function computes it."""
        return getattr(trace if self.layer is None else trace.layers[self.layer], self.name)


def computed(schedule: Schedule) -> tuple[Value, ...]:
    """The named values that the datapath computes, layer by layer."""
    layers = [
        Value(name=name, layer=layer, stage=stage)
        for layer, s in enumerate(schedule.layers)
        for name, stage in (RELU_STAGE if isinstance(s, ReluSchedule) else STAGE).items()
        if name not in schedule.datapath.uncomputed
    ]
    each = schedule.network.dense.pool is Pool.EACH
    return (*layers, *(Value(name=name, layer=None) for name in RESULTS if each or name != "last"))


def stages(schedule: Schedule) -> tuple[Stage, ...]:
    """The stages of all layers and the named values they show."""
    return tuple(stage for layer in range(len(schedule.layers)) for stage in _stages_of(schedule, layer))


def _formats(s: LayerSchedule) -> dict[str, list[Format]]:
    """The formats of the named values of a unit, one a gate where it has one for each."""
    if isinstance(s, ReluSchedule):
        return {"z": [s.layer.z_format], "h": [s.layer.h.code_format]}
    assert isinstance(s, LstmSchedule)
    lstm = s.lstm
    return {
        "z": [lstm.z_format(k) for k in range(len(GATES))],
        "activation": [lstm.activation(k).target for k in range(len(GATES))],
        "gate": [gate.code_format for gate in lstm.gates],
        "c_raw": [lstm.c_raw_format],
        "c": [lstm.c.code_format],
        "t": [lstm.tanh.target],
        "h_raw": [lstm.mac.format],
        "h": [lstm.h.code_format],
    }


def _stages_of(schedule: Schedule, layer: int) -> tuple[Stage, ...]:
    s = schedule.layers[layer]
    kind, pe, hidden = s.layer.kind, s.pe, s.layer.hidden
    path = f"{kind}_layer" if layer == len(schedule.layers) - 1 else f"{kind}_stage_{layer}.{kind}_layer"
    stage_of = {value.name: value.stage for value in computed(schedule) if value.layer == layer}
    found: dict[str, list[Field]] = {stage_of["x"]: []}
    x = s.layer.x.code_format
    for i in range(s.layer.features):
        number = {"width": x.width, "signed": x.signed, "low": i * x.width}
        found[stage_of["x"]].append(Field(array=of_layer("x", layer), place=i, signal=f"{path}.x", **number))
    for name, numbers in _formats(s).items():
        if name not in stage_of:
            continue
        for k, number in enumerate(numbers):
            signal = "h_new" if name == "h" else name if len(numbers) == 1 else f"{name}_{GATES[k]}"
            found.setdefault(stage_of[name], []).extend(
                Field(
                    array=of_layer(name, layer),
                    place=k * hidden + p,
                    signal=f"{path}.{kind}_unit_{p}.{signal}",
                    width=number.width,
                    signed=number.signed,
                    stride=pe,
                    groups=-(-(hidden - p) // pe),  # the last group may have fewer units
                )
                for p in range(pe)
            )
    return tuple(
        Stage(name=of_layer(name, layer), strobe=f"{path}.{name}", fields=tuple(fields), groups=s.groups)
        for name, fields in found.items()
    )


def results(schedule: Schedule) -> tuple[Field, ...]:
    """The parts of the payload of stream ``o``."""
    classes, logit = schedule.network.dense.classes, schedule.network.logit_format
    label = max(1, (classes - 1).bit_length())
    last = Field(array="last", place=0, signal="o__payload", width=1, signed=False, low=label + classes * logit.width)
    return (
        *([last] if schedule.network.dense.pool is Pool.EACH else []),
        Field(array="label", place=0, signal="o__payload", width=label, signed=False),
        *(
            Field(
                array="logits",
                place=k,
                signal="o__payload",
                width=logit.width,
                signed=logit.signed,
                low=label + k * logit.width,
            )
            for k in range(classes)
        ),
    )


def counters(schedule: Schedule) -> tuple[Field, ...]:
    """The counters of saturation on the ports of the top module, of each layer that can have them."""
    return tuple(
        Field(
            array=f"saturations_{of_layer(name, layer)}",
            place=level,
            signal=f"saturations__{of_layer(name, layer)}",
            width=COUNTER_WIDTH,
            signed=False,
            low=level * COUNTER_WIDTH,
        )
        for layer, s in enumerate(schedule.layers)
        if isinstance(s, LstmSchedule) and s.lstm.saturates
        for name, sum_ in zip("xh", s.running_sums, strict=True)
        for level in range(sum_.levels)
    )


def arrays(schedule: Schedule, sequences: int, steps: int) -> dict[str, tuple[tuple[int, ...], int]]:
    """Every recorded array: its shape, and what stands where nothing was recorded.

    Named values are as in :class:`model.golden.Trace`; ``cycle_<stage>`` is the cycle in which a stage showed a
    group (in which a result was first valid), ``taken`` that in which a sequence's first sample was taken;
    ``saturations_<sum>`` are the counters of a sum, level by level, in the end.
    """
    results = (sequences, *schedule.network.results(steps))
    found: dict[str, tuple[tuple[int, ...], int]] = {}
    for value in computed(schedule):
        shape, each = results, results
        if value.name == "logits":
            shape = (*results, schedule.network.dense.classes)
        if value.layer is not None:
            s = schedule.layers[value.layer]
            row = (s.layer.features,) if value.name == "x" else (s.layer.hidden,)
            gated = isinstance(s, LstmSchedule) and value.name in ("z", "activation", "gate")
            gates = (len(GATES),) if gated else ()
            shape, each = (sequences, steps, *gates, *row), (sequences, steps, s.groups)
        found[value.array] = (shape, int(UNKNOWN))
        found[value.cycles] = (each, -1)
    for counter in counters(schedule):  # of one array, the last has the highest level
        found[counter.array] = ((counter.place + 1,), int(UNKNOWN))
    return found | {"taken": ((sequences,), -1)}


def payloads(schedule: Schedule, samples: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Stream ``i``, one row a sample: bits of the payload from the lowest on, in bytes, in whole 64-bit words."""
    width = schedule.network.source.width
    sequences, steps, features = samples.shape
    numbers = samples.reshape(-1, features, 1).astype(np.int64)
    bits = (numbers >> np.arange(width) & 1).astype(np.uint8).reshape(len(numbers), -1)
    last = np.tile(np.arange(steps) == steps - 1, sequences).astype(np.uint8)
    packed = np.packbits(np.concatenate([bits, last[:, None]], 1), axis=1, bitorder="little")
    return np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
