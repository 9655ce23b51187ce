"""The LSTM classifier in the arithmetic of hardware, as a PyTorch module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.cell import LstmFunction, binarize, fixed_point, plain_lstm
from model.exact import check_exact, weight_codes
from model.factors import Factors, SearchedFactors
from model.family import ADDERS, BINARIZED, STEPPED, FactorRule, Family, NumberChoice
from model.float_network import FloatMlp, FloatNetwork
from model.fused import fused_lstm
from model.gate_product import LimitedProduct, Product
from model.spec import DenseSpec, LayerSpec, LstmSpec, NetworkSpec, Pool, SumSpec, Weights, of_layer
from model.steps import Steps

GROUPS = {"gates": 4, "wx": 4, "wh": 4, "b": 4}  #: quantities that have factors for each gate

SEARCH_SEQUENCES = 256  #: that a search of the factors of x of a layer above the first runs through those below it


def uniform(*shape: int, hidden: int) -> nn.Parameter:
    """Weights to begin with, of a layer of ``hidden`` units or on top of one."""
    return nn.Parameter(torch.empty(shape).uniform_(-(hidden**-0.5), hidden**-0.5))


class HardwareNetwork(nn.Module):
    """A network in the arithmetic of hardware: each quantity multi-level binarized or in fixed point, by its family.

    In training, ``forward`` runs in float32 and gradients pass straight through what is stored; in ``eval()`` it runs
    in float64 and equals :func:`model.golden.run`, number for number. In float32 the 32-bit words of fixed-point
    quantities lose their last bits, which changes activations by one step of their input at times.

    Parameters
    ----------
    hidden, layers
        Units of each LSTM layer, and how many layers.
    activation_levels, weight_levels
        A and W, 1 to 5.
    weight_bits
        Of weights that are integers times a step, 2 to 8.
    max_steps
        Longest sequence (see :class:`model.spec.DenseSpec`).
    family
        What is binarized.
    factors
        What learned factors, or steps, may be.
    overlap
        Whether several features see the same samples, one step after another.
    sums
        How the layers' products of words and signs or integers are added; of BLSTM and FIXED.
    one_hot
        Whether samples are one-hot codes. Words of them are 0 and 1 then; signs are those of 1/2 and -1/2.
    """

    def __init__(
        self,
        *,
        features: int,
        hidden: int,
        classes: int,
        activation_levels: int,
        weight_levels: int,
        pool: Pool,
        max_steps: int,
        weight_bits: int = 3,
        family: Family = Family.MUBINN2,
        factors: FactorRule = FactorRule.FREE,
        numbers: NumberChoice | None = None,
        layers: int = 1,
        overlap: bool = False,
        sums: SumSpec | None = None,
        one_hot: bool = False,
    ) -> None:
        super().__init__()
        self.features, self.hidden, self.classes, self.layers = features, hidden, classes, layers
        self.pool, self.max_steps = pool, max_steps
        self.numbers = numbers or NumberChoice.of(family, weight_bits=weight_bits)
        self.sums = sums or ADDERS.get(family)
        if one_hot and "x" not in BINARIZED[family]:
            self.numbers = self.numbers.of_bits()
        n = self.numbers

        # Activations begin uniform over the range that matters (two standard deviations; all of tanh and sigmoid).
        # Greedy factors of their float values do worse: heavy tails and small means waste levels, and the network
        # may never recover. The outermost value of g is 1 (of free factors), and c begins small, so that i * g can
        # turn c: with one level and the same range for both, c would stay what it is.
        sigmoid, tanh = 1.0 - n.gate_offset, 1 / (1 - 2.0**-activation_levels)
        ranges = {"x": (1.0 if one_hot else 2.0,), "h": (1.0,), "c": (1.0,), "gates": (sigmoid, sigmoid, tanh, sigmoid)}
        offsets = {"gates": tuple(n.offset(k) for k in range(4))}

        def factors_of(name: str) -> Factors | Steps:
            if name in STEPPED.get(family, ()):
                return Steps(GROUPS.get(name, 1), weight_bits, n.weight_frac, n.factor_bits, factors)
            levels, frac = (activation_levels, n.activation_frac) if name in ranges else (weight_levels, n.weight_frac)
            if family is Family.B_LSTM:
                return SearchedFactors(GROUPS.get(name, 1), 1, 0, 1)  # the only power is 1
            if family is Family.BLSTM:
                levels = 1
            if family is Family.MUBINN1:
                return SearchedFactors(GROUPS.get(name, 1), levels, frac, n.factor_bits)
            across = ranges.get(name, (1.0,) * GROUPS.get(name, 1))
            return Factors(across, levels, frac, n.factor_bits, offsets.get(name), factors)

        scaled = (*BINARIZED[family], *STEPPED.get(family, ()))
        dense = [name for name in scaled if name.startswith("dense_")]
        of_layers = [name for name in scaled if name not in dense]
        # Where h is binarized too, x of a layer above the first is h of the one below, with its factors.
        above = [name for name in of_layers if name != "x" or "h" not in of_layers]

        self.factors, self.masters = nn.ModuleDict(), nn.ParameterDict()
        for layer in range(layers):
            for name in above if layer else of_layers:
                self.factors[of_layer(name, layer)] = factors_of(name)
            self.masters.update({of_layer(name, layer): w for name, w in self._new_masters(layer).items()})
        self.factors.update({name: factors_of(name) for name in dense})
        self.masters["dense_w"] = uniform(classes, hidden, hidden=hidden)
        self.masters["dense_b"] = nn.Parameter(torch.zeros(classes))
        # A sign alone says nothing of the size of x; with thresholds of their own, features together do.
        shift, binarized_x = torch.zeros(features), "x_l0" in self.factors
        if one_hot and binarized_x:
            shift = torch.full((features,), 0.5)
        if overlap and binarized_x:
            # Features that see the same sample begin with thresholds between each other's.
            (x,) = self._quantities("x", 0)
            shift = ranges["x"][0] * 2.0**-x.width * torch.linspace(-1, 1, features)
        self.shift = nn.Parameter(shift, requires_grad=binarized_x)
        self.adapt()

    def _new_masters(self, layer: int) -> dict[str, nn.Parameter]:
        """The weights of a layer by name, to begin with."""
        h = self.hidden
        shapes = {"wx": (4, h, h if layer else self.features), "wh": (4, h, h)}
        weights = {name: uniform(*shape, hidden=h) for name, shape in shapes.items()}
        return {**weights, "b": nn.Parameter(torch.zeros(4, h))}

    @torch.no_grad()
    def take_shift(self) -> np.ndarray:
        """What is taken off each feature of standardized samples; from now on it is nothing."""
        shift = self.shift.numpy().copy()
        self.shift.zero_()
        return shift

    @torch.no_grad()
    def warm_start(self, network: FloatNetwork | FloatMlp, x: Tensor | None = None) -> None:
        """Take the weights of a trained float network, and factors from them; searched factors of x from samples."""
        for layer in range(self.layers):
            for name, value in network.layer_weights(layer).items():
                master = self.masters[of_layer(name, layer)]
                master.copy_(value.view_as(master))
        if self.shift.requires_grad:  # what the shift takes off x comes back with the bias
            self.masters["b_l0"] += self.masters["wx_l0"] @ self.shift
        self.masters["dense_w"].copy_(network.dense.weight)
        self.masters["dense_b"].copy_(network.dense.bias)
        self.adapt()
        if x is not None and "x_l0" in self.factors and isinstance(factors := self._factors("x_l0"), SearchedFactors):
            factors.initialize([x])
            if self.layers > 1:
                below = self._layers(x[:: -(-len(x) // SEARCH_SEQUENCES)], fused_lstm)
                for layer in range(1, self.layers):  # each is run when the factors of its own x are known
                    self._factors(of_layer("x", layer)).initialize([next(below)])

    @torch.no_grad()
    def adapt(self) -> None:
        """Find factors and steps of the weights as they are now."""
        for name, master in self.masters.items():
            if name in self.factors:
                factors = self._factors(name)
                factors.initialize(list(master) if factors.groups == 4 else [master])

    def _factors(self, name: str) -> Factors | Steps:
        module = self.factors[name]
        assert isinstance(module, Factors | Steps)
        return module

    def _quantities(self, name: str, layer: int | None = None) -> tuple[Any, ...]:
        """How a quantity (of a layer) is stored, for each gate where it has factors for each."""
        full = name if layer is None else of_layer(name, layer)
        if full in self.factors:
            return self._factors(full).specs()
        if name == "x" and layer:
            return self._quantities("h", layer - 1)
        return (self.numbers.fixed(name),) * GROUPS.get(name, 1)

    def layer_spec(self, layer: int) -> LayerSpec:
        """The specification of a layer with the factors as they are now."""
        stored: dict[str, Any] = {name: self._quantities(name, layer)[0] for name in ("x", "h", "c")}
        stored |= {name: self._quantities(name, layer) for name in ("gates", "wx", "wh", "b")}
        return LstmSpec(
            features=self.hidden if layer else self.features,
            hidden=self.hidden,
            sigmoid=self.numbers.sigmoid,
            tanh=self.numbers.tanh,
            sums=self.sums,
            **stored,
        )

    def spec(self) -> NetworkSpec:
        """The specification with the factors as they are now."""
        return NetworkSpec(
            source=self.numbers.source,
            layers=tuple(self.layer_spec(layer) for layer in range(self.layers)),
            dense=DenseSpec(
                classes=self.classes,
                w=self._quantities("dense_w")[0],
                b=self._quantities("dense_b")[0],
                pool=self.pool,
                max_steps=self.max_steps,
            ),
        )

    @torch.no_grad()
    def weights(self) -> Weights:
        """The weight codes as they are now."""
        codes = {}
        for name, (_, stored) in self.spec().weight_specs().items():
            master = self.masters[name].detach().double()
            groups = list(master) if len(stored) == 4 else [master]
            arrays = [weight_codes(spec, group) for spec, group in zip(stored, groups, strict=True)]
            codes[name] = (np.stack(arrays) if len(stored) == 4 else arrays[0]).astype(stored[0].dtype)
        return codes

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes), by ``Pool`` also their mean or (batch, steps, classes), of standardized samples."""
        logits = self._logits(self.hidden_states(x, fused_lstm))
        return logits / x.shape[1] if self.pool is Pool.MEAN else logits

    def named_values(self, x: Tensor) -> dict[str, Tensor]:
        """Every named value of :class:`model.golden.Trace` as a real number (codes reconstructed): ``z_l0``, ..."""
        values: dict[str, Tensor] = {}
        layers = iter(range(self.layers))

        def run(lstm: LstmSpec, *arguments: Any) -> Tensor:
            named, layer = plain_lstm(lstm, *arguments), next(layers)
            values.update({of_layer(name, layer): value for name, value in named.items()})
            return named["h"]

        logits = self._logits(self.hidden_states(x, run))
        return {**{name: v.transpose(0, 1) for name, v in values.items()}, "logits": logits}

    def hidden_states(self, x: Tensor, lstm_function: LstmFunction) -> Tensor:
        """h^ of every step of the last layer, by ``fused_lstm`` or one like it, shape (steps, batch, hidden)."""
        *_, h = self._layers(x, lstm_function)
        return h

    def _layers(self, x: Tensor, lstm_function: LstmFunction) -> Iterator[Tensor]:
        """h^ of every step of each layer, from the first on."""
        given = self._samples(x)
        for layer in range(self.layers):
            given = self._layer(layer, given, lstm_function)
            yield given

    def _samples(self, x: Tensor) -> Tensor:
        """Samples as the hardware takes them, (steps, batch, features)."""
        dtype = torch.float32 if self.training else torch.float64
        source = self.numbers.source
        exact = x.to(dtype) - self.shift
        given = (exact.detach() * 2.0**source.frac).round().clamp(source.min, source.max) * source.step
        return (given + (exact - exact.detach())).transpose(0, 1)

    def _layer(self, layer: int, given: Tensor, lstm_function: LstmFunction) -> Tensor:
        """h^ of every step of a layer, from the samples or from h^ of the one below."""
        lstm, named = self.layer_spec(layer), lambda name: of_layer(name, layer)
        assert isinstance(lstm, LstmSpec)
        own = ((name, named(name)) for name in ("h", "c", "gates"))
        a = {name: self._factors(full)().to(given.dtype) for name, full in own if full in self.factors}
        x_hat = self._stored("x", given, layer) if layer == 0 or named("x") in self.factors else given
        wx, wh, b = (self._stored(n, self.masters[named(n)].to(given.dtype), layer) for n in ("wx", "wh", "b"))
        if not self.training and not lstm.binarized:
            h_bound = lstm.h.bound * 2.0**-lstm.h.frac
            bound = wx.abs().sum(-1) * x_hat.abs().max() + wh.abs().sum(-1) * h_bound + b.abs()
            check_exact(named("z"), bound, lstm.z_frac)
        of_x, of_h = (self._product(lstm, name, layer, w) for name, w in (("x", wx), ("h", wh)))
        zx = of_x(x_hat.flatten(0, 1)).view(*x_hat.shape[:2], -1) + b.flatten()
        c, h = (a[name][0] if name in a else None for name in ("c", "h"))
        return lstm_function(lstm, zx, of_h, a.get("gates"), c, h)

    def _product(self, lstm: LstmSpec, name: str, layer: int, w: Tensor) -> Product:
        """The product of x or h with its reconstructed weights ``w`` (4, hidden, inputs).

        Each gate's weights divided by their factor or step are integers again, exactly.
        """
        if lstm.sums is None:
            return Product(w.flatten(0, 1))
        factors = self._factors(of_layer(f"w{name}", layer))
        if lstm.sums.exact and isinstance(factors, Steps):  # no gradient goes to a step, so integers bring nothing
            return Product(w.flatten(0, 1))
        scale = factors().to(w.dtype).repeat_interleave(lstm.hidden, 0)
        return LimitedProduct(w.flatten(0, 1) / scale, scale.flatten(), getattr(lstm, name), lstm.sums)

    def _stored(self, name: str, value: Tensor, layer: int | None = None) -> Tensor:
        """x or weights (of a layer) as they are stored, reconstructed."""
        full = name if layer is None else of_layer(name, layer)
        if full not in self.factors:
            return fixed_point(value, self.numbers.fixed(name))
        factors = self._factors(full)
        if isinstance(factors, Steps):
            return factors.quantized(value)
        a = factors().to(value.dtype)
        return binarize(value, a.view(a.shape[0], *(1,) * (value.dim() - 1), -1) if len(a) == 4 else a[0])

    def _logits(self, h: Tensor) -> Tensor:
        """Logits of the last hidden state, their sum over all of them, or those of each."""
        w, b = (self._stored(name, self.masters[name].to(h.dtype)) for name in ("dense_w", "dense_b"))
        passes = len(h) if self.pool is Pool.MEAN else 1

        def read(h: Tensor) -> Tensor:
            return h.transpose(0, 1) if self.pool is Pool.EACH else h[-passes:].sum(0)

        if not self.training and "dense_w" not in self.factors:
            frac = self.spec().dense_dot.frac
            check_exact("logits", read(h.detach().abs()) @ w.abs().T + passes * b.abs(), frac)
        return read(h) @ w.T + passes * b
