"""Which datapath is the smallest: the part behind the pre-activations of one hidden unit, synthesized under each.

All else in a network is the same for every datapath, and every unit has such a part.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from model.spec import Datapath, LstmSpec
from rtl.pointwise import Pointwise
from rtl.verilog import emit
from synth.abc_scripts import Effort
from synth.errors import TimeLimitError
from synth.flow import synthesize_text
from synth.report import SynthReport

TOP = "pointwise"


def measure(
    lstm: LstmSpec,
    *,
    liberty: Path | None,
    effort: Effort = "area",
    timeout_s: float = 300,
    progress: Callable[[str], None] = lambda _: None,
    cache: bool = True,
) -> dict[Datapath, SynthReport]:
    """What the part behind z costs under each datapath that can be built; arguments as in :func:`synthesize`.

    ``timeout_s`` is for each of them. One that is not done by then is left out (a table of 4 levels is large, and takes
    minutes); if none is done, that is a TimeLimitError.
    """
    reports: dict[Datapath, SynthReport] = {}
    late: TimeLimitError | None = None
    for datapath in (path for path in Datapath if path.refusal(lstm) is None):
        try:
            reports[datapath] = synthesize_text(
                emit(Pointwise(lstm, datapath), TOP),
                TOP,
                liberty=liberty,
                effort=effort,
                timeout_s=timeout_s,
                progress=lambda step, path=datapath: progress(f"datapath {path}: {step}"),
                cache=cache,
            )
        except TimeLimitError as error:
            late = error
    if late and not reports:
        raise late
    return reports


def areas(layers: Sequence[dict[Datapath, SynthReport]]) -> dict[Datapath, float]:
    """The area of a hidden unit of each layer together, under each datapath that was measured for all."""
    common = [path for path in layers[0] if all(path in reports for reports in layers)]
    return {path: sum(reports[path].area for reports in layers) for path in common}


def smallest(areas: dict[Datapath, float]) -> Datapath:
    """The datapath of the least area; the first one of those."""
    return min(areas, key=lambda path: areas[path])
