"""Benches of the emitted Verilog, and what they are fed with and compared to."""
