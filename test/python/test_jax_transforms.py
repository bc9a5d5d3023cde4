"""moe_mlir.jax.route under jit, vmap and grad, and in any order of them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import moe_mlir.jax as moe
import numpy as np
import oracle
import pytest
from jax import lax

B, S, T, E, K, H, INNER = 3, 2, 5, 8, 2, 16, 12


def array(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def route(z: Any, **options: Any) -> Any:
    return moe.route(z, K, **{"scope": "sequence", "normalize": "sum", **options})


@pytest.mark.parametrize("scope", ["token", "sequence"])
def test_vmap_is_one_after_the_other(scope: str) -> None:
    logits = array(B, S, T, E)
    have = jax.jit(jax.vmap(lambda z: route(z, scope=scope)))(logits)
    for b in range(B):
        one = route(logits[b], scope=scope)
        want = oracle.route(logits[b], K, scope=scope, normalize="sum")
        np.testing.assert_array_equal(one.row_token, want.row_token)
        for field, batched, single in zip(one._fields, have, one, strict=True):
            np.testing.assert_array_equal(batched[b], single, err_msg=field)


def test_vmap_of_a_bias_and_of_a_mask_alone() -> None:
    logits, bias = array(S, T, E), array(B, E)
    have = jax.vmap(lambda b: route(logits, choice_bias=b))(bias)
    valid = np.arange(T) < np.array([[[5], [3]], [[1], [5]], [[4], [4]]])
    masked = jax.vmap(lambda v: route(logits, valid=v))(valid)
    for b in range(B):
        want = route(logits, choice_bias=bias[b])
        np.testing.assert_array_equal(have.row_token[b], want.row_token)
        want = route(logits, valid=valid[b])
        np.testing.assert_array_equal(masked.row_token[b], want.row_token)


def plain_loss(z: Any, ids: Any) -> Any:
    """The squares of token-scope gates, normalised, by top-k's own choice."""
    chosen = jnp.take_along_axis(jax.nn.softmax(z, -1), ids, -1)
    return jnp.square(chosen / chosen.sum(-1, keepdims=True)).sum()


def loss(z: Any) -> Any:
    return jnp.square(route(z, scope="token").gates).sum()


def test_gradients_under_vmap_agree_with_plain_jax() -> None:
    logits = array(B, S, T, E)
    ids = lax.top_k(logits, K)[1]
    want = jax.vmap(jax.grad(plain_loss))(logits, ids)
    inner = jax.jit(jax.vmap(jax.grad(loss)))(logits)
    outer = jax.jit(jax.grad(lambda z: jax.vmap(loss)(z).sum()))(logits)
    for have in (inner, outer):
        np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-6)


def test_the_choice_is_not_differentiated() -> None:
    """Raw scores of a sigmoid: a logit that was not chosen has no gradient."""
    logits = array(S, T, E)
    plan = moe.route(logits, K, scope="sequence", score="sigmoid")
    gradient = jax.grad(
        lambda z: moe.route(z, K, scope="sequence", score="sigmoid").gates.sum()
    )(logits)
    chosen = np.zeros((S * T, E), bool)
    for e in range(E):
        rows = range(int(plan.expert_offsets[e]), int(plan.expert_offsets[e + 1]))
        chosen[[int(plan.row_token[r]) for r in rows], e] = True
    s = jax.nn.sigmoid(logits)
    want = np.where(chosen.reshape(S, T, E), s * (1 - s), 0)
    np.testing.assert_allclose(gradient, want, rtol=1e-5, atol=1e-6)


def test_a_layer_under_vmap_over_sequences_and_its_gradients() -> None:
    p = {
        "router": array(H, E),
        "gate_up": array(E, H, 2 * INNER) * 0.3,
        "down": array(E, INNER, H) * 0.3,
    }

    def one(p: Any, x: Any) -> Any:
        """x is one sequence [T, H]."""
        plan = route((x @ p["router"])[None])
        y = moe.experts(x[None], plan, gate_up=p["gate_up"], down=p["down"])
        return y[0]

    def together(p: Any, x: Any) -> Any:
        plan = route(x @ p["router"])
        return moe.experts(x, plan, gate_up=p["gate_up"], down=p["down"])

    x = array(B, T, H)
    batched = jax.vmap(one, (None, 0))
    np.testing.assert_allclose(batched(p, x), together(p, x), rtol=1e-5, atol=1e-5)
    gradients = [
        jax.jit(jax.grad(lambda p, f=f: jnp.square(f(p, x)).sum()))(p)
        for f in (batched, together)
    ]
    for have, want in zip(*map(jax.tree.leaves, gradients), strict=True):
        scale = np.abs(want).max()
        np.testing.assert_allclose(have / scale, want / scale, rtol=0, atol=2e-5)
