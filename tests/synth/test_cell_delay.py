"""What a cell operation is made of, and that the sums over it are what the page says."""

from __future__ import annotations

import pytest

from model.spec import Datapath
from synth.cell_delay import FP, Accounting, Cell, paper_ratio


def times(cell: Cell, accounting: Accounting, datapath: Datapath = Datapath.ARITHMETIC) -> dict[str, int]:
    found: dict[str, int] = {}
    for use in cell.uses(accounting, datapath):
        assert "module top" in use.verilog
        found[use.kind] = found.get(use.kind, 0) + use.times
    return found


def small(a: int, w: int) -> Cell:
    return Cell(activation=a, weight=w, features=3, hidden=4)


def test_a_binarized_dot_product_takes_four_passes_or_every_term_one() -> None:
    assert times(small(2, 3), "pass")["dot product"] == 4
    assert times(small(2, 3), "serial")["term"] == 4 * (3 + 4)


@pytest.mark.parametrize(
    ("a", "w", "kind"),
    [(FP, FP, "multiply-accumulate"), (FP, 2, "add or subtract"), (2, FP, "add or subtract")],
)
@pytest.mark.parametrize("accounting", ["pass", "serial"])
def test_32_bit_terms_come_one_after_another(a: int, w: int, kind: str, accounting: Accounting) -> None:
    assert times(small(a, w), accounting)[kind] == 4 * (3 + 4)


def test_each_activation_and_product_is_counted() -> None:
    found = times(small(2, 2), "pass")
    # Three sigmoid gates; tanh for g and for c.
    assert (found["sigmoid"], found["tanh"], found["pointwise product"], found["product with tanh(c)"]) == (3, 2, 2, 1)
    wide = times(small(FP, FP), "pass")
    assert (wide["sigmoid"], wide["tanh"], wide["pointwise product"], wide["pointwise sum"]) == (3, 2, 3, 1)
    table = times(small(2, 2), "pass", Datapath.TABLE)
    assert table == {
        "dot product": 4,
        "sigmoid by thresholds": 3,
        "tanh by thresholds": 1,
        "table of c": 1,
        "table of h": 1,
    }


def test_what_is_not_binarized_has_no_thresholds_and_no_tables() -> None:
    for cell in (small(FP, 2), small(2, FP), small(FP, FP)):
        assert not cell.has(Datapath.THRESHOLD)
        with pytest.raises(ValueError, match=r"^Datapath must be one that the cell can have, not 'table'$"):
            list(cell.uses("pass", Datapath.TABLE))
    assert small(4, 1).has(Datapath.TABLE)
    assert not small(5, 1).has(Datapath.TABLE)
    with pytest.raises(ValueError, match=r"^Levels of the weight must be 1 to 5, or 0 for 32-bit numbers, not 6$"):
        small(1, 6)


def test_the_paper_says_47_for_three_levels() -> None:
    assert round(paper_ratio(3, 3)) == 47
    assert paper_ratio(FP, FP) == 1
