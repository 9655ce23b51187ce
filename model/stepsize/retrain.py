"""Retraining under quantized weights, and float training by the same loop; resumable after any epoch."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from model import checkpoint
from model.annealing import anneal, chance_of
from model.classifier import FitConfig, digest
from model.stepsize.layers import LEAST_STEP, Attached, Layer
from model.stepsize.rounding import StepRule
from model.stepsize.schemes import RetrainConfig, Scheme, Update
from model.stepsize.step_search import search_steps
from model.stepsize.tasks import Score, Task

Progress = Callable[[int, int, float], None]  #: epochs done, of, validation error


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One line of the history of a run: bits, validation error after it, and steps layer by layer."""

    bits: int | None
    error: float
    steps: list[list[float]]


@dataclass(frozen=True, kw_only=True)
class Retrained:
    """The outcome of a run: the best epoch of its last stage by validation.

    Parameters
    ----------
    network
        With quantized weights, of the kind that was given, and where it was.
    codes, steps, errors
        Of each layer: integers, steps (groups,), both on the CPU, and the squared error to the float weights behind.
    validation
        Its score.
    history
        Epoch by epoch; the first is before retraining.
    """

    network: nn.Module
    codes: list[torch.Tensor]
    steps: list[torch.Tensor]
    errors: list[float]
    validation: Score
    history: list[Epoch]


def retrain(
    model: nn.Module,
    layers: Sequence[Layer],
    task: Task,
    config: RetrainConfig,
    folder: Path | None = None,
    progress: Progress = lambda *_: None,
) -> Retrained:
    """A copy of ``model`` with weights of ``config.bits`` bits, retrained on ``task``.

    folder: of checkpoints, one for each network, data and configuration; without it there is none.
    """
    attached = Attached(copy.deepcopy(model), layers, config.steps)
    about = {**asdict(config), "layers": [layer.name for layer in layers], "steps": str(config.steps)}
    run = _Run(attached, task, config.fit, _path(folder, "retrained", about, model, task), progress)
    if config.scheme is Scheme.DIRECT:
        attached.set_bits(config.bits)
        attached.adapt()
        run.judge(config.bits)
    else:
        stages = zip(config.stages, config.epochs, strict=True)
        run.all([_Stage(config, bits, epochs) for bits, epochs in stages])
    run.take_best()
    found = [each.codes(w) for each, w in zip(attached.quantized, attached.masters, strict=True)]
    return Retrained(
        network=attached.released().eval(),
        codes=[each.to(torch.int32).cpu() for each in found],
        steps=[each.used.cpu() for each in attached.quantized],
        errors=[each.error(w) for each, w in zip(attached.quantized, attached.masters, strict=True)],
        validation=run.best or Score(math.nan, math.nan),
        history=run.history,
    )


def train_float(
    model: nn.Module, task: Task, fit: FitConfig, folder: Path | None = None, progress: Progress = lambda *_: None
) -> Score:
    """Train ``model`` in place, with float weights, and leave it at its best epoch by validation; its score there."""
    attached = Attached(model, (), StepRule())
    run = _Run(attached, task, fit, _path(folder, "float", asdict(fit), model, task), progress)
    run.all([_Stage(None, None, fit.epochs)])
    run.take_best()
    assert run.best is not None
    return run.best


def _path(folder: Path | None, name: str, about: dict[str, Any], model: nn.Module, task: Task) -> Path | None:
    """Where the checkpoint of these settings, this network and this data is."""
    if folder is None:
        return None
    told = json.dumps(about, sort_keys=True, default=str) + str(model) + task.identity
    found = hashlib.sha256((told + digest(*model.state_dict().values())).encode()).hexdigest()
    return folder / f"{name}-{found[:20]}.pt"


@dataclass(frozen=True)
class _Stage:
    config: RetrainConfig | None
    bits: int | None
    epochs: int


class _Run:
    """Stages of epochs; chance depends on seed, stage and epoch only, so a continued run is the unbroken one."""

    def __init__(self, attached: Attached, task: Task, fit: FitConfig, path: Path | None, progress: Progress) -> None:
        self._attached, self._task, self._fit, self._path, self._progress = attached, task, fit, path, progress
        self._best_state: dict[str, Any] = {}
        self.best: Score | None = None
        self.history: list[Epoch] = []

    def all(self, stages: Sequence[_Stage]) -> None:
        """Do what is not done yet."""
        stored = checkpoint.load(self._path, "network", "best") if self._path and self._path.exists() else None
        total, done = sum(stage.epochs for stage in stages), 0
        for place, stage in enumerate(stages):
            if stored and place < stored["stage"]:
                done += stage.epochs
                continue
            begin = stored["epoch"] if stored and place == stored["stage"] else 0
            self._begin(stage)
            optimizer = self._optimizer()
            if begin and stored:
                self._continue(stored, optimizer)
            else:
                self._steps_before(stage)
                self.best, self._best_state = None, {}
                self.judge(stage.bits, candidate=False)
            done += begin
            for epoch in range(begin, stage.epochs):
                self._steps_within(stage, epoch)
                self._epoch(optimizer, place, epoch, stage.epochs)
                self.judge(stage.bits)
                done += 1
                self._save(place, epoch + 1, optimizer)
                self._progress(done, total, self.history[-1].error)

    def judge(self, bits: int | None, candidate: bool = True) -> None:
        """Validate, and keep the network if it is the best of its stage."""
        with parametrize.cached():
            found = self._task.evaluate(self._attached.model, "val")
        self.history.append(Epoch(bits=bits, error=found.error, steps=self._attached.steps if bits else []))
        if candidate and (self.best is None or found < self.best):
            self.best, self._best_state = found, copy.deepcopy(self._attached.model.state_dict())

    def take_best(self) -> None:
        """Give the network the weights and steps of its best epoch."""
        self._attached.model.load_state_dict(self._best_state)

    def _begin(self, stage: _Stage) -> None:
        self._attached.set_bits(stage.bits)
        if stage.config and stage.config.scheme is Scheme.LSQ:
            self._attached.learn()

    def _steps_before(self, stage: _Stage) -> None:
        """The steps that a stage begins with."""
        if stage.config is None:
            return
        if stage.config.scheme.searched:
            search_steps(self._attached, self._task, stage.config.search_samples)
        else:
            self._attached.adapt()

    def _steps_within(self, stage: _Stage, epoch: int) -> None:
        """The steps of an epoch that is not the first."""
        if stage.config and stage.config.scheme.adaptive:
            last = 1 if stage.config.update is Update.ONCE else stage.epochs
            if 1 <= epoch <= last:
                self._attached.adapt()

    def _optimizer(self) -> torch.optim.Optimizer:
        steps = [each.step for each in self._attached.quantized]
        own = {id(each) for each in steps}
        weights = [each for each in self._attached.model.parameters() if id(each) not in own]
        groups = [{"params": weights, "weight_decay": self._fit.decay}]
        if learned := [each for each in steps if each.requires_grad]:
            groups.append({"params": learned, "weight_decay": 0.0})
        return torch.optim.AdamW(groups, lr=self._fit.rate)

    def _epoch(self, optimizer: torch.optim.Optimizer, place: int, epoch: int, epochs: int) -> None:
        fit, model = self._fit, self._attached.model
        model.train()
        chance = chance_of(fit.seed, place * 1009 + epoch)
        torch.manual_seed(chance.initial_seed())  # dropout
        steps = self._task.steps(fit)
        for step, (x, y) in enumerate(self._task.batches(fit, chance)):
            anneal(optimizer, fit.rate, epoch * steps + step, epochs * steps)
            optimizer.zero_grad()
            with parametrize.cached():
                loss = self._task.loss(model, x, y)
            loss.backward()
            optimizer.step()
            for each in self._attached.quantized:
                if each.step.requires_grad:
                    each.step.data.clamp_(min=LEAST_STEP)

    def _save(self, stage: int, epoch: int, optimizer: torch.optim.Optimizer) -> None:
        if self._path is None:
            return
        state = {
            "network": self._attached.model.state_dict(),
            "best": self._best_state,
            "optimizer": optimizer.state_dict(),
            "score": list(self.best or ()),
            "history": [asdict(each) for each in self.history],
            "stage": stage,
            "epoch": epoch,
        }
        checkpoint.save(state, self._path)

    def _continue(self, stored: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
        self._attached.model.load_state_dict(stored["network"])
        optimizer.load_state_dict(stored["optimizer"])
        self.best, self._best_state = Score(*stored["score"]), stored["best"]
        self.history = [Epoch(**each) for each in stored["history"]]
