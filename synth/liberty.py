"""Cell libraries in Liberty format: find one, unpack it, and read the few facts that the flow needs."""

import gzip
import itertools
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synth.boolean import truth_table
from synth.errors import SynthError

GENERIC = Path(__file__).with_name("generic.lib")
OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")


@dataclass(frozen=True, kw_only=True)
class FlipFlop:
    """What a flip-flop does, as expressions of its input pins and its own `state`.

    inverse: the other name of the state, for its complement.  clear, preset: "0" where there is none.
    """

    state: str
    inverse: str
    next: str
    clock: str
    clear: str
    preset: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What the flow needs to know of one cell.

    area: in the unit of the library (um2; NAND2 equivalents for generic.lib).
    inputs: names of the input pins.  outputs: function of each output pin, as the library writes it.
    sequential: flip-flop or latch.  flip_flop: None for any other cell and for a bank of flip-flops.
    clock: name of the pin that clocks a flip-flop on its rising edge, None for any other cell.
    dont_use: whether the library asks synthesis to leave the cell alone.
    max_load: the most that an output may drive, load: the most that an input asks, in the library's unit.
    delay, setup: for generic.lib in gate delays; None where the library gives tables.
    """

    name: str
    area: float
    inputs: tuple[str, ...]
    outputs: Mapping[str, str]
    sequential: bool
    flip_flop: FlipFlop | None
    clock: str | None
    dont_use: bool
    max_load: float
    load: float
    delay: float | None
    setup: float | None


@dataclass(frozen=True, kw_only=True)
class Adder:
    """A cell that adds three bits: its input pins, in any order, and its output pins."""

    cell: str
    inputs: tuple[str, ...]
    sum: str
    carry: str


@dataclass(frozen=True, kw_only=True)
class Library:
    """A Liberty file as plain text at `path`, its name and its cells.

    full_adder: the smallest such cell, None if there is none.  buffers: smallest first.
    """

    path: Path
    name: str
    cells: Mapping[str, Cell]
    full_adder: Adder | None
    buffers: Sequence[Cell]


def find_liberty() -> Path | None:
    """The OSU 0.18 um library where Debian's package qflow-tech-osu018 puts it, or None."""
    return OSU018 if OSU018.is_file() else None


def load_library(source: Path, workdir: Path) -> Library:
    """Read the Liberty file `source`, plain or gzip-compressed, and leave it as plain text in `workdir`.

    Raises SynthError when the file is absent, unreadable, damaged, or not a Liberty cell library.
    """
    if not source.is_file():
        raise SynthError(f"Liberty file must be an existing file, not {str(source)!r}")
    try:
        data = source.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise SynthError(f"Liberty file must be readable, not {str(source)!r} ({error})") from None
    # Latin-1 reads every byte: names of cells are ASCII, and comments may be anything.
    text = re.sub(r"/\*.*?\*/", " ", data.decode("latin-1"), flags=re.DOTALL)
    head = re.search(r'\blibrary\s*\(\s*"?([^\s")]+)"?\s*\)\s*\{', text)
    bodies = dict(_cell_bodies(text))
    if head is None or not bodies:
        raise SynthError(f"Liberty file must be a Liberty cell library, not {str(source)!r}")
    # A plain name of our own: Yosys and ABC cut script lines at blanks and quotes in a path.
    path = workdir / "library.lib"
    path.write_bytes(data)
    read = {name: _read_cell(name, body, source) for name, body in bodies.items()}
    usable = sorted((cell for cell in read.values() if not cell.dont_use), key=lambda cell: (cell.area, cell.name))
    return Library(
        path=path,
        name=head[1],
        cells=read,
        full_adder=_find_full_adder(usable),
        buffers=[cell for cell in usable if _is_buffer(cell)],
    )


def _cell_bodies(text: str) -> list[tuple[str, str]]:
    """(name, text up to the next cell) of each cell group."""
    heads = list(re.finditer(r'\bcell\s*\(\s*"?([^\s")]+)"?\s*\)\s*\{', text))
    ends = [*(head.start() for head in heads), len(text)][1:]
    return [(head[1], text[head.end() : end]) for head, end in zip(heads, ends, strict=True)]


def _read_cell(name: str, body: str, source: Path) -> Cell:
    area = re.search(r'\barea\s*:\s*"?([-+.\deE]+)', body)
    try:
        # Filler and antenna cells may leave the area out.
        size = float(area[1]) if area else 0.0
    except ValueError:
        raise SynthError(f"Area of cell {name} in {str(source)!r} must be a number, not {area and area[1]!r}") from None
    inputs, outputs = _pins(body)
    bank = re.search(r"\bff_bank\s*\(", body) is not None
    flip_flop = None if bank else _flip_flop(body)
    clock = re.fullmatch(r"\W*(\w+)\W*", flip_flop.clock) if flip_flop and "!" not in flip_flop.clock else None
    return Cell(
        name=name,
        area=size,
        inputs=inputs,
        outputs=outputs,
        sequential=bank or flip_flop is not None or re.search(r"\b(latch(_bank)?|statetable)\s*\(", body) is not None,
        flip_flop=flip_flop,
        clock=clock[1] if clock else None,
        dont_use=re.search(r'\bdont_use\s*:\s*"?true', body) is not None,
        max_load=max(map(float, re.findall(r"\bmax_capacitance\s*:\s*([\d.eE+-]+)", body)), default=math.inf),
        load=max(map(float, re.findall(r"\bcapacitance\s*:\s*([\d.eE+-]+)", body)), default=0.0),
        delay=_scalar(body, r"cell_(?:rise|fall)"),
        setup=_scalar(body, r"(?:rise|fall)_constraint"),
    )


def _pins(body: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Input pins, and the function of each output pin that has one."""
    pins = re.split(r'\bpin\s*\(\s*"?(\w+)"?\s*\)', body)[1:]
    inputs, outputs = [], {}
    for pin, text in zip(pins[::2], pins[1::2], strict=True):
        function = re.search(r'\bfunction\s*:\s*"([^"]*)"', text)
        if function:
            outputs[pin] = function[1]
        elif re.search(r'\bdirection\s*:\s*"?input\b', text):
            inputs.append(pin)
    return tuple(inputs), outputs


def _flip_flop(body: str) -> FlipFlop | None:
    group = re.search(r'\bff\s*\(\s*"?(\w+)"?\s*,\s*"?(\w+)"?\s*\)\s*\{([^}]*)\}', body)
    if group is None:
        return None
    said = dict(re.findall(r'\b(\w+)\s*:\s*"([^"]*)"', group[3]))
    return FlipFlop(
        state=group[1],
        inverse=group[2],
        next=said.get("next_state", ""),
        clock=said.get("clocked_on", ""),
        clear=said.get("clear", "0"),
        preset=said.get("preset", "0"),
    )


def _scalar(body: str, group: str) -> float | None:
    """The largest of the scalar tables of one kind, None if there are none."""
    values = re.findall(rf'\b{group}\s*\(\s*scalar\s*\)\s*\{{\s*values\s*\(\s*"([-+.\deE]+)"', body)
    return max(map(float, values), default=None)


_SUM = tuple(sum(row) % 2 == 1 for row in itertools.product((0, 1), repeat=3))
_CARRY = tuple(sum(row) >= 2 for row in itertools.product((0, 1), repeat=3))


def _find_full_adder(cells: Sequence[Cell]) -> Adder | None:
    """The first of the cells with three inputs whose two outputs are exactly their sum and carry, if any."""
    for cell in cells:
        if len(cell.inputs) == 3 and len(cell.outputs) == 2 and not cell.sequential:
            pins = {truth_table(function, cell.inputs): pin for pin, function in cell.outputs.items()}
            if _SUM in pins and _CARRY in pins:
                return Adder(cell=cell.name, inputs=cell.inputs, sum=pins[_SUM], carry=pins[_CARRY])
    return None


def _is_buffer(cell: Cell) -> bool:
    functions = [truth_table(function, cell.inputs) for function in cell.outputs.values()]
    return len(cell.inputs) == 1 and not cell.sequential and functions == [(False, True)]
