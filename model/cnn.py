"""Convolutional networks whose activations can be quantized: every stored activation is the output of a ReLU module."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

#: Channels of the convolutions of VGG-16; "pool" halves height and width.
VGG16 = (64, 64, "pool", 128, 128, "pool", *(256,) * 3, "pool", *(512,) * 3, "pool", *(512,) * 3, "pool")


def lenet(classes: int = 10, channels: int = 1, size: int = 28) -> nn.Sequential:
    """LeNet for images of ``channels`` x ``size`` x ``size``: two 5 x 5 convolutions and a hidden layer of 500."""
    side = ((size - 4) // 2 - 4) // 2
    return nn.Sequential(
        nn.Conv2d(channels, 20, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(50 * side * side, 500), nn.ReLU(), nn.Linear(500, classes),
    )  # fmt: skip


def small_vgg(classes: int = 10, size: int = 32, normalized: bool = False) -> nn.Sequential:
    """Six 3 x 3 convolutions and a hidden layer of 128, for images of 3 x ``size`` x ``size``.

    normalized: with batch normalization, to be trained; :func:`folded` takes it out again.
    """
    features = _convolutions((16, 16, "pool", 32, 32, "pool", 64, 64, "pool"), normalized)
    side = size // 8
    hidden = (nn.Dropout(0.3), nn.Linear(64 * side * side, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, classes))
    return nn.Sequential(*features, nn.Flatten(), *hidden)


def digits_net(classes: int = 10) -> nn.Sequential:
    """A tiny network for the digits of scikit-learn, 1 x 8 x 8."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, classes),
    )  # fmt: skip


def alexnet(classes: int = 1000, size: int = 224) -> nn.Sequential:
    """The shape of AlexNet (Krizhevsky 2014, one column), for images of 3 x ``size`` x ``size``; weights are random."""
    side = ((((size - 7) // 4 + 1 - 3) // 2 + 1 - 3) // 2 + 1 - 3) // 2 + 1
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Flatten(), *_classifier(256 * side * side, 4096, classes),
    )  # fmt: skip


def vgg16(classes: int = 1000, size: int = 224) -> nn.Sequential:
    """The shape of VGG-16 (Simonyan, Zisserman 2014), for images of 3 x ``size`` x ``size``; weights are random."""
    side = size // 32
    return nn.Sequential(*_convolutions(VGG16, False), nn.Flatten(), *_classifier(512 * side * side, 4096, classes))


def folded(network: nn.Sequential) -> nn.Sequential:
    """The same function in ``eval()`` without batch normalization: its factors are in the weights before it."""
    layers: list[nn.Module] = []
    for layer in network.eval():
        if isinstance(layer, nn.BatchNorm2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)  # type: ignore[type-var]
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


def _convolutions(plan: Sequence[int | str], normalized: bool) -> list[nn.Module]:
    """3 x 3 convolutions, each with a ReLU."""
    layers: list[nn.Module] = []
    channels = 3
    for step in plan:
        if isinstance(step, str):
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(channels, step, 3, padding=1))
        layers += [nn.BatchNorm2d(step)] if normalized else []
        layers.append(nn.ReLU(inplace=True))
        channels = step
    return layers


def _classifier(inputs: int, hidden: int, classes: int) -> tuple[nn.Module, ...]:
    return (
        *(nn.Linear(inputs, hidden), nn.ReLU(inplace=True), nn.Dropout()),
        *(nn.Linear(hidden, hidden), nn.ReLU(inplace=True), nn.Dropout()),
        nn.Linear(hidden, classes),
    )
