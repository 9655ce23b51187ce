"""The feed-forward classifier in the arithmetic of hardware: dense layers with ReLU in place of LSTM layers."""

from __future__ import annotations

from torch import Tensor, nn

from model.cell import LstmFunction, fixed_point
from model.exact import check_exact
from model.family import Family
from model.float_network import FloatMlp, FloatNetwork
from model.layers import HardwareNetwork, uniform
from model.spec import ReluSpec, of_layer


class MlpNetwork(HardwareNetwork):
    """A network of ``Family.MLP``; parameters as of :class:`HardwareNetwork`.

    Gradients pass through a unit where its output is neither 0 nor the largest number, which is how a ReLU is learned.
    """

    def _new_masters(self, layer: int) -> dict[str, nn.Parameter]:
        w = uniform(self.hidden, self.hidden if layer else self.features, hidden=self.hidden)
        return {"w": w, "b": nn.Parameter(w.new_zeros(self.hidden))}

    def layer_spec(self, layer: int) -> ReluSpec:
        """The specification of a layer with the steps as they are now."""
        stored = {name: self._quantities(name, layer)[0] for name in ("x", "h", "w", "b")}
        return ReluSpec(features=self.hidden if layer else self.features, hidden=self.hidden, **stored)

    def named_values(self, x: Tensor) -> dict[str, Tensor]:
        """Every named value of :class:`model.golden.Trace` as a real number: ``z_l0``, ``h_l0``, ..., ``logits``."""
        given, named = self._samples(x), {}
        for layer in range(self.layers):
            z = self._sums(layer, given)
            given = fixed_point(z, self.layer_spec(layer).h)
            named |= {of_layer("z", layer): z.transpose(0, 1), of_layer("h", layer): given.transpose(0, 1)}
        return {**named, "logits": self._logits(given)}

    def _layer(self, layer: int, given: Tensor, lstm_function: LstmFunction) -> Tensor:
        del lstm_function  # there is none
        return fixed_point(self._sums(layer, given), self.layer_spec(layer).h)

    def _sums(self, layer: int, given: Tensor) -> Tensor:
        """z of every step of a layer, from the samples or from h^ of the one below, (steps, batch, inputs)."""
        w, b = (self._stored(n, self.masters[of_layer(n, layer)].to(given.dtype), layer) for n in ("w", "b"))
        x_hat = given if layer else self._stored("x", given, layer)
        if not self.training:
            bound = w.abs().sum(-1) * x_hat.abs().max() + b.abs()
            check_exact(of_layer("z", layer), bound, self.layer_spec(layer).z_frac)
        return x_hat @ w.T + b


def networks_of(family: Family) -> tuple[type[FloatNetwork | FloatMlp], type[HardwareNetwork]]:
    """The float network of a family, and the one for hardware that begins with its weights."""
    return (FloatMlp, MlpNetwork) if family is Family.MLP else (FloatNetwork, HardwareNetwork)
