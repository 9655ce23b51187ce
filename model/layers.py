"""PyTorch modules: the float LSTM classifier, and the one in the arithmetic of hardware."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.cell import LstmFunction, binarize, fixed_point, plain_lstm
from model.factors import Factors, SearchedFactors
from model.family import BINARIZED, FactorRule, Family, NumberChoice
from model.fused import fused_lstm
from model.spec import DenseSpec, LstmSpec, MlbSpec, NetworkSpec, Pool, Quantity, Weights

GROUPS = {"gates": 4, "wx": 4, "wh": 4, "b": 4}  #: quantities that have factors for each gate


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
    """A network in the arithmetic of hardware: each quantity multi-level binarized or in fixed point, by its family.

    In training, ``forward`` runs in float32 and gradients pass straight through what is stored; in ``eval()`` it runs
    in float64 and equals :func:`model.golden.run`, number for number. In float32 the 32-bit words of fixed-point
    quantities lose their last bits, which changes activations by one step of their input at times.

    Parameters
    ----------
    activation_levels, weight_levels
        A and W, 1 to 5.
    max_steps
        Longest sequence (see :class:`model.spec.DenseSpec`).
    family
        What is binarized.
    factors
        What learned factors may be.
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
        family: Family = Family.MUBINN2,
        factors: FactorRule = FactorRule.FREE,
        numbers: NumberChoice | None = None,
    ) -> None:
        super().__init__()
        self.features, self.hidden, self.classes = features, hidden, classes
        self.pool, self.max_steps, self.numbers = pool, max_steps, numbers or NumberChoice.of(family)
        n = self.numbers

        # Activations begin uniform over the range that matters (two standard deviations; where tanh is not
        # flat; all of tanh and sigmoid). Greedy factors of their float values do worse: heavy tails and
        # small means waste levels, and the network may never recover.
        sigmoid = 1.0 - n.gate_offset
        ranges = {"x": (2.0,), "h": (1.0,), "c": (2.0,), "gates": (sigmoid, sigmoid, 1.0, sigmoid)}
        offsets = {"gates": tuple(n.offset(k) for k in range(4))}

        def factors_of(name: str) -> Factors:
            levels, frac = (activation_levels, n.activation_frac) if name in ranges else (weight_levels, n.weight_frac)
            if family is Family.B_LSTM:
                return SearchedFactors(GROUPS.get(name, 1), 1, 0, 1)  # the only power is 1
            if family is Family.MUBINN1:
                return SearchedFactors(GROUPS.get(name, 1), levels, frac, n.factor_bits)
            across = ranges.get(name, (1.0,) * GROUPS.get(name, 1))
            return Factors(across, levels, frac, n.factor_bits, offsets.get(name), factors)

        self.factors = nn.ModuleDict({name: factors_of(name) for name in BINARIZED[family]})
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
    def warm_start(self, network: FloatNetwork, x: Tensor | None = None) -> None:
        """Take the weights of a trained float network, and factors from them; searched factors of x from samples."""
        w = network.lstm_weights()
        self.masters["wx"].copy_(w["weight_ih"].view_as(self.masters["wx"]))
        self.masters["wh"].copy_(w["weight_hh"].view_as(self.masters["wh"]))
        self.masters["b"].copy_((w["bias_ih"] + w["bias_hh"]).view_as(self.masters["b"]))
        self.masters["dense_w"].copy_(network.dense.weight)
        self.masters["dense_b"].copy_(network.dense.bias)
        self._initialize_weight_factors()
        if x is not None and "x" in self.factors and isinstance(factors := self._factors("x"), SearchedFactors):
            factors.initialize([x])

    def _initialize_weight_factors(self) -> None:
        for name, master in self.masters.items():
            if name in self.factors:
                self._factors(name).initialize(list(master) if name in GROUPS else [master])

    def _factors(self, name: str) -> Factors:
        module = self.factors[name]
        assert isinstance(module, Factors)
        return module

    def _quantities(self, name: str) -> tuple[Quantity, ...]:
        """How a quantity is stored, for each gate where it has factors for each."""
        if name in self.factors:
            return self._factors(name).specs()
        return (self.numbers.fixed(name),) * GROUPS.get(name, 1)

    def spec(self) -> NetworkSpec:
        """The specification with the factors as they are now."""
        n, one = self.numbers, lambda name: self._quantities(name)[0]
        four = {name: self._quantities(name) for name in ("gates", "wx", "wh", "b")}
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

    @torch.no_grad()
    def weights(self) -> Weights:
        """The weight codes as they are now."""
        codes = {}
        for name, (_, stored) in self.spec().weight_specs().items():
            master = self.masters[name].detach().double()
            groups = list(master) if len(stored) == 4 else [master]
            arrays = [_codes(spec, group) for spec, group in zip(stored, groups, strict=True)]
            codes[name] = (np.stack(arrays) if len(stored) == 4 else arrays[0]).astype(stored[0].dtype)
        return codes

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of standardized samples (batch, steps, features); the mean, for ``Pool.MEAN``."""
        logits = self._logits(self.hidden_states(x, fused_lstm))
        return logits / x.shape[1] if self.pool is Pool.MEAN else logits

    def named_values(self, x: Tensor) -> dict[str, Tensor]:
        """Every named value of :class:`model.golden.Trace` as a real number (codes reconstructed)."""
        values: dict[str, Tensor] = {}

        def run(*arguments: Any) -> Tensor:
            values.update(plain_lstm(*arguments))
            return values["h"]

        logits = self._logits(self.hidden_states(x, run))
        return {**{name: v.transpose(0, 1) for name, v in values.items()}, "logits": logits}

    def hidden_states(self, x: Tensor, lstm_function: LstmFunction) -> Tensor:
        """h^ of every step by ``fused_lstm`` or a function like it, shape (steps, batch, hidden)."""
        dtype = torch.float32 if self.training else torch.float64
        source, lstm = self.numbers.source, self.spec().lstm
        a = {name: self._factors(name)().to(dtype) for name in ("h", "c", "gates") if name in self.factors}
        stored = (x.to(dtype) * 2.0**source.frac).round().clamp(source.min, source.max) * source.step
        x_hat = self._stored("x", stored).transpose(0, 1)
        wx, wh, b = (self._stored(name, self.masters[name].to(dtype)) for name in ("wx", "wh", "b"))
        if not self.training and not lstm.binarized:
            h_bound = lstm.h.bound * 2.0**-lstm.h.frac
            bound = wx.abs().sum(-1) * x_hat.abs().max() + wh.abs().sum(-1) * h_bound + b.abs()
            _check_exact("z", bound, lstm.z_frac)
        zx = x_hat @ wx.flatten(0, 1).T + b.flatten()
        c, h = (a[name][0] if name in a else None for name in ("c", "h"))
        return lstm_function(lstm, zx, wh.flatten(0, 1), a.get("gates"), c, h)

    def _stored(self, name: str, value: Tensor) -> Tensor:
        """x or weights as they are stored, reconstructed."""
        if name not in self.factors:
            return fixed_point(value, self.numbers.fixed(name))
        a = self._factors(name)().to(value.dtype)
        return binarize(value, a.view(a.shape[0], *(1,) * (value.dim() - 1), -1) if name in GROUPS else a[0])

    def _logits(self, h: Tensor) -> Tensor:
        """Logits of the last hidden state, or their sum over all of them."""
        w, b = (self._stored(name, self.masters[name].to(h.dtype)) for name in ("dense_w", "dense_b"))
        states = h if self.pool is Pool.MEAN else h[-1:]
        if not self.training and "dense_w" not in self.factors:
            frac = self.spec().dense_dot.frac
            _check_exact("logits", states.detach().abs().sum(0) @ w.abs().T + len(states) * b.abs(), frac)
        return states.sum(0) @ w.T + len(states) * b


def _codes(spec: Quantity, master: Tensor) -> np.ndarray:
    """Codes of float64 weights, as ``eval()`` uses them."""
    if isinstance(spec, MlbSpec):
        # Floored to a finer grid than the factors', a master keeps its side of every decision threshold.
        return spec.quantize(np.floor(np.ldexp(master.numpy(), 40)).astype(np.int64), 40)
    return (fixed_point(master, spec) * 2.0**spec.frac).long().numpy()


def _check_exact(name: str, bound: Tensor, frac: int) -> None:
    """Raise ValueError unless sums of at most this size are exact in float64, whatever their order."""
    if (largest := bound.max().item()) >= 2.0 ** (53 - frac):
        raise ValueError(f"Sums of {name} must be below {2.0 ** (53 - frac):g} to be exact, not {largest:g}")
