"""Operations that jaxlib has no lowering for, executed and compared with JAX: ties,
NaN, indices out of bounds, loops in branches in loops, bf16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import moe_mlir
import numpy as np
import pytest
from jax import lax
from moe_mlir.importing import ImportRefused
from moe_mlir.jax.importer import import_jax

RNG = np.random.default_rng(0)
SCORES = RNG.standard_normal((2, 8)).astype(np.float32)
TIES = RNG.integers(0, 3, (4, 9)).astype(np.int32)
MATRIX = RNG.standard_normal((3, 4)).astype(np.float32)


def special() -> np.ndarray:
    """Many equal numbers, both zeros, both infinities, NaN of both signs."""
    values = RNG.integers(-2, 3, (3, 11)).astype(np.float32)
    values[0, 3] = np.nan
    values[1, [2, 5]] = -0.0, 0.0
    values[2, [0, 7, 8]] = np.inf, -np.inf, -np.nan
    return values


def agree(function: Callable[..., Any], *args: Any) -> dict[str, int]:
    """The compiled function gives what JAX gives; returns its residual operations."""

    def with_a_choice(scores: Any, *args: Any) -> Any:
        return lax.top_k(scores, 2)[1], function(*args)

    model = moe_mlir.from_jax(with_a_choice, SCORES, *args, params=())
    have = jax.tree.leaves(model.compile()(SCORES, *args))
    want = jax.tree.leaves(jax.jit(with_a_choice)(SCORES, *args))
    for i, (a, b) in enumerate(zip(have, want, strict=True)):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype and a.shape == b.shape
        a, b = a.astype(np.float64), b.astype(np.float64)
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5, err_msg=f"result {i}")
    residual: dict[str, int] = model.report["residual"]
    return residual


def test_sorts_of_ties_and_of_numbers_that_are_none() -> None:
    half = jnp.asarray(RNG.standard_normal((3, 7)), jnp.bfloat16)

    def sorts(ties: Any, floats: Any, half: Any) -> Any:
        return (
            jnp.argsort(ties, -1),
            jnp.argsort(ties, 0),
            jnp.argsort(ties, descending=True),
            jnp.sort(floats),
            jnp.sort(floats, 0),
            jnp.argsort(floats),
            jnp.argsort(floats, descending=True),
            jnp.sort(half),
            jnp.argsort(half),
        )

    assert agree(sorts, TIES, special(), half)["stablehlo.sort"] == 10


def test_sorts_of_several_operands() -> None:
    def sorts(ties: Any, floats: Any) -> Any:
        number = jnp.arange(ties.size).reshape(ties.shape)
        return (
            lax.sort((ties, floats, number), num_keys=2),
            lax.sort((floats, ties, number), num_keys=1, dimension=0),
            jnp.lexsort((ties[0], ties[1], ties[2])),
            jnp.unique(ties, size=5, fill_value=9),
            jnp.percentile(ties.astype(jnp.float32), 30.0),
        )

    agree(sorts, TIES, special()[[0, 1, 2, 0], :9])


def test_searches() -> None:
    """Their loops carry unsigned integers."""

    def searches(ties: Any) -> Any:
        line = jnp.sort(ties[0])
        return (
            jnp.searchsorted(line, ties[1]),
            jnp.searchsorted(line, ties[1], side="right"),
            jnp.searchsorted(line, ties[1], method="sort"),
        )

    agree(searches, TIES)


OUTSIDE = np.array([0, 5, -1, 100, 2, 2, -100, 4], np.int32)
ONCE = np.array([0, 9, 3, 2, 1, 17, 4, -9], np.int32)


@pytest.mark.parametrize("mode", [None, "drop", "clip"])
def test_scatters_out_of_bounds(mode: Any) -> None:
    def scatters(into: Any, twice: Any, once: Any, updates: Any) -> Any:
        return (
            into.at[twice].add(updates, mode=mode),
            into.at[twice].multiply(updates, mode=mode),
            into.at[twice].min(updates, mode=mode),
            into.at[twice].max(updates, mode=mode),
            into.at[once].set(updates, mode=mode),
            jnp.zeros(6, bool).at[twice].set(True, mode=mode),
        )

    base, updates = (RNG.standard_normal(n).astype(np.float32) for n in (6, 8))
    residual = agree(scatters, base, OUTSIDE, ONCE, updates)
    assert residual["stablehlo.scatter"] == 6


def test_scatters_of_windows_of_batches_and_of_bf16() -> None:
    pairs = np.array([[0, 1], [4, 2], [0, 1], [9, 0]], np.int32)
    half = jnp.asarray(RNG.standard_normal(4), jnp.bfloat16)
    rows = np.array([4, 0, 0, 7], np.int32)
    windows = RNG.standard_normal((4, 3, 4)).astype(np.float32)
    counted = np.array([[0, 1, 1], [4, 4, 7]], np.int32)

    def scatters(pairs: Any, half: Any, rows: Any, windows: Any, counted: Any) -> Any:
        zeros = jnp.zeros((5, 3), jnp.bfloat16)
        return (
            zeros.at[pairs[:, 0], pairs[:, 1]].add(half),
            jnp.zeros((5, 3, 4)).at[rows].add(windows),
            jax.ops.segment_max(windows, rows, num_segments=5),
            jax.vmap(lambda one: jnp.bincount(one, length=5))(counted),
            lax.dynamic_update_slice(jnp.zeros((6, 6)), windows[0], (rows[0], rows[3])),
        )

    agree(scatters, pairs, half, rows, windows, counted)


def test_loops_in_branches_in_loops() -> None:
    def first(n: Any, x: Any) -> Any:
        def step(state: Any) -> Any:
            return state[0] + 1, state[1] * 1.5 + state[0].astype(x.dtype)

        return lax.while_loop(lambda s: s[0] < n + 3, step, (jnp.int32(0), x))[1]

    def second(n: Any, x: Any) -> Any:
        def step(i: Any, c: Any) -> Any:
            return lax.cond(i % 2 == 0, lambda c: c + 1, lambda c: c * 2, c)

        return lax.fori_loop(0, n, step, x)

    def third(n: Any, x: Any) -> Any:
        return lax.scan(lambda c, row: (c + row, c * row), x[0], x)[1]

    def branches(n: Any, x: Any) -> Any:
        each = [first, second, third]
        # A branch that does not exist: the nearest, for JAX clamps.
        return [lax.switch(n + i, each, n, x) for i in (-9, -2, -1, 0, 9)]

    residual = agree(branches, np.int32(2), MATRIX)
    assert residual["stablehlo.case"] >= 5 and residual["stablehlo.while"] >= 10


def test_loops_of_bf16_and_barriers() -> None:
    half = jnp.asarray(MATRIX, jnp.bfloat16)

    def loops(half: Any, x: Any) -> Any:
        a, b = lax.optimization_barrier((x, x.astype(jnp.bfloat16)))
        return (
            lax.scan(lambda c, r: (c + r * c, c.sum()), half[0], half),
            lax.associative_scan(jnp.add, half),
            lax.map(lambda r: lax.cond(r[0] > 0, jnp.sin, jnp.cos, r), x),
            a + b.astype(a.dtype),
        )

    assert agree(loops, half, MATRIX)["stablehlo.optimization_barrier"] == 1


def test_running_sums_and_what_is_made_of_them() -> None:
    def sums(ties: Any) -> Any:
        return (
            jnp.cumsum(ties, -1),
            lax.cummax(ties, axis=1),
            lax.cumsum(ties, axis=0, reverse=True),
            jnp.repeat(jnp.arange(9), ties[0], total_repeat_length=12),
            jnp.nonzero(ties, size=20),
        )

    agree(sums, TIES)


def test_products_that_sum_over_nothing() -> None:
    """One of them is added once for each iteration of the product that reads it."""

    def product(h: Any, w: Any) -> Any:
        return jnp.einsum("btei,eih,bte->bth", h, w, h[..., 0])

    h = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
    agree(product, h, RNG.standard_normal((4, 5, 6)).astype(np.float32))


def test_unsigned_arguments_are_refused() -> None:
    def sorted_(scores: Any, bytes_: Any) -> Any:
        return lax.top_k(scores, 2)[0], jnp.sort(bytes_)

    given = np.array([3, 200, 255], np.uint8)
    with pytest.raises(ImportRefused, match=r"argument 1 .*ui8>; unsigned integers"):
        import_jax(sorted_, SCORES, given, params=())


def test_what_jax_cannot_trace_is_refused() -> None:
    def branch(scores: Any) -> Any:
        return lax.top_k(scores, 2) if scores[0, 0] > 0 else scores

    with pytest.raises(ImportRefused, match="cannot trace branch .*TracerBool"):
        import_jax(branch, SCORES)
