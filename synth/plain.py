"""Synthesis as the defaults of Yosys and ABC have it: what a benchmark compares our flow with."""

import math
import tempfile
from pathlib import Path

from synth import sta
from synth.errors import SynthError
from synth.liberty import load_library
from synth.netlist import Netlist
from synth.plan import Step
from synth.process import Budget
from synth.yosys import run_plan


def synthesize_plainly(verilog: str, top: str, liberty: Path, *, timeout_s: float = 1200) -> tuple[float, float]:
    """Area (um2) and delay (ns) of combinational module `top` by `synth; abc -liberty`.

    Raises SynthError without OpenSTA, for a failing tool and a used-up time.
    """
    program = sta.find_sta()
    if program is None:
        raise SynthError(f"Timing must have OpenSTA, which is not installed: {sta.INSTALL}")
    with tempfile.TemporaryDirectory(prefix="xnorforge-plain-") as folder:
        workdir, budget = Path(folder), Budget(limit_s=timeout_s)
        library = load_library(liberty, workdir)
        (workdir / "plain.v").write_text(verilog)
        commands = [
            "read_verilog plain.v",
            f"synth -flatten -top {top}",
            f"abc -liberty {library.path.name}",
            "splitnets -ports",
            "opt_clean -purge",
            f"read_liberty -lib -ignore_miss_func {library.path.name}",
            "write_json netlist.json",
            "write_verilog -noattr -noexpr -nohex -nodec -simple-lhs netlist.v",
        ]
        run_plan([Step(doing="synthesizing by default", commands=commands)], workdir, budget, lambda _: None)
        netlist = Netlist(workdir / "netlist.json", top)
        timing = sta.time_netlist(program, "netlist.v", netlist, top, library, None, workdir, budget, lambda _: None)
        return math.fsum(library.cells[gate.type].area for gate in netlist.gates), timing.delay
