"""The process that builds and runs one cocotb bench: ``python -m sim.cocotb_child JOB.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cocotb_tools.runner import Verilator, get_runner

from sim.simulators import public_signals


class SelectiveVerilator(Verilator):
    """Makes public only what the control file names: all else may be optimized, which builds and runs far faster."""

    def _build_command(self) -> list[list[str]]:
        return [[a for a in command if a != "--public-flat-rw"] for command in super()._build_command()]


def main(job_file: str) -> None:
    """Build ``sources`` for ``simulator`` in ``folder`` unless that is done already, then run ``bench``."""
    job = json.loads(Path(job_file).read_text())
    folder = Path(job["folder"])
    verilator = job["simulator"] == "verilator"
    runner = SelectiveVerilator() if verilator else get_runner(job["simulator"])
    sources = [*job["sources"], str(public_signals(folder, job["public"]))] if verilator else job["sources"]
    arguments = ["-Wno-fatal", "--x-assign", "0"] if verilator else ["-g2005"]
    built = folder / "built"
    runner.build(
        sources=sources,
        hdl_toplevel=job["top"],
        build_dir=folder / "build",
        always=not built.exists(),
        timescale=("1ns", "1ps"),
        waves=job["waves"],
        build_args=arguments,
        log_file=folder / "build.log",
    )
    built.touch()
    runner.test(
        test_module=job["bench"],
        hdl_toplevel=job["top"],
        hdl_toplevel_lang="verilog",
        build_dir=folder / "build",
        test_dir=folder,
        results_xml=str(folder / "results.xml"),
        extra_env={"XNORFORGE_JOB": job_file},
        waves=job["waves"],
        log_file=folder / "simulation.log",
        seed=job["seed"],
    )


if __name__ == "__main__":
    main(sys.argv[1])
