"""The units of ``synth/units.py`` by name, with parameters as they are typed on a command line."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Sequence
from typing import Any, get_type_hints

from rtl.unit import Unit
from synth.units import UNITS

MAX_N = 1 << 14  #: longest vector; a longer one is a typing error and would fill the memory


class RegistryError(ValueError):
    """An unknown unit or parameter, or a value it cannot have; one sentence."""


def summary(name: str) -> str:
    """One line about a unit."""
    return (UNITS[name].__doc__ or "").strip()


def parameters(name: str) -> dict[str, Any]:
    """Parameter -> default value of a unit."""
    return {p.name: p.default for p in inspect.signature(UNITS[name]).parameters.values()}


def show(value: Any) -> str:
    """A parameter value as it is typed on a command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def build(name: str, settings: Sequence[str] = ()) -> Unit:
    """The unit ``name`` with ``settings`` such as ``n=128`` or ``factors=4,2,1``; defaults for the rest.

    Raises
    ------
    RegistryError
        If the name, a parameter or a value cannot be.
    """
    if name not in UNITS:
        raise RegistryError(f"Unit must be one of {', '.join(UNITS)}, not {name!r}")
    hints, values = get_type_hints(UNITS[name]), {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or key not in parameters(name):
            raise RegistryError(
                f"Setting of {name} must be one of {', '.join(f'{p}=...' for p in parameters(name))}, not {setting!r}"
            )
        values[key] = _parse(name, key, text, hints[key])
    try:
        return UNITS[name](**values)
    except ValueError as error:
        raise RegistryError(f"Unit {name}: {error}") from None


def _parse(name: str, key: str, text: str, kind: Any) -> Any:
    if kind is str:
        return text
    numbers: list[int] = []
    with contextlib.suppress(ValueError):
        numbers = [int(part) for part in text.split(",")]
    if not numbers or (kind is int and len(numbers) > 1):
        wanted = "a whole number" if kind is int else "whole numbers separated by commas"
        raise RegistryError(f"Setting {key} of {name} must be {wanted}, not {text!r}")
    if key == "n" and numbers[0] > MAX_N:
        raise RegistryError(f"Setting n of {name} must be at most {MAX_N}, not {numbers[0]!r}")
    return numbers[0] if kind is int else tuple(numbers)
