"""A program is stopped when its time is up, with everything that it started."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from synth.errors import SynthError
from synth.process import Budget, run_program

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep({sleep})
"""


def run(script: str, folder: Path, on_line: Callable[[str], None], limit_s: float = 60) -> int:
    return run_program(
        [sys.executable, "-c", script],
        cwd=folder,
        env=os.environ,
        budget=Budget(limit_s=limit_s),
        doing=lambda: "sleeping",
        on_line=on_line,
    )


def is_alive(pid: int) -> bool:
    """Whether a process runs (a killed one may still wait for its parent to notice)."""
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
        time.sleep(0.02)
    return True


def test_is_alive_can_tell() -> None:
    assert is_alive(os.getpid())


def test_output_and_status(tmp_path: Path) -> None:
    lines: list[str] = []
    script = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
    assert run(script, tmp_path, lines.append) == 3
    assert sorted(lines) == ["one", "two"]


def test_used_up_time_kills_parent_and_child(tmp_path: Path) -> None:
    lines: list[str] = []
    start = time.monotonic()
    with pytest.raises(SynthError, match=r"^Synthesis must finish within 1\.5 s, not be still sleeping after \d"):
        run(PARENT.format(sleep=60), tmp_path, lines.append, limit_s=1.5)
    assert time.monotonic() - start < 10
    assert not is_alive(int(lines[0]))


def test_an_exception_kills_the_child_too(tmp_path: Path) -> None:
    pids: list[int] = []

    def on_line(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(PARENT.format(sleep=60), tmp_path, on_line)
    assert not is_alive(pids[0])
