"""The base of every unit that is built from a specification."""

from __future__ import annotations

import functools
import re
from typing import Any, ClassVar

from amaranth.hdl import Cat, ClockSignal, Elaboratable, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Flow


class Unit(wiring.Component):
    """A component that is fully described by ``spec``: equal specifications, equal hardware.

    When Verilog is made, the platform turns every use of a unit into an instance of one shared module;
    in simulation a unit is elaborated where it stands. Subclasses define :meth:`build`.

    Attributes
    ----------
    spec
        The frozen object with the golden function ``compute``.
    latency
        Cycles from an input to its output in a unit that is combinational but for pipeline registers.
    variant
        Choices that change the hardware but not what it computes.
    SEQUENTIAL
        Whether every unit of the class has registers of its own.
    """

    SEQUENTIAL: ClassVar[bool] = False
    MAX_LATENCY: ClassVar[int] = 64
    spec: Any
    latency: int = 0
    variant: tuple[Any, ...] = ()

    def __init__(self, signature: Any) -> None:
        if not 0 <= self.latency <= self.MAX_LATENCY:
            raise ValueError(f"Pipeline stages must be 0 to {self.MAX_LATENCY}, not {self.latency!r}")
        super().__init__(signature)

    @property
    def sequential(self) -> bool:
        """Whether the unit has registers, and so ``clk`` and ``rst``."""
        return self.SEQUENTIAL or self.latency > 0

    @property
    def key(self) -> tuple[Any, ...]:
        """What distinguishes one unit's hardware from another's."""
        return type(self), self.spec, self.latency, self.variant

    @property
    def module_name(self) -> str:
        """What its module is called in Verilog, before a number tells it from others of its kind."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def build(self) -> Module:
        """The logic."""
        raise NotImplementedError

    def elaborate(self, platform: Any) -> Any:
        """An instance of the shared module while Verilog is made, else the logic itself."""
        instance = platform.instance(self) if hasattr(platform, "instance") else None
        if instance is not None:
            return instance
        m = self.build()
        if self.latency:
            # Ports clk and rst even where the output is a constant and needs no register.
            m.d.comb += Signal(2, name="unused").eq(Cat(ClockSignal(), ResetSignal()))
        return m


class Connected(Elaboratable):
    """A combinational unit between signals of its parent, without wires of its own: for the thousands of adders.

    Parameters
    ----------
    kind
        Class of the unit, which takes no arguments.
    ports
        Port name -> the parent's value that goes in, or signal that comes out.
    """

    def __init__(self, kind: type[Unit], ports: dict[str, Any]) -> None:
        self._kind, self._ports = kind, ports

    def elaborate(self, platform: Any) -> Any:
        """An instance of the shared module while Verilog is made, else the logic itself."""
        if hasattr(platform, "instance"):
            return platform.instance(_only(self._kind), self._ports)
        m = Module()
        m.submodules.unit = unit = self._kind()  # type: ignore[call-arg]
        for name, member in unit.signature.members.items():
            port = getattr(unit, name)
            m.d.comb += port.eq(self._ports[name]) if member.flow == Flow.In else self._ports[name].eq(port)
        return m


@functools.cache
def _only(kind: type[Unit]) -> Unit:
    """The one unit of a class without parameters, of which only the module is wanted."""
    return kind()  # type: ignore[call-arg]
