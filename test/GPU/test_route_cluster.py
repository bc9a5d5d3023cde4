"""Routings by clusters, whose blocks read each other's shared memory."""

from __future__ import annotations

import pathlib
import re
import shutil
from typing import Any

import numpy as np
import pytest
from emulated import compile_kernels
from machine_code import check_route
from route_programs import Routing, check, compile_route, program
from routing_cases import Variant, pairwise_variants, random_logits

SCHEDULE = (
    "#moe.gpu_route<chip = sm_90, form = cluster, threads = {}, blocks = 132, "
    "tokens = 8, cluster = {}>"
)
SEQUENCE = {"scope": "sequence", "score": "sigmoid"}


def compile_cluster(
    moe_opt: pathlib.Path,
    logits: np.ndarray,
    k: int,
    cluster: int,
    threads: int = 128,
    **options: Any,
) -> Routing:
    """A routing by clusters on sm_90."""
    return compile_route(
        moe_opt,
        logits,
        k,
        chip="sm_90",
        multiprocessors=132,
        schedule=SCHEDULE.format(threads, cluster),
        **options,
    )


VARIANTS = [
    (number, variant)
    for experts in (33, 60)
    for number, variant in enumerate(pairwise_variants(experts)[:8])
]


@pytest.mark.parametrize(("number", "variant"), VARIANTS, ids=lambda v: str(v)[:60])
def test_options(moe_opt: pathlib.Path, number: int, variant: Variant) -> None:
    """Options in pairs, of one sequence or several, at random schedules."""
    rng = np.random.default_rng(variant.experts * 1000 + number)
    s, t = ((1, 37), (3, 18), (1, 5), (2, 0))[number % 4]
    logits = variant.cast(np.zeros((s, t, variant.experts), np.float32))
    arguments = variant.arguments(rng, s, t)
    routing = compile_cluster(moe_opt, logits, cluster=4, tile_rows=(16,), **arguments)
    kinds = ("quantised", "normal", "specials", "two", "equal")
    for seed, kind in enumerate(kinds):
        logits = variant.cast(random_logits(kind, rng, s, t, variant.experts))
        arguments = variant.arguments(rng, s, t)
        del arguments["k"]
        check(routing, logits, kind, order="random", seed=seed, **arguments)
    launch = routing.last
    assert launch is not None
    assert (launch.grid, launch.cluster, launch.cooperative) == (4 * s, 4, s > 1)


@pytest.mark.parametrize("s", [1, 3])
def test_endings(moe_opt: pathlib.Path, s: int) -> None:
    """A bin taken whole, listed, or full of ties that reach over blocks."""
    rng = np.random.default_rng(s)
    options = SEQUENCE | {"cap": 20}
    logits = np.zeros((s, 120, 24), np.float32)
    routing = compile_cluster(moe_opt, logits, 3, 8, **options)
    for kind in ("normal", "two", "equal", "specials", "one_expert"):
        logits = random_logits(kind, rng, s, 120, 24)
        logits[:, :40] = logits[:, 40:80]
        for seed in range(2):
            check(routing, logits, kind, order="random", seed=seed, **options)
    # More ties than a list holds, of which blocks have different numbers.
    logits = np.zeros((s, 120, 24), np.float32)
    logits[:, 3:14] = -1
    check(routing, logits, "some equal", order="random", **options)


@pytest.mark.parametrize(("cluster", "threads"), [(2, 512), (16, 256)])
def test_sizes_of_clusters(moe_opt: pathlib.Path, cluster: int, threads: int) -> None:
    """Small and large ones, some blocks of which have no token."""
    rng = np.random.default_rng(cluster)
    for scope in ("sequence", "token"):
        options = {"scope": scope, "score": "softmax", "normalize": "sum"}
        logits = np.zeros((1, 43, 64), np.float32)
        routing = compile_cluster(moe_opt, logits, 8, cluster, threads, **options)
        for kind in ("normal", "quantised", "equal"):
            logits = random_logits(kind, rng, 1, 43, 64)
            check(routing, logits, kind, order="random", seed=1, **options)


@pytest.mark.parametrize(
    ("s", "kind", "scope", "barriers"),
    [
        (1, "normal", "sequence", 0),
        (1, "equal", "sequence", 0),
        (1, "normal", "token", 0),
        (2, "normal", "sequence", 1),
        (2, "normal", "token", 1),
    ],
)
def test_barriers(
    moe_opt: pathlib.Path, s: int, kind: str, scope: str, barriers: int
) -> None:
    """One cluster never waits for the grid, and several do once."""
    logits = random_logits(kind, np.random.default_rng(7), s, 200, 32)
    routing = compile_cluster(moe_opt, logits, 4, 8, scope=scope)
    result = check(routing, logits, scope=scope, counters=True)
    assert routing.grid_barriers(result) == barriers
    # One cluster does not even look at the workspace.
    atomics = re.findall(r"(?:red|atom)\S*\.global", routing.kernels.text)
    assert (len(atomics) > 0) == (s > 1)


@pytest.mark.parametrize("scope", ["sequence", "token"])
def test_sizes_known_at_launch(moe_opt: pathlib.Path, scope: str) -> None:
    """Kernels of clusters and of single blocks, on one workspace."""
    rng = np.random.default_rng(1)
    options = {"scope": scope, "score": "sigmoid"}
    logits = np.zeros((1, 1, 40), np.float32)
    routing = compile_cluster(moe_opt, logits, 3, 4, sizes="?x?", **options)
    routing.workspace = np.zeros(1 << 20, np.int32)
    # Of 132 multiprocessors 22 clusters of 4 are resident, and of 16 there are 3.
    for units, s, t, kernel, cluster in [
        (132, 1, 30, "route", 4),
        (132, 3, 12, "route", 4),
        (16, 3, 9, "route", 4),
        (16, 4, 9, "route_in_turn", 1),
        (132, 0, 9, "route", 4),
        (132, 2, 0, "route", 4),
        (132, 1, 30, "route", 4),
    ]:
        routing.multiprocessors = units
        logits = random_logits("quantised", rng, s, t, 40)
        launch = routing.launch(logits)
        assert (launch.kernel, launch.cluster) == (kernel, cluster)
        check(routing, logits, (units, s, t), order="random", seed=s, **options)


@pytest.mark.parametrize(
    ("tokens", "chip", "cluster"),
    [(8, "sm_90", 1), (40, "sm_90", 8), (128, "sm_90", 16), (1024, "sm_90", 1),
     (64, "sm_120", 8), (64, "sm_80", 1)],
)  # fmt: skip
def test_rule(moe_opt: pathlib.Path, tokens: int, chip: str, cluster: int) -> None:
    """A cluster where one is faster by the cost model."""
    logits = np.zeros((1, tokens, 64), np.float32)
    routing = compile_route(moe_opt, logits, 8, chip=chip, multiprocessors=188)
    assert routing.launch(logits).cluster == cluster


@pytest.mark.skipif(not shutil.which("ptxas"), reason="ptxas is not installed")
@pytest.mark.parametrize("chip", ["sm_90", "sm_100", "sm_120"])
def test_registers(moe_opt: pathlib.Path, tmp_path: pathlib.Path, chip: str) -> None:
    logits = np.zeros((2, 128, 256), np.float32)
    schedule = SCHEDULE.format(512, 8).replace("sm_90", chip)
    text = program(logits, 8, "sequence", "softmax", "sum", "f32", schedule=schedule)
    check_route(compile_kernels(moe_opt, text, chip).text, chip, tmp_path)
