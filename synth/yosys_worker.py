"""Run a plan of Yosys commands; a program of its own, because Yosys ends its process at an error.

usage: python yosys_worker.py PLAN.json, a list of [what is being done, [command, ...]].  Everything that
Yosys says goes to stdout and stderr.  Lines that start with MARK are for the parent: the Yosys version, then
the number of each step when it begins.
"""

import json
import sys
from pathlib import Path

MARK = "@xnorforge@ "


def main(plan_file: str) -> None:
    # Imported here so that the parent can have MARK without loading Yosys.
    from pyosys import libyosys  # pyright: ignore[reportAttributeAccessIssue]  (a native module without stubs)

    design = libyosys.Design()
    print(MARK + libyosys.yosys_maybe_version(), flush=True)
    for number, (_, commands) in enumerate(json.loads(Path(plan_file).read_text())):
        print(f"{MARK}{number}", flush=True)
        for command in commands:
            libyosys.run_pass(command, design)


if __name__ == "__main__":
    main(sys.argv[1])
