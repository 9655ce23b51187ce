"""A flat gate netlist as Yosys writes it in JSON: its cells, its registers, its longest path."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import SynthError

# Yosys' JSON numbers each one-bit net; constants are the strings "0", "1", "x", "z".
Bit = int


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One cell: the net of each connected pin, constants left out."""

    name: str
    type: str
    inputs: dict[str, Bit]
    outputs: dict[str, Bit]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One station of a path: the net or port reached, the cell type that drives it, and when."""

    name: str
    cell: str
    arrival: float


class Netlist:
    """The module `top` of the Yosys JSON file `path`.

    Raises SynthError if the file has a cell whose pins have no direction (one that no library describes).
    """

    def __init__(self, path: Path, top: str) -> None:
        module = json.loads(path.read_text())["modules"][top]
        self.gates: list[Gate] = []
        for name, cell in module["cells"].items():
            directions = cell.get("port_directions")
            if directions is None:
                raise SynthError(f"Cells of the mapped netlist must be cells of the library, not {cell['type']!r}")
            # A cell pin in a Liberty library or of a Yosys gate is one bit wide.
            nets = {pin: bits[0] for pin, bits in cell["connections"].items() if bits and isinstance(bits[0], int)}
            self.gates.append(
                Gate(
                    name=name,
                    type=cell["type"],
                    inputs={pin: net for pin, net in nets.items() if directions[pin] != "output"},
                    outputs={pin: net for pin, net in nets.items() if directions[pin] == "output"},
                )
            )
        self.inputs = _port_bits(module, "input")
        self.outputs = _port_bits(module, "output")
        self._names = _net_names(module)
        self._by_name = {gate.name: gate for gate in self.gates}

    def counts(self) -> dict[str, int]:
        """How many cells of each type, most frequent first."""
        return dict(Counter(gate.type for gate in self.gates).most_common())

    def net_name(self, net: Bit) -> str | None:
        """The name that the source has for a net (`acc[3]`), or None if it has none."""
        return self._names.get(net)

    def pin_name(self, gate_name: str, pin: str) -> str:
        """`gate/pin` as the source has it: the net on an output pin, the register behind an input pin."""
        gate = self._by_name.get(gate_name)
        nets = [] if gate is None else [gate.outputs[pin]] if pin in gate.outputs else list(gate.outputs.values())
        named = [name for net in nets if (name := self.net_name(net)) is not None]
        return named[0] if named else f"{gate_name}/{pin}"

    def longest_path(
        self, *, delay: Callable[[Gate], float], setup: Callable[[Gate], float | None]
    ) -> tuple[float, list[Point]]:
        """The longest path between ports and registers, and its length.

        `setup(gate)` is None for a gate that a path runs through, taking `delay(gate)`; for a register it is
        what the register needs before its clock, and `delay` is from its clock to its output.  A path starts
        at 0 at a port or at the clock of a register, and ends at a port or a register input.  Where nothing
        leads to an end the length is 0 and the path is empty.  Raises SynthError for a combinational loop.
        """
        arrival: dict[Bit, float] = dict.fromkeys(self.inputs, 0.0)
        driver: dict[Bit, Gate] = {}
        came_from: dict[Bit, Bit] = {}
        waiting: dict[str, int] = {}
        readers: dict[Bit, list[Gate]] = {}
        through = []
        ready = []
        for gate in self.gates:
            driver.update(dict.fromkeys(gate.outputs.values(), gate))
            if setup(gate) is None:
                through.append(gate)
            else:
                arrival.update(dict.fromkeys(gate.outputs.values(), delay(gate)))
        for gate in through:
            # A net without a driver is as good as a constant.
            sources = [net for net in set(gate.inputs.values()) if net in driver and setup(driver[net]) is None]
            waiting[gate.name] = len(sources)
            for net in sources:
                readers.setdefault(net, []).append(gate)
            if not sources:
                ready.append(gate)
        done = 0
        while ready:
            gate = ready.pop()
            done += 1
            last = max(gate.inputs.values(), key=lambda net: arrival.get(net, 0.0), default=None)
            for net in gate.outputs.values():
                arrival[net] = (0.0 if last is None else arrival.get(last, 0.0)) + delay(gate)
                if last is not None:
                    came_from[net] = last
                for reader in readers.get(net, ()):
                    waiting[reader.name] -= 1
                    if not waiting[reader.name]:
                        ready.append(reader)
        if done < len(through):
            self._refuse_loop(through, waiting, driver)
        ends = [
            (arrival[net], net, Point(name=name, cell="output port", arrival=arrival[net]))
            for net, name in self.outputs.items()
            if net in arrival
        ]
        for gate in self.gates:
            need = setup(gate)
            for pin, net in gate.inputs.items() if need is not None else ():
                if net in arrival:
                    at = arrival[net]
                    point = Point(name=self.pin_name(gate.name, pin), cell=gate.type, arrival=at)
                    ends.append((at + (need or 0.0), net, point))
        if not ends:
            return 0.0, []
        length, net, end = max(ends, key=lambda found: found[0])
        return length, [*self._trace(net, arrival, driver, came_from), end]

    def _trace(
        self, net: Bit, arrival: dict[Bit, float], driver: dict[Bit, Gate], came_from: dict[Bit, Bit]
    ) -> list[Point]:
        points = []
        step: Bit | None = net
        while step is not None:
            gate = driver.get(step)
            if gate is None:
                # Nothing but a port is without a driver, unless the source left the net open.
                name, cell = (
                    self.inputs.get(step, f"net {step}"),
                    "input port" if step in self.inputs else "no driver",
                )
            else:
                pin = next(pin for pin, output in gate.outputs.items() if output == step)
                name, cell = self.pin_name(gate.name, pin), gate.type
            points.append(Point(name=name, cell=cell, arrival=arrival.get(step, 0.0)))
            step = came_from.get(step)
        return points[::-1]

    def _refuse_loop(self, through: list[Gate], waiting: dict[str, int], driver: dict[Bit, Gate]) -> None:
        # Every gate still waiting has an input from a gate still waiting: going back must come round.
        gate = next(gate for gate in through if waiting[gate.name])
        seen: list[Gate] = []
        while gate not in seen:
            seen.append(gate)
            gate = next(
                driver[net] for net in gate.inputs.values() if net in driver and waiting.get(driver[net].name, 0)
            )
        nets = [net for stuck in seen[seen.index(gate) :] for net in stuck.outputs.values()]
        name = next((self.net_name(net) for net in nets if self.net_name(net)), gate.name)
        raise SynthError(f"Design must have no combinational loop, not one through {name!r}")


def _port_bits(module: dict, direction: str) -> dict[Bit, str]:
    """Net of each bit of the ports of one direction, and its name."""
    ports = {name: port for name, port in module["ports"].items() if port["direction"] == direction}
    return {bit: bit_name for name, port in ports.items() for bit, bit_name in bit_names(name, port)}


def _net_names(module: dict) -> dict[Bit, str]:
    """The shortest name of each net that is not one that Yosys (here or under Amaranth) made up."""
    names: dict[Bit, str] = {}
    for name, net in module["netnames"].items():
        if net["hide_name"] or re.fullmatch(r"_[nw]?\d+_(\[\d+\])?", name):
            continue
        for bit, bit_name in bit_names(name, net):
            if bit not in names or (len(bit_name), bit_name) < (len(names[bit]), names[bit]):
                names[bit] = bit_name
    return names


def bit_names(name: str, wire: Mapping[str, Any], *, constants: bool = False) -> list[tuple[Any, str]]:
    """(net, name) of each bit of a wire in Yosys' JSON; bits that are constants only if asked for.

    The names are those that `splitnets` gives them: of a vector of one bit, too, that has an index.
    """
    bits = wire["bits"]
    single = len(bits) == 1 and not int(wire.get("attributes", {}).get("single_bit_vector", "0"), 2)
    first = wire.get("offset", 0)
    places = range(first, first + len(bits))
    labels = [name] if single else [f"{name}[{place}]" for place in (places[::-1] if wire.get("upto") else places)]
    return [(bit, label) for bit, label in zip(bits, labels, strict=True) if constants or isinstance(bit, int)]
