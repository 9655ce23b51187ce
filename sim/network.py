"""A whole network's Verilog against its golden function."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.golden import run
from model.saturations import saturations_of
from model.spec import MemoryImage, Schedule, Weights, load_stream, memory_images
from model.writing import Writing
from rtl.network import Network
from rtl.rom_files import beside, write_all
from rtl.verilog import emit
from rtl.weight_memory import WeightStorage
from sim import probes
from sim.bulk import run_bulk
from sim.compare import Result, compare, compare_counters
from sim.runner import Progress, run_bench
from sim.simulators import SimulationError, SimulatorName

TOP = "network"

SILENCE = 4  #: a design that does nothing for this many sequences' time is stuck

PUBLIC = {
    TOP: ("clk", "rst", "i__*", "o__*", "w__*", "saturations__*", "*_addr", "*_data"),
    "*_layer*": ("x", "*_valid"),
    "lstm_unit*": ("z_*", "activation_*", "gate_*", "c_raw", "c", "t", "h_raw", "h_new"),
    "relu_unit*": ("z", "h_new"),
}


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """Text to write, and the sample of each symbol, stored integers of shape (symbols, features)."""

    writing: Writing
    alphabet: NDArray[np.int64]

    @property
    def payloads(self) -> NDArray[np.int64]:
        """Each symbol as a sequence of two steps: within a text, and at its end."""
        return np.repeat(self.alphabet[:, None], 2, 1)


def simulate(
    schedule: Schedule,
    weights: Weights,
    samples: NDArray[np.int64],
    *,
    folder: Path,
    simulator: SimulatorName,
    verilog: Path | None = None,
    storage: WeightStorage = WeightStorage.ROM,
    counters: bool = False,
    stall: float = 0.0,
    seed: int = 0,
    waves: bool = False,
    timeout_s: float = 3600,
    on_progress: Progress = None,
    feedback: Feedback | None = None,
) -> Result:
    """Run ``samples`` (sequences, steps, features) through the Verilog and compare every named value it computes.

    Parameters
    ----------
    verilog
        The Verilog to test; emitted into ``folder`` if not given.
    storage
        Where the Verilog has its weights. Those of ``LOAD`` are sent while the first sample waits already; those
        of ``EXTERNAL`` are in memories of the bench.
    counters
        Whether the Verilog counts saturations, and its counters are compared too.
    stall
        Probability that a stream waits, each cycle, on either side.
    on_progress
        Called now and then with the number of results that are there.
    feedback
        Text that is written: behind the prompt the bench makes x_t+1 of result t. ``samples``, one sequence, are what
        the golden function writes.

    Raises
    ------
    SimulationError
        If the simulation cannot be run, or a stream breaks its protocol.
    ValueError
        If there are to be counters and no sum can saturate.
    """
    if simulator == "bulk":
        if waves:
            raise SimulationError("Waves must be recorded with icarus or verilator, not 'bulk'")
        if storage in (WeightStorage.LOAD, WeightStorage.EXTERNAL):
            raise SimulationError(f"Weights must be const, rom or readmemh for simulator bulk, not {storage.value!r}")
        if feedback:
            raise SimulationError("Text must be written with icarus or verilator, not 'bulk'")
    network, images = Network(schedule, weights, storage, counters), memory_images(schedule, weights)
    golden, contents = run(schedule.network, weights, samples), beside(images, storage)
    if verilog is None:
        contents[f"{TOP}.v"] = emit(network, TOP)
    expected = saturations_of(schedule.network, weights, golden) if counters else {}
    written = [path for path in write_all(contents, folder) if path.suffix == ".v"]
    start = time.perf_counter()
    observed = observe(
        schedule,
        samples,
        folder=folder,
        simulator=simulator,
        sources=[*written, *([verilog] if verilog else [])],
        load=load_stream(images) if storage is WeightStorage.LOAD else (),
        memories=images if storage is WeightStorage.EXTERNAL else (),
        counters=counters,
        stall=stall,
        seed=seed,
        waves=waves,
        timeout_s=timeout_s,
        on_progress=on_progress,
        feedback=feedback,
    )
    result = compare(golden, observed, schedule, stall, time.perf_counter() - start)
    return replace(result, counters=compare_counters(expected, observed))


def observe(
    schedule: Schedule,
    samples: NDArray[np.int64],
    *,
    folder: Path,
    simulator: SimulatorName,
    sources: Sequence[Path],
    load: Sequence[int] = (),
    memories: Sequence[MemoryImage] = (),
    counters: bool = False,
    stall: float = 0.0,
    seed: int = 0,
    waves: bool = False,
    timeout_s: float = 3600,
    on_progress: Progress = None,
    feedback: Feedback | None = None,
) -> dict[str, NDArray[np.int64]]:
    """The arrays of :func:`sim.probes.arrays` as the Verilog gives them, the same for every simulator.

    And ``cycles`` from reset to the last result, and ``nanoseconds``, the processor time they took; where text is
    written, ``written``, the numbers of its symbols behind the prompt.

    Parameters
    ----------
    load, memories
        What is sent on stream ``w``, and the memories outside that the bench plays; not for ``bulk``.
    others
        See :func:`simulate`.
    """
    sequences, steps, _ = samples.shape
    written = {"written": ((feedback.writing.count,), -1)} if feedback else {}
    settings: dict[str, Any] = {
        "arrays": probes.arrays(schedule, sequences, steps) | written,
        "writing": feedback.writing.plain() if feedback else None,
        "logit_frac": schedule.network.logit_format.frac,
        "stages": [asdict(stage) for stage in probes.stages(schedule)],
        "results": [asdict(field) for field in probes.results(schedule)],
        "counters": [asdict(field) for field in probes.counters(schedule)] if counters else [],
        "steps": steps,
        "stall": stall,
        "seed": seed,
        "patience": SILENCE * schedule.sequence_cycles(steps) + 1000,
        # In hexadecimal: a word may have more digits than Python reads as decimal ones.
        "memories": {image.name: [f"{row:x}" for row in image.rows] for image in memories},
    }
    cocotb = partial(run_bench, "sim.bench_network", simulator=simulator, seed=seed, waves=waves)
    engine = run_bulk if simulator == "bulk" else cocotb
    return engine(
        sources=sources,
        top=TOP,
        folder=folder,
        public=PUBLIC,
        vectors={
            "payloads": probes.payloads(schedule, samples if feedback is None else feedback.payloads),
            "load": np.array(load, "<u4").view(np.uint8).reshape(-1, 4),
        },
        settings=settings,
        timeout_s=timeout_s,
        on_progress=on_progress,
    )
