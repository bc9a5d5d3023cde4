"""Routings whose division among blocks follows from sizes and the device."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
from route_programs import check, compile_route
from routing_cases import random_logits

#: sm_86: devices of 16 to 84 multiprocessors, and 99 KB of shared memory.
SCHEDULE = (
    "#moe.gpu_route<chip = sm_86, form = {}, threads = 128, blocks = 84, tokens = 4>"
)
#: T that stands for more tokens than a block has shared memory for, by scope.
LONG = -1
LONG_TOKENS = {"sequence": 300, "token": 1700}
#: Multiprocessors, S, T, and the kernel and number of blocks that they lead to.
LAUNCHES = [
    (84, 1, 9, "route", 3),
    (84, 3, 50, "route", 39),
    (2, 1, 31, "route", 2),
    (1, 1, 17, "route", 1),
    (2, 1, LONG, "route_long", 2),
    (5, 2, LONG, "route_long", 4),
    (5, 13, 3, "route_in_turn", 5),
    (16, 0, 7, "route", 1),
    (16, 4, 0, "route", 4),
]


@pytest.mark.parametrize("scope", ["sequence", "token"])
def test_sizes_known_at_launch(moe_opt: pathlib.Path, scope: str) -> None:
    """Three kernels for all S and T, on one workspace."""
    rng = np.random.default_rng(1)
    options = {"scope": scope, "score": "sigmoid"}
    routing = compile_route(
        moe_opt,
        np.zeros((1, 1, 200), np.float32),
        3,
        **options,
        schedule=SCHEDULE.format("grid"),
        sizes="?x?",
        tile_rows=(16,),
    )
    routing.workspace = np.zeros(1 << 20, np.int32)
    kinds = ("normal", "quantised", "equal")
    # Each kernel finds the workspace as the others left it.
    for number, (units, s, t, kernel, blocks) in enumerate(LAUNCHES + LAUNCHES[:5]):
        routing.multiprocessors = units
        t = LONG_TOKENS[scope] if t == LONG else t
        logits = random_logits(kinds[number % 3], rng, s, t, 200)
        launch = routing.launch(logits)
        assert (launch.kernel, launch.grid) == (kernel, blocks)
        assert launch.cooperative
        check(routing, logits, number, order="random", seed=number, **options)


def test_padding_known_at_launch(moe_opt: pathlib.Path) -> None:
    """Sequences of a known number, some of whose tokens are padding."""
    rng = np.random.default_rng(2)
    logits = np.zeros((3, 1, 24), np.float32)
    options = {"scope": "sequence", "score": "sqrtsoftplus", "cap": 9}
    routing = compile_route(
        moe_opt, logits, 2, **options, sizes="3x?", valid=np.zeros((3, 1), bool)
    )
    routing.workspace = np.zeros(1 << 20, np.int32)
    for tokens in (40, 41, 8):
        logits = rng.standard_normal((3, tokens, 24)).astype(np.float32)
        check(routing, logits, valid=rng.random((3, tokens)) < 0.7, **options)


@pytest.mark.parametrize("form", ["grid", "block"])
def test_known_sizes_on_any_device(moe_opt: pathlib.Path, form: str) -> None:
    """As many blocks as the device has room for, and no more."""
    rng = np.random.default_rng(3)
    logits = rng.standard_normal((30, 9, 40)).astype(np.float32)
    options = {"scope": "sequence", "score": "softmax", "normalize": "sum"}
    routing = compile_route(
        moe_opt, logits, 3, **options, schedule=SCHEDULE.format(form)
    )
    for units, kernel, blocks in [
        (84, "route", 60 if form == "grid" else 30),
        (30, "route", 30),
        (16, "route_in_turn", 16),
    ]:
        routing.multiprocessors = units
        launch = routing.launch(logits)
        assert (launch.kernel, launch.grid) == (kernel, blocks)
        check(routing, logits, units, **options)


@pytest.mark.parametrize(
    ("tokens", "threads", "blocks"),
    [(128, 256, 16), (1024, 256, 128), (1025, 512, 129)],
)
def test_rule(moe_opt: pathlib.Path, tokens: int, threads: int, blocks: int) -> None:
    """The schedule that is chosen where none is written."""
    logits = np.zeros((1, tokens, 8), np.float32)
    routing = compile_route(moe_opt, logits, 2, chip="sm_90", multiprocessors=132)
    launch = routing.launch(logits)
    assert (launch.threads, launch.grid) == (threads, blocks)
    # A smaller device of the same chip: more tokens for each block.
    routing.multiprocessors = 78
    share = -(-tokens // min(blocks, 78))
    assert routing.launch(logits).grid == -(-tokens // share)
