"""Training speed of LSTMs for hardware: ratios to ``torch.nn.LSTM`` of the same shape, with peers, in one run.

Example: python -m scripts.bench_training --json
MLB is MuBiNN2; B_LSTM has words as gates, c and h. Peers: the plain loop of autograd operations (what the fused pass
replaces) and, if installed (pip install -c constraints.txt -e '.[bench]'), the QuantLSTM of Brevitas with 3-bit weights
and activations.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import torch
import typer
from rich.table import Table
from torch import Tensor, nn

from model import cell, layers
from model.family import Family
from model.fused import fused_lstm
from model.spec import Pool
from scripts.console import Json, command, emit_json, err, out


def seconds_per_step(step: Callable[[], Tensor], repeats: int) -> list[float]:
    """Forward and backward of ``step``, after two warm-up rounds."""
    times = []
    for round_number in range(repeats + 2):
        start = time.perf_counter()
        step().sum().backward()
        if round_number >= 2:
            times.append(time.perf_counter() - start)
    return times


def brevitas_lstm(features: int, hidden: int) -> nn.Module | None:
    """Brevitas' QuantLSTM at 3 bits; None if it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from brevitas.nn import QuantLSTM  # type: ignore[import-not-found]
            from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerTensorFloat  # type: ignore[import-not-found]
    except ImportError:
        return None
    parts = ("weight", "io", "sigmoid", "tanh", "cell_state")
    settings: dict[str, Any] = {f"{part}_bit_width": 3 for part in parts}
    settings |= {"weight_quant": Int8WeightPerTensorFloat, "io_quant": Int8ActPerTensorFloat}
    return QuantLSTM(features, hidden, **settings)


@command
def main(
    batch: Annotated[int, typer.Option(min=1)] = 32,
    steps: Annotated[int, typer.Option(min=1)] = 200,
    features: Annotated[int, typer.Option(min=1)] = 32,
    hidden: Annotated[int, typer.Option(min=1)] = 100,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds; the median counts.")] = 7,
    threads: Annotated[int, typer.Option(min=1, help="Threads of every candidate.")] = 1,
    json: Json = False,
) -> None:
    """Median time of one forward and backward pass of each LSTM, and its ratio to nn.LSTM."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    x = torch.randn(batch, steps, features)
    time_first = x.transpose(0, 1).contiguous()
    reference = nn.LSTM(features, hidden)

    def network(family: Family, levels: int) -> layers.HardwareNetwork:
        return layers.HardwareNetwork(
            features=features,
            hidden=hidden,
            classes=2,
            activation_levels=levels,
            weight_levels=levels,
            pool=Pool.MEAN,
            max_steps=steps,
            family=family,
        )

    def plain_states(*arguments: Any) -> Tensor:
        return cell.plain_lstm(*arguments)["h"]

    candidates: dict[str, Callable[[], Tensor]] = {"torch.nn.LSTM": lambda: reference(time_first)[0]}
    networks = {"MLB (3,3)": network(Family.MUBINN2, 3), "B_LSTM": network(Family.B_LSTM, 1)}
    for function, way in ((fused_lstm, "fused"), (plain_states, "plain autograd loop")):
        for name, mlb in networks.items():
            candidates[f"{name}, {way}"] = partial(mlb.hidden_states, x, function)
    if quant := brevitas_lstm(features, hidden):
        candidates["Brevitas QuantLSTM, 3 bits"] = lambda: quant(time_first)[0]
    results = {}
    for name, step in candidates.items():
        err.print(f"timing {name}")
        slow = "plain" in name or "Brevitas" in name
        results[name] = statistics.median(seconds_per_step(step, max(3, repeats // 2) if slow else repeats))
    base = results["torch.nn.LSTM"]
    cases = [{"name": n, "seconds": t, "ratio": t / base} for n, t in results.items()]
    if json:
        return emit_json(
            {"batch": batch, "steps": steps, "features": features, "hidden": hidden, "threads": threads, "cases": cases}
        )
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("forward + backward", "ms", "ratio to nn.LSTM"):
        grid.add_column(heading, justify="left" if heading.startswith("forward") else "right")
    for name, t in results.items():
        grid.add_row(name, f"{1000 * t:.1f}", f"{t / base:.2f}")
    out.print(f"batch {batch}, {steps} steps, {features} features, {hidden} hidden, {threads} thread(s), seed 0")
    out.print(grid)


if __name__ == "__main__":
    typer.run(main)
