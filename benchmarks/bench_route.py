"""Routing: the first call with new options, and what a repeated call adds.

usage: python benchmarks/bench_route.py
"""

import statistics

import moe_mlir as moe
import numpy as np
from bars import Bars
from moe_mlir import routing
from moe_mlir.routing import _cached_kernel
from timing import interleaved, seconds

FIRST = 0.25  # seconds
ABOVE_WORK = 1e-3  # seconds
DEFAULTS = {
    "k": 8,
    "score": "softmax",
    "normalize": "none",
    "groups": None,
    "floor": 0,
    "cap": None,
    "scale": 1.0,
    "eps": 0.0,
    "norm_min": 0.0,
    "rank_logits": False,
}
OPTIONS: list[dict[str, object]] = [
    {"scope": "token"},
    {"scope": "sequence", "normalize": "sum"},
    {"scope": "sequence", "score": "sigmoid", "groups": (8, 4, "top2_sum")},
    {"scope": "sequence", "score": "sqrtsoftplus", "floor": 1, "cap": 16},
]


def first_calls(bars: Bars) -> None:
    rng = np.random.default_rng(0)
    moe.route(np.zeros((1, 1, 4), np.float32), 2)  # the process's own start
    for experts in (64, 384):
        logits = rng.standard_normal((1, 128, experts)).astype(np.float32)
        for options in OPTIONS:
            taken = []
            for _ in range(3):
                _cached_kernel.cache_clear()
                taken.append(seconds(lambda o=options, x=logits: moe.route(x, 8, **o)))
            words = " ".join(map(str, options.values()))
            bars.below(f"first call, E = {experts}, {words}", FIRST, max(taken), " s")


def repeated_calls(bars: Bars) -> None:
    """A call beside its code alone, on the same logits."""
    logits = np.random.default_rng(1).standard_normal((1, 1024, 64), np.float32)
    for scope in ("token", "sequence"):
        _cached_kernel.cache_clear()
        moe.route(logits, 8, scope=scope)
        # The one kernel in the cache: what the call has just compiled.
        options = routing._options(**(DEFAULTS | {"scope": scope}))
        kernel = _cached_kernel(tuple(options.items()), "f32", 64, False, False)
        assert _cached_kernel.cache_info().currsize == 1
        times = interleaved(
            {
                "route": lambda s=scope: moe.route(logits, 8, scope=s),
                "code": lambda k=kernel: k.call([logits]),
            },
            200,
        )
        above = statistics.median(times["route"] - times["code"])
        bars.note(f"{scope}: code {statistics.median(times['code']) * 1e3:.3f} ms")
        bars.below(f"repeated call above its work, {scope}", ABOVE_WORK, above, " s")


if __name__ == "__main__":
    bars = Bars("moe.route")
    first_calls(bars)
    repeated_calls(bars)
    bars.exit()
