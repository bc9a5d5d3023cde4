"""Routings by many blocks at once, which tell each other what they found."""

from __future__ import annotations

import math
import pathlib
from typing import Any

import numpy as np
import pytest
from route_programs import check, compile_route
from routing_cases import random_logits

SEQUENCE = {"scope": "sequence", "score": "sigmoid"}
RANKED = {"scope": "sequence", "score": "identity", "rank_logits": True}


@pytest.mark.parametrize("options", [SEQUENCE, RANKED | {"floor": 1}], ids=str)
@pytest.mark.parametrize("s", [1, 3])
def test_endings(moe_opt: pathlib.Path, s: int, options: dict[str, Any]) -> None:
    """A bin taken whole, listed, or full of ties, at random schedules."""
    rng = np.random.default_rng(s)
    logits = np.zeros((s, 120, 24), np.float32)
    routing = compile_route(moe_opt, logits, 3, cap=20, **options)
    assert routing.launch(logits).cooperative
    assert routing.launch(logits).grid == 15 * s
    for kind in ("normal", "two", "equal", "specials", "one_expert"):
        logits = random_logits(kind, rng, s, 120, 24)
        # Ties between blocks; where all are equal, more than a list holds.
        logits[:, :40] = logits[:, 40:80]
        for seed in range(2):
            where = dict(order="random", seed=seed)
            check(routing, logits, kind, cap=20, **where, **options)


@pytest.mark.parametrize(("t", "e", "blocks"), [(300, 8, 38), (700, 4, 88)])
def test_copies(moe_opt: pathlib.Path, t: int, e: int, blocks: int) -> None:
    """Many blocks add to several histograms, which the next launch finds empty."""
    rng = np.random.default_rng(t)
    logits = rng.standard_normal((1, t, e)).astype(np.float32)
    routing = compile_route(moe_opt, logits, 2, **SEQUENCE)
    assert routing.launch(logits).grid == blocks
    for _ in range(3):
        logits = rng.standard_normal((1, t, e)).astype(np.float32)
        check(routing, logits, **SEQUENCE)


@pytest.mark.parametrize(
    ("s", "kind", "scope", "barriers"),
    [
        (1, "normal", "sequence", 2),
        (2, "normal", "sequence", 3),
        (1, "equal", "sequence", 3),
        (1, "normal", "token", 1),
        (2, "two", "token", 1),
    ],
)
def test_barriers(
    moe_opt: pathlib.Path, s: int, kind: str, scope: str, barriers: int
) -> None:
    """How often all blocks wait for each other."""
    rng = np.random.default_rng(7)
    # If equal, more than a list holds.
    logits = random_logits(kind, rng, s, 200, 32)
    routing = compile_route(moe_opt, logits, 4, scope=scope)
    result = check(routing, logits, scope=scope, counters=True)
    # A team whose bin is taken whole needs no list, so its average may be less.
    assert math.ceil(routing.grid_barriers(result)) == barriers


def test_memory_of_tokens(moe_opt: pathlib.Path) -> None:
    """Keys that shared memory does not hold lie in the workspace."""
    rng = np.random.default_rng(3)
    logits = rng.standard_normal((1, 2500, 1024)).astype(np.float32)
    routing = compile_route(
        moe_opt, logits, 2, scope="sequence", chip="sm_86", multiprocessors=84
    )
    assert routing.launch(logits).kernel == "route_long"
    check(routing, logits, scope="sequence")
