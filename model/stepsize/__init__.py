"""Weights of few bits, a multiple of one step each, and the step that suits them best while they are retrained.

Source: Shin, Boo, Sung, "Fixed-point optimization of deep neural networks with adaptive step size retraining".
"""

from model.stepsize.best_step import Per, qstep
from model.stepsize.errors import StepSizeError
from model.stepsize.quantizer import quantize

__all__ = ["Per", "StepSizeError", "qstep", "quantize"]
