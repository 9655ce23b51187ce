"""What a 32-bit LSTM cell is made of, as one would write it: the baseline of the delay table.

The operators are Verilog's own, so that synthesis chooses their structure.
"""

ADDER = """\
module top (input signed [31:0] a, input signed [31:0] b, output signed [32:0] o);
  assign o = a + b;
endmodule
"""

MULTIPLIER = """\
module top (input signed [31:0] a, input signed [31:0] b, output signed [63:0] o);
  assign o = a * b;
endmodule
"""

MULTIPLY_ACCUMULATE = """\
module top (input signed [31:0] a, input signed [31:0] b, input signed [63:0] acc, output signed [63:0] o);
  assign o = acc + a * b;
endmodule
"""


def signed_accumulate(levels: int) -> str:
    """``acc`` plus a 32-bit number times a value of ``levels`` signs and power-of-two factors."""
    terms = [f"(s[{k}] ? (a <<< {k}) : -(a <<< {k}))" for k in range(levels)]
    width = 32 + levels + 1
    return (
        f"module top (input signed [{width - 1}:0] a, input [{levels - 1}:0] s, input signed [63:0] acc, "
        f"output signed [63:0] o);\n  assign o = acc + {' + '.join(terms)};\nendmodule\n"
    )
