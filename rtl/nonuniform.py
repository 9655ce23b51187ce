"""What the units of nonuniform quantization share: ports, an x that saturates, a shift chosen by the layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from model.spec import EnqSpec, KnqSpec, LayersQuantizerSpec, LayersReconstructSpec, LayersSpec
from rtl.decisions import table_code
from rtl.logic import delayed
from rtl.shapes import shape_of
from rtl.unit import Unit

Form = Literal["small", "fast"]  #: of two ways to build a unit that of the smaller area and that of the shorter delay


class LayersUnit(Unit):
    """Base of units with a layer index: ``spec`` is a quantizer or a reconstruction of layers of ``KIND``."""

    KIND: type[EnqSpec] | type[KnqSpec]
    layer: Value
    o: Value

    def __init__(
        self, spec: LayersQuantizerSpec | LayersReconstructSpec, stages: int = 0, form: Form | None = None
    ) -> None:
        if form is not None and form not in get_args(Form):
            raise ValueError(f"Form must be {' or '.join(get_args(Form))}, not {form!r}")
        if not isinstance(spec.layers.layers[0], self.KIND):
            kind = "ENQ" if self.KIND is EnqSpec else "KNQ"
            raise ValueError(f"Layers of a unit of {kind} must be {kind}, not {type(spec.layers.layers[0]).__name__!r}")
        self.spec, self.latency = spec, stages
        self.variant = () if form is None else (form,)
        layers = spec.layers
        quantizes = isinstance(spec, LayersQuantizerSpec)
        ports = {"x" if quantizes else "code": In(shape_of(spec.source)), **index_port(layers)}
        super().__init__({**ports, "o": Out(layers.code_bits if quantizes else layers.q_bits), **self.more_ports()})

    def more_ports(self) -> dict[str, Any]:
        """What a subclass has beside its input, layer and output."""
        return {}

    @property
    def index(self) -> Value:
        """The layer index; of no bits if there is one layer."""
        return self.layer if self.spec.layers.index_bits else Const(0, 0)

    def registered(self, m: Module, value: Value) -> Value:
        """``value`` of combinational logic, ``stages`` registers on."""
        return delayed(m, value, [], self.latency)


def index_port(layers: LayersSpec) -> dict[str, Any]:
    """The port of the layer index, none of one layer."""
    return {"layer": In(layers.index_bits)} if layers.index_bits else {}


def saturated(x: Value, width: int) -> Value:
    """An unsigned x in ``width`` bits: all of them 1 if it has more."""
    return x if len(x) <= width else Cat(bit | x[width:].any() for bit in x[:width])


def by_shift(m: Module, layers: LayersSpec, index: Value, shifted: Callable[[int], Value]) -> Value:
    """``shifted(s)`` of the shift s that the layer ``index`` has; each shift is there once, however many layers."""
    shifts = [layer.shift for layer in layers.all_taken if isinstance(layer, EnqSpec)]
    distinct = sorted(set(shifts))
    width = (len(distinct) - 1).bit_length()
    number = Signal(width)
    m.d.comb += number.eq(table_code(m, [index], [distinct.index(s) for s in shifts], width) if width else 0)
    return by_index(number, [shifted(s) for s in distinct])


def by_index(number: Value, values: Sequence[Value]) -> Value:
    """``values[number]`` by multiplexers, none where there is nothing to choose."""
    if all(value is values[0] for value in values):
        return values[0]
    half = 1 << ((len(values) - 1).bit_length() - 1)
    place = half.bit_length() - 1
    above, below = by_index(number, values[half:]), by_index(number, values[:half])
    return above if above is below else Mux(number[place], above, below)
