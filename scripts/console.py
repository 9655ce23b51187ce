"""What all commands share: tables, progress, JSON, and errors as one sentence."""

from __future__ import annotations

import functools
import json
import shlex
import signal
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from model import bundle as bundles
from model.spec import Datapath, Folding, LstmSchedule, NetworkSpec, Schedule
from rtl.weight_memory import WeightStorage
from sim.simulators import SimulationError
from synth.datapath import areas, measure, smallest
from synth.errors import SynthError
from synth.liberty import find_liberty
from synth.report import SynthReport

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

BundlePath = Annotated[Path, typer.Argument(help="Bundle of a trained network.")]
BundleOrUnit = Annotated[Path | None, typer.Argument(help="Bundle of a trained network.")]
UnitName = Annotated[str | None, typer.Option(help="Name of a unit instead; see xnorforge units.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Pe = Annotated[int | None, typer.Option(help="Hidden units at once; the bundle's choice if not given.")]
Simd = Annotated[int | None, typer.Option(help="Inputs a unit takes a cycle; the bundle's choice if not given.")]
Weights = Annotated[
    WeightStorage | None,
    typer.Option(
        help="Where they are: in logic, in a memory in the Verilog or in files, in one to load, outside.",
        show_default="rom; of synth external",
    ),
]

Counters = Annotated[
    bool, typer.Option("--counters", help="Counters of saturating adders, on ports saturations__x_l0 and so on.")
]


class DatapathChoice(StrEnum):
    """A datapath, or the smallest one by synthesis."""

    ARITHMETIC = Datapath.ARITHMETIC.value
    THRESHOLD = Datapath.THRESHOLD.value
    TABLE = Datapath.TABLE.value
    AUTO = "auto"


DatapathOption = Annotated[
    DatapathChoice | None,
    typer.Option("--datapath", help="What is built behind z; auto: the smallest. The bundle's choice if not given."),
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Parameter of the unit, such as n=128; repeatable.")]

#: A bad value of any kind (bundle, data, training, registry, usage), a failing tool, a failing file.
EXPECTED = (ValueError, SimulationError, SynthError, OSError)


class UsageError(ValueError):
    """A combination of options that makes no sense; one sentence."""


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn expected errors into one sentence and exit status 1, and Ctrl-C or SIGTERM into 130."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        # By default it would end this process and leave the programs that it has started.
        signal.signal(signal.SIGTERM, stop)
        try:
            return function(*args, **kwargs)
        except EXPECTED as error:
            sentence = " ".join(str(error).split())
            err.print(f"[bold red]error:[/] {escape(sentence)}", soft_wrap=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            err.print("stopped")
            raise typer.Exit(130) from None

    return wrapped


def emit_json(result: dict[str, Any]) -> None:
    """The one object on standard output."""
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")


def table(title: str, rows: Iterable[tuple[str, object]]) -> None:
    """Aligned names and values."""
    out.print(f"[bold]{escape(title)}[/]", soft_wrap=True)
    grid = Table(show_header=False, box=None, pad_edge=False)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(f"  {escape(name)}", escape(str(value)))
    out.print(grid)


def percent(share: float) -> str:
    """An accuracy for people."""
    return f"{100 * share:.2f} %"


def open_bundle(
    path: Path,
    pe: int | None = None,
    simd: int | None = None,
    datapath: DatapathChoice | None = None,
    liberty: Path | None = None,
) -> tuple[bundles.Bundle, Schedule]:
    """A bundle, and its schedule under the folding and datapath asked for, or its own; ``liberty`` is for auto."""
    loaded = bundles.load(path)
    own = loaded.design.folding
    folding = Folding(pe=own.pe if pe is None else pe, simd=own.simd if simd is None else simd)
    chosen = loaded.design.datapath if datapath is None else resolve(datapath, loaded.network, liberty)
    return loaded, Schedule(network=loaded.network, folding=folding, datapath=chosen)


def resolve(choice: DatapathChoice, network: NetworkSpec, liberty: Path | None) -> Datapath:
    """The datapath that is meant; ``auto`` synthesizes each, and says on standard error what it found."""
    if choice is not DatapathChoice.AUTO:
        return Datapath(choice.value)
    if not network.lstms:  # others have no choice
        return Datapath.ARITHMETIC
    with err.status("auto") as status:
        layers = [measure(lstm, liberty=liberty, progress=status.update) for lstm in network.lstms]
    found = areas(layers)
    chosen, unit = smallest(found), next(iter(layers[0].values()))
    listed = ", ".join(f"{path} {area:,.1f}" for path, area in found.items())
    each = "a hidden unit" if len(layers) == 1 else "a hidden unit of each layer"
    err.print(f"Datapath {chosen} is the smallest: {listed} {unit.area_unit} {each} ({unit.library})")
    return chosen


def library_of(liberty: Path | None) -> Path:
    """The Liberty file that is given, else the OSU 0.18 um library, for what generic gates do not do."""
    library = liberty or find_liberty()
    if library is None:
        raise UsageError("A Liberty file must be given with --liberty, because OSU 0.18 um is not installed")
    return library


def delay_of(report: SynthReport) -> float:
    """The delay of a netlist, for a benchmark that has no use for one that is not timed."""
    if report.delay is None:
        raise UsageError(report.note or "Timing must be there for this benchmark")
    return report.delay


def goal_of(goal: str | float) -> tuple[str, dict[str, Any]]:
    """What a benchmark calls a goal, an effort or a delay in ns, and the arguments of synthesis for it."""
    return (goal, {"effort": goal}) if isinstance(goal, str) else (f"at most {goal:g} ns", {"delay": goal})


def built_as(schedule: Schedule) -> str:
    """Folding and datapath as built."""
    layers = "; ".join(
        f"pe {s.pe}, {s.x_lanes}{f' + {s.h_lanes}' if isinstance(s, LstmSchedule) else ''} inputs a cycle: "
        f"{s.groups} groups of units x {s.beats} beats"
        for s in schedule.layers
    )
    return f"{layers}, datapath {schedule.datapath}"


def one_of(bundle: object, unit: str | None, settings: list[str] | None, *of_bundle: object) -> None:
    """Exactly one of BUNDLE and --unit must be given, with the options that belong to it."""
    if (bundle is None) == (unit is None):
        raise UsageError(f"Exactly one of BUNDLE and --unit must be given, not {'both' if unit else 'neither'}")
    if unit is None and settings:
        raise UsageError(f"Option --set must go with --unit, not with a bundle: {settings[0]!r}")
    if unit is not None and any(option is not None and option is not False for option in of_bundle):
        raise UsageError(
            "Options --pe, --simd, --datapath, --weights and --counters must go with a bundle, "
            f"not with --unit {unit!r}"
        )


def suggest(name: str, bundle: object = None, **options: object) -> None:
    """Print the next command as it is typed in a shell, with each option that was given.

    None and False say that it was not; True stands for an option without a value, a list for one that is repeated.
    """
    words = [name] if bundle is None else [name, str(bundle)]
    for option, value in options.items():
        if value is True:
            words.append(f"--{option}")
        elif value is not None and value is not False:
            for each in value if isinstance(value, list) else [value]:
                words += [f"--{option}", str(each)]
    out.print(f"Next: xnorforge {shlex.join(words)}", soft_wrap=True, markup=False)
