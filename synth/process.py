"""Run one program within a time budget, and leave nothing of it behind."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synth.errors import TimeLimitError


@dataclass(frozen=True, kw_only=True)
class Budget:
    """`limit_s` seconds that start now and are shared by all programs of one task."""

    limit_s: float
    task: str = "Synthesis"
    start: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        return time.monotonic() - self.start

    def left(self) -> float:
        return max(0.0, self.limit_s - self.elapsed())


def run_program(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    budget: Budget,
    doing: Callable[[], str],
    on_line: Callable[[str], None],
) -> int:
    """Run `command`, give every line it prints (stdout and stderr) to `on_line`, and return its exit status.

    `doing` names the step it is at.  When the budget is used up, or an exception (Ctrl-C too) passes through
    here, the program and everything it started are killed.  Raises SynthError for the used-up budget.
    """
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # A session of its own makes the program the head of a process group, so that ABC dies with Yosys.
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    assert process.stdout is not None
    output = process.stdout

    def read() -> None:
        for line in output:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while (line := lines.get(timeout=budget.left())) is not None:
            on_line(line)
        return process.wait(timeout=budget.left())
    except (queue.Empty, subprocess.TimeoutExpired):
        late = f"still {doing()} after {budget.elapsed():.1f} s"
        raise TimeLimitError(f"{budget.task} must finish within {budget.limit_s:g} s, not be {late}") from None
    finally:
        # After a good end the group is empty, unless the program left something behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()
        output.close()
