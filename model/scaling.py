"""Standardization of samples, before they are rounded to the input format of the hardware."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.spec import Format, Ints


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Standardization of raw samples: ``(x - mean) * scale`` per feature; of images, the same for all.

    ``of`` the training split, or none (``identity``); ``shifted`` by what a network for hardware learned.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def of(cls, x: NDArray[np.float32], alike: bool = False) -> Scaling:
        """That which gives each feature, or all of them together where they are ``alike``, mean 0 and deviation 1."""
        flat = x.reshape(-1, 1 if alike else x.shape[-1]).astype(np.float64)
        deviation = flat.std(0)
        scale = np.where(deviation > 0, 1.0 / np.where(deviation > 0, deviation, 1.0), 1.0)
        mean, scale = (np.broadcast_to(each, x.shape[-1:]) for each in (flat.mean(0), scale))
        return cls(mean=tuple(mean.tolist()), scale=tuple(scale.tolist()))

    @classmethod
    def identity(cls, features: int) -> Scaling:
        return cls(mean=(0.0,) * features, scale=(1.0,) * features)

    def shifted(self, shift: NDArray[np.float32]) -> Scaling:
        """The same with ``shift`` (standardized, one a feature) taken off each sample."""
        mean = np.array(self.mean) + shift.astype(np.float64) / np.array(self.scale)
        return replace(self, mean=tuple(mean.tolist()))

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Standardized samples."""
        return (x.astype(np.float64) - np.array(self.mean)) * np.array(self.scale)


def stored_samples(scaling: Scaling, source: Format, x: NDArray[np.float32]) -> Ints:
    """Raw samples to the stored integers the hardware takes: standardized, rounded to nearest even, saturated."""
    stored = np.rint(scaling.apply(x) * 2.0**source.frac)
    return np.clip(stored, source.min, source.max).astype(np.int64)
