"""`SignMatrix` beside alkaid (PyPI, LGPL), the successor of da4ml, through the same synthesis flow.

Example: python -m scripts.bench_sign_matrix --liberty nangate45_typ.lib.gz --bits 1 --bits 2
64 inputs, 128 outputs, three random matrices and the signs of a trained layer. Area in um2, delay in ns. Before it is
measured, alkaid's Verilog is simulated against W x.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer
from numpy.typing import NDArray

from model.spec import Format, SignMatrixSpec
from rtl.sign_matrix import SignMatrix
from rtl.verilog import emit
from scripts.console import Json, UsageError, command, delay_of, emit_json, err, goal_of, library_of, out
from sim.simulators import choose
from sim.unit import TOP, run_unit
from sim.vectors import unit_vectors
from synth.flow import Effort, synthesize_text

INPUTS, OUTPUTS = 64, 128
#: alkaid's solver options: unlimited adder depth, which is its default, and the least possible.
SETTINGS = {"alkaid, default": -1, "alkaid, minimum latency": 0}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One design under one effort; ``stages`` are ranks of registers between input and output."""

    matrix: str
    bits: int
    design: str
    effort: str
    stages: int
    area: float
    delay: float

    @property
    def product(self) -> float:
        """Area times delay."""
        return self.area * self.delay

    def row(self, ratio: str) -> str:
        """As a line of a Markdown table."""
        cells = (self.matrix, self.bits, self.design, self.effort, self.stages)
        figures = (f"{self.area:,.0f}", f"{self.delay:.2f}", f"{self.product:,.0f}", ratio)
        return f"| {' | '.join(map(str, (*cells, *figures)))} |"


def matrices() -> dict[str, NDArray[np.int64]]:
    """Three random ones and the signs of the first layer of a perceptron trained on scikit-learn's digits."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    found = {f"random {n}": np.random.default_rng(n).choice([-1, 1], (OUTPUTS, INPUTS)) for n in range(3)}
    digits, labels = load_digits(return_X_y=True)
    network = MLPClassifier((OUTPUTS,), random_state=0, max_iter=60, early_stopping=True).fit(digits / 16, labels)
    return {**found, "trained": np.where(network.coefs_[0].T >= 0, 1, -1)}


def alkaid(spec: SignMatrixSpec, hard_dc: int, stages: int) -> str:
    """Verilog of alkaid for ``spec``, with a module ``unit`` around it that has the ports of ours."""
    from alkaid.codegen import RTLModel  # type: ignore[import-not-found]
    from alkaid.trace import FVArray, HWConfig, trace  # type: ignore[import-not-found]
    from alkaid.trace.pipeline import to_pipeline  # type: ignore[import-not-found]

    n, width = spec.inputs, spec.source.width
    # Its tables for 1-bit inputs are for FPGAs; on gates they cost half more area than its adders.
    options: Any = {"hard_dc": hard_dc, "binary_lut": False}
    signs, whole = np.full(n, spec.source.signed), np.full(n, width - spec.source.signed)
    x = FVArray.from_kif(signs, whole, np.zeros(n, int), HWConfig(1, 1, -1), 0, options)
    solution: Any = trace(x, x @ spec.matrix.T.astype(np.float32))
    logic = to_pipeline(solution, stages + 1, verbose=False, reg_inp=False, reg_out=False) if stages else solution
    with tempfile.TemporaryDirectory() as folder:
        RTLModel(logic, folder, "model").write()
        sources = sorted(Path(folder, "src").rglob("*.v"))
        verilog = "\n".join(s.read_text() for s in sources if s.name != "model_wrapper.v")
    target, place, slices = spec.format.width, 0, []
    for interval in solution.out_qint:
        signed, whole_bits, _ = interval.kif
        bits = int(signed) + whole_bits
        word = f"y[{place + bits - 1}:{place}]"
        top = f"y[{place + bits - 1}]" if signed else "1'b0"
        slices.append(f"{{{{{target - bits}{{{top}}}}}, {word}}}" if bits < target else word)
        place += bits
    clock, connect = ("input clk, input rst, ", ".clk(clk), ") if stages else ("", "")
    return (
        f"{verilog}\nmodule {TOP} ({clock}input [{n * width - 1}:0] x, output [{target * spec.outputs - 1}:0] o);\n"
        f"  wire [{place - 1}:0] y;\n  model m ({connect}.model_inp(x), .model_out(y));\n"
        f"  assign o = {{{', '.join(reversed(slices))}}};\nendmodule\n"
    )


def simulate(unit: SignMatrix, verilog: str) -> None:
    """Stop unless the Verilog does what the unit does."""
    vectors = unit_vectors(unit, 60, 0)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "peer.v"
        source.write_text(verilog)
        got = run_unit(unit, vectors, verilog=source, folder=Path(folder) / "run", simulator=choose("icarus"))
    if not np.array_equal(got, unit.spec.compute(**vectors)):
        raise UsageError("Verilog of the peer must give W x, which it does not")


class Bench:
    """Measures designs on one library."""

    def __init__(self, liberty: Path, timeout_s: float) -> None:
        self._liberty, self._timeout_s = liberty, timeout_s

    def lines(
        self, matrix: str, spec: SignMatrixSpec, goal: Effort | float, stages: int, peers: bool
    ) -> Iterator[Line]:
        """Ours first, then the peers; for an effort, or a delay in ns."""
        bits = spec.source.width
        effort, wanted = goal_of(goal)
        with err.status(f"generating {matrix}, {bits} bits, {stages} stages"):
            unit = SignMatrix(spec, stages, "fast" if goal == "speed" else "small")
            designs = {"ours": emit(unit, TOP)}
            if peers:
                for name, hard_dc in SETTINGS.items():
                    designs[name] = alkaid(spec, hard_dc, stages)
                    simulate(unit, designs[name])
        for design, verilog in designs.items():
            with err.status(f"{matrix}, {bits} bits, {design}, {effort}"):
                report = synthesize_text(verilog, TOP, liberty=self._liberty, timeout_s=self._timeout_s, **wanted)
            line = Line(
                matrix=matrix,
                bits=bits,
                design=design,
                effort=effort,
                stages=stages,
                area=report.area,
                delay=delay_of(report),
            )
            err.print(line.row(""))
            yield line


def ratios(lines: list[Line]) -> Iterator[str]:
    """Each line with the ratio of our area x delay to the peer's."""
    for line in lines:
        key = (line.matrix, line.bits, line.effort, line.stages)
        ours = next(o for o in lines if (o.matrix, o.bits, o.effort, o.stages) == key and o.design == "ours")
        yield line.row("" if line is ours else f"{ours.product / line.product:.2f}")


@command
def main(
    liberty: Annotated[Path | None, typer.Option(help="Liberty file; else OSU 0.18 um.")] = None,
    bits: Annotated[list[int] | None, typer.Option(help="Bits of an input; 1, 2, 4 and 8 if not given.")] = None,
    matrix: Annotated[list[str] | None, typer.Option(help="random 0, random 1, random 2, trained; else all.")] = None,
    effort: Annotated[list[str] | None, typer.Option(help="area, balanced, speed; else all.")] = None,
    delay: Annotated[list[float] | None, typer.Option(help="ns: the smallest of at most that, not an effort.")] = None,
    ours: Annotated[bool, typer.Option("--ours", help="Without alkaid.")] = False,
    stages: Annotated[list[int] | None, typer.Option(help="Ranks of pipeline registers; 0 if not given.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds for one synthesis.")] = 3000,
    json: Json = False,
) -> None:
    """Measure our matrices and alkaid's, and print a table."""
    library = library_of(liberty)
    peers = bool(importlib.util.find_spec("alkaid")) and not ours
    if not peers and not ours:
        err.print("alkaid is not installed, so only our units are measured; to install it type: pip install alkaid")
    found = matrices()
    for name in matrix or ():
        if name not in found:
            raise UsageError(f"Matrix must be one of {', '.join(found)}, not {name!r}")
    for name in effort or ():
        if name not in get_args(Effort):
            raise UsageError(f"Effort must be one of {', '.join(get_args(Effort))}, not {name!r}")
    bench, lines = Bench(library, timeout), []
    for width in bits or (1, 2, 4, 8):
        for name in matrix or found:
            for goal in (*(effort or ()), *(delay or ())) or get_args(Effort):
                for ranks in stages or (0,):
                    spec = SignMatrixSpec.of(found[name], Format(width, 0, signed=False))
                    lines += bench.lines(name, spec, goal, ranks, peers)  # type: ignore[arg-type]
    if json:
        peer = importlib.metadata.version("alkaid") if peers else None
        return emit_json({"alkaid": peer, "lines": [asdict(line) for line in lines]})
    heads = ("matrix", "bits", "design", "effort", "stages", "area", "delay", "area x delay", "ours / peer")
    out.print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", soft_wrap=True)
    for row in ratios(lines):
        out.print(row, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
