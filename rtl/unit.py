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
    SEQUENTIAL
        Whether the unit has registers, and so ``clk`` and ``rst``.
    """

    SEQUENTIAL: ClassVar[bool] = False
    spec: Any

    @property
    def key(self) -> tuple[type, Any]:
        """What distinguishes one unit's hardware from another's."""
        return type(self), self.spec

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
