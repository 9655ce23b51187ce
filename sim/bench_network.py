"""cocotb bench of a whole network: streams sequences in, takes results out, records every named value.

The clock rises, inputs are driven, the clock falls, everything is sampled: what is sampled holds until
the next rise in every simulator. ``sim/bulk.cpp`` does the same, cycle for cycle.
"""

from __future__ import annotations

import time
from functools import reduce
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from model.writing import Writing
from sim import job


@cocotb.test()
async def record(dut) -> None:
    """See :func:`sim.network.simulate` for vectors and settings."""
    vectors, settings = job.load()
    arrays = {name: np.full(shape, fill, np.int64) for name, (shape, fill) in settings["arrays"].items()}
    recorder = Recorder(dut, settings, arrays)
    source = Source(dut, "i", vectors["payloads"], settings)
    load = Source(dut, "w", vectors["load"], settings)
    writer = Writer(source, settings, arrays) if settings["writing"] else None
    memories = Memories(dut, settings["memories"])
    sink = Sink(dut, settings, arrays)
    Clock(dut.clk, 10, unit="ns").start()
    dut.rst.value = 1
    source.idle()
    load.idle()
    for _ in range(2):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    cycle, idle, start = 0, 0, time.process_time()
    while not sink.complete and idle < settings["patience"]:
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
        if writer:
            writer.follow(sink.count)
        await RisingEdge(dut.clk)
        cycle, idle = cycle + 1, 0 if moved else idle + 1
    await FallingEdge(dut.clk)
    Fields(dut, settings["counters"], arrays, 1).record(0, 0)
    nanoseconds = int(1e9 * (time.process_time() - start))
    taken = source.taken[:: settings["steps"]]
    arrays["taken"][: len(taken)] = taken
    job.save(**arrays, cycles=np.array(cycle), nanoseconds=np.array(nanoseconds))


class Source:
    """Drives a stream: waits at random before a payload if asked to, then holds it until it is taken.

    The design need not have the stream if there are no payloads. ``order`` says which come, all of them if not told.
    """

    def __init__(self, dut: Any, name: str, payloads: np.ndarray, settings: dict[str, Any]) -> None:
        self._payloads = [int.from_bytes(row.tobytes(), "little") for row in payloads]
        if self._payloads:
            self._port = {part: getattr(dut, f"{name}__{part}") for part in ("valid", "payload", "ready")}
        self._stall, self._random = settings["stall"], job.stalls(settings["seed"], name)
        self._valid = False
        self.order = list(range(len(payloads)))
        self.taken: list[int] = []  #: cycle in which each was

    @property
    def complete(self) -> bool:
        return len(self.taken) == len(self.order)

    def idle(self) -> None:
        if self._payloads:
            self._port["valid"].value = 0

    def drive(self) -> None:
        if not self.complete and not self._valid and self._random.random() >= self._stall:
            self._valid = True
            self._port["payload"].value = self._payloads[self.order[len(self.taken)]]
            self._port["valid"].value = 1
        elif not self._valid:
            self.idle()

    def sample(self, cycle: int) -> bool:
        """Whether a payload is taken at the end of this cycle."""
        if not (self._valid and self._port["ready"].value == 1):
            return False
        self.taken.append(cycle)
        self._valid = False
        return True


class Writer:
    """Gives a source the prompt, then each symbol that it chooses by a result; see :class:`model.writing.Writing`.

    Payloads are two a symbol: within a sequence, and at its end.
    """

    def __init__(self, source: Source, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self._writing = Writing(**settings["writing"])
        self._choose = self._writing.chooser(settings["logit_frac"])
        self._source, self._logits, self._written = source, arrays["logits"][0], arrays["written"]
        self._seen = 0
        source.order = []
        for symbol in self._writing.prompt:
            self._give(symbol)

    def _give(self, symbol: int) -> None:
        ends = len(self._source.order) == self._writing.steps - 1
        self._source.order.append(2 * symbol + ends)

    def follow(self, results: int) -> None:
        """Look at what results there are."""
        if results == self._seen:
            return
        self._seen, place = results, results - len(self._writing.prompt)
        if place >= 0:
            self._written[place] = self._choose(self._logits[results - 1])
            if results < self._writing.steps:
                self._give(int(self._written[place]))


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

    def __init__(self, dut: Any, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self._dut, self._stall = dut, settings["stall"]
        self._random = job.stalls(settings["seed"], "o")
        self._cycles, self._progress = arrays["cycle_logits"].reshape(-1), Path(settings["progress"])
        self.count = 0  #: results that were taken
        self._fields = Fields(dut, settings["results"], arrays, len(self._cycles))
        self._ready, self._waiting = False, None

    @property
    def complete(self) -> bool:
        return self.count == len(self._cycles)

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
            self._cycles[self.count] = cycle
        self._waiting = None if self._ready else payload
        if self._ready:
            self._fields.record(self.count, 0)
            self.count += 1
            self._progress.write_text(f"{self.count}\n")
        return True


class Recorder:
    """Records the named values of every unit when the pipeline stage that holds them is valid."""

    def __init__(self, dut: Any, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self._stages = []
        for stage in settings["stages"]:
            cycles = arrays[f"cycle_{stage['name']}"]
            fields = Fields(dut, stage["fields"], arrays, cycles.shape[0] * cycles.shape[1])
            strobe, groups = handle(dut, stage["strobe"]), stage["groups"]
            self._stages.append((stage["name"], strobe, fields, cycles.reshape(-1), groups))
        self._seen = dict.fromkeys((name for name, *_ in self._stages), 0)

    def sample(self, cycle: int) -> None:
        for name, strobe, fields, cycles, groups in self._stages:
            if strobe.value == 1:
                count = self._seen[name]
                assert count < len(cycles), f"{name} must be high {len(cycles)} times, and is again in cycle {cycle}"
                self._seen[name] = count + 1
                cycles[count] = cycle
                fields.record(*divmod(count, groups))


class Fields:
    """Reads the fields of one stage (see :class:`sim.probes.Field`) into their arrays of ``rows`` rows."""

    def __init__(self, dut: Any, fields: list[dict[str, Any]], arrays: dict[str, np.ndarray], rows: int) -> None:
        self._fields = [(handle(dut, field["signal"]), field) for field in fields]
        self._arrays = {field["array"]: arrays[field["array"]].reshape(rows, -1) for field in fields}

    def record(self, row: int, group: int) -> None:
        for signal, f in self._fields:
            if group < f["groups"]:
                value = job.field(signal, f["low"], f["width"], f["signed"])
                self._arrays[f["array"]][row, f["place"] + group * f["stride"]] = value


def handle(dut: Any, path: str) -> Any:
    """The signal at a path below the top module."""
    return reduce(getattr, path.split("."), dut)
