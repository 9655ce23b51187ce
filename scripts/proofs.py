"""Proofs, for every input, that the optimized units compute what their plain equations say.

Example: python -m scripts.proofs --bundle runs/demo/bundle
Each claim is proven with SAT between the emitted Verilog of two units, or by simulating every input.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from amaranth.hdl import Shape
from amaranth.lib.wiring import Flow
from rich.table import Table

from model.family import NumberChoice
from model.spec import (
    Datapath,
    Format,
    LayerSpec,
    LstmSpec,
    MlbQuantizerSpec,
    TableSpec,
    ThresholdSpec,
    binarized,
)
from rtl.mlb_quantizer import MlbQuantizer
from rtl.plain import (
    PlainActivation,
    PlainCell,
    PlainHidden,
    PlainQuantizer,
    PlainThresholds,
)
from rtl.pointwise import Pointwise
from rtl.pwl_activation import PwlActivation
from rtl.table_product import TableProduct
from rtl.threshold_activation import ThresholdActivation
from rtl.verilog import emit
from scripts.claim import Claim, example_lstm
from scripts.claims_arithmetic import dots, narrowings, products, values
from scripts.claims_nonuniform import nonuniform
from scripts.claims_pipelines import pipelines
from scripts.claims_sums import integer_dots, matrices, sums, trees
from scripts.console import Json, command, emit_json, err, open_bundle, out
from sim.simulators import choose_quick
from sim.unit import TOP, simulate_unit
from synth.errors import SynthError
from synth.process import Budget
from synth.proof import Proof, prove_equal


def quantizers(lstm: LstmSpec) -> Iterator[Claim]:
    """Comparisons with constants against the chain of signs and residuals."""
    named = {
        "gate i": MlbQuantizerSpec(source=lstm.sigmoid.target, mlb=binarized(lstm.gates[0])),
        "c": MlbQuantizerSpec(source=lstm.c_raw_format, mlb=binarized(lstm.c)),
        "h": MlbQuantizerSpec(source=lstm.mac.format, mlb=binarized(lstm.h)),
    }
    for name, spec in named.items():
        yield from quantizer(name, spec)


def quantizer(name: str, spec: MlbQuantizerSpec) -> Iterator[Claim]:
    """The same for one of them."""
    size = f"{name}: {spec.source.width} bits to {spec.mlb.levels}"
    yield Claim(claim="quantizer = golden function", size=size, optimized=MlbQuantizer(spec))
    plain = PlainQuantizer(spec)
    yield Claim(claim="quantizer = chain of signs", size=size, optimized=MlbQuantizer(spec), plain=plain)


def activations(lstm: LstmSpec) -> Iterator[Claim]:
    """A decision diagram against segments, multiplication and addition."""
    for name, spec in (("sigmoid", lstm.sigmoid), ("tanh", lstm.tanh)):
        size = f"{name}: {spec.source.width} bits to {spec.target.width}"
        yield Claim(claim="activation = golden function", size=size, optimized=PwlActivation(spec))
        plain = PlainActivation(spec)
        yield Claim(claim="activation = segments", size=size, optimized=PwlActivation(spec), plain=plain)


def thresholds(lstm: LstmSpec) -> Iterator[Claim]:
    """Thresholds of z against narrowing, activation and chain of signs."""
    for gate, name in enumerate("ifgo"):
        spec = ThresholdSpec.gate(lstm, gate)
        yield Claim(
            claim="thresholds = narrow, activation, signs",
            size=f"gate {name}: {spec.source.width} bits to {spec.mlb.levels}",
            optimized=ThresholdActivation(spec),
            plain=PlainThresholds(spec),
        )


def tables(lstm: LstmSpec) -> Iterator[Claim]:
    """Both tables against ordinary arithmetic."""
    bits = lstm.activation_levels
    for claim, spec, plain in (
        ("cell table = MLB(f c + i g)", TableSpec.cell(lstm), PlainCell(lstm)),
        ("hidden table = MLB(o tanh(c))", TableSpec.hidden(lstm), PlainHidden(lstm)),
    ):
        size = f"{len(spec.inputs)} codes of {bits} bits"
        yield Claim(claim=claim, size=size, optimized=TableProduct(spec), plain=plain)


def pointwise(lstm: LstmSpec) -> Iterator[Claim]:
    """All that is behind z of a hidden unit: the datapaths against that which computes as the paper does."""
    for levels, network in ((lstm.activation_levels, lstm), (2, example_lstm(2)), (1, example_lstm(1))):
        of = "the network" if network is lstm else "a small network"
        plain = Pointwise(network, Datapath.ARITHMETIC)
        for datapath in (Datapath.THRESHOLD, Datapath.TABLE):
            if datapath.refusal(network) is None:
                yield Claim(
                    claim=f"{datapath} = arithmetic behind z",
                    size=f"{of}: 4 z, 1 code of {levels} bits",
                    optimized=Pointwise(network, datapath),
                    plain=plain,
                )


#: What is claimed of a layer, and of units as such; another family of claims is one more function here.
OF_LAYERS: tuple[Callable[[LstmSpec], Iterator[Claim]], ...] = (quantizers, activations, thresholds, tables, pointwise)
OF_UNITS: tuple[Callable[[], Iterator[Claim]], ...] = (
    sums,
    trees,
    integer_dots,
    matrices,
    narrowings,
    values,
    products,
    dots,
    pipelines,
    nonuniform,
)


def claims(source: Format, layers: Sequence[LayerSpec]) -> Iterator[Claim]:
    """All claims of a network that takes samples of format ``source``."""
    yield from quantizer("x", MlbQuantizerSpec(source=source, mlb=binarized(layers[0].x)))
    for number, layer in enumerate(layers):
        of = f"layer {number}, " if len(layers) > 1 else ""
        assert isinstance(layer, LstmSpec)  # another would not have x binarized
        yield from (replace(claim, size=of + claim.size) for family in OF_LAYERS for claim in family(layer))
    yield from (claim for family in OF_UNITS for claim in family())


def check(claim: Claim, folder: Path, timeout_s: float) -> Proof:
    """Prove one claim; raises SynthError where it is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    if claim.plain is None:
        budget = Budget(limit_s=timeout_s, task="Simulation")
        inputs = [m for m in claim.optimized.signature.members.values() if m.flow == Flow.In]
        bits = sum(Shape.cast(member.shape).width for member in inputs)
        result = simulate_unit(claim.optimized, folder=folder, simulator=choose_quick(), count=1 << bits)
        assert result.compared == 1 << bits
        if result.first_difference:
            raise SynthError(f"Claim {claim.claim!r} ({claim.size}) must hold, and {result.first_difference}")
        return Proof("exhaustive", budget.elapsed())
    plain, optimized = folder / "plain.v", folder / "optimized.v"
    plain.write_text(emit(claim.plain, TOP))
    optimized.write_text(emit(claim.optimized, TOP))
    return prove_equal(plain, optimized, TOP, latency=claim.optimized.latency, timeout_s=timeout_s)


@command
def main(
    bundle: Annotated[Path | None, typer.Option(help="Trained network to prove; else an example.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for each claim.")] = 600,
    json: Json = False,
) -> None:
    """Prove every claim and print claim, size, method and seconds; stop at the first that does not hold."""
    network = None if bundle is None else open_bundle(bundle)[0].network
    source, layers = (network.source, network.layers) if network else (NumberChoice().source, (example_lstm(),))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch, err.status("proving") as status:
        for claim in claims(source, layers):
            status.update(f"proving {claim.claim} ({claim.size})")
            proof = check(claim, Path(scratch) / str(len(rows)), timeout)
            rows.append({"claim": claim.claim, "size": claim.size, **proof._asdict()})
    if json:
        return emit_json({"network": "example" if bundle is None else str(bundle), "claims": rows})
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("claim", "size", "method", "s"):
        grid.add_column(heading, justify="right" if heading == "s" else "left")
    for row in rows:
        grid.add_row(row["claim"], row["size"], row["method"], f"{row['seconds']:.1f}")
    out.print(grid)
    out.print(f"All {len(rows)} claims hold for every input; a wrong one ends this command with a counterexample.")


if __name__ == "__main__":
    typer.run(main)
