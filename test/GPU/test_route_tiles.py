"""Lists of tiles out of a routing's launch, record by record."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
from route_programs import Array, check, compile_route
from routing_cases import random_logits

BLOCK = (
    "#moe.gpu_route<chip = sm_80, form = block, threads = 256, blocks = 5, tokens = 8>"
)
GRID = (
    "#moe.gpu_route<chip = sm_80, form = grid, threads = 128, blocks = 6, tokens = 2>"
)
#: Powers of two, and a number that is none.
TILE_ROWS = (16, 48, 128)


def skewed(kind: str, rng: np.random.Generator, s: int, t: int, e: int) -> Array:
    """Logits by which some experts have no rows, or one has as many as it can."""
    logits = rng.standard_normal((s, t, e)).astype(np.float32)
    if kind == "few":
        logits[..., rng.permutation(e)[: e // 2]] -= 50
    if kind == "one":
        logits[..., rng.integers(e)] += 50
    return logits


@pytest.mark.parametrize("schedule", [None, BLOCK, GRID], ids=["rule", "block", "grid"])
@pytest.mark.parametrize(
    ("s", "t", "e", "k"),
    [(1, 130, 3, 1), (2, 40, 60, 4), (7, 9, 33, 2), (1, 70, 288, 8), (3, 0, 5, 2)],
    ids=str,
)
def test_lists(
    moe_opt: pathlib.Path, schedule: str | None, s: int, t: int, e: int, k: int
) -> None:
    """Of all counts: empty experts, and one expert with most rows."""
    rng = np.random.default_rng(e)
    options: dict[str, Any] = {"scope": "sequence", "score": "sigmoid"}
    logits = skewed("even", rng, s, t, e)
    routing = compile_route(
        moe_opt, logits, k, **options, schedule=schedule, tile_rows=TILE_ROWS
    )
    for seed, kind in enumerate(("even", "few", "one")):
        logits = skewed(kind, rng, s, t, e)
        check(routing, logits, kind, order="random", seed=seed, **options)


@pytest.mark.parametrize("k", [1, 2])
def test_one_expert_with_all_rows(moe_opt: pathlib.Path, k: int) -> None:
    """Every token may have one pair, and all go to one expert; or to two."""
    rng = np.random.default_rng(k)
    logits = np.full((1, 300, 70), -9, np.float32)
    logits[..., 69] = rng.random((1, 300))
    logits[..., 68] = logits[..., 69] - 1
    options: dict[str, Any] = {"scope": "token"}
    routing = compile_route(moe_opt, logits, k, **options, tile_rows=(32, 128))
    for seed in range(5):
        check(routing, logits, order="random", seed=seed, **options)


def test_room_behind_the_rows(moe_opt: pathlib.Path) -> None:
    """Padding leaves rows, and so records, that nobody writes."""
    rng = np.random.default_rng(1)
    valid = rng.random((2, 50)) < 0.4
    options: dict[str, Any] = {"scope": "sequence", "valid": valid}
    logits = random_logits("normal", rng, 2, 50, 40)
    routing = compile_route(moe_opt, logits, 3, **options, tile_rows=(16,))
    check(routing, logits, **options)
    options["valid"] = np.zeros((2, 50), bool)
    check(routing, logits, **options)
