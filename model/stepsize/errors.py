"""The error of this package."""

from __future__ import annotations


class StepSizeError(ValueError):
    """Weights, a network, data or a choice that cannot be quantized or retrained with; one sentence."""
