"""``xnorforge info``: what is in a bundle."""

from __future__ import annotations

from model.workflow import OPERATIONS, describe
from scripts.console import BundlePath, Json, built_as, command, emit_json, open_bundle, out, percent, table


@command
def info(bundle: BundlePath, json: Json = False) -> None:
    """Show sizes, formats, memory bits and operations of a network.

    Example: xnorforge info runs/digits/bundle
    """
    loaded, schedule = open_bundle(bundle)
    about = describe(loaded)
    if json:
        return emit_json(about)
    cycles = schedule.result_cycles(about["steps"], about["test_sequences"])
    bits = "".join(f", weights of {each} bits" for each in about["bits_of_a_weight"])
    kinds = [kind for kind in OPERATIONS if about[f"{kind}_per_step"] or kind in ("xnor_operations", "multiplications")]
    sizes = " -> ".join(map(str, (about["features"], *about["hidden"])))
    table(
        f"Bundle {bundle}",
        [
            (
                "network",
                f"LSTM {sizes}, dense -> {about['classes']} on the {about['pool']} "
                f"hidden state, {about['family']} ({about['activation_levels']},{about['weight_levels']}){bits}",
            ),
            ("trained on", f"{about['data']}, seed {about['settings']['seed']}"),
            *((name.replace("_", ", "), percent(value)) for name, value in about["metrics"].items()),
            ("built as", built_as(schedule)),
            ("cycles a step", schedule.step_cycles),
            ("cycles a sequence", f"{cycles[0]} of {about['steps']} steps; {cycles[-1]:,} for all that follow at once"),
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
        [(k, v if isinstance(v, str) else ", ".join(v)) for k, v in about["formats"].items()],
    )
    table(
        "Scaling factors",
        [
            (name, "   ".join(" ".join(f"{v:.6g}" for v in row) for row in rows))
            for name, rows in about["factors"].items()
        ]
        or [("none", "nothing is binarized")],
    )
    if about["weight_steps"]:
        table(
            "Steps",
            [(name, " ".join(f"{step:.6g}" for step in steps)) for name, steps in about["weight_steps"].items()],
        )
    out.print(f"Next: xnorforge simulate {bundle}", soft_wrap=True, markup=False)
