"""Activation and multi-level binarization in one."""

from rtl.decisions import ThresholdUnit


class ThresholdActivation(ThresholdUnit):
    """``o = MLB(activation(narrow(x)))``, as comparisons of x with ``2**M - 1`` constants.

    Latency ``stages`` cycles, throughput one a cycle. Exact: the constants come from the integer function itself, so
    its every rounding and clamp is in them. No slope, no multiplier, no quantizer.

    Parameters
    ----------
    spec
        Narrowing, activation and factors.
    stages
        Pipeline registers between input and output.

    Ports
    -----
    x : In, ``spec.source``
    o : Out, ``spec.mlb.levels`` bits, s_1 in the highest
    """
