"""Routings that compute their logits in their own launch."""

from __future__ import annotations

import pathlib
import shutil
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from emulated import CHIPS, compile_kernels
from machine_code import check_route
from route_programs import Array, Routing, check, compile_route, program
from router_programs import TYPES, Router

SEQUENCE = {"scope": "sequence", "score": "sigmoid"}
TOKEN = {"scope": "token", "score": "softmax", "normalize": "sum"}
BIASED = {"scope": "sequence", "score": "softmax", "normalize": "softmax"}
SMALL = "#moe.gpu_route<chip = {}, form = {}, threads = 128, blocks = {}, tokens = 4{}>"


def unwritten(router: Router, s: int, t: int, experts: int) -> Array:
    """Logits that nobody wrote yet."""
    return np.full((s, t, experts), np.nan, TYPES[router.logits])


def compile_router(
    moe_opt: pathlib.Path,
    router: Router,
    shape: tuple[int, int, int],
    k: int,
    **options: Any,
) -> Routing:
    """A routing of S sequences of T tokens among E experts."""
    return compile_route(
        moe_opt, unwritten(router, *shape), k, router=router, **options
    )


def check_router(
    routing: Routing,
    router: Router,
    s: int,
    t: int,
    seed: int,
    whole: bool,
    **options: Any,
) -> None:
    """The logits are the router's, and the plan and the gates are the oracle's of
    the logits that the kernel wrote."""
    rng = np.random.default_rng([seed, s, t])
    logits = unwritten(router, s, t, routing.experts)
    arrays = router.inputs(rng, s * t, routing.experts, whole)
    check(
        routing,
        logits,
        (s, t, seed, whole),
        router=arrays,
        order="random",
        seed=seed,
        **options,
    )
    router.check_logits(logits, arrays, whole)


CASES = [
    (Router(64), (1, 9, 3), TOKEN),
    (Router(96, "f16"), (2, 11, 60), SEQUENCE),
    (Router(200, layout="kn"), (2, 9, 96), TOKEN),
    (Router(256, rounded=True), (1, 20, 33), SEQUENCE),
    (Router(40, "f16", "kn", "f16", bias=True), (3, 5, 33), BIASED),
    (Router(7), (1, 17, 20), SEQUENCE),
    (Router(50, "f16", "kn"), (2, 8, 4), TOKEN),
    (Router(36, logits="bf16", bias=True), (1, 13, 130), BIASED),
    (Router(1, layout="kn"), (1, 3, 2), TOKEN),
    (Router(520, bias=True), (1, 30, 288), TOKEN),
]


@pytest.mark.parametrize(("router", "sizes", "options"), CASES, ids=str)
def test_sizes(
    moe_opt: pathlib.Path,
    router: Router,
    sizes: tuple[int, int, int],
    options: dict[str, Any],
) -> None:
    """Both layouts and types, sums that several warps share or not, rests of H and
    E, at five random schedules."""
    k = min(3, sizes[2])
    routing = compile_router(moe_opt, router, sizes, k, **options)
    for seed in range(5):
        check_router(routing, router, *sizes[:2], seed, seed % 2 == 0, **options)


def test_many_tokens_of_a_block(moe_opt: pathlib.Path) -> None:
    """A block takes them in several turns, and its warps share the sums of each."""
    router = Router(400)
    schedule = SMALL.format("sm_80", "block", 1, "")
    routing = compile_router(
        moe_opt, router, (1, 40, 20), 3, schedule=schedule, **TOKEN
    )
    for seed in range(5):
        check_router(routing, router, 1, 40, seed, seed % 2 == 0, **TOKEN)


@pytest.mark.parametrize("layout", ["nk", "kn"])
@pytest.mark.parametrize("scope", ["sequence", "token"])
def test_padding(moe_opt: pathlib.Path, scope: str, layout: str) -> None:
    """Several sequences with tokens that are none: their logits are written, too."""
    router = Router(80, layout=layout)
    options = {"scope": scope, "score": "softmax", "choice_bias": np.zeros(24, "f4")}
    valid = np.ones((3, 14), bool)
    routing = compile_router(moe_opt, router, (3, 14, 24), 2, valid=valid, **options)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        valid = rng.random((3, 14)) < 0.7
        options["choice_bias"] = rng.standard_normal(24).astype(np.float32)
        check_router(routing, router, 3, 14, seed, True, valid=valid, **options)


@pytest.mark.parametrize("scope", ["sequence", "token"])
def test_forms(moe_opt: pathlib.Path, scope: str) -> None:
    """One block, blocks of the grid, long sequences, and sequences in turn, by the
    kernels of one module on one workspace."""
    router, options = Router(48), {"scope": scope, "score": "sigmoid"}
    long = {"sequence": 300, "token": 1700}[scope]
    schedule = SMALL.format("sm_86", "grid", 84, "")
    routing = compile_router(
        moe_opt, router, (1, 1, 200), 3, schedule=schedule, sizes="?x?", **options
    )
    routing.workspace = np.zeros(1 << 20, np.int32)
    for number, (units, s, t, kernel, blocks) in enumerate(
        [
            (84, 1, 9, "route", 3),
            (84, 3, 50, "route", 39),
            (1, 1, 17, "route", 1),
            (2, 1, long, "route_long", 2),
            (5, 13, 3, "route_in_turn", 5),
            (16, 0, 7, "route", 1),
            (16, 4, 0, "route", 4),
        ]
    ):
        routing.multiprocessors = units
        check_router(routing, router, s, t, number, number % 2 == 0, **options)
        assert routing.last is not None
        assert (routing.last.kernel, routing.last.grid) == (kernel, blocks)


@pytest.mark.parametrize("s", [1, 2])
@pytest.mark.parametrize("scope", ["sequence", "token"])
def test_clusters(moe_opt: pathlib.Path, scope: str, s: int) -> None:
    router, options = Router(72, "f16"), {"scope": scope, "score": "sigmoid"}
    schedule = SMALL.format("sm_90", "cluster", 132, ", cluster = 4")
    routing = compile_router(
        moe_opt, router, (s, 37, 40), 4, schedule=schedule, chip="sm_90", **options
    )
    for seed in range(5):
        check_router(routing, router, s, 37, seed, seed % 2 == 0, **options)
    assert routing.last is not None and routing.last.cluster == 4


def test_region(moe_opt: pathlib.Path) -> None:
    """Functions of the region are approximate, and those of scores are not."""

    class Squashed(Router):
        def region(self) -> str:
            return """^bb0(%sum: f32):
              %one = arith.constant 1.0 : f32
              %e = math.exp %sum : f32
              %d = arith.addf %e, %one : f32
              %q = arith.divf %sum, %d : f32
              moe.yield %q : f32"""

    router, rng = Squashed(32), np.random.default_rng(0)
    routing = compile_router(moe_opt, router, (1, 12, 16), 2, **TOKEN)
    assert "div.rn.f32" in routing.kernels.text
    assert "div.full" not in routing.kernels.text
    logits, arrays = unwritten(router, 1, 12, 16), router.inputs(rng, 12, 16, True)
    check(routing, logits, router=arrays, **TOKEN)
    sums = arrays[0].astype(float) @ arrays[1][0].astype(float).T
    np.testing.assert_allclose(logits[0], sums / (1 + np.exp(sums)), 1e-4, 1e-6)


@pytest.mark.skipif(not shutil.which("ptxas"), reason="ptxas is not installed")
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("layout", ["nk", "kn"])
def test_registers(
    moe_opt: pathlib.Path, tmp_path: pathlib.Path, chip: str, layout: str
) -> None:
    for tokens, experts in ((64, 128), (4096, 256)):
        logits = np.zeros((1, tokens, experts), ml_dtypes.bfloat16)
        router = Router(2048, layout=layout, logits="bf16")
        text = program(logits, 8, "sequence", "softmax", "sum", "f32", router=router)
        check_route(compile_kernels(moe_opt, text, chip).text, chip, tmp_path)
