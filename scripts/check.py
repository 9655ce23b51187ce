"""``xnorforge check``: whether the sums of a network are short enough for narrow adders."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from model.pipeline_rule import Rule, Verdict
from model.pipeline_rule import check as check_model
from model.user_model import load_model
from scripts.console import Json, command, emit_json, out

HEADS = ("layer", "kind", "kernel", "terms", "limit", "too many", "bits", "groups", "side", "channels")
PROOF = ("overflow", "exact bits")


@command
def check(
    model: Annotated[str, typer.Argument(help="module:function that returns a torch.nn.Module.")],
    bits: Annotated[int, typer.Option(help="Of an adder.")] = 8,
    eta: Annotated[float, typer.Option(help="Share of summands beyond 2^bits that is allowed.")] = 0.0,
    activation_bits: Annotated[int, typer.Option(help="Of what is summed, for the proof.")] = 8,
    signed: Annotated[bool, typer.Option("--signed", help="Activations have a sign, for the proof.")] = False,
    weight_bits: Annotated[int, typer.Option(help="1 for +-1, for the proof.")] = 1,
    json: Json = False,
) -> None:
    """Check the small-pipeline rule: sums of w h c <= (1 + eta) 2^bits products, layer by layer.

    A linter: exit status 0 if all layers keep the rule, 1 if one breaks it (or the model cannot be used). For each
    layer it names the fewest adder bits, the fewest groups of channels, the largest square kernel and the most channels
    that would keep it. The rule counts summands, whatever their size. Beside it stands what ranges prove of the
    activations stated, biases left out: whether a node can overflow at all, and the fewest bits with which none can.

    Example: xnorforge check model.cnn:small_vgg --bits 8 --eta 0.25
    """
    rule = Rule(bits=bits, eta=eta, activation_bits=activation_bits, signed=signed, weight_bits=weight_bits)
    found = check_model(load_model(model), rule)
    broken = sum(verdict.excess > 0 for verdict in found)
    if json:
        emit_json(
            {"model": model, **vars(rule), "limit": rule.limit(), "broken": broken, "layers": [*map(plain, found)]}
        )
    else:
        show(model, rule, found)
        kept = f"{broken} of {len(found)} layers break the rule" if broken else f"all {len(found)} layers keep the rule"
        out.print(f"{kept}, w h c <= {rule.limit():,}")
    if broken:
        raise typer.Exit(1)


def plain(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain values."""
    sums = verdict.sums
    names = ("excess", "bits", "groups", "kernel", "channels", "can_overflow", "exact_bits")
    return {
        **{name: getattr(sums, name) for name in ("name", "kind", "width", "height", "terms")},
        "in_channels": sums.channels,
        **{name: getattr(verdict, name) for name in names},
    }


def show(model: str, rule: Rule, found: list[Verdict]) -> None:
    """The verdicts for people."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (*HEADS, *PROOF):
        grid.add_column(heading, justify="left" if heading in ("layer", "kind") else "right")
    for verdict in found:
        sums = verdict.sums
        excess = f"{verdict.excess:,}, {100 * verdict.excess / rule.limit():.0f}%" if verdict.excess else ""
        grid.add_row(
            sums.name,
            sums.kind,
            f"{sums.width}x{sums.height}x{sums.channels}",
            f"{sums.terms:,}",
            f"{rule.limit():,}",
            excess,
            str(verdict.bits),
            str(verdict.groups or "none"),
            "" if verdict.kernel is None else str(verdict.kernel or "none"),
            str(verdict.channels or "none"),
            "possible" if verdict.can_overflow else "no",
            str(verdict.exact_bits),
        )
    format = f"{'signed' if rule.signed else 'unsigned'} activations of {rule.activation_bits} bits"
    out.print(
        f"[bold]{model}[/]: adders of {rule.bits} bits, eta {rule.eta:g}; {format}, weights of {rule.weight_bits}"
    )
    out.print(grid)
