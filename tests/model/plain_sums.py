"""Sums in a written order, written out once more on Python's integers."""

from __future__ import annotations

from model.spec import SumSpec


def plain_sum(rule: SumSpec, summands: list[int]) -> tuple[int, list[int]]:
    """The sum, and how many nodes of each level saturated."""
    saturated: dict[int, int] = {0: 0}

    def node(members: list[int], shift: int, level: int) -> int:
        total = sum(members) // 2**shift
        saturated.setdefault(level, 0)
        if rule.width is None:
            return total
        low, high = -(2 ** (rule.width - 1)), 2 ** (rule.width - 1) - 1
        if rule.overflow == "wrap":
            return (total - low) % 2**rule.width + low
        saturated[level] += not low <= total <= high
        return max(low, min(high, total))

    def chunk(todo: list[int]) -> tuple[int, int]:
        if len(todo) == 1:
            return node(todo, 0, 0), 1
        if rule.order == "sequence":
            total, todo = node(todo[: rule.fan_in], rule.shift, 0), todo[rule.fan_in :]
            while todo:
                total, todo = node([total, *todo[: rule.fan_in - 1]], rule.shift, 0), todo[rule.fan_in - 1 :]
            return total, 1
        level = 0
        while len(todo) > 1:
            firsts = range(0, len(todo), rule.fan_in)
            todo = [node(todo[i : i + rule.fan_in], rule.shift, level) for i in firsts]
            level += 1
        return todo[0], level

    if rule.unit is None:
        total, _ = chunk(summands)
    else:
        zeros = [0] * (-len(summands) % rule.unit)
        filled = summands + zeros
        total, level = chunk(filled[: rule.unit])
        for i in range(rule.unit, len(filled), rule.unit):
            total = node([total, chunk(filled[i : i + rule.unit])[0]], 0, level)
    return total, [saturated[level] for level in sorted(saturated)]
