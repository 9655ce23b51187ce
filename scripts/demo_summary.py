"""The last page of ``scripts/demo``: one table from the JSON of its steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scripts.console import out, percent, table


def main(run: Path, seconds: int) -> None:
    """Read ``run/*.json`` and print what was reached."""
    train, generate, simulate, synth, rom = (
        json.loads((run / f"{step}.json").read_text()) for step in ("train", "generate", "simulate", "synth", "rom")
    )
    delay = "not measured" if synth["delay"] is None else f"{synth['delay']:.2f} {synth['delay_unit']}"
    sequences = simulate["sequences"]
    table(
        "From data to checked hardware",
        [
            (
                "accuracy, float LSTM",
                f"{percent(train['accuracy_float'])} of {train['split_sizes']['test']} test digits",
            ),
            (
                "accuracy, golden model",
                f"{percent(train['accuracy_golden'])} of {train['split_sizes']['test']} test digits",
            ),
            ("", f"{percent(simulate['accuracy_golden'])} of the {sequences} that were simulated"),
            ("accuracy, RTL", f"{percent(simulate['accuracy_rtl'])} of the same {sequences}"),
            (
                "values compared",
                f"{simulate['compared']:,} ({simulate['simulator']}), {simulate['differing']} differing",
            ),
            ("area", f"{synth['area']:,.0f} {synth['area_unit']} ({synth['library']}), ROMs not included"),
            ("weight ROM", f"{synth['rom_bits']:,} bits"),
            ("logic depth", f"{synth['depth']} two-input gates"),
            ("critical path", f"{delay} ({synth['delay_source'] or 'no timing tool'})"),
            ("cycles", f"{simulate['cycles_per_step']} a step, {simulate['cycles_per_sequence']} a sequence"),
            *(("Verilog", name) for name in generate["files"]),
            ("ROM images", f"{Path(rom['files'][0]).parent} ({len(rom['files'])} files)"),
            ("simulation", simulate["folder"]),
            ("time", f"{seconds} s"),
        ],
    )
    for note in synth["notes"]:
        out.print(f"Note: {note}", soft_wrap=True, markup=False)
    out.print(f"Next: .venv/bin/xnorforge info {run}/bundle", soft_wrap=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
