"""What all commands share: tables, progress, JSON, and errors as one sentence."""

from __future__ import annotations

import functools
import json
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from model import bundle as bundles
from model.spec import Folding, Schedule
from rtl.weight_memory import WeightStorage
from sim.simulators import SimulationError
from synth.errors import SynthError

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

BundlePath = Annotated[Path, typer.Argument(help="Bundle of a trained network.")]
BundleOrUnit = Annotated[Path | None, typer.Argument(help="Bundle of a trained network.")]
UnitName = Annotated[str | None, typer.Option(help="Name of a unit instead; see xnorforge units.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Pe = Annotated[int | None, typer.Option(help="Hidden units at once; the bundle's choice if not given.")]
Simd = Annotated[int | None, typer.Option(help="Inputs a unit takes a cycle; the bundle's choice if not given.")]
Weights = Annotated[
    WeightStorage,
    typer.Option(help="Where they are: in logic, in a memory in the Verilog or in files, in one to load, outside."),
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


def open_bundle(path: Path, pe: int | None = None, simd: int | None = None) -> tuple[bundles.Bundle, Schedule]:
    """A bundle, and its schedule under the folding asked for, or its own."""
    loaded = bundles.load(path)
    own = loaded.design.folding
    folding = Folding(pe=own.pe if pe is None else pe, simd=own.simd if simd is None else simd)
    return loaded, Schedule(network=loaded.network, folding=folding)


def folding_line(schedule: Schedule) -> str:
    """The folding as built."""
    return (
        f"pe {schedule.pe}, {schedule.x_lanes} + {schedule.h_lanes} inputs a cycle: "
        f"{schedule.groups} groups of units x {schedule.beats} beats"
    )


def one_of(bundle: object, unit: str | None, settings: list[str] | None, pe: int | None, simd: int | None) -> None:
    """Exactly one of BUNDLE and --unit must be given, with the options that belong to it."""
    if (bundle is None) == (unit is None):
        raise UsageError(f"Exactly one of BUNDLE and --unit must be given, not {'both' if unit else 'neither'}")
    if unit is None and settings:
        raise UsageError(f"Option --set must go with --unit, not with a bundle: {settings[0]!r}")
    if unit is not None and (pe is not None or simd is not None):
        raise UsageError(f"Options --pe and --simd must go with a bundle, not with --unit {unit!r}")
