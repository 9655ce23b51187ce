"""What synthesis says about a design."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from synth.abc_scripts import Effort

AreaUnit = Literal["um2", "NAND2 equivalents"]
DelayUnit = Literal["ns", "gate delays"]
#: "delay": the smallest of at most a delay.
Goal = Effort | Literal["delay"]


@dataclass(frozen=True, kw_only=True)
class SynthReport:
    """What a design costs on the cells of one library.

    area: sum over the cells, in `area_unit`; wires are not in it.
    cells: how many of each cell type, most frequent first; sequential_cells: how many of them are registers.
    depth: most two-input gates on a path between ports and registers, inverters and buffers free; it does not
        depend on the library.
    delay: longest path between ports and registers, in `delay_unit`: for one between registers the smallest
        clock period, from the clock edge through the first register up to the setup time of the second.  None
        if nothing could tell, then `delay_source` is None too and `note` says why.
    effort: what it was mapped for.
    critical_path: that path as (point, cell type, arrival), start to end.  A point has the name that the
        source has for the net, otherwise cell and pin of the netlist.
    tools: version of each tool that was run.  seconds: wall-clock time of the run that made the netlist.
    equivalence: how the netlist was proven to do what the Verilog says; what is proven of designs with registers
        is said in `equivalence.py`.
    cached: whether all this was found out in an earlier run on the same input.
    notes: what else a reader should know, `note` included.
    """

    top: str
    area: float
    area_unit: AreaUnit
    cells: dict[str, int]
    sequential_cells: int
    depth: int
    delay: float | None
    delay_unit: DelayUnit
    delay_source: str | None
    critical_path: list[tuple[str, str, float]]
    library: str
    effort: Goal
    tools: dict[str, str]
    seconds: float
    equivalence: str
    cached: bool = False
    note: str | None = None
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; has the delay under `delay_ns` too, None when its unit is gate delays."""
        return {**asdict(self), "delay_ns": self.delay if self.delay_unit == "ns" else None}

    @classmethod
    def restored(cls, stored: dict[str, Any] | None) -> Self | None:
        """A report that was kept as a dictionary; None if that is not what a report is now."""
        if stored is None or set(stored) != {each.name for each in fields(cls)}:
            return None
        path = [(point, cell, arrival) for point, cell, arrival in stored["critical_path"]]
        return cls(**{**stored, "critical_path": path, "cached": True})
