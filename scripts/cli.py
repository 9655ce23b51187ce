"""``xnorforge``: all subcommands."""

from __future__ import annotations

import typer

from scripts.check import check
from scripts.generate import generate
from scripts.info import info
from scripts.quantize import quantize
from scripts.retrain import retrain
from scripts.rom import rom
from scripts.simulate import simulate
from scripts.synth import synth
from scripts.table import tables
from scripts.train import train
from scripts.units import units
from scripts.write import write

app = typer.Typer(
    name="xnorforge",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Low-bit recurrent networks from training to checked hardware. Begin with: xnorforge train --data digits",
)
for subcommand in (train, generate, simulate, write, synth, rom, info, units, quantize, retrain, check):
    app.command()(subcommand)
app.add_typer(tables, name="table")


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
