"""The bulk engine: Verilator and a compiled bench, ten times as fast as cocotb and more, for whole test sets."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import job
from sim.runner import PROGRESS, Progress, last_error, prepare, run_child
from sim.simulators import SimulationError, environment, public_signals

HARNESS = Path(__file__).with_suffix(".cpp")
FLAGS = ("--cc", "--exe", "--build", "-j", "2", "-O3", "-Wno-fatal", "--x-assign", "0", "--prefix", "Vmodel")
MAKE = "OPT_FAST=-O1 OPT_SLOW=-O0"


def run_bulk(
    *,
    sources: Sequence[Path],
    top: str,
    folder: Path,
    public: Mapping[str, Sequence[str]],
    vectors: Mapping[str, NDArray[np.uint8]],
    settings: Mapping[str, Any],
    timeout_s: float = 3600,
    on_progress: Progress = None,
) -> dict[str, NDArray[np.int64]]:
    """What :func:`sim.runner.run_bench` gives for ``sim.bench_network``, by ``sim/bulk.cpp``, cycle for cycle.

    The arrays lie in ``observed.bin`` of the work folder, and are read from there.

    Raises
    ------
    SimulationError
        If building or running fails or takes longer than ``timeout_s`` seconds, or a stream breaks its protocol.
    """
    start, folder = time.monotonic(), folder.resolve()
    env = environment("bulk")
    # Streams are members of the model; counters on ports are found by name, as is all below the top module.
    counters = {top: tuple(dict.fromkeys(f["signal"] for f in settings["counters"]))}
    named = {k: v for k, v in public.items() if k != top} | counters
    prepare(folder, (top, named, FLAGS, MAKE), [*sources, HARNESS])
    program = folder / "build" / "Vmodel"
    if not program.exists():
        control = public_signals(folder, named, "rd")
        command = ["verilator", *FLAGS, "--top-module", top, "--Mdir", str(program.parent), "-MAKEFLAGS", MAKE]
        command += [str(control), *(str(p.resolve()) for p in sources), str(HARNESS)]
        if code := run_child(command, env, folder / "build.log", timeout_s, since=start):
            raise SimulationError(
                f"Building with verilator must succeed, and it stopped ({code}): {last_error(folder)}"
            )
    places, size = _places(settings["arrays"])
    observed = np.memmap(folder / "observed.bin", np.int64, "w+", shape=(size,))
    for at, shape, fill in places.values():
        observed[at : at + math.prod(shape)] = fill
    observed.flush()
    samples = vectors["payloads"]
    (folder / "samples.bin").write_bytes(samples.tobytes())
    words = _words(top, folder, settings, places, size, samples.shape[1])
    (folder / "bulk.txt").write_text("\n".join(words) + "\n")
    code = run_child(
        [str(program), str(folder / "bulk.txt")],
        env,
        folder / "simulation.log",
        timeout_s,
        folder / PROGRESS,
        on_progress,
        since=start,
        cwd=folder,  # where the images of $readmemh are
    )
    if code:
        raise SimulationError(f"Bulk simulation must run to its end, and it stopped ({code}): {last_error(folder)}")
    return {name: observed[at : at + math.prod(shape)].reshape(shape) for name, (at, shape, _) in places.items()}


Place = tuple[int, tuple[int, ...], int]  #: of an array: where it begins in the file, its shape, how it is filled


def _places(arrays: Mapping[str, tuple[tuple[int, ...], int]]) -> tuple[dict[str, Place], int]:
    """Where each array lies, and how many numbers there are together."""
    places, at = {}, 0
    for name, (shape, fill) in {**arrays, "cycles": ((), -1), "nanoseconds": ((), -1)}.items():
        places[name] = at, shape, fill
        at += math.prod(shape)
    return places, at


def _words(
    top: str, folder: Path, settings: Mapping[str, Any], places: Mapping[str, Place], size: int, row_bytes: int
) -> Iterator[str]:
    """The settings file, in the order in which ``sim/bulk.cpp`` reads it."""
    (sequences,) = places["taken"][1]
    results = math.prod(places["cycle_logits"][1])
    yield f"top {top}"
    yield f"sequences {sequences} steps {settings['steps']} results {results}"
    yield f"patience {settings['patience']} bytes {row_bytes} size {size}"
    yield f"samples {folder / 'samples.bin'}\nobserved {folder / 'observed.bin'}\nprogress {folder / PROGRESS}"
    yield from (f"{name} {places[name][0]}" for name in ("taken", "cycle_logits", "cycles", "nanoseconds"))
    yield f"stall {math.ceil(settings['stall'] * 2**53)}"
    for stream in ("i", "o"):
        state = job.stalls(settings["seed"], stream).bit_generator.state["state"]
        for number in (state["state"], state["inc"]):
            yield f"high {number >> 64} low {number & (1 << 64) - 1}"
    yield from _fields(settings["results"], places, results)
    yield f"stages {len(settings['stages'])}"
    for stage in settings["stages"]:
        cycles = places[f"cycle_{stage['name']}"][0]
        yield f"stage {stage['name']} strobe {stage['strobe']} groups {stage['groups']} cycle {cycles}"
        yield from _fields(stage["fields"], places, sequences * settings["steps"])
    yield from _fields(settings["counters"], places, 1)


def _fields(fields: Sequence[Mapping[str, Any]], places: Mapping[str, Place], rows: int) -> Iterator[str]:
    yield f"fields {len(fields)}"
    for f in fields:
        at, shape, _ = places[f["array"]]
        yield (
            f"field {f['signal']} low {f['low']} width {f['width']} signed {int(f['signed'])} at {at + f['place']} "
            f"row {math.prod(shape) // rows} stride {f['stride']} groups {f['groups']}"
        )
