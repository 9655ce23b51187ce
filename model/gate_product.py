"""The product of x or of h with the weights of all gates, as the layers and the loop over time take it."""

from __future__ import annotations

import torch
from torch import Tensor

from model.spec import Quantity, SumSpec
from model.sums import summed_product


class Product:
    """From values (batch, inputs) to their products with the weights, (batch, 4 * hidden).

    The loop over time (:mod:`model.fused`) takes it step by step, forwards and backwards, without a graph across steps;
    gradients of the weights are there when all steps are done.

    Parameters
    ----------
    weight
        Reconstructed weights, shape (4 * hidden, inputs).
    """

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """What has gradients, in the order of :meth:`gradients`."""
        return (self.weight,)

    def __call__(self, values: Tensor) -> Tensor:
        """The products, differentiable."""
        return values @ self.weight.T

    def forward(self, h: Tensor, record: bool) -> Tensor:
        """The products of the next step; ``record`` them for :meth:`backward`."""
        del record
        return self(h)

    def backward(self, t: int, dz: Tensor) -> Tensor:
        """The gradient of h of step ``t``, from that of its products; the last step comes first."""
        del t
        return dz @ self.weight

    def gradients(self, h: Tensor, dz: Tensor) -> tuple[Tensor, ...]:
        """Those of the operands, from h and the gradients of its products, (steps, batch, ...)."""
        return (dz.flatten(0, 1).T @ h.flatten(0, 1),)

    def detached(self) -> Product:
        """The same without a graph."""
        return Product(self.weight.detach())


class LimitedProduct(Product):
    """The same, where sums of stored integers times integers are made by limited adders, then scaled.

    Parameters
    ----------
    weight
        Integers, shape (4 * hidden, inputs).
    scale
        What one is worth in each output, (4 * hidden,), apart from the fraction bits of the values.
    stored
        How the values are stored.
    rule
        How the products are added.
    """

    def __init__(self, weight: Tensor, scale: Tensor, stored: Quantity, rule: SumSpec) -> None:
        super().__init__(weight)
        self.scale, self.stored, self.rule = scale, stored, rule
        self._steps: list[tuple[Tensor, Tensor]] = []
        self._sums = [torch.zeros_like(operand) for operand in self.operands]

    @property
    def operands(self) -> tuple[Tensor, ...]:
        return self.weight, self.scale

    def __call__(self, values: Tensor) -> Tensor:
        frac = self.stored.frac
        sums = summed_product(values * 2.0**frac, self.weight, self.rule, x_max=self.stored.bound)
        return sums.to(values.dtype) * (self.scale * 2.0**-frac)

    def forward(self, h: Tensor, record: bool) -> Tensor:
        if not record:
            return self(h)
        with torch.enable_grad():
            given = h.detach().requires_grad_()
            result = self(given)
        self._steps.append((given, result))
        return result.detach()

    def backward(self, t: int, dz: Tensor) -> Tensor:
        given, result = self._steps[t]
        dh, *others = torch.autograd.grad(result, (given, *self.operands), dz)
        for total, other in zip(self._sums, others, strict=True):
            total += other
        return dh

    def gradients(self, h: Tensor, dz: Tensor) -> tuple[Tensor, ...]:
        del h, dz
        return tuple(self._sums)

    def detached(self) -> LimitedProduct:
        weight, scale = (operand.detach().requires_grad_() for operand in self.operands)
        return LimitedProduct(weight, scale, self.stored, self.rule)
