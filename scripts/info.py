"""``xnorforge info``: what is in a bundle."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from model.bundle import Bundle
from model.saturations import nodes, saturations
from model.spec import LstmSpec
from model.workflow import OPERATIONS, describe
from scripts.console import BundlePath, Json, built_as, command, emit_json, open_bundle, percent, suggest, table


def saturating(loaded: Bundle, count: int) -> dict[str, list[dict[str, Any]]]:
    """Of each sum of each layer, level by level: saturations, nodes, and saturations of each hidden unit."""
    samples = loaded.samples[:count]
    passes = len(samples) * samples.shape[1]
    found = {}
    for name, counts in saturations(loaded.network, loaded.weights, samples).items():
        lstm = loaded.network.layers[int(name.rpartition("_l")[2])]
        assert isinstance(lstm, LstmSpec)
        of_levels = zip(counts, nodes(lstm, name[0]), strict=True)
        found[name] = [
            {
                "saturated": int(level.sum()),
                "nodes": each * level.size * passes,
                "units": level.sum(0).tolist(),
            }
            for level, each in of_levels
        ]
    return found


def metric(name: str, value: float) -> tuple[str, str]:
    """A figure of training, for people."""
    kind = name.replace("_", ", ")
    return (kind, f"{value:.3f} a character") if name.endswith("_bits") else (kind, percent(value))


@command
def info(
    bundle: BundlePath,
    count: Annotated[
        int, typer.Option("--saturations", min=0, help="Count saturating adders over so many test samples.")
    ] = 0,
    json: Json = False,
) -> None:
    """Show sizes, formats, memory bits and operations of a network.

    Example: xnorforge info runs/digits/bundle
    """
    loaded, schedule = open_bundle(bundle)
    about = describe(loaded)
    if count:
        about["saturations"] = saturating(loaded, count)
    if json:
        return emit_json(about)
    cycles = schedule.result_cycles(about["steps"], about["test_sequences"])
    bits = "".join(f", weights of {each} bits" for each in about["bits_of_a_weight"])
    kinds = [kind for kind in OPERATIONS if about[f"{kind}_per_step"] or kind in ("xnor_operations", "multiplications")]
    each, seed = about["pool"] == "each", about["settings"].get("seed")
    sizes = " -> ".join(map(str, (about["features"], *about["hidden"])))
    table(
        f"Bundle {bundle}",
        [
            (
                "network",
                f"{about['kind']} {sizes}, dense -> {about['classes']} on "
                f"{about['pool'] if each else 'the ' + about['pool']} "
                f"hidden state, {about['family']} ({about['activation_levels']},{about['weight_levels']}){bits}",
            ),
            *([("symbols", repr(about["symbols"]))] if about["symbols"] else []),
            ("trained on", about["data"] + (f", seed {seed}" if seed is not None else "")),
            *(metric(name, value) for name, value in about["metrics"].items()),
            ("built as", built_as(schedule)),
            ("cycles a step", schedule.step_cycles),
            (
                "cycles a sequence",
                f"{schedule.sequence_cycles(about['steps'])} of {about['steps']} steps; "
                f"{cycles[-1]:,} for all that follow at once",
            ),
            *((f"{kind.replace('_', ' ')} a step", f"{about[f'{kind}_per_step']:,}") for kind in kinds),
            ("test samples", f"{about['test_sequences']} sequences"),
        ],
    )
    table(
        "Memory (bits)",
        [
            *((f"weights {name}", f"{bits:>9,}") for name, bits in about["weight_bits"].items()),
            *((f"state {name}", f"{bits:>9,}") for name, bits in about["state_bits"].items()),
        ],
    )
    table(
        "Formats (s signed, u unsigned; width.fraction bits)",
        [
            *((k, v if isinstance(v, str) else ", ".join(v)) for k, v in about["formats"].items()),
            *(("sums", text) for text in dict.fromkeys(str(lstm.sums) for lstm in schedule.network.lstms if lstm.sums)),
        ],
    )
    table(
        "Scaling factors",
        [
            (name, "   ".join(" ".join(f"{v:.6g}" for v in row) for row in rows))
            for name, rows in about["factors"].items()
        ]
        or [("none", "nothing is binarized")],
    )
    if steps := about["weight_steps"]:
        table("Steps", [(name, " ".join(f"{step:.6g}" for step in each)) for name, each in steps.items()])
    if count:
        table(
            f"Saturating nodes, of {min(count, about['test_sequences'])} test samples (levels from the summands on)",
            [
                (name, "   ".join(f"{level['saturated']:,} of {level['nodes']:,}" for level in levels))
                for name, levels in about["saturations"].items()
            ]
            or [("none", "every sum is exact")],
        )
    suggest("simulate", bundle)
