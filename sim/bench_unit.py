"""cocotb bench of any combinational unit: drive every vector, record ``o``."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.triggers import Timer

from sim import job


@cocotb.test()
async def record(dut) -> None:
    """Vectors are packed port values as hexadecimal strings, one array a port."""
    vectors, settings = job.load()
    seen = []
    for values in zip(*vectors.values(), strict=True):
        for name, value in zip(vectors, values, strict=True):
            getattr(dut, name).value = int(value, 16)
        await Timer(1, unit="ns")
        seen.append(job.stored(dut.o, settings["signed"]))
    job.save(o=np.array(seen, np.int64))
