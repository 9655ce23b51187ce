"""A whole network's Verilog against its golden function."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.golden import Trace, run
from model.spec import GATES, NetworkSpec, Schedule, Weights, load_stream, memory_images
from rtl.network import Network
from rtl.rom_files import beside, write_all
from rtl.verilog import emit
from rtl.weight_memory import WeightStorage
from sim.job import UNKNOWN
from sim.runner import run_bench
from sim.simulators import SimulatorName

TOP = "network"

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

PUBLIC = {
    TOP: ("clk", "rst", "i__*", "o__*", "w__*", "*_addr", "*_data"),
    "lstm_layer": ("x", "*_valid"),
    "lstm_unit*": ("z_*", "activation_*", "gate_*", "c_raw", "c", "t", "h_raw", "h_new"),
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One value that differs. ``got`` is None if it was unknown (X) or never seen; ``cycle`` is None then too."""

    value: str
    sequence: int
    step: int | None
    unit: int | None
    gate: str | None
    cycle: int | None
    expected: int
    got: int | None

    def __str__(self) -> str:
        where = [f"sequence {self.sequence}"]
        where += [f"step {self.step}"] if self.step is not None else []
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
    first sample being taken to the result being valid (None if they differ, as with stalls).
    """

    sequences: int
    compared: int
    differing: int
    first_difference: Difference | None
    labels: NDArray[np.int64]
    golden_labels: NDArray[np.int64]
    cycles: int
    cycles_per_sequence: int | None


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

    Raises
    ------
    SimulationError
        If the simulation cannot be run, or a stream breaks its protocol.
    """
    network = schedule.network
    golden, images = run(network, weights, samples), memory_images(schedule, weights)
    contents = beside(images, storage)
    if verilog is None:
        contents[f"{TOP}.v"] = emit(Network(schedule, weights, storage), TOP)
    written = [path for path in write_all(contents, folder) if path.suffix == ".v"]
    lstm = network.lstm
    settings: dict[str, Any] = {
        "pe": schedule.pe,
        "groups": schedule.groups,
        "hidden": lstm.hidden,
        "levels": lstm.activation_levels,
        "sample_width": lstm.source.width,
        "classes": network.dense.classes,
        "label_width": max(1, (network.dense.classes - 1).bit_length()),
        "logit_width": network.logit_format.width,
        "stall": stall,
        "seed": seed,
        "sequence_cycles": schedule.sequence_cycles(samples.shape[1]),
        "signed": {n: s for n, s in _signedness(network).items() if n not in schedule.datapath.uncomputed},
        # In hexadecimal: a word may have more digits than Python reads as decimal ones.
        "memories": {i.name: [f"{row:x}" for row in i.rows] for i in images if storage is WeightStorage.EXTERNAL},
    }
    observed = run_bench(
        "sim.bench_network",
        sources=[*written, *([verilog] if verilog else [])],
        top=TOP,
        folder=folder,
        simulator=simulator,
        public=PUBLIC,
        vectors={"samples": samples, "load": np.array(load_stream(images) if storage is WeightStorage.LOAD else ())},
        settings=settings,
        waves=waves,
        seed=seed,
        timeout_s=timeout_s,
    )
    return _compare(golden, observed, schedule)


def _signedness(network: NetworkSpec) -> dict[str, Any]:
    """Whether each value is two's complement; a list over the gates where they have their own."""
    lstm = network.lstm

    def per_gate(format_of: Any) -> list[bool]:
        return [format_of(k).signed for k in range(len(GATES))]

    return {
        "z": per_gate(lstm.z_format),
        "activation": per_gate(lambda k: lstm.activation(k).target),
        "gate": [False] * len(GATES),
        "c": False,
        "h": False,
        "c_raw": lstm.c_raw_format.signed,
        "t": lstm.tanh.target.signed,
        "h_raw": lstm.mac.format.signed,
    }


def _compare(golden: Trace, observed: dict[str, NDArray[np.int64]], schedule: Schedule) -> Result:
    compared = differing = 0
    first: tuple[tuple[int, int, int], Difference] | None = None
    computed = [name for name in STAGE if name not in schedule.datapath.uncomputed]
    for order, name in enumerate(computed):
        expected, got = np.asarray(getattr(golden, name)), observed[name]
        wrong = np.flatnonzero(expected != got)
        compared, differing = compared + expected.size, differing + len(wrong)
        if not len(wrong):
            continue
        cycles = _cycles_of(observed[f"cycle_{STAGE[name]}"], expected.shape, name, schedule).ravel()[wrong]
        seen = np.where(cycles < 0, np.iinfo(np.int64).max, cycles)
        place = int(wrong[np.argmin(seen)])
        key = (int(seen.min()), order, place)
        if first is None or key < first[0]:
            first = (
                key,
                _difference(
                    name,
                    np.unravel_index(place, expected.shape),
                    int(expected.flat[place]),
                    int(got.flat[place]),
                    int(seen.min()),
                ),
            )
    spent = observed["cycle_logits"] - observed["taken"]
    return Result(
        sequences=len(golden.label),
        compared=compared,
        differing=differing,
        first_difference=first[1] if first else None,
        labels=observed["label"],
        golden_labels=golden.label,
        cycles=int(observed["cycles"]),
        cycles_per_sequence=int(spent[0]) if np.ptp(spent) == 0 else None,
    )


def _cycles_of(cycles: NDArray[np.int64], shape: tuple[int, ...], name: str, schedule: Schedule) -> NDArray[np.int64]:
    """The cycle of every value: stages record one a group of units."""
    if cycles.ndim == 1:
        return np.broadcast_to(cycles.reshape(-1, *(1,) * (len(shape) - 1)), shape)
    if name == "x":
        return np.broadcast_to(cycles[:, :, :1], shape)
    units = np.repeat(cycles, schedule.pe, axis=2)[:, :, : shape[-1]]
    return np.broadcast_to(units[:, :, None, :] if len(shape) == 4 else units, shape)


def _difference(name: str, place: tuple[Any, ...], expected: int, got: int, cycle: int) -> Difference:
    at = [int(i) for i in place]
    inside = len(at) > 2  # x, and the values of units
    return Difference(
        value=name,
        sequence=at[0],
        step=at[1] if inside else None,
        unit=at[-1] if len(at) > 1 else None,
        gate=GATES[at[2]] if len(at) == 4 else None,
        expected=expected,
        got=None if got == UNKNOWN else got,
        cycle=cycle if cycle < np.iinfo(np.int64).max else None,
    )


def as_dict(difference: Difference | None) -> dict[str, Any] | None:
    """For JSON."""
    return asdict(difference) if difference else None
