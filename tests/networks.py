"""What random networks may be like."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from model.family import WORD, FactorRule, Family
from model.layers import HardwareNetwork
from model.spec import MAX_BITS, Format, NetworkSpec, Pool, SumSpec, Weights
from scripts.check_random import SUMS


def narrowed(network: HardwareNetwork, *hidden: int) -> tuple[NetworkSpec, Weights]:
    """The first ``hidden`` units of each layer: specification and weights."""
    spec, weights, layers, features = network.spec(), dict(network.weights()), [], network.features
    for number, (lstm, units) in enumerate(zip(spec.layers, hidden, strict=True)):
        layers.append(replace(lstm, features=features, hidden=units))
        weights[f"wx_l{number}"] = weights[f"wx_l{number}"][:, :units, :features]
        weights[f"wh_l{number}"] = weights[f"wh_l{number}"][:, :units, :units]
        weights[f"b_l{number}"] = weights[f"b_l{number}"][:, :units]
        features = units
    weights["dense_w"] = weights["dense_w"][:, :features]
    return replace(spec, layers=tuple(layers)), weights


NETWORKS = st.fixed_dictionaries(
    {
        "features": st.integers(1, 9),
        "hidden": st.integers(1, 12),
        "layers": st.sampled_from([1, 1, 2, 3]),
        "classes": st.integers(2, 5),
        "a": st.integers(1, 5),
        "w": st.integers(1, 5),
        "pool": st.sampled_from(Pool),
        "steps": st.integers(1, 6),
        "seed": st.integers(0, 1000),
        "gain": st.sampled_from([0.5, 2.0, 6.0]),
    }
)

#: Weights of few bits.
STEPPED = st.fixed_dictionaries(
    {
        "family": st.just(Family.FIXED),
        "sums": st.just(SumSpec(width=None)) | SUMS,
        "bits": st.integers(2, MAX_BITS),
        "factors": st.sampled_from(FactorRule),
    }
)

#: Families with something in fixed point, in words from the trained ones down to those whose every rule is at work.
FAMILIES = (
    st.fixed_dictionaries(
        {
            "family": st.sampled_from([Family.FIXED32, Family.B_LSTM, Family.MUBINN1]),
            "word": st.sampled_from([WORD, Format(16, 10), Format(8, 5)]),
        }
    )
    | st.fixed_dictionaries({"family": st.just(Family.BLSTM), "sums": SUMS})
    | STEPPED
)
