"""Boolean functions as Liberty files write them."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence


def truth_table(function: str, inputs: Sequence[str]) -> tuple[bool, ...] | None:
    """A Liberty `function` of `inputs`, first input slowest; None if it is not an expression of just those.

    Liberty writes not as ! in front or ' behind, and as &, * or nothing, or as | or +, xor as ^;
    they bind in the order not, xor, and, or.
    """
    tokens = re.findall(r"\w+|[!'^&*|+()]", function)
    if "".join(tokens) != re.sub(r"\s", "", function) or not {t for t in tokens if t[0].isalpha()} <= set(inputs):
        return None
    rows = itertools.product((False, True), repeat=len(inputs))
    try:
        return tuple(_evaluate(tokens, dict(zip(inputs, row, strict=True))) for row in rows)
    except (IndexError, KeyError):
        return None


def _evaluate(tokens: list[str], value: Mapping[str, bool]) -> bool:
    rest = list(reversed(tokens))

    def peek() -> str:
        return rest[-1] if rest else ""

    def factor() -> bool:
        token = rest.pop()
        if token == "!":
            result = not factor()
        elif token == "(":
            result = any_of()
            rest.pop()
        else:
            result = {"0": False, "1": True, **value}[token]
        while peek() == "'":
            rest.pop()
            result = not result
        return result

    def chain(operand: Callable[[], bool], signs: str, combine: Callable[[bool, bool], bool]) -> bool:
        result = operand()
        while peek() and peek() in signs:
            rest.pop()
            result = combine(result, operand())
        return result

    def xor() -> bool:
        return chain(factor, "^", lambda a, b: a != b)

    def all_of() -> bool:
        result = xor()
        while peek() and peek() not in "|+)":
            if peek() in "&*":
                rest.pop()
            result = xor() and result
        return result

    def any_of() -> bool:
        return chain(all_of, "|+", lambda a, b: a or b)

    return any_of()
