"""Netlists written by hand, and a library whose internal power can be added up in the head."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from synth.energy.activity import Vectors
from synth.liberty import Library, load_library

# Slews of 0 and 10 ps, loads of 0 and 10 fF where a table has them; energies in fJ, 2 V.
POWER = """\
library (power) {
  time_unit : "1ps"; voltage_unit : "1V"; capacitive_load_unit (1, ff); nom_voltage : 2.0;
  power_lut_template (both) {
    variable_1 : total_output_net_capacitance; variable_2 : input_transition_time;
    index_1 ("0, 10"); index_2 ("0, 10");
  }
  power_lut_template (slew) { variable_1 : input_transition_time; index_1 ("0, 10"); }
  cell (INV) {
    area : 1.0;
    pin (A) { direction : input; capacitance : 1.0; }
    pin (Y) {
      direction : output; function : "!A";
      internal_power () {
        related_pin : "A";
        rise_power (both) { values ("3, 5", "7, 9"); }
        fall_power (both) { values ("1, 1", \\
                                    "1, 1"); }
      }
    }
  }
  cell (NAND2) {
    area : 1.0;
    pin (A) { direction : input; capacitance : 1.0; }
    pin (B) { direction : input; capacitance : 1.0; }
    pin (Y) {
      direction : output; function : "!(A & B)";
      internal_power () {
        related_pin : "A"; when : "B";
        rise_power (scalar) { values ("10"); }
        fall_power (scalar) { values ("20"); }
      }
      internal_power () {
        related_pin : "B"; when : "A";
        rise_power (scalar) { values ("30"); }
        fall_power (scalar) { values ("40"); }
      }
    }
  }
  cell (DFF) {
    area : 4.0;
    ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; }
    pin (D) {
      direction : input; capacitance : 1.0;
      internal_power () { when : "!CK"; power (scalar) { values ("900"); } }
      internal_power () { when : "CK"; rise_power (slew) { values ("2, 4"); } fall_power (scalar) { values ("3"); } }
    }
    pin (CK) {
      direction : input; capacitance : 1.0; clock : true;
      internal_power () { when : "D & Q"; rise_power (scalar) { values ("5"); } fall_power (scalar) { values ("6"); } }
      internal_power () { when : "D & !Q"; rise_power (scalar) { values ("0"); } fall_power (scalar) { values ("7"); } }
    }
    pin (Q) {
      direction : output; function : "IQ";
      internal_power () {
        related_pin : "CK";
        rise_power (scalar) { values ("50"); }
        fall_power (scalar) { values ("60"); }
      }
    }
  }
}
"""
INVERTER = {"g": ("INV", {"A": "a", "Y": "y"})}
NAND = {"g": ("NAND2", {"A": "a", "B": "b", "Y": "y"})}
#: Of two registers, one behind the other.
SHIFT = {"r": ("DFF", {"CK": "clk", "D": "d", "Q": "p"}), "s": ("DFF", {"CK": "clk", "D": "p", "Q": "q"})}


def power(folder: Path, text: str = POWER) -> Library:
    path = folder / "power.lib"
    path.write_text(text)
    return load_library(path, folder)


def write(
    folder: Path, cells: Mapping[str, tuple[str, Mapping[str, str]]], inputs: Sequence[str], outputs: Sequence[str]
) -> Path:
    """netlist.json of module `top`: each cell its type and the net on each pin; "0" and "1" are constants."""
    numbers: dict[str, int | str] = {"0": "0", "1": "1"}

    def bits(net: str) -> list[int | str]:
        return [numbers.setdefault(net, len(numbers))]

    ports = {name: {"direction": "input", "bits": bits(name)} for name in inputs}
    ports |= {name: {"direction": "output", "bits": bits(name)} for name in outputs}
    written = {
        name: {"type": kind, "connections": {pin: bits(net) for pin, net in pins.items()}}
        for name, (kind, pins) in cells.items()
    }
    path = folder / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"ports": ports, "cells": written}}}))
    return path


def stream(**bits: str) -> Vectors:
    """One stream: what each one-bit port is, cycle after cycle."""
    return {port: np.array([[[bit == "1"]] for bit in text]) for port, text in bits.items()}
