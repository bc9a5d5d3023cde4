"""moe.idx.route as a kernel: every index and bit of the oracle, under all checks."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
from route_programs import check, compile_route
from routing_cases import RANDOM_KINDS, Variant, pairwise_variants, random_logits

SHAPES = ((1, 17), (2, 5), (3, 1), (1, 40), (2, 33))
GATES = ("f32", "f32", "bf16", "f16")
VARIANTS = [
    (number, variant)
    for experts in (3, 33, 60)
    for number, variant in enumerate(pairwise_variants(experts)[:10])
]


@pytest.mark.parametrize(("number", "variant"), VARIANTS, ids=lambda v: str(v)[:60])
def test_options(moe_opt: pathlib.Path, number: int, variant: Variant) -> None:
    """Options in pairs, on inputs that are hard to rank."""
    rng = np.random.default_rng(variant.experts * 1000 + number)
    s, t = SHAPES[number % len(SHAPES)]
    logits = variant.cast(np.zeros((s, t, variant.experts), np.float32))
    arguments = variant.arguments(rng, s, t)
    gates = GATES[number % len(GATES)]
    routing = compile_route(moe_opt, logits, gate_type=gates, **arguments)
    for seed in range(6):
        kind = RANDOM_KINDS[(number + 3 * seed) % len(RANDOM_KINDS)]
        logits = variant.cast(random_logits(kind, rng, s, t, variant.experts))
        arguments = variant.arguments(rng, s, t)
        del arguments["k"]
        order = "random" if seed else "round-robin"
        check(routing, logits, kind, order=order, seed=seed, **arguments)


@pytest.mark.parametrize(
    ("s", "t", "e", "k", "options"),
    [
        (0, 4, 8, 2, {}),
        (2, 0, 8, 2, {}),
        (230, 3, 8, 2, {"normalize": "sum"}),
        (1, 300, 128, 4, {"normalize": "sum"}),
        (2, 300, 96, 22, {"scope": "token", "score": "sigmoid"}),
        (1, 9, 1024, 8, {"normalize": "sum"}),
        (1, 5, 1024, 8, {"groups": (128, 9, "top2_sum"), "score": "sqrtsoftplus"}),
        (1, 6, 96, 4, {"groups": (96, 50, "max"), "scope": "token"}),
        (1, 1500, 8, 2, {"normalize": "softmax"}),
        (1, 20, 64, 60, {"scope": "token", "normalize": "sum"}),
    ],
    ids=[
        "no-sequence", "no-token", "sequences-in-turn", "long", "long-token",
        "many-experts", "many-groups", "groups-of-one", "few-experts", "most-experts",
    ],
)  # fmt: skip
def test_shapes(
    moe_opt: pathlib.Path, s: int, t: int, e: int, k: int, options: dict[str, Any]
) -> None:
    rng = np.random.default_rng(e)
    options = {"scope": "sequence"} | options
    logits = rng.standard_normal((s, t, e)).astype(np.float32)
    routing = compile_route(moe_opt, logits, k, **options)
    for kind in ("normal", "quantised"):
        # The second launch finds the workspace as the first one left it.
        check(routing, random_logits(kind, rng, s, t, e), kind, **options)


@pytest.mark.parametrize("kind", ["normal", "two", "equal", "specials", "one_expert"])
def test_digits(moe_opt: pathlib.Path, kind: str) -> None:
    """Each way in which the search for the threshold can end."""
    rng = np.random.default_rng(5)
    logits = random_logits(kind, rng, 1, 90, 24)
    logits[0, :40] = logits[0, 40:80]
    options = {"scope": "sequence", "score": "sigmoid", "cap": 20}
    routing = compile_route(moe_opt, logits, 3, **options)
    check(routing, logits, kind, **options)
