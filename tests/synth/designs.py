"""Small Verilog designs whose depth and cells can be counted by hand, and what the tests here share."""

from pathlib import Path

from synth.liberty import GENERIC
from synth.plan import Step
from synth.process import Budget
from synth.yosys import run_plan

NAND = "module top (input a, input b, output y); assign y = ~(a & b); endmodule\n"
INVERT = "module top (input a, output y); assign y = ~a; endmodule\n"
WIRE = "module top (input [1:0] a, output [1:0] y, output one); assign y = {a[0], a[1]}, one = 1'b1; endmodule\n"
# Three levels of XOR, and no logic computes the parity of eight bits in fewer two-input gates deep.
ONE_BIT_VECTORS = """\
module top (input clk, input [0:0] s, input [3:3] u, input t, output reg [0:0] q, output [5:5] o);
  reg [0:0] r;
  assign o = ~r;
  always @(posedge clk) begin r <= s ^ t; q <= r & u; end
endmodule
"""
PARITY = """\
module top (input [7:0] x, output y);
  assign y = ((x[0] ^ x[1]) ^ (x[2] ^ x[3])) ^ ((x[4] ^ x[5]) ^ (x[6] ^ x[7]));
endmodule
"""
ADDER = "module top (input [3:0] a, input [3:0] b, output [4:0] y); assign y = a + b; endmodule\n"
# One NAND between registers, and nothing else that is as long.
REGISTERS = """\
module top (input clk, input d, input e, output q);
  reg first, second, last;
  always @(posedge clk) begin
    first <= d;
    second <= e;
    last <= ~(first & second);
  end
  assign q = last;
endmodule
"""
# Synchronous reset to a value that is the initial value too, as Amaranth writes it.
COUNTER = """\
module top (input clk, input rst, output reg [3:0] count = 4'd5);
  always @(posedge clk) if (rst) count <= 4'd5; else count <= count + 4'd3;
endmodule
"""
TWO_CLOCKS = """\
module top (input c, input k, input d, output reg p, output reg q);
  always @(posedge c) p <= d;
  always @(posedge k) q <= d;
endmodule
"""
ENABLE = """\
module top (input clk, input e, input [399:0] d, output reg [399:0] q);
  reg turn;
  always @(posedge clk) begin turn <= e; if (turn) q <= d; end
endmodule
"""
LOOP = "module top (input a, input b, output y); wire t = y ^ a; assign y = (a & t) | b; endmodule\n"
LATCH = "module top (input e, input d, output reg q); always @* if (e) q = d; endmodule\n"
FULL_ADDERS = """\
module top (input [6:0] x, output [2:0] y);
  function [1:0] add(input a, input b, input c); add = {(a & b) | (c & (a ^ b)), a ^ b ^ c}; endfunction
  wire [1:0] p = add(x[0], x[1], x[2]), q = add(x[3], x[4], x[5]), r = add(p[0], q[0], x[6]);
  wire [1:0] s = add(p[1], q[1], r[1]);
  assign y = {s, r[0]};
endmodule
"""
# Sums of sums: here full-adder cells cost more than they save.
SUM_TREE = """\
module top (input [15:0] x, output [4:0] y);
  wire [1:0] a = x[0] + x[1], b = x[2] + x[3], c = x[4] + x[5], d = x[6] + x[7];
  wire [1:0] e = x[8] + x[9], f = x[10] + x[11], g = x[12] + x[13], h = x[14] + x[15];
  wire [2:0] i = a + b, j = c + d, k = e + f, l = g + h;
  wire [3:0] m = i + j, n = k + l;
  assign y = m + n;
endmodule
"""
MULTIPLIER = "module top (input [15:0] a, input [15:0] b, output [31:0] y); assign y = a * b; endmodule\n"


def write(folder: Path, text: str, name: str = "design.v") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def prove_equal(design: Path, netlist: Path, liberty: Path, folder: Path) -> None:
    """SAT proof that `netlist`, on the cells of `liberty`, does what module `top` of `design` does.

    Both start from zero where they have registers.  Raises YosysError where they differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    commands = [
        f'read_verilog "{design}"',
        "hierarchy -check -top top",
        "proc",
        "flatten -noscopeinfo",
        "memory",
        "setattr -unset init",
        "opt_clean",
        "splitnets -ports",
        "rename top gold",
        f'read_liberty -ignore_miss_func "{liberty}"',
        f'read_verilog "{netlist}"',
        "rename top gate",
        "flatten -noscopeinfo gate",
        "miter -equiv -flatten gold gate miter",
        "hierarchy -top miter",
        "sat -verify -tempinduct -set-init-zero -prove trigger 0 -seq 1 miter",
    ]
    run_plan([Step(doing="proving", commands=commands)], folder, Budget(limit_s=60), lambda _: None)


def resettable_generic(folder: Path) -> Path:
    """The generic library with an asynchronous clear, active low, in its only flip-flop."""
    text = GENERIC.read_text().replace('next_state : "D";', 'next_state : "D"; clear : "!RN";')
    text = text.replace("pin (CK) {", "pin (RN) { direction : input; capacitance : 0.0; }\n    pin (CK) {")
    return write(folder, text, "resettable.lib")


def renamed_generic(folder: Path) -> Path:
    """The generic library with other cell names and its own name."""
    text = GENERIC.read_text().replace("library (generic)", "library (other)").replace("cell (", "cell (MY_")
    return write(folder, text, "other.lib")
