"""The smallest netlist that takes no longer than asked."""

from dataclasses import replace

from synth.abc_scripts import Script, scripts_for_delay
from synth.design import Design, Mapped, map_by, map_for, write
from synth.errors import SynthError

#: Times that each script maps for the delay asked, and how much longer its mapper may take after it has met it.
ROUNDS, LONGER = 7, 1.03


def smallest_within(design: Design, delay: float) -> tuple[Mapped, str]:
    """The smallest netlist that OpenSTA finds fast enough, else the fastest; and what to say of it.  delay: ns.

    That of effort area, if it is fast enough. Else each script of ABC maps for its least delay, and, if that is soon
    enough, for as much longer as it may take by that; gates are sized for the delay that was asked, less what ABC does
    not know (registers, adder cells, slow edges at ports).  Raises SynthError for a design that cannot be timed.
    """

    def cost(mapped: Mapped) -> tuple[bool, float]:
        late = mapped.delay > delay
        return late, mapped.delay if late else mapped.candidate.area

    best = map_for(design, "area")
    if best.timing.delay is None:
        raise SynthError(f"Delay must be left out for this design. {best.timing.note}")
    if best.delay > delay:
        asked, seen = scripts_for_delay(), set[tuple[str, bool, float, float]]()
        for _ in range(1 + ROUNDS):
            found = map_by(design, asked)
            best = min((best, *found), key=cost)
            asked = [_next(each, delay) for each in found if not (_hopeless(each, delay) or _key(each) in seen)]
            seen |= {_key(each) for each in found if each.delay <= delay}
            if not asked:
                break
    write(design, best.candidate)
    if best.delay > delay:
        return best, f"No netlist of {delay:g} ns was found; this is the fastest."
    return best, f"Mapped for a delay of at most {delay:g} ns."


def _hopeless(mapped: Mapped, delay: float) -> bool:
    """Whether its script was asked for the least, and is late."""
    return mapped.delay > delay and not mapped.candidate.script.sizing_ps


def _key(mapped: Mapped) -> tuple[str, bool, float, float]:
    """What tells a netlist from others: of one that comes again, asked for more time, no smaller one is to be had."""
    return mapped.candidate.script.core, mapped.candidate.script.adders, mapped.candidate.area, mapped.delay


def _next(mapped: Mapped, delay: float) -> Script:
    """The script that made this, asked for what may bring it closer to a delay in ns."""
    candidate, took, limit = mapped.candidate, 1000 * mapped.delay, 1000 * delay
    script, abc = candidate.script, candidate.delay_ps or 0.0
    mapper = script.mapper_ps or candidate.mapper_ps or 0.0
    if not script.sizing_ps or (took > limit and abc > script.sizing_ps):
        # It has been sized as far as it goes.
        mapper *= limit / took
    elif took <= limit:
        mapper *= LONGER
    return replace(script, mapper_ps=round(mapper), sizing_ps=max(1, round(limit - (took - abc))))
