"""``xnorforge check``: whether the sums of a network are short enough for narrow adders."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from model.pipeline_rule import Rule, Verdict, unjudged
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
    weight_bits: Annotated[
        int, typer.Option(help="1 for +-1, for the proof, of layers that do not say their own.")
    ] = 1,
    json: Json = False,
) -> None:
    """Check the small-pipeline rule: sums of w h c <= (1 + eta) 2^bits products, layer by layer.

    A linter: exit status 0 if all layers keep the rule, 1 if one breaks it, or a module owns weights of which it is not
    known how they are added (such modules are named), or the model cannot be used. Known are linear, convolutional
    (transposed too), recurrent and aggregated layers; what is computed outside of modules is not seen. For each
    layer it names the fewest adder bits, the fewest groups of channels, the largest square kernel and the most channels
    that would keep it. The rule counts summands, whatever their size. Beside it stands what ranges prove of the
    activations stated, biases left out: whether a node can overflow at all, and the fewest bits with which none can.

    Example: xnorforge check model.cnn:small_vgg --bits 8 --eta 0.25
    """
    rule = Rule(bits=bits, eta=eta, activation_bits=activation_bits, signed=signed, weight_bits=weight_bits)
    network = load_model(model)
    found, others = check_model(network, rule), unjudged(network)
    broken = sum(verdict.excess > 0 for verdict in found)
    if json:
        about = {"model": model, **vars(rule), "limit": rule.limit(), "broken": broken}
        emit_json({**about, "layers": [*map(plain, found)], "not_judged": others})
    else:
        show(model, rule, found)
        every = f"{len(found)} layers that were judged" if others else f"{len(found)} layers"
        kept = f"{broken} of {every} break the rule" if broken else f"all {every} keep the rule"
        out.print(f"{kept}, w h c <= {rule.limit():,}")
        if others:
            named = ", ".join(f"{name} ({kind})" for name, kind in others.items())
            out.print(f"not judged, for it is not known how their weights are added: {named}", soft_wrap=True)
    if broken or others:
        raise typer.Exit(1)


def plain(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain values."""
    sums = verdict.sums
    names = ("weight_bits", "excess", "bits", "groups", "kernel", "channels", "can_overflow", "exact_bits")
    return {
        **{name: getattr(sums, name) for name in ("name", "kind", "width", "height", "depth", "terms")},
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
            "x".join(map(str, (sums.width, sums.height, *([sums.depth] if sums.depth > 1 else []), sums.channels))),
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
