"""Adders in a netlist in Yosys' JSON: simplified, merged, and made cells of a library."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from synth.liberty import Adder

Bit = int | str  # a net, or the constant "0" or "1"

# Cell types that are adders: their inputs, sum, carry.
_PINS = {
    "full_adder": (("a", "b", "c"), "sum", "carry"),
    "half_adder": (("a", "b"), "sum", "carry"),
    "$fa": (("A", "B", "C"), "Y", "X"),
}


def simplify_adders(module: dict[str, Any]) -> bool:
    """Leave in `module` only full adders of three different nets whose outputs are both read, none twice.

    All others become gates and wires; half adders too, because as gates they cost about what they cost as a
    cell.  Returns whether a wire came out of it, so that logic behind it may be simpler now.
    """
    return _Simplifier(module).run()


def map_adders(module: dict[str, Any], adder: Adder) -> int:
    """Make every full adder the library's cell; returns how many there are."""
    count = 0
    for cell in module["cells"].values():
        if cell["type"] in _PINS:
            pins, total, carry = _PINS[cell["type"]]
            renamed = {**dict(zip(pins, adder.inputs, strict=True)), total: adder.sum, carry: adder.carry}
            cell["type"], cell["parameters"] = adder.cell, {}
            for part in ("connections", "port_directions"):
                cell[part] = {renamed[pin]: value for pin, value in cell[part].items()}
            count += 1
    return count


class _Simplifier:
    def __init__(self, module: dict[str, Any]) -> None:
        self._module = module
        self._cells = module["cells"]
        nets = (bit for wire in module["netnames"].values() for bit in wire["bits"] if isinstance(bit, int))
        self._last_net = max(nets, default=1)
        for cell in self._cells.values():
            if cell["type"] in _PINS:
                # Yosys leaves this out where it does not have the module.
                pins, *outputs = _PINS[cell["type"]]
                cell["port_directions"] = {**dict.fromkeys(pins, "input"), **dict.fromkeys(outputs, "output")}
        #: What a net is the same as.
        self._same: dict[Bit, Bit] = {}

    def run(self) -> bool:
        while self._round():
            pass
        if not self._same:
            return False
        for cell in self._cells.values():
            cell["connections"] = {pin: self._now(bits) for pin, bits in cell["connections"].items()}
        for wire in (*self._module["netnames"].values(), *self._module["ports"].values()):
            wire["bits"] = self._now(wire["bits"])
        return True

    def _round(self) -> bool:
        read = self._count_readers()
        found: dict[tuple[Bit, ...], tuple[Bit, Bit]] = {}
        done = []
        for name in [name for name, cell in self._cells.items() if cell["type"] in _PINS]:
            pins, sum_pin, carry_pin = _PINS[self._cells[name]["type"]]
            nets = {pin: self._follow(bits[0]) for pin, bits in self._cells[name]["connections"].items() if bits}
            total, carry = nets.get(sum_pin), nets.get(carry_pin)
            inputs = tuple(sorted((nets[pin] for pin in pins), key=str))
            first = found.setdefault(inputs, (total or "", carry or ""))
            if first != (total, carry) and all(first) and total and carry:
                self._same.update({total: first[0], carry: first[1]})
            elif not self._replace(inputs, total if read[total] else None, carry if read[carry] else None):
                continue
            done.append(name)
        for name in done:
            del self._cells[name]
        return bool(done)

    def _replace(self, inputs: Sequence[Bit], total: Bit | None, carry: Bit | None) -> bool:
        """Gates and wires for an adder (output None: nobody reads it); False if it is to stay."""
        bits = [bit for bit in inputs if isinstance(bit, int)]
        ones = inputs.count("1")
        twice = next((bit for bit in bits if bits.count(bit) > 1), None)
        if twice is not None:
            self._wire(twice, carry)
            rest = [bit for bit in inputs if bit != twice] or ([twice] if len(inputs) == 3 else ["0"])
            self._wire(rest[0], total)
        elif len(bits) == 3:
            if total and carry:
                return False
            self._gate("$_XOR_", self._gate("$_XOR_", *bits[:2]) if total else "", bits[2], total)
            if carry:
                some = self._gate("$_AND_", self._gate("$_OR_", *bits[:2]), bits[2])
                self._gate("$_OR_", self._gate("$_AND_", *bits[:2]), some, carry)
        elif len(bits) == 2:
            self._gate("$_XNOR_" if ones else "$_XOR_", *bits, output=total)
            self._gate("$_OR_" if ones else "$_AND_", *bits, output=carry)
        elif len(bits) == 1 and ones == 1:
            if total:
                self._add("$_NOT_", {"A": bits[0]}, total)
            self._wire(bits[0], carry)
        else:
            self._wire(bits[0] if bits else str(ones % 2), total)
            self._wire(str(ones // 2), carry)
        return True

    def _wire(self, source: Bit, output: Bit | None) -> None:
        if output is not None:
            self._same[output] = source

    def _gate(self, kind: str, a: Bit, b: Bit, output: Bit | None = "") -> Bit:
        """The output of a new gate; by default a new net, and for None there is no gate."""
        if output is None:
            return ""
        if output == "":
            self._last_net += 1
            output = self._last_net
        return self._add(kind, {"A": a, "B": b}, output)

    def _add(self, kind: str, inputs: dict[str, Bit], output: Bit) -> Bit:
        self._cells[f"$adder${len(self._cells)}${output}"] = {
            "hide_name": 1,
            "type": kind,
            "parameters": {},
            "attributes": {},
            "port_directions": {**dict.fromkeys(inputs, "input"), "Y": "output"},
            "connections": {**{pin: [bit] for pin, bit in inputs.items()}, "Y": [output]},
        }
        return output

    def _follow(self, bit: Bit) -> Bit:
        while bit in self._same:
            bit = self._same[bit]
        return bit

    def _now(self, bits: list[Bit]) -> list[Bit]:
        return [self._follow(bit) for bit in bits]

    def _count_readers(self) -> Counter[Bit | None]:
        """How many cell inputs and output ports read each net."""
        count: Counter[Bit | None] = Counter()
        for cell in self._cells.values():
            for pin, bits in cell["connections"].items():
                if cell["port_directions"][pin] != "output":
                    count.update(self._now(bits))
        for port in self._module["ports"].values():
            if port["direction"] != "input":
                count.update(self._now(port["bits"]))
        return count
