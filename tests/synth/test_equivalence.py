"""The proof of equivalence: it holds for what synthesis does to registers, and every planted fault is caught."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synth import equivalence, mapping
from synth.flow import SynthError, find_liberty, synthesize
from tests.synth import designs
from tests.synth.designs import write

OSU = find_liberty()
Module = dict[str, Any]

# Registers that synthesis merges, finds constant, finds to be complements or drops, and some that it keeps.
SAME = """\
module top (input clk, input rst, input e, input [1:0] d, output [4:0] q);
  reg [1:0] first, second;
  reg zero, inverse, unread, held;
  always @(posedge clk) begin
    first <= d;
    second <= d;
    zero <= 1'b0;
    inverse <= ~d[0];
    unread <= e ^ unread;
    if (rst) held <= 1'b1; else if (e) held <= d[1];
  end
  assign q = {held, (zero & unread) ^ inverse, first ^ second, first[1] & second[0]};
endmodule
"""
CLEARED = """\
module top (input clk, input rst_n, input d, output reg q);
  always @(posedge clk or negedge rst_n) if (!rst_n) q <= 1'b0; else q <= ~d;
endmodule
"""
UNDEFINED = """\
module top (input [1:0] s, input [3:0] x, output reg y, output z);
  always @* case (s) 0: y = x[0]; 1: y = x[1]; default: y = 1'bx; endcase
  wire nobody;
  assign z = x[{s, 1'b0}] ^ nobody;
endmodule
"""
MEMORY = """\
module top (input clk, input we, input [1:0] a, input [2:0] d, output reg [2:0] q);
  reg [2:0] words [0:3];
  always @(posedge clk) begin
    if (we) words[a] <= d;
    q <= words[a];
  end
endmodule
"""
STATES = """\
module top (input clk, input rst, input go, output busy);
  reg [1:0] state;
  always @(posedge clk)
    if (rst) state <= 0;
    else case (state)
      0: if (go) state <= 1;
      1: state <= 2;
      2: state <= go ? 3 : 0;
      default: state <= 0;
    endcase
  assign busy = state != 0;
endmodule
"""
GATED = """\
module top (input clk, input a, input b, input c, output reg q, output y);
  always @(posedge clk) q <= ~(a & b);
  assign y = ~(a | c);
endmodule
"""


def swap(old: str, new: str) -> Callable[[Module], None]:
    """Make one cell another; the pins of the generic gates have the same names."""

    def change(module: Module) -> None:
        next(cell for cell in module["cells"].values() if cell["type"] == old)["type"] = new

    return change


def swap_nets(one: str, other: str) -> Callable[[Module], None]:
    """Exchange two nets wherever a cell reads one."""

    def change(module: Module) -> None:
        (a,), (b,) = (module["netnames"][name]["bits"] for name in (one, other))
        for cell in module["cells"].values():
            for pin, (bit,) in cell["connections"].items():
                if cell["port_directions"][pin] == "input" and bit in (a, b):
                    cell["connections"][pin] = [b if bit == a else a]

    return change


def tie(pin: str, bit: str) -> Callable[[Module], None]:
    """Connect a pin of the flip-flops to a constant."""

    def change(module: Module) -> None:
        for cell in module["cells"].values():
            if cell["type"] == "DFF":
                cell["connections"][pin] = [bit]

    return change


def plant(monkeypatch: pytest.MonkeyPatch, fault: Callable[[Module], None]) -> None:
    """Put a fault into every netlist between mapping and proof."""
    write_netlist = mapping.write_netlist

    def faulty(candidate: Any, top: str, library: Any, workdir: Path, *rest: Any) -> None:
        write_netlist(candidate, top, library, workdir, *rest)
        path = workdir / "netlist.json"
        netlist = json.loads(path.read_text())
        fault(netlist["modules"][top])
        path.write_text(json.dumps(netlist))

    monkeypatch.setattr(mapping, "write_netlist", faulty)


@pytest.mark.parametrize("effort", ["area", "speed"])
@pytest.mark.parametrize("design", ["SAME", "UNDEFINED", "MEMORY", "STATES", "GATED"])
def test_what_synthesis_does_is_proven(tmp_path: Path, design: str, effort: Any) -> None:
    report = synthesize([write(tmp_path, globals()[design])], "top", effort=effort)
    assert re.match(r"proven by ABC (ifraig|cec) in ", report.equivalence)
    if design == "SAME":
        what = "5 outputs, 4 registers, 3 registers equal to others or constant, 1 without effect"
        assert report.equivalence.endswith(f" s: {what}")
    if design == "STATES":
        assert report.sequential_cells == 2


@pytest.mark.parametrize("value", ["1'b0", "1'b1"])
@pytest.mark.parametrize("library", ["clear", "osu"])
def test_asynchronous_resets_are_proven(tmp_path: Path, library: str, value: str) -> None:
    """A library with a clear only holds the complement of what is to be set."""
    if library == "osu" and OSU is None:
        pytest.skip("the OSU library is not installed (apt-get install qflow-tech-osu018)")
    liberty = OSU if library == "osu" else designs.resettable_generic(tmp_path)
    text = CLEARED.replace("q <= 1'b0", f"q <= {value}")
    assert value in text
    report = synthesize([write(tmp_path, text)], "top", liberty=liberty)
    assert report.sequential_cells == 1
    assert "1 registers" in report.equivalence


FAULTS = [
    (designs.NAND, swap("NAND2", "NOR2"), "output 'y'"),
    (designs.PARITY, swap("XOR2", "XNOR2"), "output 'y'"),
    (designs.ADDER, swap_nets("a[1]", "b[2]"), r"output 'y\[\d\]'"),
    (GATED, swap("NOR2", "NAND2"), "output 'y'"),
    (GATED, swap("NAND2", "NOR2"), "register 'q'"),
    (GATED, tie("CK", "1"), "the clock of register 'q'"),
    (SAME, tie("D", "0"), r"register '\w+(\[\d\])?'"),
    (designs.COUNTER, swap_nets("count[0]", "count[1]"), r"(register|output) 'count\[\d\]'"),
]


@pytest.mark.parametrize(("text", "fault", "where"), FAULTS)
def test_a_planted_fault_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, fault: Callable[[Module], None], where: str
) -> None:
    plant(monkeypatch, fault)
    with pytest.raises(SynthError, match=f"^Netlist must do what the Verilog says, not differ from it in {where}$"):
        synthesize([write(tmp_path, text)], "top")


def test_a_lost_reset_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = designs.resettable_generic(tmp_path)
    plant(monkeypatch, tie("RN", "1"))
    with pytest.raises(SynthError, match=r"not differ from it in (the reset of )?register 'q'$"):
        synthesize([write(tmp_path, CLEARED)], "top", liberty=library)


def test_a_register_from_nowhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(module: Module) -> None:
        module["cells"]["stranger"] = module["cells"].pop(
            next(name for name, cell in module["cells"].items() if cell["type"] == "DFF")
        )

    plant(monkeypatch, rename)
    with pytest.raises(SynthError, match=r"^Registers of the netlist must come from the source, not like 'stranger'$"):
        synthesize([write(tmp_path, GATED)], "top")


def test_registers_that_are_taken_for_equal_must_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a wrong register merged, the induction would fail."""
    find = equivalence._find

    def wrong(source: str, labels: Any, bits: Any, drivers: Any) -> Any:
        other = [label.replace("zero", "held") for label in labels]
        return find(source, other, bits, drivers)

    monkeypatch.setattr(equivalence, "_find", wrong)
    with pytest.raises(SynthError, match=r"not differ from it in register '(zero|held)'$"):
        synthesize([write(tmp_path, SAME)], "top")


def test_used_up_time_says_that_it_was_proving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Instead of a proof, something that takes longer than there is time.
    program = write(tmp_path, "#!/bin/sh\nsleep 60\n", "abc")
    program.chmod(0o755)
    monkeypatch.setattr(equivalence, "abc_program", lambda: program)
    message = r"^Synthesis must finish within 4 s, not be still proving the netlist equivalent to the Verilog after 4"
    work = tmp_path / "work"
    with pytest.raises(SynthError, match=message):
        synthesize([write(tmp_path, designs.NAND)], "top", timeout_s=4, workdir=work)
    # The log says how far it came; a netlist that is not proven is none.
    assert (work / "yosys.log").exists()
    assert not list(work.glob("*netlist*")) + list(work.glob("*mapped*"))


def test_a_proof_that_fails_to_run_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = write(tmp_path, "#!/bin/sh\necho Networks are UNDECIDED.\n", "abc")
    program.chmod(0o755)
    monkeypatch.setattr(equivalence, "abc_program", lambda: program)
    with pytest.raises(SynthError, match=r"^Netlist must be proven equivalent to the Verilog, not left open by ABC"):
        synthesize([write(tmp_path, designs.NAND)], "top")
