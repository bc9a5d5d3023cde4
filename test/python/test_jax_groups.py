"""Group-limited routers in plain JAX: which are raised, and what they compute."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import jax_layers as layers
import moe_mlir
import moe_mlir.jax as moe
import pytest
from jax import lax
from jax_layers import E, K, params, x
from moe_mlir.jax.importer import import_jax
from test_jax_compiled import close

GROUPS, KEPT, SIZE = 4, 2, 2


def mask_of(scores: Any) -> Any:
    """[..., GROUPS] to 1 for the kept groups."""
    return jax.nn.one_hot(lax.top_k(scores, KEPT)[1], GROUPS).sum(-2)


def gathered(scores: Any, ids: Any) -> Any:
    w = jnp.take_along_axis(scores, ids, -1)
    return w / (w.sum(-1, keepdims=True) + 1e-20) * 2.5, ids


def two_best(logits: Any, p: Any) -> Any:
    """As DeepSeek-V3: sigmoid, a bias, a group's two best keys."""
    scores = jax.nn.sigmoid(logits)
    key = scores + p["bias"]
    grouped = key.reshape(*key.shape[:-1], GROUPS, SIZE)
    mask = mask_of(lax.top_k(grouped, 2)[0].sum(-1))
    masked = jnp.where(jnp.repeat(mask, SIZE, -1) > 0, key, -jnp.inf)
    return gathered(scores, lax.top_k(masked, K)[1])


def by_scatter(logits: Any, p: Any) -> Any:
    """The same of [S * T, E], with a mask of booleans that is set at the groups."""
    tokens = logits.reshape(-1, E)
    scores = jax.nn.sigmoid(tokens)
    grouped = (scores + p["bias"]).reshape(-1, GROUPS, SIZE)
    chosen = lax.top_k(lax.top_k(grouped, 2)[0].sum(-1), KEPT)[1]
    row = jnp.arange(tokens.shape[0])[:, None]
    mask = jnp.zeros((tokens.shape[0], GROUPS), bool).at[row, chosen].set(True)
    masked = jnp.where(mask[..., None], grouped, -jnp.inf).reshape(-1, E)
    w, ids = gathered(scores, lax.top_k(masked, K)[1])
    return w.reshape(*logits.shape[:-1], K), ids.reshape(*logits.shape[:-1], K)


def largest(logits: Any, p: Any) -> Any:
    """As DeepSeek-V2: softmax, a group's best, the others' scores times 0."""
    scores = jax.nn.softmax(logits)
    mask = mask_of(scores.reshape(*scores.shape[:-1], GROUPS, SIZE).max(-1))
    w, ids = lax.top_k(scores * jnp.repeat(mask, SIZE, -1), K)
    return w * 4.0, ids


def marked(p: Any, x: Any, scope: str, **options: Any) -> Any:
    plan = moe.route(x @ p["router"], K, scope=scope, **options)
    return moe.experts(x, plan, **{n: p[n] for n in ("gate", "up", "down")})


@pytest.mark.parametrize("router", [two_best, by_scatter, largest])
def test_groups_are_raised(router: Any) -> None:
    layer = layers.layer_of(router, layers.by_sort)
    model = moe_mlir.from_jax(layer, params(), x())
    (entry,) = model.report["layers"]  # none for the choice of groups
    assert entry["status"] == "raised", entry["why"]
    score = "max" if router is largest else "top2_sum"
    (compiled,) = model.layers
    have = [compiled[name] for name in ("n_group", "topk_group", "group_score")]
    assert have == [GROUPS, KEPT, score]
    close(model.compile()(x()), jax.jit(layer)(params(), x()))
    options: dict[str, Any] = {"groups": (GROUPS, KEPT, score), "scale": 4.0}
    if router is not largest:
        more = {"score": "sigmoid", "normalize": "sum", "eps": 1e-20, "scale": 2.5}
        options |= more | {"choice_bias": params()["bias"]}
    want = jax.jit(lambda p, x: marked(p, x, "sequence", **options))(params(), x())
    close(model.with_scope("sequence").compile()(x()), want)


def plain(router: Any, why: str) -> None:
    layer = layers.layer_of(router, layers.by_one_hot)
    entries = import_jax(layer, params(), x()).report["layers"]
    assert all(entry["status"] == "plain" for entry in entries)
    assert any(re.search(why, entry["why"]) for entry in entries), entries
    model = moe_mlir.from_jax(layer, params(), x())
    close(model.compile()(x()), jax.jit(layer)(params(), x()))


def test_keys_of_zero_beside_keys_that_may_be_negative() -> None:
    def router(logits: Any, p: Any) -> Any:
        scores = jax.nn.sigmoid(logits)
        key = scores + (p["bias"] - 1.0)
        mask = mask_of(key.reshape(*key.shape[:-1], GROUPS, SIZE).max(-1))
        masked = jnp.where(jnp.repeat(mask, SIZE, -1) > 0, key, 0.0)
        return gathered(scores, lax.top_k(masked, K)[1])

    plain(router, "get the key 0, which may be larger")


def test_groups_by_the_mean_of_their_keys() -> None:
    def router(logits: Any, p: Any) -> Any:
        scores = jax.nn.sigmoid(logits)
        mask = mask_of(scores.reshape(*scores.shape[:-1], GROUPS, SIZE).mean(-1))
        masked = jnp.where(jnp.repeat(mask, SIZE, -1) > 0, scores, -jnp.inf)
        return gathered(scores, lax.top_k(masked, K)[1])

    plain(router, "scored by something else than their largest key")


def test_groups_of_other_experts_than_the_scored_ones() -> None:
    """Experts e, e + 4 make a group where it is chosen, and 2e, 2e + 1 where scored."""

    def router(logits: Any, p: Any) -> Any:
        scores = jax.nn.sigmoid(logits)
        mask = mask_of(scores.reshape(*scores.shape[:-1], GROUPS, SIZE).max(-1))
        masked = jnp.where(jnp.tile(mask, (1, 1, SIZE)) > 0, scores, -jnp.inf)
        return gathered(scores, lax.top_k(masked, K)[1])

    plain(router, "")
