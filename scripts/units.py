"""``xnorforge units``: the registry."""

from __future__ import annotations

from rich.table import Table

from scripts.console import Json, command, emit_json, out
from synth.registry import parameters, show, summary
from synth.units import UNITS


@command
def units(json: Json = False) -> None:
    """List the units that generate and synth take by name, with their parameters and defaults.

    Example: xnorforge synth --unit popcount --set n=128
    """
    if json:
        return emit_json(
            {
                "units": [
                    {
                        "name": n,
                        "summary": summary(n),
                        "parameters": {k: show(v) for k, v in parameters(n).items()},
                    }
                    for n in UNITS
                ]
            }
        )
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("unit", "what it computes", "parameters (--set name=value)"):
        grid.add_column(heading, no_wrap=heading == "unit")
    for name in UNITS:
        grid.add_row(name, summary(name), " ".join(f"{k}={show(v)}" for k, v in parameters(name).items()))
    out.print(grid)
    out.print("Next: xnorforge synth --unit popcount --set n=128")
