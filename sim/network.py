"""A whole network's Verilog against its golden function."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.golden import Trace, run
from model.spec import GATES, MemoryImage, Schedule, Weights, load_stream, memory_images
from rtl.network import Network
from rtl.rom_files import beside, write_all
from rtl.verilog import emit
from rtl.weight_memory import WeightStorage
from sim import probes
from sim.bulk import run_bulk
from sim.job import UNKNOWN
from sim.runner import Progress, run_bench
from sim.simulators import SimulationError, SimulatorName

TOP = "network"

SILENCE = 4  #: a design that does nothing for this many sequences' time is stuck

PUBLIC = {
    TOP: ("clk", "rst", "i__*", "o__*", "w__*", "*_addr", "*_data"),
    "lstm_layer*": ("x", "*_valid"),
    "lstm_unit*": ("z_*", "activation_*", "gate_*", "c_raw", "c", "t", "h_raw", "h_new"),
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One value that differs. ``got`` is None if it was unknown (X) or never seen; ``cycle`` is None then too."""

    value: str
    sequence: int
    step: int | None
    layer: int | None
    unit: int | None
    gate: str | None
    cycle: int | None
    expected: int
    got: int | None

    def __str__(self) -> str:
        where = [f"sequence {self.sequence}"]
        where += [f"step {self.step}"] if self.step is not None else []
        where += [f"layer {self.layer}"] if self.layer is not None else []
        where += (
            [f"{'feature' if self.value == 'x' else 'class' if self.value == 'logits' else 'unit'} {self.unit}"]
            if self.unit is not None
            else []
        )
        where += [f"gate {self.gate}"] if self.gate is not None else []
        where += [f"cycle {self.cycle}"] if self.cycle is not None else []
        got = "unknown" if self.got is None else self.got
        return f"{self.value} at {', '.join(where)}: expected {self.expected}, got {got}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of a simulation; ``labels`` are those of the Verilog, ``golden_labels`` what they should be.

    ``cycles`` counts from reset to the last result, a load of weights included; ``cycles_per_sequence`` from the
    first sample being taken to the result being valid, of the first sequence, which finds the hardware empty (None with
    stalls); ``result_cycles`` from then to each result. ``run_s`` are the
    seconds of processor time (of one core) that the cycles took, ``total_s`` those that passed with building (unless
    that was done before) and start.
    """

    sequences: int
    compared: int
    differing: int
    first_difference: Difference | None
    labels: NDArray[np.int64]
    golden_labels: NDArray[np.int64]
    cycles: int
    cycles_per_sequence: int | None
    result_cycles: list[int]
    run_s: float
    total_s: float


def simulate(
    schedule: Schedule,
    weights: Weights,
    samples: NDArray[np.int64],
    *,
    folder: Path,
    simulator: SimulatorName,
    verilog: Path | None = None,
    storage: WeightStorage = WeightStorage.ROM,
    stall: float = 0.0,
    seed: int = 0,
    waves: bool = False,
    timeout_s: float = 3600,
    on_progress: Progress = None,
) -> Result:
    """Run ``samples`` (sequences, steps, features) through the Verilog and compare every named value it computes.

    Parameters
    ----------
    verilog
        The Verilog to test; emitted into ``folder`` if not given.
    storage
        Where the Verilog has its weights. Those of ``LOAD`` are sent while the first sample waits already; those
        of ``EXTERNAL`` are in memories of the bench.
    stall
        Probability that a stream waits, each cycle, on either side.
    on_progress
        Called now and then with the number of sequences that are done.

    Raises
    ------
    SimulationError
        If the simulation cannot be run, or a stream breaks its protocol.
    """
    if simulator == "bulk":
        if waves:
            raise SimulationError("Waves must be recorded with icarus or verilator, not 'bulk'")
        if storage in (WeightStorage.LOAD, WeightStorage.EXTERNAL):
            raise SimulationError(f"Weights must be const, rom or readmemh for simulator bulk, not {storage.value!r}")
    golden, images = run(schedule.network, weights, samples), memory_images(schedule, weights)
    contents = beside(images, storage)
    if verilog is None:
        contents[f"{TOP}.v"] = emit(Network(schedule, weights, storage), TOP)
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
        stall=stall,
        seed=seed,
        waves=waves,
        timeout_s=timeout_s,
        on_progress=on_progress,
    )
    return _compare(golden, observed, schedule, stall, time.perf_counter() - start)


def observe(
    schedule: Schedule,
    samples: NDArray[np.int64],
    *,
    folder: Path,
    simulator: SimulatorName,
    sources: Sequence[Path],
    load: Sequence[int] = (),
    memories: Sequence[MemoryImage] = (),
    stall: float = 0.0,
    seed: int = 0,
    waves: bool = False,
    timeout_s: float = 3600,
    on_progress: Progress = None,
) -> dict[str, NDArray[np.int64]]:
    """The arrays of :func:`sim.probes.arrays` as the Verilog gives them, the same for every simulator.

    And ``cycles`` from reset to the last result, and ``nanoseconds``, the processor time they took.

    Parameters
    ----------
    load, memories
        What is sent on stream ``w``, and the memories outside that the bench plays; not for ``bulk``.
    others
        See :func:`simulate`.
    """
    sequences, steps, _ = samples.shape
    settings: dict[str, Any] = {
        "arrays": probes.arrays(schedule, sequences, steps),
        "stages": [asdict(stage) for stage in probes.stages(schedule)],
        "results": [asdict(field) for field in probes.results(schedule)],
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
            "payloads": probes.payloads(schedule, samples),
            "load": np.array(load, "<u4").view(np.uint8).reshape(-1, 4),
        },
        settings=settings,
        timeout_s=timeout_s,
        on_progress=on_progress,
    )


def _compare(
    golden: Trace, observed: dict[str, NDArray[np.int64]], schedule: Schedule, stall: float, total_s: float
) -> Result:
    compared = differing = 0
    first: tuple[tuple[int, int, int], Difference] | None = None
    for order, value in enumerate(probes.computed(schedule)):
        expected, got = np.asarray(value.of(golden)), observed[value.array]
        wrong = np.flatnonzero(expected != got)
        compared, differing = compared + expected.size, differing + len(wrong)
        if not len(wrong):
            continue
        cycles = _cycles_of(observed[value.cycles], expected.shape, value, schedule).ravel()[wrong]
        seen = np.where(cycles < 0, np.iinfo(np.int64).max, cycles)
        place = int(wrong[np.argmin(seen)])
        key = (int(seen.min()), order, place)
        if first is None or key < first[0]:
            first = (
                key,
                _difference(
                    value,
                    np.unravel_index(place, expected.shape),
                    int(expected.flat[place]),
                    int(got.flat[place]),
                    int(seen.min()),
                ),
            )
    spent = observed["cycle_logits"] - observed["taken"][0]
    return Result(
        sequences=len(golden.label),
        compared=compared,
        differing=differing,
        first_difference=first[1] if first else None,
        labels=observed["label"],
        golden_labels=golden.label,
        cycles=int(observed["cycles"]),
        cycles_per_sequence=None if stall else int(spent[0]),
        result_cycles=spent.tolist(),
        run_s=int(observed["nanoseconds"]) / 1e9,
        total_s=total_s,
    )


def _cycles_of(
    cycles: NDArray[np.int64], shape: tuple[int, ...], value: probes.Value, schedule: Schedule
) -> NDArray[np.int64]:
    """The cycle of every number: stages record one a group of units."""
    if value.layer is None:
        return np.broadcast_to(cycles.reshape(-1, *(1,) * (len(shape) - 1)), shape)
    if value.name == "x":
        return np.broadcast_to(cycles[:, :, :1], shape)
    units = np.repeat(cycles, schedule.layers[value.layer].pe, axis=2)[:, :, : shape[-1]]
    return np.broadcast_to(units[:, :, None, :] if len(shape) == 4 else units, shape)


def _difference(value: probes.Value, place: tuple[Any, ...], expected: int, got: int, cycle: int) -> Difference:
    at = [int(i) for i in place]
    return Difference(
        value=value.name,
        sequence=at[0],
        step=None if value.layer is None else at[1],
        layer=value.layer,
        unit=at[-1] if len(at) > 1 else None,
        gate=GATES[at[2]] if len(at) == 4 else None,
        expected=expected,
        got=None if got == UNKNOWN else got,
        cycle=cycle if cycle < np.iinfo(np.int64).max else None,
    )


def as_dict(difference: Difference | None) -> dict[str, Any] | None:
    """For JSON."""
    return asdict(difference) if difference else None
