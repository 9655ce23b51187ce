"""What ABC does: a script for each netlist to choose from."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

Effort = Literal["area", "balanced", "speed"]

# `ifraig` with a bound on conflicts finds the logic that rows of a weight matrix share; ABC's own default
# (`&fraig -x`) can hang on such a matrix.
#
# area:  rewrite for fewer nodes or not at all (adders map best as they were written), map for area.  On weight
#        matrices `amap` gives a tenth less than ABC's other mappers (`map -a`, `&nf`), on a single adder tree about
#        the same.  Buffered and resized for loads: a whole network got 3 times faster and no larger by it, because
#        enables drive hundreds of registers.
# balanced: those of area and of speed; choices, mapped for area with an eye on delay (`amap -Q`) and for delay.  On a
#        weight matrix of 2-bit inputs area x delay is 36 or 33 (1000 um2 ns) with these, 39 with the best of area.
# speed: two ways to few levels, by sums of products of any inputs (`if -g`) and by look-up tables that the late
#        inputs of a path come last in (`speedup`); then choices (`dch`), mapped for delay, buffered and resized.
#        Neither is the better one on all adders.
# -v: it says the delay that it reckons with.
_MAP_FAST = "map -B 0.9 -v"
_RESYN = "balance; rewrite; refactor; balance; rewrite; rewrite -z; balance; refactor -z; rewrite -z; balance"
_AREA = "strash; ifraig -C 100; dc2; amap -m"
_AREA_AS_WRITTEN = "strash; ifraig -C 100; amap -m"
_SPEEDUP = "strash; ifraig -C 100; if -K 6 -g; dch; if -K 6; speedup"
_CORES: dict[Effort, list[str]] = {
    "area": [_AREA, _AREA_AS_WRITTEN, f"strash; ifraig -C 100; {_RESYN}; dch; amap -m"],
    "balanced": [
        "strash; ifraig -C 100; dch -f; amap -m -Q 0.5",
        f"strash; ifraig -C 100; dch -f; {_MAP_FAST}",
    ],
    "speed": [
        f"strash; ifraig -C 100; {_RESYN}; if -g; strash; dch; {_MAP_FAST}",
        f"{_SPEEDUP}; strash; dch -f; {_MAP_FAST}",
    ],
}


@dataclass(frozen=True, kw_only=True)
class Script:
    """A script of ABC, and what it is asked for.

    mapper_ps, sizing_ps: delays, of `map` by its own reckoning, if the core has it, and of the sizing; 0 for the least.
    adders: between adder cells, which it does not see.  upsize: whether gates may become larger.
    """

    core: str
    mapper_ps: int = 0
    sizing_ps: int = 0
    adders: bool = False
    upsize: bool = True

    @property
    def text(self) -> str:
        """The commands."""
        mapper = f" -D {self.mapper_ps}" if self.mapper_ps else ""
        sizing = f" -D {self.sizing_ps}" if self.sizing_ps else ""
        upsize = f"upsize{sizing}; " if self.upsize else ""
        core = self.core.replace(_MAP_FAST, f"{_MAP_FAST}{mapper}")
        return f"{core}; topo; buffer -c; topo; {upsize}dnsize{sizing}; stime"


# Between adder cells there is little to restructure. On sums `&nf` is the smaller, on a whole network `amap`; without
# `dc2` a look-ahead beside the adders stays one.
_BETWEEN_ADDERS = [
    Script(core="strash; ifraig -C 100; dch -f; &get -n; &nf; &put", adders=True, upsize=False),
    Script(core=_AREA, adders=True),
    Script(core=_AREA_AS_WRITTEN, adders=True, upsize=False),
]


def scripts(effort: Effort) -> list[Script]:
    """Those of an effort, of all for balanced. Speed has no adder cells, which are small and not fast."""
    efforts = get_args(Effort) if effort == "balanced" else (effort,)
    found = [Script(core=core) for each in efforts for core in _CORES[each]]
    return found if effort == "speed" else [*found, *_BETWEEN_ADDERS]


def scripts_for_delay() -> list[Script]:
    """What a search for a delay begins with, each for the least.

    Which will have the smallest netlist is a matter of luck, by a fifth of the area on a popcount. `map` has only to
    be asked for a tenth more than its least delay and saves a sixth (popcount, multiplier) to a third (dot product).
    """
    mixtures = [
        f"{_SPEEDUP}; strash; if -g; strash; dch -f; {_MAP_FAST}",
        f"{_SPEEDUP}; if -K 6; speedup; strash; dch; {_MAP_FAST}",
    ]
    found = [Script(core=core) for core in (_AREA, *_CORES["balanced"], *_CORES["speed"], *mixtures)]
    # What lies between adder cells is on long paths too: larger gates made a saturating tree a tenth faster.
    return [*found, *(replace(script, upsize=True) for script in _BETWEEN_ADDERS)]
