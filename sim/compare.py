"""What a simulation of a whole network found: every named value beside the golden function's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.golden import Trace
from model.spec import GATES, Ints, Schedule
from rtl.saturation_counter import COUNTER_WIDTH
from sim import probes
from sim.job import UNKNOWN


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
class Counter:
    """A counter of saturations: of the sums over x or h of a layer, on one level. ``got`` is None if it was unknown."""

    layer: int
    sum: str
    level: int
    expected: int
    got: int | None

    @property
    def equal(self) -> bool:
        """Whether it has the number of the golden function."""
        return self.got == self.expected


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of a simulation; ``labels`` are those of the Verilog, ``golden_labels`` what they should be.

    ``cycles`` counts from reset to the last result, a load of weights included; ``cycles_per_sequence`` from the
    first sample being taken to the (last) result being valid, of the first sequence, which finds the hardware empty
    (None with stalls); ``result_cycles`` from then to each result. ``counters`` are beside the values compared.
    ``run_s`` are the seconds of processor time (of one core) that the cycles took, ``total_s`` those that passed with
    building (unless that was done before) and start. ``written`` are the symbols of a text that was written, by number.
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
    written: NDArray[np.int64] | None = None
    counters: tuple[Counter, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether no value and no counter differs."""
        return not self.differing and all(counter.equal for counter in self.counters)


def compare(
    golden: Trace, observed: dict[str, NDArray[np.int64]], schedule: Schedule, stall: float, total_s: float
) -> Result:
    """Compare what :func:`sim.network.observe` gave with what the golden function gives."""
    compared = differing = 0
    first: tuple[tuple[int, int, int], Difference] | None = None
    for order, value in enumerate(probes.computed(schedule)):
        expected, got = np.asarray(value.of(golden)), observed[value.array]
        wrong = np.flatnonzero(expected != got)
        compared, differing = compared + expected.size, differing + len(wrong)
        if not len(wrong):
            continue
        cycles_seen = observed[value.cycles]
        cycles = _cycles_of(cycles_seen, expected.shape, value, schedule).ravel()[wrong]
        seen = np.where(cycles < 0, np.iinfo(np.int64).max, cycles)
        place = int(wrong[np.argmin(seen)])
        key = (int(seen.min()), order, place)
        if first is None or key < first[0]:
            first = (
                key,
                _difference(
                    value,
                    np.unravel_index(place, expected.shape),
                    cycles_seen.ndim > 1,
                    int(expected.flat[place]),
                    int(got.flat[place]),
                    int(seen.min()),
                ),
            )
    spent = (observed["cycle_logits"] - observed["taken"][0]).reshape(len(golden.label), -1)
    return Result(
        sequences=len(golden.label),
        compared=compared,
        differing=differing,
        first_difference=first[1] if first else None,
        labels=observed["label"],
        golden_labels=golden.label,
        cycles=int(observed["cycles"]),
        cycles_per_sequence=None if stall else int(spent[0, -1]),
        result_cycles=spent.ravel().tolist(),
        run_s=int(observed["nanoseconds"]) / 1e9,
        total_s=total_s,
        written=observed.get("written"),
    )


def compare_counters(expected: Mapping[str, Ints], observed: Mapping[str, NDArray[np.int64]]) -> tuple[Counter, ...]:
    """Compare the counters of the Verilog with :func:`model.saturations.saturations`."""
    found = []
    for name, counts in expected.items():
        array = f"saturations_{name}"
        if array not in observed and not counts.any():
            continue  # the layer has none, because it cannot saturate
        values = observed.get(array, np.full(len(counts), UNKNOWN))
        sum_, _, layer = name.rpartition("_l")
        totals = np.minimum(counts.reshape(len(counts), -1).sum(1), (1 << COUNTER_WIDTH) - 1)
        for level, (total, got) in enumerate(zip(totals.tolist(), values.tolist(), strict=True)):
            got = None if got == UNKNOWN else got
            found.append(Counter(layer=int(layer), sum=sum_, level=level, expected=total, got=got))
    return tuple(found)


def _cycles_of(
    cycles: NDArray[np.int64], shape: tuple[int, ...], value: probes.Value, schedule: Schedule
) -> NDArray[np.int64]:
    """The cycle of every number: stages record one a group of units."""
    if value.layer is None:
        return np.broadcast_to(cycles.reshape(*cycles.shape, *(1,) * (len(shape) - cycles.ndim)), shape)
    if value.name == "x":
        return np.broadcast_to(cycles[:, :, :1], shape)
    units = np.repeat(cycles, schedule.layers[value.layer].pe, axis=2)[:, :, : shape[-1]]
    return np.broadcast_to(units[:, :, None, :] if len(shape) == 4 else units, shape)


def _difference(
    value: probes.Value, place: tuple[Any, ...], of_step: bool, expected: int, got: int, cycle: int
) -> Difference:
    at = [int(i) for i in place]
    within = at[2:] if of_step else at[1:]
    return Difference(
        value=value.name,
        sequence=at[0],
        step=at[1] if of_step else None,
        layer=value.layer,
        unit=within[-1] if within else None,
        gate=GATES[within[0]] if len(within) == 2 else None,
        expected=expected,
        got=None if got == UNKNOWN else got,
        cycle=cycle if cycle < np.iinfo(np.int64).max else None,
    )


def as_dict(difference: Difference | None) -> dict[str, Any] | None:
    """For JSON."""
    return asdict(difference) if difference else None
