"""The base of every unit that is built from a specification."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from amaranth.hdl import Module
from amaranth.lib import wiring


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
    spec: Any
    latency: int = 0
    variant: tuple[Any, ...] = ()

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
        return self.build() if instance is None else instance
