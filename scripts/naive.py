"""Verilog as one would write it without thinking of adders: what the benchmarks compare our units with."""

from __future__ import annotations

from collections.abc import Callable

from model.spec import MlbDotSpec, MlbSpec


def tree(terms: list[str], name: str, width: Callable[[int], int]) -> tuple[str, str]:
    """A balanced tree of ``+`` over Verilog expressions: its wires, and the name of the root."""
    lines, level = [], 0
    while len(terms) > 1:
        level += 1
        pairs = [f"{a} + {b}" for a, b in zip(terms[::2], terms[1::2], strict=False)]
        names = [f"{name}_{level}_{k}" for k in range(len(pairs))]
        lines += [f"  wire [{width(level) - 1}:0] {n} = {p};" for n, p in zip(names, pairs, strict=True)]
        terms = [*names, *terms[2 * len(pairs) :]]
    return "\n".join(lines), terms[0]


def naive_popcount(n: int) -> str:
    """The sum of all bits as a tree of additions."""
    wires, root = tree([f"x[{k}]" for k in range(n)], "s", lambda level: level + 1)
    ports = f"input [{n - 1}:0] x, output [{n.bit_length() - 1}:0] o"
    return f"module top ({ports});\n{wires}\n  assign o = {root};\nendmodule\n"


def naive_mlb_dot(n: int, factors: tuple[int, ...]) -> str:
    """XNORs, popcounts as trees of additions, multiplications by the gains, additions."""
    levels, width = len(factors), MlbDotSpec(n=n, x=MlbSpec(factors=factors), w=MlbSpec(factors=factors)).format.width
    parts, products = [], []
    for a in range(levels):
        for b in range(levels):
            bits = [f"~(x[{levels * k + levels - 1 - a}] ^ w[{levels * k + levels - 1 - b}])" for k in range(n)]
            # One bit each: an inverted bit in a wider context would bring ones in front.
            parts.append(f"  wire [{n - 1}:0] e_{a}_{b} = {{{', '.join(reversed(bits))}}};")
            wires, root = tree([f"e_{a}_{b}[{k}]" for k in range(n)], f"s_{a}_{b}", lambda level: level + 1)
            parts += [wires, f"  wire signed [{width - 1}:0] p_{a}_{b} = {2 * factors[a] * factors[b]} * {root};"]
            products.append(f"p_{a}_{b}")
    offset = n * sum(factors) ** 2
    ports = f"input [{n * levels - 1}:0] x, input [{n * levels - 1}:0] w, output signed [{width - 1}:0] o"
    total = f"  assign o = {' + '.join(products)} - {offset};"
    return "\n".join([f"module top ({ports});", *parts, total, "endmodule", ""])


def naive_sum(n: int, width: int) -> str:
    """A balanced tree of signed additions, a bit wider each level."""
    leaves = [f"x[{width * k + width - 1}:{width * k}]" for k in range(n)]
    parts = [f"  wire signed [{width - 1}:0] l_{k} = {leaf};" for k, leaf in enumerate(leaves)]
    wires, root = tree([f"l_{k}" for k in range(n)], "s", lambda level: width + level)
    top = width + (n - 1).bit_length()
    wires = wires.replace("wire [", "wire signed [")
    return "\n".join(
        [
            f"module top (input [{n * width - 1}:0] x, output signed [{top - 1}:0] o);",
            *parts,
            wires,
            f"  assign o = {root};",
            "endmodule",
            "",
        ]
    )


def naive_saturating(n: int, width: int) -> str:
    """A balanced tree of signed additions, each clamped to ``width`` bits. ``n`` is a power of two."""
    high, low = (1 << (width - 1)) - 1, 1 << (width - 1)
    adder = (
        f"module add (input signed [{width - 1}:0] a, input signed [{width - 1}:0] b, "
        f"output signed [{width - 1}:0] o);\n"
        f"  wire signed [{width}:0] s = a + b;\n"
        f"  assign o = s[{width}] == s[{width - 1}] ? s[{width - 1}:0]\n"
        f"           : s[{width}] ? {width}'d{low} : {width}'d{high};\n"
        "endmodule\n"
    )
    parts = [f"  wire [{n * width - 1}:0] n_0 = x;"]
    level = 0
    while n > 1:
        n, level = n // 2, level + 1
        parts.append(f"  wire [{n * width - 1}:0] n_{level};")
        parts += [
            f"  add a_{level}_{k} (n_{level - 1}[{2 * k * width + width - 1}:{2 * k * width}], "
            f"n_{level - 1}[{(2 * k + 2) * width - 1}:{(2 * k + 1) * width}], "
            f"n_{level}[{(k + 1) * width - 1}:{k * width}]);"
            for k in range(n)
        ]
    ports = f"input [{(width << level) - 1}:0] x, output [{width - 1}:0] o"
    return adder + f"module top ({ports});\n" + "\n".join(parts) + f"\n  assign o = n_{level};\nendmodule\n"
