"""Speed of sums by limited adders: ratios to the plain matrix product or convolution of the same shape, in one run.

Example: python -m scripts.bench_overflow --json
Every round times the plain product, ours and the naive way one after the other; medians count. The naive way is the
Hadamard product and the tree, level by level (the simulation of Li et al., who report 5.2 times the plain product).
On a CPU it is CPU time that counts, on a GPU the time until all that was asked of it is done.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import torch
import typer
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

from model.device import named, on
from model.overflow_layers import OverflowConv2d
from model.sums import SumSpec, summed_product
from scripts.console import Json, command, emit_json, err, out

Product = Callable[[Tensor, Tensor, SumSpec], Tensor]

WARM_UP = 2


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row of the benchmark: what is summed, and how."""

    terms: int
    bits: int
    spec: SumSpec
    signed: bool = False


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A 3 x 3 convolution of the benchmark: channels in and out, height and width."""

    channels: int
    outputs: int
    side: int
    bits: int
    spec: SumSpec


def convolutions() -> list[Convolution]:
    """Layers of the small-pipeline rule and a wider one, for inputs of few and of many bits."""
    shapes = ((3, 16, 32), (16, 16, 32), (28, 28, 14), (64, 64, 16))
    found = [
        Convolution(channels=c, outputs=o, side=side, bits=bits, spec=SumSpec(width=8))
        for c, o, side in shapes
        for bits in (8, 4, 2)
    ]
    wider = [Convolution(channels=16, outputs=16, side=32, bits=8, spec=SumSpec(width=width)) for width in (16, 12, 10)]
    return [*found, *wider]


def settings() -> list[Setting]:
    """The paper's setting, tight nodes, and the other rules; at 256 and 1,024 inputs."""
    return [
        setting
        for terms in (256, 1024)
        for setting in (
            Setting(terms=terms, bits=8, spec=SumSpec(width=16)),
            Setting(terms=terms, bits=8, spec=SumSpec(width=12)),
            Setting(terms=terms, bits=1, spec=SumSpec(width=8)),
            Setting(terms=terms, bits=8, spec=SumSpec(width=8), signed=True),
            Setting(terms=terms, bits=8, spec=SumSpec(width=16, overflow="wrap")),
            Setting(terms=terms, bits=8, spec=SumSpec(width=16, order="sequence")),
            Setting(terms=terms, bits=8, spec=SumSpec(width=12, order="sequence")),
            Setting(terms=terms, bits=8, spec=SumSpec(width=12, fan_in=4)),
            Setting(terms=terms, bits=8, spec=SumSpec(width=12, shift=1)),
            Setting(terms=terms, bits=8, spec=SumSpec(width=12, unit=64)),
        )
    ]


def naive_product(x: Tensor, w: Tensor, spec: SumSpec) -> Tensor:
    """Every product, then every level: (batch, outputs, terms) at once; only trees of two that saturate."""
    if spec.limit is None or spec != SumSpec(width=spec.width):
        raise ValueError(f"Naive product must be of a saturating tree of two, not {spec!r}")
    level = x[:, None, :] * w
    while level.shape[-1] > 1:
        odd = level[..., level.shape[-1] // 2 * 2 :]
        pairs = level[..., : level.shape[-1] // 2 * 2].unflatten(-1, (-1, 2)).sum(-1)
        level = torch.cat([pairs, odd], -1).clamp(spec.limit.min, spec.limit.max)
    return level[..., 0]


def plain_product(x: Tensor, w: Tensor, spec: SumSpec) -> Tensor:
    """What all are compared with."""
    return functional.linear(x, w)


def now(device: torch.device) -> float:
    """Seconds, for differences: of CPU time, or, when a GPU has done all that was asked of it, of time."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def medians(ways: Sequence[Callable[[], object]], rounds: Sequence[int], device: torch.device) -> list[float]:
    """Median seconds of each way, by so many rounds of it; the ways take turns."""
    taken: list[list[float]] = [[] for _ in ways]
    for turn in range(max(rounds) + WARM_UP):
        for way, times, most in zip(ways, taken, rounds, strict=True):
            if len(times) < most:
                start = now(device)
                way()
                taken_s = now(device) - start
                if turn >= min(WARM_UP, most):
                    times.append(taken_s)
    return [statistics.median(times) for times in taken]


def measure(
    setting: Setting, batch: int, outputs: int, rounds: int, naive_rounds: int, device: torch.device
) -> list[dict[str, object]]:
    """Forward, and forward and backward, of one setting; seed 0."""
    generator = torch.Generator().manual_seed(0)
    low = -(1 << (setting.bits - 1)) if setting.signed else 0
    x = torch.randint(low, low + (1 << setting.bits), (batch, setting.terms), generator=generator).float()
    w = torch.randint(0, 2, (outputs, setting.terms), generator=generator).float() * 2 - 1
    grad = torch.randn(batch, outputs, generator=generator)
    x, w, grad = x.to(device), w.to(device), grad.to(device)
    leaves = x.clone().requires_grad_(), w.clone().requires_grad_()
    spec = setting.spec
    overflowing = float((summed_product(x, w, spec) != functional.linear(x, w)).float().mean())

    def forward(product: Product) -> Callable[[], object]:
        return lambda: product(x, w, spec)

    def both(product: Product) -> Callable[[], object]:
        def run() -> None:
            for leaf in leaves:
                leaf.grad = None
            product(*leaves, spec).backward(grad)

        return run

    cases = []
    for name, way in (("forward", forward), ("forward + backward", both)):
        # Autograd would keep gigabytes of the naive way.
        naive = [way(naive_product)] if name == "forward" and spec == SumSpec(width=spec.width) and naive_rounds else []
        ways = [way(plain_product), way(summed_product), *naive]
        plain_s, exact_s, *rest = medians(ways, [rounds, rounds, naive_rounds][: len(ways)], device)
        case = {
            "shape": {"batch": batch, "outputs": outputs, "terms": setting.terms, "bits": setting.bits},
            "spec": {key: value for key, value in asdict(spec).items() if value is not None},
            "pass": name,
            "overflowing": overflowing,
            "plain_s": plain_s,
            "exact_s": exact_s,
            "ratio": exact_s / plain_s,
            "naive_ratio": rest[0] / exact_s if rest else None,
        }
        case["shape"]["signed"] = setting.signed
        cases.append(case)
    return cases


def measure_convolution(setting: Convolution, batch: int, rounds: int, device: torch.device) -> list[dict[str, object]]:
    """``OverflowConv2d`` beside ``nn.Conv2d``, in the faster of its two memory formats; seed 0."""
    torch.manual_seed(0)
    x = torch.randint(0, 1 << setting.bits, (batch, setting.channels, setting.side, setting.side)).float()
    x = x.to(device)
    sizes: dict[str, Any] = {"padding": 1, "bias": False, "device": device}
    ours = OverflowConv2d(setting.channels, setting.outputs, 3, spec=setting.spec, **sizes)
    plain = nn.Conv2d(setting.channels, setting.outputs, 3, **sizes)
    last = nn.Conv2d(setting.channels, setting.outputs, 3, **sizes).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    grad = torch.randn(batch, setting.outputs, setting.side, setting.side, device=device)
    plain.weight.data = ours.integer_weight().detach()
    overflowing = float((ours(x) != plain(x)).float().mean())
    inputs = (x, x.contiguous(memory_format=torch.channels_last), x)

    def forward(layer: nn.Module, x: Tensor) -> Callable[[], object]:
        def run() -> None:
            with torch.no_grad():
                layer(x)

        return run

    def both(layer: nn.Module, x: Tensor) -> Callable[[], object]:
        def run() -> None:
            layer.zero_grad()
            layer(x.detach().requires_grad_()).backward(grad)

        return run

    cases = []
    for name, way in (("forward", forward), ("forward + backward", both)):
        ways = [way(layer, each) for layer, each in zip((plain, last, ours), inputs, strict=True)]
        *plains, exact_s = medians(ways, [rounds] * 3, device)
        shape = {name: value for name, value in vars(setting).items() if name != "spec"}
        spec = {key: value for key, value in asdict(setting.spec).items() if value is not None}
        times = {"plain_s": min(plains), "exact_s": exact_s, "ratio": exact_s / min(plains)}
        about = {"shape": {"batch": batch, **shape}, "spec": spec, "pass": name, "overflowing": overflowing}
        cases.append({**about, **times})
    return cases


def show_convolutions(cases: Sequence[dict[str, Any]], batch: int) -> None:
    """The convolutions for people."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("3 x 3", "image", "bits", "nodes", "pass", "overflowing", "plain ms", "ours ms", "ratio"):
        grid.add_column(heading, justify="left" if heading in ("nodes", "pass") else "right")
    for case in cases:
        shape = case["shape"]
        sizes = (f"{shape['channels']} to {shape['outputs']}", f"{shape['side']} x {shape['side']}", str(shape["bits"]))
        times = (f"{1000 * case['plain_s']:.2f}", f"{1000 * case['exact_s']:.2f}", f"{case['ratio']:.2f}")
        share = f"{100 * case['overflowing']:.0f} %"
        grid.add_row(*sizes, described(case["spec"]), case["pass"], share, *times)
    out.print(f"convolutions, {batch} images")
    out.print(grid)


@command
def main(
    batch: Annotated[int, typer.Option(min=1)] = 128,
    outputs: Annotated[int, typer.Option(min=1)] = 512,
    rounds: Annotated[int, typer.Option(min=1, help="Timed rounds; the median counts.")] = 25,
    naive_rounds: Annotated[int, typer.Option(min=0, help="Rounds of the naive way; 0 to leave it out.")] = 3,
    images: Annotated[int, typer.Option(min=1, help="Of a convolution.")] = 64,
    threads: Annotated[int, typer.Option(min=1, help="Threads of all, on a CPU.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, or a GPU as PyTorch names it: cuda.")] = "cpu",
    json: Json = False,
) -> None:
    """Median time of products by limited adders, its ratio to the plain product, and the naive way's to it."""
    torch.set_num_threads(threads)
    where = on(device)
    cases = []
    for setting in settings():
        err.print(f"timing {setting.terms} inputs of {setting.bits} bits, {setting.spec}")
        cases += measure(setting, batch, outputs, rounds, naive_rounds, where)
    convolved = []
    for convolution in convolutions():
        err.print(f"timing {convolution}")
        convolved += measure_convolution(convolution, images, rounds, where)
    if json:
        about = {"torch": torch.__version__, "threads": threads, "device": named(where)}
        return emit_json({**about, "cases": cases, "convolutions": convolved})
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("inputs", "bits", "nodes", "pass", "overflowing", "plain ms", "ours ms", "ratio", "naive / ours"):
        grid.add_column(heading, justify="left" if heading in ("nodes", "pass") else "right")
    for case in cases:
        shape, naive = case["shape"], case["naive_ratio"]
        grid.add_row(
            f"{shape['terms']:,}",
            f"{shape['bits']}{' signed' if shape['signed'] else ''}",
            described(case["spec"]),
            case["pass"],
            f"{100 * case['overflowing']:.0f} %",
            f"{1000 * case['plain_s']:.2f}",
            f"{1000 * case['exact_s']:.2f}",
            f"{case['ratio']:.2f}",
            f"{naive:.0f}" if naive else "",
        )
    out.print(f"batch {batch}, {outputs} outputs, weights +-1, {threads} thread(s), {named(where)}, seed 0")
    out.print(grid)
    show_convolutions(convolved, images)


def described(spec: dict[str, object]) -> str:
    """What of a rule is not the default, and its width."""
    more = [f"fan-in {spec['fan_in']}"] if spec["fan_in"] != 2 else []
    more += [f"shift {spec['shift']}"] if spec["shift"] else []
    more += [f"unit {spec['unit']}"] if "unit" in spec else []
    more += ["wrapping"] if spec["overflow"] == "wrap" else []
    return ", ".join([f"{spec['order']} of {spec['width']} bits", *more])


if __name__ == "__main__":
    typer.run(main)
