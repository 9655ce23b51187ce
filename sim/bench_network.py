"""cocotb bench of a whole network: streams sequences in, takes results out, records every named value.

The clock rises, inputs are driven, the clock falls, everything is sampled: what is sampled holds until
the next rise in every simulator.
"""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from sim import job

GATES = ("i", "f", "g", "o")
SILENCE = 4  #: a design that does nothing for this many sequences' time is stuck


@cocotb.test()
async def record(dut) -> None:
    """See :func:`sim.network.simulate` for vectors and settings."""
    vectors, settings = job.load()
    samples: np.ndarray = vectors["samples"]
    recorder = Recorder(dut, settings, *samples.shape)
    source = Source(dut, "i", _sample_payloads(samples, settings["sample_width"]), settings)
    load = Source(dut, "w", vectors["load"].tolist(), settings)
    memories = Memories(dut, settings["memories"])
    sink = Sink(dut, settings, len(samples))
    Clock(dut.clk, 10, unit="ns").start()
    dut.rst.value = 1
    source.idle()
    load.idle()
    for _ in range(2):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    cycle, idle = 0, 0
    while not sink.complete and idle < SILENCE * settings["sequence_cycles"] + 1000:
        source.drive()
        load.drive()
        sink.drive()
        memories.drive()
        await FallingEdge(dut.clk)
        recorder.sample(cycle)
        memories.sample()
        loading = not load.complete
        moved = load.sample(cycle)
        if source.sample(cycle):
            assert not loading, f"i.ready must be low until all weights are loaded, not high in cycle {cycle}"
            moved = True
        moved |= sink.sample(cycle)
        await RisingEdge(dut.clk)
        cycle, idle = cycle + 1, 0 if moved else idle + 1
    job.save(
        **recorder.arrays,
        **sink.arrays,
        **{f"cycle_{k}": v for k, v in recorder.cycles.items()},
        taken=source.taken[:: samples.shape[1]],
        cycles=np.array(cycle),
    )


def _sample_payloads(samples: np.ndarray, width: int) -> list[int]:
    """Samples as stream ``i`` takes them, its last bit set at the end of a sequence."""
    steps, last_bit, mask = samples.shape[1], 1 << (width * samples.shape[2]), (1 << width) - 1
    return [
        sum((int(v) & mask) << (width * n) for n, v in enumerate(row)) | (last_bit if t == steps - 1 else 0)
        for sequence in samples
        for t, row in enumerate(sequence)
    ]


class Source:
    """Drives a stream: waits at random before a payload if asked to, then holds it until it is taken.

    The design need not have the stream if there are no payloads.
    """

    def __init__(self, dut: Any, name: str, payloads: list[int], settings: dict[str, Any]) -> None:
        self._payloads, self._stall = payloads, settings["stall"]
        if payloads:
            self._port = {part: getattr(dut, f"{name}__{part}") for part in ("valid", "payload", "ready")}
        self._random = np.random.default_rng([settings["seed"], ord(name)])
        self._next, self._valid = 0, False
        self.taken = np.full(len(payloads), -1, np.int64)  #: cycle in which each was

    @property
    def complete(self) -> bool:
        return self._next == len(self._payloads)

    def idle(self) -> None:
        if self._payloads:
            self._port["valid"].value = 0

    def drive(self) -> None:
        if not self.complete and not self._valid and self._random.random() >= self._stall:
            self._valid = True
            self._port["payload"].value = self._payloads[self._next]
            self._port["valid"].value = 1
        elif not self._valid:
            self.idle()

    def sample(self, cycle: int) -> bool:
        """Whether a payload is taken at the end of this cycle."""
        if not (self._valid and self._port["ready"].value == 1):
            return False
        self.taken[self._next] = cycle
        self._next, self._valid = self._next + 1, False
        return True


class Memories:
    """Memories outside the design: the word of an address one cycle later, 0 past the end."""

    def __init__(self, dut: Any, contents: dict[str, list[str]]) -> None:
        self._memories = [
            (getattr(dut, f"{name}_addr"), getattr(dut, f"{name}_data"), [int(row, 16) for row in rows])
            for name, rows in contents.items()
        ]
        self._words = [0] * len(self._memories)

    def sample(self) -> None:
        addresses = [job.stored(address, signed=False) for address, _, _ in self._memories]
        self._words = [
            rows[at] if 0 <= at < len(rows) else 0 for at, (_, _, rows) in zip(addresses, self._memories, strict=True)
        ]

    def drive(self) -> None:
        for word, (_, data, _) in zip(self._words, self._memories, strict=True):
            data.value = word


class Sink:
    """Takes results from stream ``o``, ready at random if asked to; checks that a waiting result holds still."""

    def __init__(self, dut: Any, settings: dict[str, Any], sequences: int) -> None:
        self._dut, self._stall = dut, settings["stall"]
        self._random = np.random.default_rng([settings["seed"], 2])
        self._count, self._classes = 0, settings["classes"]
        self._label_width, self._logit_width = settings["label_width"], settings["logit_width"]
        self._ready, self._waiting = False, None
        self.arrays = {
            "label": np.full(sequences, job.UNKNOWN),
            "logits": np.full((sequences, self._classes), job.UNKNOWN),
            "cycle_logits": np.full(sequences, -1, np.int64),
        }

    @property
    def complete(self) -> bool:
        return self._count == len(self.arrays["label"])

    def drive(self) -> None:
        self._ready = bool(self._random.random() >= self._stall)
        self._dut.o__ready.value = int(self._ready)

    def sample(self, cycle: int) -> bool:
        """Whether a result is there in this cycle."""
        if self._dut.o__valid.value != 1:
            assert self._waiting is None, f"o.valid must stay until o.ready, not fall in cycle {cycle}"
            return False
        payload = job.stored(self._dut.o__payload, signed=False)
        assert self._waiting in (None, payload), f"o.payload must hold until o.ready, not change in cycle {cycle}"
        if self._waiting is None:
            self.arrays["cycle_logits"][self._count] = cycle
        self._waiting = None if self._ready else payload
        if self._ready:
            self._unpack(payload)
            self._count += 1
        return True

    def _unpack(self, payload: int) -> None:
        if payload == job.UNKNOWN:
            return
        self.arrays["label"][self._count] = payload & ((1 << self._label_width) - 1)
        sign = 1 << (self._logit_width - 1)
        for k in range(self._classes):
            logit = payload >> (self._label_width + k * self._logit_width) & (2 * sign - 1)
            self.arrays["logits"][self._count, k] = (logit ^ sign) - sign


class Recorder:
    """Records the named values of every unit when the pipeline stage that holds them is valid."""

    def __init__(self, dut: Any, settings: dict[str, Any], sequences: int, steps: int, features: int) -> None:
        layer = dut.lstm_layer
        self._pe, self._groups, hidden = settings["pe"], settings["groups"], settings["hidden"]
        self._hidden, self._signed, self._steps = hidden, settings["signed"], steps
        self._levels, self._features = settings["levels"], features
        self._x, self._strobes = (
            layer.x,
            [layer.x_valid, layer.gates_valid, layer.cell_valid, layer.hidden_valid],
        )
        units = [getattr(layer, f"lstm_unit_{p}") for p in range(self._pe)]
        by_gate = {
            name: [[getattr(u, f"{name}_{g}") for g in GATES] for u in units]
            for name in ("z", "activation", "gate")
            if name in self._signed
        }
        one = {
            name: [getattr(u, "h_new" if name == "h" else name) for u in units]
            for name in ("c_raw", "c", "t", "h_raw", "h")
            if name in self._signed
        }
        handles = {**by_gate, **one}
        self._stages = {
            stage: {name: handles[name] for name in names if name in handles}
            for stage, names in (
                ("gates_valid", ("z", "activation")),
                ("cell_valid", ("gate", "c_raw", "c")),
                ("hidden_valid", ("t", "h_raw", "h")),
            )
        }
        self._seen = dict.fromkeys(("x_valid", *self._stages), 0)
        self._total = sequences * steps * self._groups
        self.arrays = {"x": np.full((sequences, steps, features), job.UNKNOWN)}
        self.arrays |= {n: np.full((sequences, steps, 4, hidden), job.UNKNOWN) for n in by_gate}
        self.arrays |= {n: np.full((sequences, steps, hidden), job.UNKNOWN) for n in one}
        #: cycle in which each stage was valid, per sequence, step and group of units
        self.cycles = {n: np.full((sequences, steps, self._groups), -1, np.int64) for n in self._seen}

    def sample(self, cycle: int) -> None:
        for strobe, name in zip(self._strobes, self._seen, strict=True):
            if strobe.value == 1:
                count = self._seen[name]
                assert count < self._total, f"{name} must be high {self._total} times, and is again in cycle {cycle}"
                self._seen[name] = count + 1
                step, group = divmod(count, self._groups)
                sequence, step = divmod(step, self._steps)
                self.cycles[name][sequence, step, group] = cycle
                if name == "x_valid":
                    self._record_x(sequence, step, group)
                else:
                    self._record(self._stages[name], sequence, step, group)

    def _record_x(self, sequence: int, step: int, group: int) -> None:
        word = job.stored(self._x, signed=False)
        if group or word == job.UNKNOWN:  # x is the same for every group
            return
        mask = (1 << self._levels) - 1
        self.arrays["x"][sequence, step] = [word >> (self._levels * n) & mask for n in range(self._features)]

    def _record(self, stage: dict[str, Any], sequence: int, step: int, group: int) -> None:
        for name, handles in stage.items():
            row, signed = self.arrays[name][sequence, step], self._signed[name]
            for p in range(self._pe):
                unit = group * self._pe + p
                if unit >= self._hidden:
                    continue
                if row.ndim == 2:
                    for k in range(4):
                        row[k, unit] = job.stored(handles[p][k], signed[k])
                else:
                    row[unit] = job.stored(handles[p], signed)
