"""Generated routing gives the same bits at every level of x86-64."""

from collections.abc import Iterator

import moe_mlir.cpu
import moe_mlir.routing
import pytest
import routing_cases as cases
from cpu_levels import LEVELS, runs_here
from routing_compare import assert_routes_as_oracle


@pytest.fixture(params=[name for name in LEVELS if name != "host"])
def level(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Compiles routes for a level instead of for this machine."""
    if not runs_here(request.param):
        pytest.skip(f"this CPU has no {LEVELS[request.param]}")
    compiled = []

    def lower(text: str) -> bytes:
        compiled.append(text)
        return moe_mlir.cpu.lower_routing(text, cpu=request.param)

    monkeypatch.setattr(moe_mlir.routing, "lower_routing", lower)
    moe_mlir.routing._cached_kernel.cache_clear()
    yield request.param
    moe_mlir.routing._cached_kernel.cache_clear()
    assert compiled, "nothing was compiled for this level"


@pytest.mark.parametrize("experts", [3, 60, 288])
def test_random_inputs(level: str, experts: int) -> None:
    variants = cases.pairwise_variants(experts)[::3]
    for case in cases.random_cases(experts, 11):
        if case.variant in variants:
            logits, arguments = case.build()
            what = f"{case} at {level}"
            assert_routes_as_oracle("cpu", logits, arguments, what)


@pytest.mark.long
@pytest.mark.parametrize("experts", cases.LARGE_EXPERTS)
def test_many_random_inputs(level: str, experts: int) -> None:
    for case in cases.random_cases(experts, cases.RANDOM_INPUTS):
        logits, arguments = case.build()
        assert_routes_as_oracle("cpu", logits, arguments, f"{case} at {level}")
