"""The datapath of a unit: how it gets from its pre-activations to the codes of gates, cell and hidden state."""

from __future__ import annotations

from enum import StrEnum

from model.spec.lstm import LstmSpec
from model.spec.relu import ReluSpec
from model.spec.table import TableSpec
from model.spec.threshold import ThresholdSpec


class Datapath(StrEnum):
    """What is built behind z. The results do not depend on it."""

    ARITHMETIC = "arithmetic"  #: the paper's own: narrowing, look-up activation, products, sum and quantizers
    THRESHOLD = "threshold"  #: gate codes by comparisons of z with constants, the rest as in ``arithmetic``
    TABLE = "table"  #: gate codes by comparisons, the codes of c and h by tables of codes

    @classmethod
    def usual(cls, activation_levels: int) -> Datapath:
        """The smallest one of the networks in docs/results/datapaths.md."""
        return cls.TABLE if activation_levels <= 3 else cls.THRESHOLD

    @property
    def thresholds(self) -> bool:
        """Whether gate codes come from comparisons."""
        return self is not Datapath.ARITHMETIC

    @property
    def tables(self) -> bool:
        """Whether the codes of c and h come from tables."""
        return self is Datapath.TABLE

    @property
    def uncomputed(self) -> frozenset[str]:
        """Named values of the golden function that this hardware does not compute."""
        return frozenset(("activation",) * self.thresholds + ("c_raw", "t", "h_raw") * self.tables)

    def refusal(self, lstm: LstmSpec | ReluSpec) -> str | None:
        """Why this datapath cannot be built for a layer; None if it can."""
        if isinstance(lstm, ReluSpec):
            return "A layer with ReLU has no other" if self.thresholds else None
        try:
            if self.thresholds:
                _ = [ThresholdSpec.gate(lstm, k) for k in range(4)]
            if self.tables:
                _ = TableSpec.cell(lstm), TableSpec.hidden(lstm)
        except ValueError as error:
            return str(error)
        return None

    def check(self, lstm: LstmSpec | ReluSpec) -> None:
        """Raise ValueError if this datapath cannot be built for a layer; the sentence says which can."""
        if reason := self.refusal(lstm):
            others = [path.value for path in Datapath if path.refusal(lstm) is None]
            raise ValueError(f"Datapath must be {' or '.join(others)}, not {self.value!r}: {reason}")
