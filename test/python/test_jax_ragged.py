"""Ragged products that belong to no raised layer: right, and as dear as their rows."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import moe_mlir
import numpy as np
import pytest
from jax import lax
from test_jax_compiled import close

RNG = np.random.default_rng(0)
SCORES = RNG.standard_normal((2, 8)).astype(np.float32)
M, K, G, N = 12, 6, 4, 5
#: Full, empty at the ends and in the middle, one for all, less than the rows, none.
SIZES = ([3, 4, 0, 5], [0, 0, 0, 12], [12, 0, 0, 0], [1, 2, 0, 3], [0, 0, 0, 0])


def array(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def product(scores: Any, w: Any, x: Any, sizes: Any, **options: Any) -> Any:
    return lax.top_k(scores, 2)[1], lax.ragged_dot(x, w, sizes, **options)


def test_group_sizes() -> None:
    w, x = array(G, K, N), array(M, K)
    sizes = np.array(SIZES[0], np.int32)
    model = moe_mlir.from_jax(product, SCORES, w, x, sizes, params=1)
    assert model.report["markers"] == {"plan_from_choice": 1, "grouped_matmul": 1}
    assert model.report["layers"][0]["status"] == "plain"
    compiled = model.compile()
    for given in SIZES:
        sizes = np.array(given, np.int32)
        have = compiled(SCORES, x, sizes)[1]
        want = jax.jit(product)(SCORES, w, x, sizes)[1]
        np.testing.assert_allclose(have, want, rtol=0, atol=1e-5, err_msg=str(given))


@pytest.mark.parametrize("result", [None, jnp.float32])
def test_bf16(result: Any) -> None:
    w, x = (jnp.asarray(a, jnp.bfloat16) for a in (array(G, K, N), array(M, K)))
    sizes = np.array(SIZES[3], np.int32)

    def layer(scores: Any, w: Any, x: Any, sizes: Any) -> Any:
        return product(scores, w, x, sizes, preferred_element_type=result)

    compiled = moe_mlir.from_jax(layer, SCORES, w, x, sizes, params=1).compile()
    want = jax.jit(layer)(SCORES, w, x, sizes)[1]
    close(compiled(SCORES, x, sizes)[1], want, 0.01)


def test_two_products_of_a_loop_and_one_outside_of_it() -> None:
    """Each block makes its own plan of the same sizes."""

    def layer(scores: Any, w: Any, x: Any, sizes: Any) -> Any:
        def step(h: Any, _: Any) -> Any:
            h = jnp.tanh(lax.ragged_dot(h, w[0], sizes))
            return lax.ragged_dot(h, w[1], sizes), None

        h = lax.scan(step, x, None, length=2)[0]
        return lax.top_k(scores, 2)[1], h + lax.ragged_dot(x, w[0], sizes)

    w, x, sizes = array(2, G, K, K), array(M, K), np.array(SIZES[3], np.int32)
    model = moe_mlir.from_jax(layer, SCORES, w, x, sizes, params=1)
    assert model.report["markers"] == {"plan_from_choice": 2, "grouped_matmul": 3}
    want = jax.jit(layer)(SCORES, w, x, sizes)[1]
    close(model.compile()(SCORES, x, sizes)[1], want)
