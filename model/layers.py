"""PyTorch modules: the float LSTM classifier and the multi-level binarized one (MuBiNN2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.cell import LstmFunction, binarize, fused_lstm, plain_lstm
from model.spec import GATES, DenseSpec, Format, LstmSpec, MlbSpec, NetworkSpec, Pool, PwlSpec, Weights


@dataclass(frozen=True, kw_only=True)
class NumberChoice:
    """The formats of a network that training does not learn.

    Parameters
    ----------
    source
        Format of the input samples (standardized, so that one unit is one standard deviation).
    activation_frac, weight_frac
        Fraction bits of the scaling factors of activations and of weights.
    factor_bits
        Width of a scaling factor.
    gate_offset
        Offset of the sigmoid gates' binarization, a multiple of ``2**-activation_frac``. 0.5 centres it on
        the sigmoid's range; 0 is the paper's, whose first sign is then always +1.
    sigmoid, tanh
        The activation functions.
    """

    source: Format = Format(8, 5)
    activation_frac: int = 6
    weight_frac: int = 8
    factor_bits: int = 10
    gate_offset: float = 0.5
    sigmoid: PwlSpec = field(
        default_factory=lambda: PwlSpec.fit(
            "sigmoid", source=Format(10, 6), target=Format(8, 8, signed=False), segments=32
        )
    )
    tanh: PwlSpec = field(
        default_factory=lambda: PwlSpec.fit("tanh", source=Format(9, 6), target=Format(8, 7), segments=32)
    )

    def offset(self, gate: int) -> int:
        """Stored integer of the offset of a gate's binarization."""
        return 0 if GATES[gate] == "g" else round(self.gate_offset * (1 << self.activation_frac))


class Factors(nn.Module):
    """Learned scaling factors: float masters, used as stored integers of ``frac`` fraction bits.

    ``forward`` gives them rounded, shape (groups, levels), with the gradient passed straight through.
    """

    def __init__(
        self, ranges: tuple[float, ...], levels: int, frac: int, bits: int, offset: tuple[int, ...] | None = None
    ) -> None:
        super().__init__()
        self.frac, self.limit = frac, (1 << bits) - 1
        self.offset = offset or (0,) * len(ranges)
        # ``a_i = range * 2**-i``: 2**levels equally spaced values across -range .. range.
        self.master = nn.Parameter(torch.tensor(ranges)[:, None] * 2.0 ** -torch.arange(1, levels + 1))

    @torch.no_grad()
    def initialize(self, samples: list[Tensor]) -> None:
        """Greedy residual factors of one tensor of values a group: ``a_i = mean |r|``, then ``r -= s_i a_i``."""
        for group, values in enumerate(samples):
            rest = values.detach().double()
            for level in range(self.master.shape[1]):
                a = rest.abs().mean().clamp(min=2.0**-self.frac)
                self.master[group, level] = a
                rest = rest - torch.where(rest >= 0, 1.0, -1.0) * a

    def stored(self) -> Tensor:
        """The stored integers."""
        return (self.master.detach().double() * 2.0**self.frac).round().clamp(1, self.limit).long()

    def specs(self) -> tuple[MlbSpec, ...]:
        """One specification a group."""
        return tuple(
            MlbSpec(factors=tuple(row), frac=self.frac, offset=offset)
            for row, offset in zip(self.stored().tolist(), self.offset, strict=True)
        )

    def forward(self) -> Tensor:
        exact = self.stored().to(self.master.dtype) * 2.0**-self.frac
        return exact + (self.master - self.master.detach())


class FloatNetwork(nn.Module):
    """The baseline: ``nn.LSTM`` and a dense layer on the last or the mean hidden state."""

    def __init__(self, features: int, hidden: int, classes: int, pool: Pool) -> None:
        super().__init__()
        self.pool = pool
        self.lstm = nn.LSTM(features, hidden, batch_first=True)
        self.dense = nn.Linear(hidden, classes)
        self.lstm_weights()["bias_hh"].data.zero_()
        self.lstm_weights()["bias_ih"].data.zero_()
        self.lstm_weights()["bias_ih"].data[hidden : 2 * hidden] = 1.0  # a forget gate that begins open trains faster

    def lstm_weights(self) -> dict[str, Tensor]:
        """The parameters of the LSTM by name, without the layer number."""
        return {name.removesuffix("_l0"): parameter for name, parameter in self.lstm.named_parameters()}

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of samples (batch, steps, features)."""
        h, _ = self.lstm(x)
        return self.dense(h.mean(1) if self.pool is Pool.MEAN else h[:, -1])


class MlbNetwork(nn.Module):
    """MuBiNN2: x, h, c, the gate outputs and all weights multi-level binarized, with learned factors.

    In training, ``forward`` runs in float32 and gradients pass straight through the binarizations; in
    ``eval()`` it runs in float64 and equals :func:`model.golden.run`, number for number.

    Parameters
    ----------
    activation_levels, weight_levels
        A and W, 1 to 5.
    max_steps
        Longest sequence (see :class:`model.spec.DenseSpec`).
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
        numbers: NumberChoice | None = None,
    ) -> None:
        super().__init__()
        self.features, self.hidden, self.classes = features, hidden, classes
        self.pool, self.max_steps, self.numbers = pool, max_steps, numbers or NumberChoice()
        n = self.numbers

        def activation(ranges: tuple[float, ...], offset: tuple[int, ...] | None = None) -> Factors:
            return Factors(ranges, activation_levels, n.activation_frac, n.factor_bits, offset)

        def weight(groups: int) -> Factors:
            return Factors((1.0,) * groups, weight_levels, n.weight_frac, n.factor_bits)

        # Activations begin uniform over the range that matters (two standard deviations; where tanh is not
        # flat; all of tanh and sigmoid). Greedy factors of their float values do worse: heavy tails and
        # small means waste levels, and the network may never recover.
        sigmoid = 1.0 - n.gate_offset
        self.factors = nn.ModuleDict(
            {
                "x": activation((2.0,)),
                "h": activation((1.0,)),
                "c": activation((2.0,)),
                "gates": activation((sigmoid, sigmoid, 1.0, sigmoid), tuple(n.offset(k) for k in range(4))),
                "wx": weight(4),
                "wh": weight(4),
                "b": weight(4),
                "dense_w": weight(1),
                "dense_b": weight(1),
            }
        )
        self.masters = nn.ParameterDict(
            {
                "wx": nn.Parameter(torch.zeros(4, hidden, features)),
                "wh": nn.Parameter(torch.zeros(4, hidden, hidden)),
                "b": nn.Parameter(torch.zeros(4, hidden)),
                "dense_w": nn.Parameter(torch.zeros(classes, hidden)),
                "dense_b": nn.Parameter(torch.zeros(classes)),
            }
        )
        for name in ("wx", "wh", "dense_w"):
            nn.init.uniform_(self.masters[name], -(hidden**-0.5), hidden**-0.5)
        self._initialize_weight_factors()

    @torch.no_grad()
    def warm_start(self, network: FloatNetwork) -> None:
        """Take the weights of a trained float network, and greedy factors from them."""
        w = network.lstm_weights()
        self.masters["wx"].copy_(w["weight_ih"].view_as(self.masters["wx"]))
        self.masters["wh"].copy_(w["weight_hh"].view_as(self.masters["wh"]))
        self.masters["b"].copy_((w["bias_ih"] + w["bias_hh"]).view_as(self.masters["b"]))
        self.masters["dense_w"].copy_(network.dense.weight)
        self.masters["dense_b"].copy_(network.dense.bias)
        self._initialize_weight_factors()

    def _initialize_weight_factors(self) -> None:
        for name, master in self.masters.items():
            groups = list(master) if self._factors(name).master.shape[0] == 4 else [master]
            self._factors(name).initialize(groups)

    def _factors(self, name: str) -> Factors:
        module = self.factors[name]
        assert isinstance(module, Factors)
        return module

    def spec(self) -> NetworkSpec:
        """The specification with the factors as they are now."""
        n, one = self.numbers, lambda name: self._factors(name).specs()[0]
        four = {name: self._factors(name).specs() for name in ("gates", "wx", "wh", "b")}
        return NetworkSpec(
            lstm=LstmSpec(
                features=self.features,
                hidden=self.hidden,
                source=n.source,
                x=one("x"),
                h=one("h"),
                c=one("c"),
                sigmoid=n.sigmoid,
                tanh=n.tanh,
                **four,  # type: ignore[arg-type]
            ),
            dense=DenseSpec(
                classes=self.classes,
                w=one("dense_w"),
                b=one("dense_b"),
                pool=self.pool,
                max_steps=self.max_steps,
            ),
        )

    def weights(self) -> Weights:
        """The weight codes as they are now."""
        spec, codes = self.spec(), {}
        for name, (_, mlb) in spec.weight_specs().items():
            master = self.masters[name].detach().double().numpy()
            groups = master if len(mlb) == 4 else [master]
            # Floored to a finer grid than the factors', a master keeps its side of every decision threshold.
            stored = [
                m.quantize(np.floor(np.ldexp(g, 40)).astype(np.int64), 40) for m, g in zip(mlb, groups, strict=True)
            ]
            codes[name] = (np.stack(stored) if len(mlb) == 4 else stored[0]).astype(np.uint8)
        return codes

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of standardized samples (batch, steps, features); the mean, for ``Pool.MEAN``."""
        return self._dense(self.hidden_states(x, fused_lstm))

    def named_values(self, x: Tensor) -> dict[str, Tensor]:
        """Every named value of :class:`model.golden.Trace` as a real number (binarized ones reconstructed)."""
        values: dict[str, Tensor] = {}

        def run(*arguments: Any) -> Tensor:
            values.update(plain_lstm(*arguments))
            return values["h"]

        h = self.hidden_states(x, run)
        logits = self._dense(h) * (x.shape[1] if self.pool is Pool.MEAN else 1)
        return {**{name: v.transpose(0, 1) for name, v in values.items()}, "logits": logits}

    def hidden_states(self, x: Tensor, lstm_function: LstmFunction) -> Tensor:
        """h^ of every step by ``fused_lstm`` or a function like it, shape (steps, batch, hidden)."""
        dtype = torch.float32 if self.training else torch.float64
        source = self.numbers.source
        stored = (x.to(dtype) * 2.0**source.frac).round().clamp(source.min, source.max) * source.step
        a = {name: self._factors(name)().to(dtype) for name in ("x", "h", "c", "gates")}
        x_hat = binarize(stored, a["x"][0]).transpose(0, 1)
        wx, wh, b = (self._binarized(name, dtype) for name in ("wx", "wh", "b"))
        zx = x_hat @ wx.flatten(0, 1).T + b.flatten()
        return lstm_function(self.spec().lstm, zx, wh.flatten(0, 1), a["gates"], a["c"][0], a["h"][0])

    def _binarized(self, name: str, dtype: torch.dtype) -> Tensor:
        master, a = self.masters[name].to(dtype), self._factors(name)().to(dtype)
        return binarize(master, a.view(a.shape[0], *(1,) * (master.dim() - 1), -1))

    def _dense(self, h: Tensor) -> Tensor:
        w, b = (self._binarized(name, h.dtype) for name in ("dense_w", "dense_b"))
        if self.pool is Pool.MEAN:
            return (h.sum(0) @ w.T + h.shape[0] * b) / h.shape[0]
        return h[-1] @ w.T + b
