"""cocotb bench of a unit between streams: write its tables, give it payloads, take what it says, wait at random."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from sim import job


@cocotb.test()
async def record(dut) -> None:
    """``payloads`` are packed values of ``i`` as hexadecimal strings, ``write...`` a number for each word.

    Settings: ``stall`` (probability that a side waits, each cycle), ``seed``, ``patience`` (cycles without a transfer
    after which the bench gives up). Observed: ``o``, and ``cycles`` from the first payload on.
    """
    vectors, settings = job.load()
    payloads = [int(text, 16) for text in vectors.pop("payloads")]
    random, stall = job.stalls(settings["seed"], "i"), settings["stall"]
    Clock(dut.clk, 10, unit="ns").start()
    dut.rst.value, dut.i__valid.value, dut.o__ready.value = 1, 0, 0
    for name in vectors:
        getattr(dut, name).value = 0
    for _ in range(2):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    await FallingEdge(dut.clk)
    for row in zip(*vectors.values(), strict=True):
        for name, value in zip(vectors, row, strict=True):
            getattr(dut, name).value = int(value)
        await FallingEdge(dut.clk)
    if vectors:
        dut.write.value = 0
    seen: list[int] = []
    given, valid, held, cycle, idle = 0, False, None, 0, 0
    while len(seen) < len(payloads) and idle < settings["patience"]:
        valid = valid or (given < len(payloads) and random.random() >= stall)
        ready = random.random() >= stall
        dut.i__valid.value, dut.o__ready.value = int(valid), int(ready)
        if valid:
            dut.i__payload.value = payloads[given]
        await RisingEdge(dut.clk)  # the values before the edge
        taken = valid and job.stored(dut.i__ready, signed=False) == 1
        offered = job.stored(dut.o__valid, signed=False) == 1
        payload = job.stored(dut.o__payload, signed=False) if offered else None
        assert held is None or payload == held, f"o.payload must hold until it is taken, not change in cycle {cycle}"
        held = None if ready else payload
        if payload is not None and ready:
            seen.append(payload)
        if taken:
            given, valid = given + 1, False
        cycle, idle = cycle + 1, 0 if taken or (offered and ready) else idle + 1
        await FallingEdge(dut.clk)
    job.save(o=np.array(seen, np.int64), cycles=np.array(cycle))
