"""What OpenSTA knows of a netlist that its energy depends on: slews, loads, leakage.

OpenSTA 2.0.17 could report power, and is not asked for it beyond leakage: `set_power_activity -pins` fails in it (it
calls a procedure that is not there), activity set on an inner pin is overwritten by its own estimate from that of the
inputs, and its internal power adds rise and fall for every change, over all conditions of a cell: 2 times the tables
of an inverter and 6 times those of the sum of a full adder.  An activity there is changes a clock period.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synth.errors import SynthError
from synth.process import Budget
from synth.sta import run_script

_SCRIPT = """\
read_liberty {library}
read_verilog netlist.v
link_design {top}
create_clock -name clock -period {period} {clock}
foreach port [all_inputs] {{
  if {{[get_property $port full_name] != "{clock_name}"}} {{ set_input_delay 0 -clock clock $port }}
}}
set_output_delay 0 -clock clock [all_outputs]
foreach pin [get_pins */*] {{
  set vertex [lindex [$pin vertices] 0]
  puts "slew [get_full_name $pin] [lindex [$vertex slews rise] 0] [lindex [$vertex slews fall] 0]"
  set net [$pin net]
  if {{[$pin is_driver] && $net != "NULL"}} {{
    set corner [sta::cmd_corner]
    puts "load [get_full_name $pin] [$net capacitance rise $corner max] [$net capacitance fall $corner max]"
  }}
}}
set_power_activity -global -activity 1 -duty 0.5
report_power -digits 8
"""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Slews (rise, fall) in s of each `cell/pin`, loads in F of each that drives a net, wires as the library has them.

    leakage: W, the mean over the states of each cell.
    switching: J, what OpenSTA has for one change of every net.
    """

    slews: Mapping[str, tuple[float, float]]
    loads: Mapping[str, float]
    leakage: float
    switching: float


def ask(
    program: str,
    top: str,
    library: Path,
    clock: str | None,
    workdir: Path,
    budget: Budget,
    progress: Callable[[str], None],
    period: float = 1000,
) -> Conditions:
    """The conditions of `netlist.v` in `workdir`, clocked by the port `clock`, if it has registers.

    period: ns; nothing depends on it.
    Raises SynthError when OpenSTA fails or its report cannot be understood.
    """
    script = _SCRIPT.format(
        library=library.name,
        top=top,
        period=period,
        clock=f"[get_ports {clock}]" if clock else "",
        clock_name=clock or "",
    )
    return parse(
        run_script(program, "energy", script, "asking OpenSTA for slews and loads", workdir, budget, progress), period
    )


def parse(lines: Sequence[str], period: float) -> Conditions:
    """What the script of :func:`ask` prints."""
    slews: dict[str, tuple[float, float]] = {}
    loads: dict[str, float] = {}
    total = None
    for line in lines:
        kind, *words = line.split() or [""]
        if kind in ("slew", "load") and len(words) == 3:
            name, rise, fall = words[0].replace("\\", ""), float(words[1]), float(words[2])
            if kind == "slew":
                slews[name] = (rise, fall)
            else:
                loads[name] = max(rise, fall)
        elif kind == "Total" and len(words) == 5:
            total = [float(word) for word in words[:4]]
    if total is None:
        raise SynthError("OpenSTA must report a total power, not what its log says")
    return Conditions(slews=slews, loads=loads, leakage=total[2], switching=total[1] * period * 1e-9)
