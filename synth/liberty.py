"""Cell libraries in Liberty format: find one, unpack it, and read the few facts that the flow needs."""

import gzip
import itertools
import math
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from synth.errors import SynthError

GENERIC = Path(__file__).with_name("generic.lib")
OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What the flow needs to know of one cell.

    area: in the unit of the library (um2; NAND2 equivalents for generic.lib).
    sequential: flip-flop or latch.  flip_flop: a flip-flop.
    clock: name of the pin that clocks a flip-flop on its rising edge, None for any other cell.
    delay, setup: for generic.lib in gate delays; None where the library gives tables.
    """

    name: str
    area: float
    sequential: bool
    flip_flop: bool
    clock: str | None
    delay: float | None
    setup: float | None


@dataclass(frozen=True, kw_only=True)
class FullAdder:
    """A cell that adds three bits; `pins` are the pin names in the order a, b, c, carry, sum."""

    cell: str
    pins: tuple[str, str, str, str, str]

    def techmap(self) -> str:
        """Verilog that makes Yosys' techmap turn each `$fa` into this cell."""
        a, b, c, carry, total = self.pins
        return (
            '(* techmap_celltype = "$fa" *)\n'
            "module full_adder (A, B, C, X, Y);\n"
            "  parameter WIDTH = 1;\n"
            "  input [WIDTH-1:0] A, B, C;\n"
            "  output [WIDTH-1:0] X, Y;\n"
            "  genvar i;\n"
            "  generate for (i = 0; i < WIDTH; i = i + 1) begin\n"
            f"    \\{self.cell} u (.\\{a} (A[i]), .\\{b} (B[i]), .\\{c} (C[i]),"
            f" .\\{carry} (X[i]), .\\{total} (Y[i]));\n"
            "  end endgenerate\n"
            "endmodule\n"
        )


@dataclass(frozen=True, kw_only=True)
class Library:
    """A Liberty file as plain text at `path`, its name and its cells."""

    path: Path
    name: str
    cells: Mapping[str, Cell]
    full_adder: FullAdder | None = field(default=None)


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
    cells = dict(_cell_bodies(text))
    if head is None or not cells:
        raise SynthError(f"Liberty file must be a Liberty cell library, not {str(source)!r}")
    # A plain name of our own: Yosys and ABC cut script lines at blanks and quotes in a path.
    path = workdir / "library.lib"
    path.write_bytes(data)
    return Library(
        path=path,
        name=head[1],
        cells={name: _read_cell(name, body, source) for name, body in cells.items()},
        full_adder=_find_full_adder(cells),
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
    flip_flop = re.search(r"\bff(_bank)?\s*\(", body) is not None
    clock = re.search(r'\bclocked_on\s*:\s*"\s*\(?\s*(\w+)\s*\)?\s*"', body)
    return Cell(
        name=name,
        area=size,
        sequential=flip_flop or re.search(r"\b(latch(_bank)?|statetable)\s*\(", body) is not None,
        flip_flop=flip_flop,
        clock=clock[1] if flip_flop and clock else None,
        delay=_scalar(body, r"cell_(?:rise|fall)"),
        setup=_scalar(body, r"(?:rise|fall)_constraint"),
    )


def _scalar(body: str, group: str) -> float | None:
    """The largest of the scalar tables of one kind, None if there are none."""
    values = re.findall(rf'\b{group}\s*\(\s*scalar\s*\)\s*\{{\s*values\s*\(\s*"([-+.\deE]+)"', body)
    return max(map(float, values), default=None)


def _find_full_adder(cells: Mapping[str, str]) -> FullAdder | None:
    """The smallest cell with three inputs whose two outputs are exactly their sum and carry, if any."""
    found: list[tuple[float, FullAdder]] = []
    for name, body in cells.items():
        if len(re.findall(r"\bfunction\s*:", body)) != 2 or re.search(r"\b(dont_use\s*:\s*true|ff|latch)\b", body):
            continue
        pins = re.split(r'\bpin\s*\(\s*"?(\w+)"?\s*\)', body)[1:]
        inputs, outputs = [], {}
        for pin, text in zip(pins[::2], pins[1::2], strict=True):
            function = re.search(r'\bfunction\s*:\s*"([^"]*)"', text)
            if function:
                outputs[pin] = function[1]
            elif re.search(r'\bdirection\s*:\s*"?input\b', text):
                inputs.append(pin)
        if len(inputs) != 3 or len(outputs) != 2:
            continue
        tables = {pin: truth_table(function, inputs) for pin, function in outputs.items()}
        carry = [pin for pin, table in tables.items() if table == _CARRY]
        total = [pin for pin, table in tables.items() if table == _SUM]
        if carry and total:
            area = re.search(r'\barea\s*:\s*"?([.\deE+-]+)', body)
            adder = FullAdder(cell=name, pins=(inputs[0], inputs[1], inputs[2], carry[0], total[0]))
            found.append((float(area[1]) if area else math.inf, adder))
    return min(found, key=lambda item: (item[0], item[1].cell))[1] if found else None


def truth_table(function: str, inputs: list[str]) -> tuple[bool, ...] | None:
    """A Liberty `function` of `inputs`, first input slowest; None if it is not an expression of just those.

    Liberty writes not as ! in front or ' behind, and as &, * or nothing, or as | or +, xor as ^;
    they bind in the order not, xor, and, or.
    """
    tokens = re.findall(r"\w+|[!'^&*|+()]", function)
    if "".join(tokens) != re.sub(r"\s", "", function) or not {t for t in tokens if t[0].isalpha()} <= set(inputs):
        return None
    rows = itertools.product((False, True), repeat=len(inputs))
    try:
        return tuple(_evaluate(tokens, dict(zip(inputs, row, strict=True))) for row in rows)
    except (IndexError, KeyError):
        return None


def _evaluate(tokens: list[str], value: Mapping[str, bool]) -> bool:
    rest = list(reversed(tokens))

    def peek() -> str:
        return rest[-1] if rest else ""

    def factor() -> bool:
        token = rest.pop()
        if token == "!":
            result = not factor()
        elif token == "(":
            result = any_of()
            rest.pop()
        else:
            result = {"0": False, "1": True, **value}[token]
        while peek() == "'":
            rest.pop()
            result = not result
        return result

    def chain(operand: Callable[[], bool], signs: str, combine: Callable[[bool, bool], bool]) -> bool:
        result = operand()
        while peek() and peek() in signs:
            rest.pop()
            result = combine(result, operand())
        return result

    def xor() -> bool:
        return chain(factor, "^", lambda a, b: a != b)

    def all_of() -> bool:
        result = xor()
        while peek() and peek() not in "|+)":
            if peek() in "&*":
                rest.pop()
            result = xor() and result
        return result

    def any_of() -> bool:
        return chain(all_of, "|+", lambda a, b: a or b)

    return any_of()


_SUM = tuple(sum(row) % 2 == 1 for row in itertools.product((0, 1), repeat=3))
_CARRY = tuple(sum(row) >= 2 for row in itertools.product((0, 1), repeat=3))
