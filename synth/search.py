"""The smallest netlist that takes no longer than asked."""

from dataclasses import replace

from synth.abc_scripts import Script, scripts, scripts_for_delay
from synth.design import Design, Mapped, again, map_by
from synth.errors import SynthError
from synth.mapping import choose

#: Times that each script maps for the delay asked, and how much longer its mapper may take after it has met it.
ROUNDS, LONGER = 7, 1.03


def smallest_within(design: Design, delay: float) -> tuple[Mapped, str]:
    """The smallest netlist that OpenSTA finds fast enough, in the work folder, else the fastest; and what to say of it.

    delay: ns.
    That of effort area, if it is fast enough. Else each script of ABC maps for its least delay,
    and, if that is soon enough, for as much longer as it may take by that; gates are sized for the delay that was
    asked, less what ABC does not know (registers, adder cells, slow edges at ports). Half of the time is left for the
    proof.  Raises SynthError for a design that cannot be timed.
    """
    best, asked = _begin(design, delay)
    seen, longest = set[tuple[str, bool, float, float]](), 0.0
    for _ in range(1 + ROUNDS):
        if not asked or design.budget.left() < longest + design.budget.limit_s / 2:
            break
        started, nexts = design.budget.elapsed(), []
        for mapped in map_by(design, asked):
            best = min(best, mapped, key=lambda each: _cost(each, delay))
            if _key(mapped) not in seen:
                nexts.append(_next(mapped, delay))
            if mapped.delay <= delay:
                seen.add(_key(mapped))
        asked = [script for script in nexts if script]
        longest = max(longest, design.budget.elapsed() - started)
    if best.delay > delay:
        return again(design, best), f"No netlist of {delay:g} ns was found; this is the fastest."
    return again(design, best), f"Mapped for a delay of at most {delay:g} ns."


def _begin(design: Design, delay: float) -> tuple[Mapped, list[Script]]:
    """The netlist of effort area, if it is fast enough; else the best by its scripts, and those to go on with."""
    found = list(map_by(design, scripts("area")))
    if found[-1].timing.delay is None:
        raise SynthError(f"Delay must be left out for this design. {found[-1].timing.note}")
    (chosen,) = choose([each.candidate for each in found], "area", design.workdir, design.top, design.library)
    area = next(each for each in found if each.candidate is chosen)
    if area.delay <= delay:
        return area, []
    return min(found, key=lambda each: _cost(each, delay)), scripts_for_delay()


def _cost(mapped: Mapped, delay: float) -> tuple[bool, float]:
    """Those fast enough come first, by area, then the others, by delay."""
    late = mapped.delay > delay
    return late, mapped.delay if late else mapped.candidate.area


def _key(mapped: Mapped) -> tuple[str, bool, float, float]:
    """What tells a netlist from others; the script of one that comes again, asked for more time, is left alone."""
    candidate = mapped.candidate
    return candidate.script.core, candidate.script.adders, candidate.area, mapped.delay


def _next(mapped: Mapped, delay: float) -> Script | None:
    """The script that made this, asked for what may bring it closer to a delay in ns; None if nothing may."""
    candidate, took, limit = mapped.candidate, 1000 * mapped.delay, 1000 * delay
    script, abc = candidate.script, candidate.delay_ps
    if abc is None or (took > limit and not script.sizing_ps):
        # There is nothing to go by, or it is late although it was asked for the least.
        return None
    mapper = script.mapper_ps or candidate.mapper_ps or 0.0
    if not script.sizing_ps or (took > limit and abc > script.sizing_ps):
        # Sizing cannot do more than this, so it is for the mapper.
        mapper *= limit / took
    elif took <= limit:
        mapper *= LONGER
    asked = replace(script, mapper_ps=round(mapper), sizing_ps=max(1, round(limit - (took - abc))))
    return asked if asked != script else None
