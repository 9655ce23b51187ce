"""Training: a float network first, then the network for hardware from its weights; resumable after any epoch."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from model.config import TrainConfig
from model.data import Dataset
from model.family import ADDERS, STEPPED, Family
from model.float_network import FloatMlp, FloatNetwork
from model.layers import HardwareNetwork
from model.mlp import networks_of
from model.run import Progress, Run, score
from model.scaling import Scaling


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The outcome of a run: both networks at their best validation epoch, and what they score.

    Of ``Family.FLOAT`` there is only the first.
    """

    float_network: FloatNetwork | FloatMlp
    network: HardwareNetwork | None
    unaware: HardwareNetwork | None  #: trained with exact adders, and now with others, if there are (BLSTM, FIXED)
    float_scaling: Scaling  #: how samples are standardized for the float network
    scaling: Scaling  #: and for the one for hardware, which may have learned a shift of them
    validation: dict[str, float]  #: validation accuracy by phase: ``float``, ``exact`` (BLSTM, FIXED), ``hardware``


def train(
    config: TrainConfig, data: Dataset, folder: Path, progress: Progress, float_from: Path | None = None
) -> Trained:
    """Train both networks, keeping ``folder/checkpoint.pt`` after every epoch; continues from it if it is there.

    float_from: another run, whose float network is taken instead of training the same again.

    Raises
    ------
    TrainingError
        If the folder holds the run of another configuration or a damaged checkpoint, or ``float_from`` another float
        network.
    """
    torch.manual_seed(config.seed)
    scaling = (
        Scaling.of(data.part("train")[0], data.alike) if data.symbols is None else Scaling.identity(data.x.shape[2])
    )
    parts = {}
    for name in ("train", "val"):
        x, y = data.part(name)
        parts[name] = (torch.from_numpy(scaling.apply(x)).float(), torch.from_numpy(y))
    features = data.x.shape[2]
    run = open_run(config, data, folder, float_from)
    if float_from is not None:
        run.save()

    kind, _ = networks_of(config.family)
    float_network = kind(features, config.hidden, data.classes, config.pool, config.layers)
    float_score = run.fit("float", float_network, parts, config.epochs_float, config.rate_float, progress)
    trained = Trained(
        float_network=float_network,
        network=None,
        unaware=None,
        float_scaling=scaling,
        scaling=scaling,
        validation={"float": float_score},
    )
    if config.family is Family.FLOAT:
        return trained
    network = untrained(config, data)
    network.warm_start(float_network, parts["train"][0])
    float_network.eval()
    validation, unaware, epochs = dict(trained.validation), None, phases(config)

    def fit(phase: str, epochs: int, rate: float, trained: bool = False) -> None:
        adapt = network.adapt if config.family in STEPPED else lambda: None
        validation[phase] = run.fit(phase, network, parts, epochs, rate, progress, float_network, adapt, trained)

    if config.family is Family.FIXED32:
        validation["hardware"] = score(network, *parts["val"])
    elif config.family in ADDERS:
        network.sums = config.adders.without_limits()
        fit("exact", epochs["exact"], config.rate)
        network.sums = config.adders
        unaware = None if config.adders.exact else copy.deepcopy(network)
        if any(lstm.inexact for lstm in network.spec().lstms):
            fit("hardware", epochs["hardware"], config.rate_adders, trained=True)
        else:
            validation["hardware"] = validation["exact"]
    else:
        fit("hardware", epochs["hardware"], config.rate)
    return replace(
        trained,
        network=network,
        unaware=unaware,
        scaling=scaling.shifted(network.take_shift()),
        validation=validation,
    )


def phases(config: TrainConfig) -> dict[str, int]:
    """Epochs of the phases of a run, in their order; the last finds nothing to do where no adder ever overflows."""
    float_only = {"float": config.epochs_float}
    if config.family in (Family.FLOAT, Family.FIXED32):
        return float_only
    if config.family not in ADDERS:
        return {**float_only, "hardware": config.epochs}
    limited = {} if config.adders.exact else {"hardware": config.epochs_adders}
    return {**float_only, "exact": config.epochs, **limited}


def untrained(config: TrainConfig, data: Dataset) -> HardwareNetwork:
    """The network for hardware as training begins with it, before it gets the weights of the float one."""
    steps, features = data.x.shape[1:]
    _, kind = networks_of(config.family)
    return kind(
        features=features,
        layers=config.layers,
        hidden=config.hidden,
        classes=data.classes,
        pool=config.pool,
        activation_levels=config.activation_levels,
        weight_levels=config.weight_levels,
        max_steps=steps,
        family=config.family,
        factors=config.factors,
        overlap=0 < data.hop < features,
        weight_bits=config.weight_bits,
        sums=config.adders if config.family in ADDERS else None,
        one_hot=data.symbols is not None,
    )


def open_run(config: TrainConfig, data: Dataset, folder: Path, float_from: Path | None = None) -> Run:
    """The run in ``folder``, or a new one, with the float network of ``float_from``; nothing is written.

    Raises
    ------
    TrainingError
        If it cannot be begun or continued so.
    """
    run = Run(config, data, folder)
    if float_from is not None:
        run.take_float(float_from)
    return run
