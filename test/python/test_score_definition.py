"""The definition of scores: accuracy, order; and that targets follow it.

`make test` looks at every 997th float32, `make test-long` at all of them.
"""

from collections.abc import Callable, Iterator
from typing import Any

import moe_mlir
import numpy as np
import numpy.typing as npt
import oracle_score as scores
import pytest
from routing_compare import TARGETS, bits

Array = npt.NDArray[Any]

CHUNK = 1 << 22
SAMPLE = 997
STEPS = [SAMPLE, pytest.param(1, marks=pytest.mark.long)]
# Where exp is seen through another score, for which every f32 is tried.
SPARSE_STEPS = [SAMPLE, pytest.param(29, marks=pytest.mark.long)]

# Function, exact value in f64, where the result is a normal number, ulp.
EXACT: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array],
                       tuple[float, float], float]] = {
    "exp": (scores.exp, np.exp, (-86.6, 88.7), 0.9),
    "log": (scores.log, np.log, (2.0**-125, 3.4e38), 0.9),
    "sigmoid": (
        scores.sigmoid, lambda x: 1 / (1 + np.exp(-x)), (-86.6, 3.4e38), 2.5
    ),
    "sqrtsoftplus": (
        scores.sqrtsoftplus,
        lambda x: np.sqrt(np.where(x > 60, x, np.log1p(np.exp(np.minimum(x, 60))))),
        (-86.6, 3.4e38), 1.7,
    ),
}  # fmt: skip


def ascending_floats(step: int) -> Iterator[Array]:
    """Every step-th f32 from -infinity to infinity, in chunks that overlap by one."""
    count = 2 * 0x7F800000 + 2
    for first in range(0, count, CHUNK * step):
        last = min(first + CHUNK * step, count)
        place = np.arange(max(first - step, 0), last, step, dtype=np.int64)
        pattern = np.where(place <= 0x7F800000, 0xFF800000 - place, place - 0x7F800001)
        yield pattern.astype(np.uint32).view(np.float32)


def all_patterns(step: int) -> Iterator[Array]:
    """Every step-th f32 pattern, NaNs included."""
    for first in range(0, 1 << 32, CHUNK * step):
        last = min(first + CHUNK * step, 1 << 32)
        yield np.arange(first, last, step, dtype=np.uint64).astype(np.uint32).view("f4")


def ulp_error(got: Array, exact: Array) -> Array:
    exponent = np.frexp(np.abs(exact))[1] - 1
    return np.abs(got - exact) / np.exp2(np.maximum(exponent, -125) - 23.0)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", EXACT)
@np.errstate(all="ignore")
def test_accuracy_and_order(name: str, step: int) -> None:
    fixed, exact, (low, high), bound = EXACT[name]
    seen = 0
    for x in ascending_floats(step):
        x = x[(x >= 0) | (bits(x) == 0)] if name == "log" else x
        y = fixed(x)
        assert (np.diff(y[np.isfinite(y)]) >= 0).all(), f"{name} inverts"
        assert (fixed(np.nextafter(x, np.float32(np.inf))) >= y).all()
        normal = (x >= low) & (x <= high)
        seen += int(normal.sum())
        error = ulp_error(y[normal].astype(np.float64), exact(x[normal].astype("f8")))
        assert error.max(initial=0) < bound, f"{name} at {x[normal][error.argmax()]}"
    assert seen > 2e9 / step


# The unit tests of lib/Routing expect the same.
DIGESTS = {
    "exp": 0xF06DD021A5C38C2,
    "log": 0x4A96DE7DA0FA49B,
    "sigmoid": 0xC7392DAAFE377736,
    "sqrtsoftplus": 0x64362B473C478F6,
}


@pytest.mark.parametrize("name", DIGESTS)
@np.errstate(all="ignore")
def test_digest(name: str) -> None:
    """The definition itself has not changed, not even in a last bit."""
    x = np.concatenate(list(all_patterns(SAMPLE)))
    weights = 2 * np.arange(x.size, dtype=np.uint64) + np.uint64(1)
    terms = bits(EXACT[name][0](x)).astype(np.uint64) * weights
    assert int(terms.sum(dtype=np.uint64)) == DIGESTS[name]


@pytest.mark.parametrize("step", STEPS)
@np.errstate(all="ignore")
def test_keys_order_and_invert(step: int) -> None:
    for x in ascending_floats(step):
        keys = scores.key(x)
        assert (np.diff(keys.astype(np.int64)) >= 0).all()
        assert (bits(scores.unkey(keys)) == bits(scores.canon(x))).all()


def compare_scores(target: str, score: str, step: int) -> None:
    """Tokens of one expert: their gates are the scores."""
    for x in all_patterns(step):
        plan = moe_mlir.route(x[None, :, None], k=1, score=score, target=target)
        assert (bits(plan.gates) == bits(scores.SCORES[score](x))).all()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("score", ["sigmoid", "sqrtsoftplus"])
@pytest.mark.parametrize("target", TARGETS)
@np.errstate(all="ignore")
def test_targets_follow_the_definition(target: str, score: str, step: int) -> None:
    compare_scores(target, score, step)


@pytest.mark.parametrize("step", SPARSE_STEPS)
@pytest.mark.parametrize("target", TARGETS)
@np.errstate(all="ignore")
def test_identity_follows_the_definition(target: str, step: int) -> None:
    compare_scores(target, "identity", step)


@pytest.mark.parametrize("step", SPARSE_STEPS)
@pytest.mark.parametrize("target", TARGETS)
@np.errstate(all="ignore")
def test_softmax_follows_the_definition(target: str, step: int) -> None:
    """Tokens of two experts, the first logit zero."""
    for x in all_patterns(step):
        logits = np.stack([np.zeros_like(x), x], -1)[None]
        plan = moe_mlir.route(logits, k=2, score="softmax", target=target)
        want = scores.softmax(logits)[0]
        gates = np.asarray(plan.gates).reshape(2, -1).T
        assert (bits(np.ascontiguousarray(gates)) == bits(want)).all()


@np.errstate(all="ignore")
def test_softmax_never_inverts_two_logits() -> None:
    rng = np.random.default_rng(0)
    x = (1 + rng.integers(0, 64, (2000, 60)) * 2.0**-23).astype(np.float32)
    x = np.sort(np.concatenate([x, 3 * rng.standard_normal(x.shape).astype("f4")]))
    assert (np.diff(scores.softmax(x)) >= 0).all()


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 16])
def test_fewer_lanes_sum_alike(count: int) -> None:
    x = np.exp(np.random.default_rng(count).standard_normal((999, count), "f4"))
    lanes = 1 << (count - 1).bit_length()
    assert (bits(scores.sum_by_lanes(x, lanes)) == bits(scores.sum_by_lanes(x))).all()


@np.errstate(all="ignore")
def test_softmax_of_odd_tokens() -> None:
    inf, nan = np.inf, np.nan
    x = np.array([[nan, -inf, 1], [-inf] * 3, [inf, 0, 1], [0, -inf, -200]], "f4")
    want = np.array([[nan] * 3, [0] * 3, [nan] * 3, [1, 0, 0]], "f4")
    assert (bits(scores.softmax(x)) == bits(want)).all()
