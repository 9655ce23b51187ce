"""The internal power that a Liberty library gives of its cells: energy of a transition by slew and load."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from synth.errors import SynthError
from synth.liberty import Library

Array = NDArray[np.float64]
_CAPACITANCE = {"ff": 1e-15, "pf": 1e-12}
_TIME = {"1ps": 1e-12, "10ps": 1e-11, "100ps": 1e-10, "1ns": 1e-9}
_TOKEN = re.compile(r'"[^"]*"|[\w.+!*&|^\'-]+|[(){}:;,]')


@dataclass(frozen=True, kw_only=True)
class Table:
    """Energy in J over the slew of the input pin in s and the load of the output pin in F."""

    slews: Array
    loads: Array
    energy: Array

    def at(self, slew: Array, load: Array) -> Array:
        """Bilinear between the points and beyond them, as OpenSTA takes its tables."""
        (i, s), (j, t) = _place(self.slews, slew), _place(self.loads, load)
        next_i, next_j = np.minimum(i + 1, len(self.slews) - 1), np.minimum(j + 1, len(self.loads) - 1)
        low = (1 - t) * self.energy[i, j] + t * self.energy[i, next_j]
        high = (1 - t) * self.energy[next_i, j] + t * self.energy[next_i, next_j]
        return (1 - s) * low + s * high


@dataclass(frozen=True, kw_only=True)
class Arc:
    """Energy of a rise and of a fall of `pin`, caused by `related` (None: by any pin or itself), where `when` holds."""

    pin: str
    related: str | None
    when: str
    rise: Table
    fall: Table


@dataclass(frozen=True, kw_only=True)
class Power:
    """What a library says: its supply in V and the arcs of each cell."""

    voltage: float
    arcs: dict[str, list[Arc]]


@dataclass(kw_only=True)
class _Group:
    name: str
    arguments: list[str]
    values: dict[str, list[str]] = field(default_factory=dict)
    groups: list["_Group"] = field(default_factory=list)

    def text(self, name: str) -> str | None:
        found = self.values.get(name)
        return " ".join(found) if found else None

    def all(self, name: str) -> list["_Group"]:
        return [group for group in self.groups if group.name == name]


def read_power(library: Library, cells: Sequence[str]) -> Power:
    """The internal power of some cells.

    Raises SynthError for a library that has no internal power in them, no supply, or units that are not known.
    """
    text = re.sub(r"/\*.*?\*/", " ", library.path.read_text("latin-1"), flags=re.DOTALL).replace("\\\n", " ")
    unit = re.search(r"\bcapacitive_load_unit\s*\(\s*([\d.]+)\s*,\s*\"?(\w+)\"?\s*\)", text)
    time = re.search(r'\btime_unit\s*:\s*"?(\w+)"?', text)
    supply = re.search(r'\bnom_voltage\s*:\s*"?([\d.]+)', text)
    if unit is None or unit[2].lower() not in _CAPACITANCE or time is None or time[1] not in _TIME or supply is None:
        raise SynthError(f"Library must say its units and its voltage for the energy, which {library.name!r} does not")
    farad = float(unit[1]) * _CAPACITANCE[unit[2].lower()]
    # Energy is in the unit of load times V squared.
    scale = {"input_transition_time": _TIME[time[1]], "total_output_net_capacitance": farad, "energy": farad}
    templates = {
        group.arguments[0]: group
        for match in re.finditer(r"\bpower_lut_template\s*\(", text)
        for group in [_parse(text, match.start())]
    }
    bodies = {match[1]: match.start() for match in re.finditer(r'\bcell\s*\(\s*"?([^\s")]+)"?\s*\)\s*\{', text)}
    ends = dict(zip(bodies, [*list(bodies.values())[1:], len(text)], strict=True))
    arcs = {}
    for name in cells:
        # Most of a cell is tables of delays.
        body = re.sub(r"\btiming\s*\([^)]*\)\s*\{(?:[^{}]|\{[^{}]*\})*\}", "", text[bodies[name] : ends[name]])
        arcs[name] = list(_arcs(_parse(body, 0), templates, scale))
    if cells and not any(arcs.values()):
        raise SynthError(f"Library must have internal power for the energy, which {library.name!r} has not")
    return Power(voltage=float(supply[1]), arcs=arcs)


def _arcs(cell: _Group, templates: dict[str, _Group], scale: dict[str, float]) -> Iterator[Arc]:
    for pin in cell.all("pin"):
        for group in pin.all("internal_power"):
            rise, fall = (
                _table(found[0], templates, scale) if (found := group.all(name) or group.all("power")) else _NOTHING
                for name in ("rise_power", "fall_power")
            )
            yield Arc(
                pin=pin.arguments[0],
                related=group.text("related_pin"),
                when=group.text("when") or "1",
                rise=rise,
                fall=fall,
            )


_NOTHING = Table(slews=np.zeros(1), loads=np.zeros(1), energy=np.zeros((1, 1)))


def _table(group: _Group, templates: dict[str, _Group], scale: dict[str, float]) -> Table:
    template = templates.get(group.arguments[0])
    axes = {"input_transition_time": np.zeros(1), "total_output_net_capacitance": np.zeros(1)}
    names = [name for k in (1, 2) if template and (name := template.text(f"variable_{k}"))]
    for k, name in enumerate(names, 1):
        if name not in axes:
            raise SynthError(f"Table of internal power must be over slew and load, not {name!r}")
        index = group.values.get(f"index_{k}") or (template.values if template else {})[f"index_{k}"]
        axes[name] = _numbers(index) * scale[name]
    shape = [len(axes[name]) for name in names] or [1]
    energy = _numbers(group.values["values"]).reshape(shape) * scale["energy"]
    if names[:1] == ["total_output_net_capacitance"]:
        energy = energy.T
    slews, loads = axes.values()
    return Table(slews=slews, loads=loads, energy=energy.reshape(len(slews), len(loads)))


def _numbers(texts: Sequence[str]) -> Array:
    return np.array([float(number) for text in texts for number in re.split(r"[\s,]+", text.strip()) if number])


def _place(index: Array, value: Array) -> tuple[NDArray[np.intp], Array]:
    """The interval of each value and where in it; the outermost ones go on for ever."""
    if len(index) == 1:
        return np.zeros(value.shape, np.intp), np.zeros(value.shape)
    at = np.clip(np.searchsorted(index, value) - 1, 0, len(index) - 2)
    return at, (value - index[at]) / (index[at + 1] - index[at])


def _parse(text: str, start: int) -> _Group:
    """The group whose name is at `start`."""
    tokens = (match[0] for match in _TOKEN.finditer(text, start))
    group = _Group(name=next(tokens), arguments=[])
    next(tokens)
    group.arguments = _until(tokens, ")")
    next(tokens)
    return _body(group, tokens)


def _body(group: _Group, tokens: Iterator[str]) -> _Group:
    """Fill a group with what is between its braces."""
    name = next(tokens)
    while name != "}":
        if name == ";":
            name = next(tokens)
            continue
        word, sign = name, next(tokens)
        arguments = _until(tokens, ";" if sign == ":" else ")")
        name = next(tokens)
        if sign == ":" or name != "{":
            group.values[word] = arguments
        else:
            group.groups.append(_body(_Group(name=word, arguments=arguments), tokens))
            name = next(tokens)
    return group


def _until(tokens: Iterator[str], end: str) -> list[str]:
    """Words up to `end`, without quotes and commas."""
    words = []
    while (token := next(tokens)) != end:
        if token != ",":
            words.append(token.strip('"'))
    return words
