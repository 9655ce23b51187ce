"""The conventional choice of steps: by evaluation, around those with the least squared error."""

from __future__ import annotations

import torch
from torch.nn.utils import parametrize

from model.stepsize.layers import Attached
from model.stepsize.tasks import Score, Task

#: Multiples of a step that are tried, from half of it to twice it, the nearest first: it stays if none is better.
MULTIPLES = tuple(2 ** (each / 4) for each in (0, -1, 1, -2, 2, -3, 3, -4, 4))


@torch.no_grad()
def search_steps(attached: Attached, task: Task, samples: int) -> Score:
    """Layer by layer, in order, take that of nine steps with the least error on validation samples, then least loss.

    Layers before one have the steps they were given, those behind the ones with the least squared error.
    """

    def judged() -> Score:
        with parametrize.cached():
            return task.evaluate(attached.model, "val", samples)

    attached.adapt()
    best = judged()
    for quantized in attached.quantized:
        begin = quantized.step.detach().clone()
        taken, tried = begin, [quantized.used]
        for multiple in MULTIPLES[1:]:
            quantized.step.copy_(begin * multiple)
            if any(torch.equal(quantized.used, each) for each in tried):
                continue
            tried.append(quantized.used)
            found = judged()
            if found < best:
                best, taken = found, tried[-1]
        quantized.step.copy_(taken)
    return best
