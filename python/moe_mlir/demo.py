"""The main job: import an MoE layer, flip its scope, compile, check, time, draw."""

import argparse
import pathlib
import statistics
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

import moe_mlir as moe
from moe_mlir.demo_layers import LAYERS, Layer, layer_by_plan, times

SCOPES = ("token", "sequence")
COST = """
An untuned flip costs 0.1-1.2 % of the loss in our measurements, worst at K = 1. A short
fine-tune evens it; training in sequence scope gains 1-2 % (docs/quality.md)."""


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="moe-mlir demo", description=__doc__)
    sizes = {"batch": 1, "tokens": 512, "experts": 64, "k": 8, "hidden": 1024}
    more = {"inner": 512, "seed": 0, "rounds": 7, "threads": 1}
    for name, value in (sizes | more).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=list(LAYERS))
    picture = pathlib.Path("experts-per-token.png")
    parser.add_argument("--picture", type=pathlib.Path, default=picture)
    return parser.parse_args(argv)


def check(what: str, got: Any, expected: Any, near: Any) -> None:
    """Compares two [S, T, H] results, but for the tokens [S, T] that are `near`."""
    error = np.abs(np.asarray(got) - np.asarray(expected)).max(-1)
    bound = 1e-5 * np.abs(np.asarray(expected)).max()
    worst = np.where(near, 0, error).max(initial=0)
    print(f"  {what}: largest difference {worst:.1e}, allowed {bound:.1e}")
    print(
        f"    ({near.sum()} tokens not compared: chosen or not by a logit's last bits)"
    )
    if not worst <= bound:
        sys.exit(f"moe-mlir demo: {what}: the results differ")


def show(name: str, layer: Layer, o: argparse.Namespace) -> None:
    model = layer.imported()
    print(f"\n{name}\n{moe.format_report(model.report)}")
    flipped = model.with_scope("sequence")
    lines = zip(*(m.mlir.splitlines() for m in (model, flipped)), strict=True)
    for old, new in lines:
        if old != new:
            print(f"- {old.strip()}\n+ {new.strip()}")
    token, sequence = (m.compile(threads=o.threads) for m in (model, flipped))
    expected = layer.peers[name](layer.x)
    check(f"token scope against {name}", token(layer.x), expected, layer.near("token"))
    expected = layer_by_plan(layer.x, layer.weights, layer.oracle("sequence"))
    got, near = sequence(layer.x), layer.near("sequence")
    check("sequence scope against the oracle", got, expected, near)
    runs = layer.peers | {"ours, token": token, "ours, sequence": sequence}
    taken = times(runs, layer.x, o.rounds)
    for run, values in taken.items():
        print(f"  {run:24} {statistics.median(values):9.2f} ms")
    pairs = zip(taken["ours, token"], taken["ours, sequence"], strict=True)
    overhead = statistics.median(100 * (b / a - 1) for a, b in pairs)
    print(f"  sequence scope costs {overhead:+.2f} % over token scope")
    plans = {
        f"{s} scope": moe.route(layer.logits, o.k, scope=s)
        for s in ("token", "sequence")
    }
    picture = o.picture.with_stem(f"{o.picture.stem}-{name}")
    moe.plot_plans(plans, picture)
    print(f"  experts per token under both scopes: {picture}")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the demo."""
    for name in (o := options(argv)).layers:
        show(name, LAYERS[name](o), o)
    print(COST)
