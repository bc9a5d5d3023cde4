"""The main job: import an MoE layer, flip its scope, compile, check, time, draw."""

import argparse
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import moe_mlir as moe
from moe_mlir.demo_layers import LAYERS, Layer, layer_by_plan

COST = """
An untuned flip costs quality: 0.1-1.2 % of the loss in our measurements, worst at K = 1.
A short fine-tune evens it out; training in sequence scope gains 1-2 % (docs/quality.md)."""


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="moe-mlir demo", description=__doc__)
    sizes = {"batch": 1, "tokens": 512, "experts": 64, "k": 8, "hidden": 1024}
    more = {"inner": 512, "seed": 0, "rounds": 7, "threads": 1}
    for name, value in (sizes | more).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=list(LAYERS))
    parser.add_argument("--picture", default="experts-per-token.png")
    return parser.parse_args(argv)


def check(what: str, got: Any, expected: Any, skip: Any = False) -> None:
    """Compares two [S, T, H] results, but for the tokens `skip` [S, T]."""
    error = np.abs(np.asarray(got) - np.asarray(expected)).max(-1)
    bound = 1e-5 * np.abs(np.asarray(expected)).max()
    worst = np.where(skip, 0, error).max(initial=0)
    print(f"  {what}: largest difference {worst:.1e}, allowed {bound:.1e}")
    if not worst <= bound:
        sys.exit(f"moe-mlir demo: {what}: the results differ")


def times(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each run, interleaved, after one untimed round."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            taken[name].append(1e3 * (time.perf_counter() - start))
    return {name: values[1:] for name, values in taken.items()}


def show(name: str, layer: Layer, o: argparse.Namespace) -> None:
    model = layer.imported()
    print(f"\n{name}\n{moe.format_report(model.report)}")
    flipped = model.with_scope("sequence")
    for old, new in zip(
        model.mlir.splitlines(), flipped.mlir.splitlines(), strict=True
    ):
        if old != new:
            print(f"- {old.strip()}\n+ {new.strip()}")
    token, sequence = (m.compile(threads=o.threads) for m in (model, flipped))
    check(f"token scope against {name}", token(layer.x), layer.peers[name](layer.x))
    plan, near = layer.oracle("sequence")
    print(f"  {near.sum()} tokens have a score within rounding of the last one chosen")
    expected = layer_by_plan(layer.x, layer.weights, plan)
    check("sequence scope against the oracle", sequence(layer.x), expected, near)
    runs = layer.peers | {"ours, token": token, "ours, sequence": sequence}
    taken = times({k: lambda f=f: f(layer.x) for k, f in runs.items()}, o.rounds)
    for run, values in taken.items():
        print(f"  {run:24} {statistics.median(values):9.2f} ms")
    pairs = zip(taken["ours, token"], taken["ours, sequence"], strict=True)
    overhead = statistics.median(100 * (b / a - 1) for a, b in pairs)
    print(f"  sequence scope costs {overhead:+.2f} % over token scope")
    plans = {s: moe.route(layer.logits, o.k, scope=s) for s in ("token", "sequence")}
    picture = pathlib.Path(o.picture).with_stem(
        f"{pathlib.Path(o.picture).stem}-{name}"
    )
    moe.plot_plans(plans, picture)
    print(f"  experts per token under both scopes: {picture}")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the demo."""
    o = options(argv)
    for name in o.layers:
        show(name, LAYERS[name](o), o)
    print(COST)


if __name__ == "__main__":
    main()
