"""The Yosys commands of each step from Verilog to netlists."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synth.abc_scripts import Script
from synth.liberty import Library

# For counting levels, whatever the effort and the library: choices, then the mapping with the fewest levels.
# The rewriting of `speed` is no use here, it makes few levels of ANDs and breaks up XORs on the way.
_LEVELS = "version; strash; ifraig -C 100; dch -f; map"

DEPTH = "depth"
SOURCE = "source"
ADDERS = "adders"
MAPPED = "mapped"
MAPPED_ADDERS = "mapped_adders"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is being done, for people, and the Yosys commands that do it."""

    doing: str
    commands: list[str]


READING = "reading the Verilog"
FINDING_TOP = "looking for the top module"
FINDING_FLIP_FLOPS = "looking for flip-flops in the library"
MAPPING = "mapping onto the cells"
MAPPING_ADDERS = "mapping onto the cells with adder cells"


def registers(name: str) -> str:
    """File with netlist `name` as it was before mapping: its registers have the names of all they stand for."""
    return f"{name}_registers"


def netlist_name(kind: str, number: int) -> str:
    """Netlist of the script of that number among those for adders, or not: `kind` is MAPPED_ADDERS or MAPPED."""
    return f"{kind}_{number}"


def plan(verilog: Sequence[Path], top: str, library: Library, scripts: Sequence[Script]) -> list[Step]:
    """All steps from Verilog to the netlists on gates, as NAME.json in the current folder.

    SOURCE: the Verilog as read, on gates, nothing optimized.  DEPTH: on two-input gates.  MAPPED: on the cells of the
    library, one for each script without adders.  ADDERS, where some script is for them and the library has a
    full-adder cell: not mapped yet, with a cell `full_adder`, `half_adder` or `$fa` wherever the source has an
    instance of the first two; in a design without any full adder, wherever the logic has one.
    """
    dissolve = [*(f"setattr -mod -unset keep_hierarchy @{name}" for name in _ADDERS), "flatten -noscopeinfo"]
    steps = [
        Step(doing=READING, commands=[f'read_verilog {_language(path)}"{path}"' for path in verilog]),
        Step(doing=FINDING_TOP, commands=[f"hierarchy -check -top {top}"]),
        Step(
            doing="optimizing",
            commands=[
                "proc",
                # Adders, if they are what we call so, stay what they are while all else is optimized.
                *(f"select -set {name} {_with_ports(name, ports)}" for name, ports in _ADDERS.items()),
                *(f"setattr -mod -set keep_hierarchy 1 @{name}" for name in _ADDERS),
                "flatten -noscopeinfo",
                "setattr -unset src",
                # Assertions and prints are for simulation.
                "chformal -remove",
                "delete t:$print",
                # Makes a cell of each 'z, which no library has; otherwise a 'z would pass for a don't-care.
                "tribuf",
                "memory",
                # A register of an ASIC has no value at power-up.  Those of Amaranth are reset values too, and
                # the reset is in the logic, so nothing is lost; left in, they would let Yosys assume what no
                # cell keeps.
                "setattr -unset init",
                # An 'x is a 0, so that there is one function to prove the netlist against.
                "chtype -set $shift t:$shiftx",
                "setundef -zero -undriven",
                # A name by which each register can be found again: that of its output.
                "rename -enumerate -pattern q_% t:$*ff* %co1:+[Q] w:$* %i",
                "design -save source",
                # Without alumacc an adder tree stays the tree that was written (alumacc merges a chain of + into
                # one $macc and gives it a shape of its own).  States keep their codes, so that registers can be
                # compared.
                f"synth -top {top} -noabc -noalumacc -nofsm",
                "setattr -unset init",
                "opt_clean",
            ],
        ),
        Step(doing=FINDING_FLIP_FLOPS, commands=[_flip_flops(library)]),
        Step(
            doing="optimizing",
            commands=[
                *_FINISH,
                "design -save adders",
                *dissolve,
                *_FINISH,
                "design -save ready",
                _json(registers(MAPPED)),
            ],
        ),
        Step(
            doing="counting logic levels",
            commands=[f"abc -g gates -script +{_abc(_LEVELS)}", "opt_clean", _json(DEPTH)],
        ),
        *(
            Step(doing=MAPPING, commands=["design -load ready", *_map(library, script, netlist_name(MAPPED, number))])
            for number, script in enumerate(script for script in scripts if not script.adders)
        ),
        Step(
            doing="writing the source as gates",
            commands=[
                "design -load source",
                *dissolve,
                "techmap",
                "dffunmap",
                "setattr -unset src",
                "opt_clean",
                _json(SOURCE),
            ],
        ),
    ]
    if any(script.adders for script in scripts) and library.full_adder is not None:
        looking = [
            "design -load adders",
            f"select -set plain {top} {top}/t:full_adder %m %d",
            "extract_fa -fa @plain",
            *_FINISH,
            *_write_adders(),
        ]
        steps.append(Step(doing="looking for adders", commands=looking))
    return steps


def clean_plan(library: Library) -> list[Step]:
    """ADDERS optimized, from and to the same file."""
    return [Step(doing="optimizing", commands=[*_read(library, ADDERS), *_FINISH, *_write_adders()])]


def adders_plan(library: Library, scripts: Sequence[Script]) -> list[Step]:
    """From ADDERS, with adders as cells of the library, to a netlist MAPPED_ADDERS for each script."""
    read = _read(library, ADDERS)
    commands = [*read, _json(registers(MAPPED_ADDERS)), "design -reset"]
    for number, script in enumerate(scripts):
        commands += [*read, *_map(library, script, netlist_name(MAPPED_ADDERS, number)), "design -reset"]
    return [Step(doing=MAPPING_ADDERS, commands=commands)]


def write_plan(library: Library) -> list[Step]:
    """From netlist.json to netlist.v."""
    write = "write_verilog -noattr -noexpr -nohex -nodec -simple-lhs netlist.v"
    return [Step(doing="writing the netlist", commands=[*_read(library, "netlist"), write])]


# The adders of the generators, and the ports by which we know them.
_ADDERS = {
    "full_adder": {"i": ("a", "b", "c"), "o": ("sum", "carry")},
    "half_adder": {"i": ("a", "b"), "o": ("sum", "carry")},
}
# Not `opt`: its opt_dff would undo what the registers were turned into to suit the library.
_FINISH = ["opt_expr", "opt_merge", "opt_clean", "rename -enumerate -pattern register_% t:$_*DFF*"]


def _with_ports(module: str, ports: dict[str, tuple[str, ...]]) -> str:
    """The selection of a module if it has these ports, of nothing otherwise."""
    having = [f"{module}/{kind}:{name} %m" for kind, names in ports.items() for name in names]
    return having[0] + "".join(f" {one} %i" for one in having[1:])


def _write_adders() -> list[str]:
    # The Yosys that reads this makes private names as this one did; they must not meet.  Wires and cells have names
    # of different kinds because `rename` looks among its own kind only for what is taken.
    return ["rename -enumerate -pattern _w%_ w:*", "rename -enumerate -pattern _c%_ c:*", _json(ADDERS)]


def _flip_flops(library: Library) -> str:
    if any(cell.flip_flop for cell in library.cells.values()):
        return f"dfflibmap -prepare -liberty {library.path.name}"
    return "select -assert-none t:$_*DFF*_"


def _map(library: Library, script: Script, name: str) -> list[str]:
    liberty = library.path.name
    has_flip_flop = any(cell.flip_flop for cell in library.cells.values())
    return [
        # First, because the inverters that it may need are for ABC to map.
        *([f"dfflibmap -map-only -liberty {liberty}"] if has_flip_flop else []),
        f"abc -liberty {liberty} -script +{_abc(script.text)}",
        "setundef -zero",
        # Single bits only: OpenSTA 2.0.17 rejects concatenations on the left of an assign.
        "splitnets -ports",
        "opt_clean -purge",
        # The same names in both files; not _%_, which are those of Amaranth and would meet them.
        "rename -enumerate -pattern _n%_",
        _cells(library),
        _json(name),
    ]


def _read(library: Library, name: str) -> list[str]:
    return [_cells(library), f"read_json {name}.json"]


def _cells(library: Library) -> str:
    # Cells without a body, so that the JSON file has the direction of each pin.
    ignore = "-ignore_miss_func -ignore_miss_dir -ignore_miss_data_latch -ignore_buses"
    return f"read_liberty -lib {ignore} {library.path.name}"


def _json(name: str) -> str:
    return f"write_json {name}.json"


def _language(path: Path) -> str:
    return "-sv " if path.suffix == ".sv" else ""


def _abc(script: str) -> str:
    # One token of a Yosys command: Yosys turns the commas into blanks, and cuts at a semicolon before a blank
    # only.
    return script.replace("; ", ";").replace(" ", ",")
