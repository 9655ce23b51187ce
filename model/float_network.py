"""The float classifiers: the baselines of accuracy, and where training for hardware begins."""

from __future__ import annotations

from torch import Tensor, nn

from model.spec import Pool, of_layer


class FloatNetwork(nn.Module):
    """The baseline: ``nn.LSTM`` and a dense layer on the last, the mean or every hidden state of its last layer."""

    def __init__(self, features: int, hidden: int, classes: int, pool: Pool, layers: int = 1) -> None:
        super().__init__()
        self.pool = pool
        self.lstm = nn.LSTM(features, hidden, layers, batch_first=True)
        self.dense = nn.Linear(hidden, classes)
        for layer in range(layers):
            w = self.lstm_weights(layer)
            w["bias_hh"].data.zero_()
            w["bias_ih"].data.zero_()
            w["bias_ih"].data[hidden : 2 * hidden] = 1.0  # a forget gate that begins open trains faster

    def lstm_weights(self, layer: int) -> dict[str, Tensor]:
        """The parameters of a layer by name, without the layer number."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return {name: getattr(self.lstm, of_layer(name, layer)) for name in names}

    def layer_weights(self, layer: int) -> dict[str, Tensor]:
        """What a layer of the network for hardware begins with."""
        w = self.lstm_weights(layer)
        return {"wx": w["weight_ih"], "wh": w["weight_hh"], "b": w["bias_ih"] + w["bias_hh"]}

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of samples (batch, steps, features); (batch, steps, classes), for ``Pool.EACH``."""
        h, _ = self.lstm(x)
        return self.dense(pooled(h, self.pool))


class FloatMlp(nn.Module):
    """The baseline of feed-forward networks: ``nn.Linear`` and ReLU, layer by layer, and the same dense layer."""

    def __init__(self, features: int, hidden: int, classes: int, pool: Pool, layers: int = 1) -> None:
        super().__init__()
        self.pool = pool
        self.hidden = nn.ModuleList(nn.Linear(hidden if layer else features, hidden) for layer in range(layers))
        self.dense = nn.Linear(hidden, classes)

    def layer_weights(self, layer: int) -> dict[str, Tensor]:
        """What a layer of the network for hardware begins with."""
        linear = self.hidden[layer]
        assert isinstance(linear, nn.Linear)
        return {"w": linear.weight, "b": linear.bias}

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of samples (batch, steps, features); (batch, steps, classes), for ``Pool.EACH``."""
        for linear in self.hidden:
            x = linear(x).relu()
        return self.dense(pooled(x, self.pool))


def pooled(h: Tensor, pool: Pool) -> Tensor:
    """What the dense layer reads of the outputs (batch, steps, hidden) of the layer below."""
    if pool is Pool.EACH:
        return h
    return h.mean(1) if pool is Pool.MEAN else h[:, -1]
