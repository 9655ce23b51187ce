"""cocotb bench of any unit without a stream: drive every vector, record ``o`` as many cycles later as it takes."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.triggers import Timer

from sim import job


@cocotb.test()
async def record(dut) -> None:
    """Vectors are packed port values as hexadecimal strings, one array a port.

    Settings: ``signed`` (of ``o``), ``elements`` (width and number of them where ``o`` is an array), ``latency``
    (cycles; above 0 there are ``clk`` and ``rst``) and optionally ``control``, a port and its values: every vector
    is driven again for each value, and ``o`` has a row for each.
    """
    vectors, settings = job.load()
    latency: int = settings["latency"]
    port, values = settings.get("control") or (None, [0])
    rows = [[int(value, 16) for value in row] for row in zip(*vectors.values(), strict=True)]
    handles = [getattr(dut, name) for name in vectors]
    if latency:
        dut.rst.value = 0
    seen = []
    for value in values:
        if port:
            getattr(dut, port).value = value
        outputs = []
        for row in [*rows, *rows[-1:] * latency]:
            for handle, number in zip(handles, row, strict=True):
                handle.value = number
            if latency:
                # Inputs change while the clock is high, so that a register on the falling edge is seen.
                await Timer(1, unit="ns")
                dut.clk.value = 0
            await Timer(1, unit="ns")
            outputs.append(job.output(dut.o, settings["signed"], settings["elements"]))
            if latency:
                dut.clk.value = 1
                await Timer(1, unit="ns")
        seen.append(outputs[latency:])
    job.save(o=np.array(seen if port else seen[0], np.int64))
