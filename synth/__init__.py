"""From Verilog to gates: Yosys and ABC map, OpenSTA times, and a report says what it costs."""
