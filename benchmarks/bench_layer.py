"""An OLMoE layer on one thread: peak, peers, and what sequence scope costs.

usage: python benchmarks/bench_layer.py [--rounds N]

E = 64, K = 8, H = 1024, I = 512, seeded random weights, packed once. The layer is the
transformers block, imported: router, experts and combine. Bars are ratios within one
run: to the arithmetic peak that a loop of multiply-adds reaches in turns with the
layer, and to the block in eager PyTorch and with grouped_mm. All run on one thread, and
the time taken is that of the CPU, so that a program beside does not count.
"""

import argparse
import contextlib
import functools
import os
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"  # before the frameworks read it
os.environ.pop("OPENBLAS_CORETYPE", None)

import moe_mlir as moe
import numpy as np
import torch
from bars import Bars
from olmoe import HIDDEN, INNER, K, make_block
from peak import Peak, peak_bf16, peak_f32
from timing import Times, cpu_clock, interleaved, median_interval, ratio
from transformers.models.olmoe.modeling_olmoe import OlmoeSparseMoeBlock

#: Least part of the peak, by tokens.
PEAK_BARS = {1024: 0.65, 128: 0.45}
PEERS = ("eager", "grouped_mm")
ROUTE_PAIRS = 200
ROUTE_BAR = 0.01


class Peer:
    """The block as transformers runs it, with one of its expert kernels."""

    def __init__(self, block: OlmoeSparseMoeBlock, kind: str) -> None:
        self.block, self.kind = block, kind

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.block.experts.config._experts_implementation = self.kind
        with torch.no_grad():
            y = self.block(x)
        return y[0] if isinstance(y, tuple) else y


def layer_operations(tokens: int) -> int:
    """Multiplications and additions of the experts."""
    return 6 * tokens * K * HIDDEN * INNER


def bench_layer(bars: Bars, dtype: torch.dtype, peak: Peak, rounds: int) -> None:
    block = make_block(dtype)
    name = str(dtype).removeprefix("torch.")
    model = moe.from_torch(block, (torch.zeros(2, 8, HIDDEN, dtype=dtype),))
    token = model.compile(threads=1)
    sequence = model.with_scope("sequence").compile(threads=1)
    for tokens, bar in PEAK_BARS.items():
        x = torch.randn(1, tokens, HIDDEN, dtype=dtype)
        runs: dict[str, Callable[[], object]]
        runs = {kind: functools.partial(Peer(block, kind), x) for kind in PEERS}
        runs["token"] = functools.partial(token, x)
        runs["sequence"] = functools.partial(sequence, x)
        rates: list[float] = []
        runs["peak"] = lambda into=rates: into.append(peak.rate())
        check_equal(token(x), Peer(block, "eager")(x))
        times = interleaved(runs, rounds, cpu_clock)
        report(bars, f"{name} T = {tokens}", times, rates[1:], tokens, bar)


def check_equal(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """A benchmark of a wrong result says nothing.

    Logits of a narrow type are often equal, and then a token may go to another of two
    equal experts; so some tokens may differ, and all others may not.
    """
    errors = (ours.float() - theirs.float()).abs().amax(-1) / theirs.abs().max()
    bound, ties = (0.02, 0.05) if ours.dtype == torch.bfloat16 else (1e-4, 0.005)
    if not (errors < bound).float().mean() >= 1 - ties:
        raise SystemExit(f"the compiled layer is off by {errors.max():.1e}")


def report(
    bars: Bars, what: str, times: Times, rates: list[float], tokens: int, bar: float
) -> None:
    peak = np.array(rates)
    part = layer_operations(tokens) / times["token"] / 1e9 / peak
    value, low, high = median_interval(part)
    bars.note(
        f"{what}: peak {np.median(peak):.0f} GFLOP/s (from {peak.min():.0f} to "
        f"{peak.max():.0f}), of it {100 * low:.1f} to {100 * high:.1f} %; ms: "
        + ", ".join(
            f"{name} {np.median(times[name]) * 1e3:.2f}"
            for name in (*PEERS, "token", "sequence")
        )
    )
    bars.at_least(f"{what}: part of the peak", 100 * bar, 100 * value, " %")
    best = min(PEERS, key=lambda name: float(np.median(times[name])))
    value, low, high = ratio(times, best, "token")
    bars.note(f"{what}: {best} / ours from {low:.2f} to {high:.2f}")
    bars.above(f"{what}: faster than {best}", 1, value, " x")


def bench_route(bars: Bars) -> None:
    """What sequence scope adds to the layer, both routings timed alone."""
    block = make_block(torch.float32)
    model = moe.from_torch(block, (torch.zeros(2, 8, HIDDEN),)).compile(threads=1)
    for tokens in PEAK_BARS:
        x = torch.randn(1, tokens, HIDDEN)
        logits = (x @ block.gate.weight.T).detach()
        times = interleaved(
            {
                "token": lambda z=logits: moe.route(z, K, scope="token"),
                "sequence": lambda z=logits: moe.route(z, K, scope="sequence"),
                "layer": lambda x=x: model(x),
            },
            ROUTE_PAIRS,
            cpu_clock,
        )
        layer = float(np.median(times["layer"]))
        value, low, high = median_interval((times["sequence"] - times["token"]) / layer)
        bars.note(
            f"T = {tokens}: route token {np.median(times['token']) * 1e3:.3f} ms, "
            f"sequence {np.median(times['sequence']) * 1e3:.3f} ms, layer "
            f"{layer * 1e3:.2f} ms; {100 * low:.3f} to {100 * high:.3f} %"
        )
        what = f"T = {tokens}: (route sequence - route token) / layer"
        bars.below(what, 100 * ROUTE_BAR, 100 * value, " %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    bars = Bars("A layer of E = 64, K = 8, H = 1024, I = 512 on one thread")
    bench_layer(bars, torch.float32, peak_f32(), options.rounds)
    bench_layer(bars, torch.bfloat16, peak_bf16(), options.rounds)
    bench_route(bars)
    bars.exit()


if __name__ == "__main__":
    main()
