"""What a simulation of a whole network takes and records: which bits of which signal, when, and where they go.

Every engine (cocotb, bulk) follows this one table, so their observations can be compared value for value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.spec import GATES, Format, Schedule
from sim.job import UNKNOWN

#: Which pipeline stage shows a value, if the datapath computes it; those of one stage are in order here.
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
    "logits": "logits",
    "label": "logits",
}


@dataclass(frozen=True, kw_only=True)
class Field:
    """Bits of a signal that hold one number, and its place in the recorded array.

    Parameters
    ----------
    array, place, stride
        It is element ``place`` of the row of its step (of its sequence, for results) when the first group of
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
    """A pipeline stage: while signal ``strobe`` is high, its ``fields`` are those of one group of one step."""

    name: str
    strobe: str
    fields: tuple[Field, ...]


def computed(schedule: Schedule) -> dict[str, str]:
    """``STAGE`` of the values that the datapath computes."""
    return {name: stage for name, stage in STAGE.items() if name not in schedule.datapath.uncomputed}


def stages(schedule: Schedule) -> tuple[Stage, ...]:
    """The stages of the LSTM layer and the named values they show."""
    lstm, pe, hidden, layer = schedule.network.lstm, schedule.pe, schedule.network.lstm.hidden, "lstm_layer"
    formats: dict[str, list[Format]] = {
        "z": [lstm.z_format(k) for k in range(len(GATES))],
        "activation": [lstm.activation(k).target for k in range(len(GATES))],
        "gate": [gate.code_format for gate in lstm.gates],
        "c_raw": [lstm.c_raw_format],
        "c": [lstm.c.code_format],
        "t": [lstm.tanh.target],
        "h_raw": [lstm.mac.format],
        "h": [lstm.h.code_format],
    }
    found: dict[str, list[Field]] = {STAGE["x"]: []}
    x = lstm.x.code_format
    for i in range(lstm.features):
        found[STAGE["x"]].append(
            Field(array="x", place=i, signal=f"{layer}.x", width=x.width, signed=x.signed, low=i * x.width)
        )
    for name, numbers in ((n, formats[n]) for n in computed(schedule) if n in formats):
        for k, number in enumerate(numbers):
            signal = "h_new" if name == "h" else name if len(numbers) == 1 else f"{name}_{GATES[k]}"
            found.setdefault(STAGE[name], []).extend(
                Field(
                    array=name,
                    place=k * hidden + p,
                    signal=f"{layer}.lstm_unit_{p}.{signal}",
                    width=number.width,
                    signed=number.signed,
                    stride=pe,
                    groups=-(-(hidden - p) // pe),  # the last group may have fewer units
                )
                for p in range(pe)
            )
    return tuple(Stage(name=n, strobe=f"{layer}.{n}", fields=tuple(fields)) for n, fields in found.items())


def results(schedule: Schedule) -> tuple[Field, ...]:
    """The parts of the payload of stream ``o``."""
    classes, logit = schedule.network.dense.classes, schedule.network.logit_format
    label = max(1, (classes - 1).bit_length())
    return (
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


def arrays(schedule: Schedule, sequences: int, steps: int) -> dict[str, tuple[tuple[int, ...], int]]:
    """Every recorded array: its shape, and what stands where nothing was recorded.

    Named values are as in :class:`model.golden.Trace`; ``cycle_<stage>`` is the cycle in which a stage showed a
    group (in which a result was first valid), ``taken`` that in which a sequence's first sample was taken.
    """
    lstm, results = (
        schedule.network.lstm,
        {"label": (sequences,), "logits": (sequences, schedule.network.dense.classes)},
    )
    found: dict[str, tuple[tuple[int, ...], int]] = {}
    for name, stage in computed(schedule).items():
        row = (lstm.features,) if name == "x" else (lstm.hidden,)
        gates = (len(GATES),) if name in ("z", "activation", "gate") else ()
        found[name] = (results.get(name, (sequences, steps, *gates, *row)), int(UNKNOWN))
        each = (sequences,) if name in results else (sequences, steps, schedule.groups)
        found[f"cycle_{stage}"] = (each, -1)
    return found | {"taken": ((sequences,), -1)}


def payloads(schedule: Schedule, samples: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Stream ``i``, one row a sample: bits of the payload from the lowest on, in bytes, in whole 64-bit words."""
    width = schedule.network.lstm.source.width
    sequences, steps, features = samples.shape
    numbers = samples.reshape(-1, features, 1).astype(np.int64)
    bits = (numbers >> np.arange(width) & 1).astype(np.uint8).reshape(len(numbers), -1)
    last = np.tile(np.arange(steps) == steps - 1, sequences).astype(np.uint8)
    packed = np.packbits(np.concatenate([bits, last[:, None]], 1), axis=1, bitorder="little")
    return np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
