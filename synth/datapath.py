"""Which datapath is the smallest: the part behind the pre-activations of one hidden unit, synthesized under each.

All else in a network is the same for every datapath, and every unit has such a part.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from model.spec import Datapath, LstmSpec
from rtl.pointwise import Pointwise
from rtl.verilog import emit
from synth.flow import synthesize
from synth.plan import Effort
from synth.report import SynthReport

TOP = "pointwise"


def measure(
    lstm: LstmSpec,
    *,
    liberty: Path | None,
    effort: Effort = "area",
    timeout_s: float = 1200,
    progress: Callable[[str], None] = lambda _: None,
    cache: bool = True,
) -> dict[Datapath, SynthReport]:
    """What the part behind z costs under each datapath that can be built; arguments as in :func:`synthesize`."""
    reports = {}
    for datapath in (path for path in Datapath if path.refusal(lstm) is None):
        with tempfile.TemporaryDirectory() as scratch:
            verilog = Path(scratch) / f"{TOP}.v"
            verilog.write_text(emit(Pointwise(lstm, datapath), TOP))
            reports[datapath] = synthesize(
                [verilog],
                TOP,
                liberty=liberty,
                effort=effort,
                timeout_s=timeout_s,
                progress=lambda step, path=datapath: progress(f"datapath {path}: {step}"),
                cache=cache,
            )
    return reports


def smallest(reports: dict[Datapath, SynthReport]) -> Datapath:
    """The datapath of the least area; the first one of those."""
    return min(reports, key=lambda path: reports[path].area)
