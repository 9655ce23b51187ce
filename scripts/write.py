"""``xnorforge write``: text by the emitted Verilog and by the golden function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from model import writing
from model.bundle import alphabet as alphabet_of
from rtl.weight_memory import WeightStorage
from scripts.console import (
    BundlePath,
    DatapathOption,
    Json,
    Pe,
    Simd,
    Weights,
    built_as,
    command,
    emit_json,
    err,
    open_bundle,
    out,
    table,
)
from sim.compare import as_dict
from sim.network import Feedback
from sim.network import simulate as run
from sim.simulators import choose
from synth.liberty import find_liberty


@command
def write(
    bundle: BundlePath,
    prompt: Annotated[str, typer.Option(help="What the text begins with.")],
    symbols: Annotated[int, typer.Option(help="How many are written behind it.")] = 200,
    temperature: Annotated[
        float, typer.Option(help="0: the likeliest symbol each time; else drawn, the wilder the higher.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of what is drawn, and of the stalls.")] = 0,
    simulator: Annotated[str | None, typer.Option(help="icarus or verilator; what is there if not given.")] = None,
    stall: Annotated[float, typer.Option(min=0, max=0.95, help="Probability that a stream waits, each cycle.")] = 0.0,
    weights: Weights = None,
    pe: Pe = None,
    simd: Simd = None,
    datapath: DatapathOption = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Work folder; RUN/writing-SIMULATOR if not given.")
    ] = None,
    json: Json = False,
) -> None:
    """Let the Verilog of a network of a text write, and compare it with the golden function, which writes by itself.

    Each is given the prompt, then the symbols that are chosen by its own logits. Every named value is compared. Exits
    with status 1 if anything differs, and says where first.

    Example: xnorforge write runs/text/bundle --prompt "ROMEO:" --symbols 200 --temperature 0.5
    """
    loaded, schedule = open_bundle(bundle, pe, simd, datapath, find_liberty())
    chosen, alphabet, known = choose(simulator), alphabet_of(loaded), loaded.design.symbols or ""
    asked = writing.Writing(prompt=writing.encode(prompt, known), count=symbols, temperature=temperature, seed=seed)
    golden = writing.write(loaded.network, loaded.weights, alphabet, asked)
    folder = out_folder or bundle.resolve().parent / f"writing-{chosen}"
    what = f"{chosen}: {asked.steps} steps"
    with err.status(f"{what}, building") as status:
        result = run(
            schedule,
            loaded.weights,
            alphabet[None, list(golden[:-1])],
            folder=folder,
            simulator=chosen,
            storage=weights or WeightStorage.ROM,
            stall=stall,
            seed=seed,
            on_progress=lambda done: status.update(f"{what}, {done} done"),
            feedback=Feedback(writing=asked, alphabet=alphabet),
        )
    assert result.written is not None
    written = {"rtl": result.written, "golden": np.array(golden[len(asked.prompt) :])}
    wrong = np.flatnonzero(written["rtl"] != written["golden"])
    texts = {name: "".join(known[k] if k >= 0 else "\ufffd" for k in each) for name, each in written.items()}
    spent = np.unique(np.diff(result.result_cycles[len(asked.prompt) - 1 :])).tolist()
    figures = {
        "prompt": prompt,
        **{f"text_{name}": text for name, text in texts.items()},
        "symbols": symbols,
        "symbols_differing": len(wrong),
        "compared": result.compared,
        "differing": result.differing,
        "first_difference": as_dict(result.first_difference),
        "cycles": result.cycles,
        "cycles_per_symbol": spent[0] if len(spent) == 1 else None,
        "cycles_per_symbol_predicted": schedule.feedback_cycles,
        "seconds": round(result.total_s, 2),
        "simulator": chosen,
        "folder": str(folder),
    }
    if json:
        emit_json(figures)
    else:
        for name, title in (("golden", "Golden model"), ("rtl", "RTL")):
            out.print(f"[bold]{title}[/]")
            out.print(prompt + texts[name], soft_wrap=True, markup=False)
            out.print()
        table(
            f"Written with {chosen}: {built_as(schedule)}",
            [
                ("symbols", f"{symbols} behind {len(prompt)} of the prompt"),
                ("symbols differing", len(wrong)),
                ("values compared", f"{result.compared:,}"),
                ("values differing", f"{result.differing:,}"),
                ("cycles", f"{result.cycles:,}"),
                (
                    "cycles a symbol",
                    f"{figures['cycles_per_symbol'] or 'varying'}; by the formula {schedule.feedback_cycles}",
                ),
                ("time", f"{result.total_s:.0f} s"),
                ("logs and vectors", folder),
            ],
        )
        if len(wrong):
            place = int(wrong[0])
            here = {name: text[place] for name, text in texts.items()}
            message = f"First symbol that differs: number {place}, expected {here['golden']!r}, got {here['rtl']!r}"
            out.print(message, soft_wrap=True, markup=False)
        if result.first_difference:
            out.print(f"First difference: {result.first_difference}", soft_wrap=True, markup=False)
    if result.differing or len(wrong):
        raise typer.Exit(1)
