"""What is behind the pre-activations of one hidden unit under each datapath, through the same synthesis flow.

Example: python -m scripts.bench_datapath --liberty nangate45_typ.lib.gz --out runs/datapath
Networks of digits with 32 hidden units, trained where they are not there yet; area in um2, delay in ns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from model.data import load
from model.family import Family
from scripts.console import Json, command, emit_json, err, library_of, out
from scripts.table_accuracy import trained
from scripts.train import parse_levels
from synth.datapath import measure


@command
def main(
    levels: Annotated[list[str] | None, typer.Argument(help="Such as 3,3; 1,1 to 4,4 if not given.")] = None,
    liberty: Annotated[Path | None, typer.Option(help="Liberty file; else OSU 0.18 um.")] = None,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder of all runs.")] = Path("runs/datapath"),
    json: Json = False,
) -> None:
    """Measure every datapath at every level, and print a table."""
    library = library_of(liberty)
    torch.set_num_threads(1)
    digits, rows = load("digits"), list[dict[str, Any]]()
    for text in levels or ("1,1", "2,2", "3,3", "4,4"):
        pair = parse_levels(text, Family.MUBINN2)
        lstm = trained("digits", pair, digits, out_folder / f"digits-{pair[0]}{pair[1]}").network.lstms[0]
        with err.status(f"({text})") as status:
            reports = measure(lstm, liberty=library, timeout_s=3000, progress=status.update)
        for datapath, report in reports.items():
            figures = {"area": report.area, "depth": report.depth, "delay": report.delay, "seconds": report.seconds}
            rows.append({"levels": text, "datapath": datapath.value, **figures})
    if json:
        return emit_json({"library": str(library), "lines": rows})
    out.print("| levels | datapath | area | logic depth | delay | s |\n|---|---|---|---|---|---|", soft_wrap=True)
    for row in rows:
        delay = "-" if row["delay"] is None else f"{row['delay']:.2f}"
        figures = f"{row['area']:,.0f} | {row['depth']} | {delay} | {row['seconds']:.0f}"
        out.print(f"| ({row['levels']}) | {row['datapath']} | {figures} |", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
