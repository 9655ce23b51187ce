"""Networks of the shapes in the paper's three experiments: feed-forward, convolutional, and a character LSTM."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn


def feedforward(
    width: int = 256, normalized: bool = False, inputs: int = 784, classes: int = 10, hidden: int = 4
) -> nn.Sequential:
    """So many hidden layers of ``width`` with ReLU, and batch normalization before it if ``normalized``."""
    layers: list[nn.Module] = [nn.Flatten()]
    for place in range(hidden):
        layers.append(nn.Linear(width if place else inputs, width))
        layers += [nn.BatchNorm1d(width)] if normalized else []
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(width, classes))


def cnn_l(classes: int = 10) -> nn.Sequential:
    """L, the shape of LeNet-5, for images of 1 x 28 x 28: 61,470 weights."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes),
    )  # fmt: skip


def cnn_c(classes: int = 10) -> nn.Sequential:
    """C, three 5 x 5 convolutions with pooling that overlaps, for images of 3 x 32 x 32: 84,960 weights."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Flatten(), nn.Linear(576, classes),
    )  # fmt: skip


def cnn_v(classes: int = 10) -> nn.Sequential:
    """V, six 3 x 3 convolutions with batch normalization, like VGG, for images of 3 x 32 x 32: 434,736 weights."""
    layers: list[nn.Module] = []
    channels = 3
    for each in (32, 64, 128):
        for _ in range(2):
            layers += [nn.Conv2d(channels, each, 3, padding=1), nn.BatchNorm2d(each), nn.ReLU()]
            channels = each
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 72), nn.ReLU(), nn.Linear(72, classes))


class CharacterLstm(nn.Module):
    """Layers of LSTM over one-hot symbols, and a dense layer that scores the next symbol."""

    def __init__(self, width: int = 128, symbols: int = 65, layers: int = 3) -> None:
        super().__init__()
        self.symbols = symbols
        self.lstm = nn.LSTM(symbols, width, layers, batch_first=True)
        self.dense = nn.Linear(width, symbols)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (sequences, length, symbols) of symbols as integers (sequences, length)."""
        h, _ = self.lstm(nn.functional.one_hot(x, self.symbols).to(self.dense.weight.dtype))
        return self.dense(h)


def weights(model: nn.Module) -> int:
    """Numbers that are quantized: weights of all layers, without biases and normalization."""
    return sum(each.numel() for each in model.parameters() if each.ndim > 1)


#: For the command line, which names functions without arguments.
lstm64, lstm128, lstm256 = (partial(CharacterLstm, width) for width in (64, 128, 256))
