"""MoE layers in plain JAX: routers and dispatches as people write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

S, T, E, K, H, INNER = 2, 6, 8, 3, 16, 12


def array(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng((seed, *shape))
    return (rng.standard_normal(shape) * 0.3).astype(np.float32)


def params() -> dict[str, Any]:
    return {
        "router": array(H, E) * 3,
        "bias": array(E),
        "gate": array(E, H, INNER),
        "up": array(E, H, INNER, seed=1),
        "down": array(E, INNER, H),
    }


def x() -> np.ndarray:
    return array(S, T, H, seed=2)


# Routers: logits [..., E] to gates and ids [..., K].


def softmax_top_k(logits: Any, p: Any, k: int = K) -> Any:
    return lax.top_k(jax.nn.softmax(logits, axis=-1), k)


def softmax_sum(logits: Any, p: Any, k: int = K) -> Any:
    w, ids = lax.top_k(jax.nn.softmax(logits, axis=-1), k)
    return w / w.sum(-1, keepdims=True), ids


def top_k_softmax(logits: Any, p: Any, k: int = K) -> Any:
    v, ids = lax.top_k(logits, k)
    return jax.nn.softmax(v, axis=-1), ids


def top_k_sigmoid(logits: Any, p: Any, k: int = K) -> Any:
    v, ids = lax.top_k(logits, k)
    return jax.nn.sigmoid(v), ids


def sigmoid_bias(logits: Any, p: Any, k: int = K) -> Any:
    scores = jax.nn.sigmoid(logits)
    _, ids = lax.top_k(scores + p["bias"], k)
    w = jnp.take_along_axis(scores, ids, axis=-1)
    return 2.5 * w / (w.sum(-1, keepdims=True) + 1e-6), ids


def softmax_bias(logits: Any, p: Any, k: int = K) -> Any:
    scores = jax.nn.softmax(logits)
    _, ids = lax.top_k(scores + p["bias"], k)
    return jnp.take_along_axis(scores, ids, axis=-1), ids


def sum_at_least(logits: Any, p: Any, k: int = K) -> Any:
    w, ids = lax.top_k(jax.nn.sigmoid(logits), k)
    return w / jnp.maximum(w.sum(-1, keepdims=True), 0.25) * 0.5, ids


def one_expert(logits: Any, p: Any) -> Any:
    return softmax_top_k(logits, p, 1)


# Experts on rows that are sorted by expert.


def silu_gated(product: Callable[[str], Any]) -> Any:
    return jax.nn.silu(product("gate")) * product("up")


def ragged(p: Any, rows: Any, sizes: Any, activate: Any = silu_gated) -> Any:
    h = activate(lambda name: lax.ragged_dot(rows, p[name], sizes))
    return lax.ragged_dot(h, p["down"], sizes)


def by_sort(p: Any, x: Any, w: Any, ids: Any) -> Any:
    """argsort, bincount, rows by division, and back by the inverse order."""
    tokens = x.reshape(-1, H)
    k = ids.shape[-1]
    flat = ids.reshape(-1)
    order = jnp.argsort(flat)
    sizes = jnp.bincount(flat, length=E).astype(jnp.int32)
    rows = ragged(p, jnp.take(tokens, order // k, axis=0), sizes)
    back = jnp.take(rows, jnp.argsort(order), axis=0).reshape(-1, k, H)
    return jnp.einsum("tkh,tk->th", back, w.reshape(-1, k)).reshape(x.shape)


def by_sort_and_scatter(p: Any, x: Any, w: Any, ids: Any) -> Any:
    """Repeated tokens, sizes by a one-hot sum, weighted rows added to their tokens."""
    tokens = x.reshape(-1, H)
    k = ids.shape[-1]
    flat = ids.reshape(-1)
    order = jnp.argsort(flat, stable=True)
    token = jnp.repeat(jnp.arange(tokens.shape[0]), k)[order]
    sizes = jax.nn.one_hot(flat, E, dtype=jnp.int32).sum(0)
    rows = ragged(p, jnp.repeat(tokens, k, axis=0)[order], sizes)
    rows = rows * w.reshape(-1)[order][:, None]
    return jnp.zeros_like(tokens).at[token].add(rows).reshape(x.shape)


def by_sort_of_several(p: Any, x: Any, w: Any, ids: Any) -> Any:
    """One sort carries tokens and weights; rows are put back where they came from."""
    tokens = x.reshape(-1, H)
    k = ids.shape[-1]
    flat = ids.reshape(-1)
    position = jnp.arange(flat.shape[0], dtype=jnp.int32)
    _, order, weight = lax.sort(
        (flat, position, w.reshape(-1)), num_keys=1, is_stable=True
    )
    sizes = jnp.zeros(E, jnp.int32).at[flat].add(1)
    rows = ragged(p, tokens[order // k], sizes) * weight[:, None]
    back = jnp.zeros_like(rows).at[order].set(rows)
    return back.reshape(-1, k, H).sum(1).reshape(x.shape)


def by_segments(p: Any, x: Any, w: Any, ids: Any) -> Any:
    """Rows summed by the segments that their tokens are."""
    tokens = x.reshape(-1, H)
    k = ids.shape[-1]
    flat = ids.reshape(-1)
    order = jnp.argsort(flat)
    sizes = jax.ops.segment_sum(jnp.ones_like(flat), flat, num_segments=E)
    rows = ragged(p, tokens[order // k], sizes) * w.reshape(-1)[order, None]
    out = jax.ops.segment_sum(rows, order // k, num_segments=tokens.shape[0])
    return out.reshape(x.shape)


# Experts on all tokens, and by gathered weights.


def dense(p: Any, x: Any) -> Any:
    h = silu_gated(lambda name: jnp.einsum("bth,ehi->btei", x, p[name]))
    return jnp.einsum("btei,eih->bteh", h, p["down"])


def by_one_hot(p: Any, x: Any, w: Any, ids: Any) -> Any:
    combine = (jax.nn.one_hot(ids, E) * w[..., None]).sum(-2)
    return jnp.einsum("bteh,bte->bth", dense(p, x), combine)


def by_one_einsum(p: Any, x: Any, w: Any, ids: Any) -> Any:
    return jnp.einsum("bteh,btke,btk->bth", dense(p, x), jax.nn.one_hot(ids, E), w)


def by_gate_matrix(p: Any, x: Any, w: Any, ids: Any) -> Any:
    tokens = x.reshape(-1, H)
    k = ids.shape[-1]
    row = jnp.arange(tokens.shape[0])[:, None]
    gates = (
        jnp.zeros((tokens.shape[0], E))
        .at[row, ids.reshape(-1, k)]
        .set(w.reshape(-1, k))
    )
    h = silu_gated(lambda name: jnp.einsum("th,ehi->eti", tokens, p[name]))
    return jnp.einsum("eth,te->th", h @ p["down"], gates).reshape(x.shape)


def by_masked_rows(p: Any, x: Any, w: Any, ids: Any) -> Any:
    chosen = jax.nn.one_hot(ids, E)
    mask = chosen.sum(-2)
    rows = jnp.einsum("bte,bth->ebth", mask, x)
    h = silu_gated(lambda name: jnp.einsum("ebth,ehi->ebti", rows, p[name]))
    y = jnp.einsum("ebti,eih->ebth", h, p["down"])
    return jnp.einsum("ebth,btke,btk->bth", y, chosen, w)


def by_gathered_weights(p: Any, x: Any, w: Any, ids: Any) -> Any:
    h = silu_gated(lambda name: jnp.einsum("bth,btkhi->btki", x, p[name][ids]))
    return jnp.einsum("btki,btkih,btk->bth", h, p["down"][ids], w)


ROUTERS = (
    softmax_top_k,
    softmax_sum,
    top_k_softmax,
    top_k_sigmoid,
    sigmoid_bias,
    softmax_bias,
    sum_at_least,
    one_expert,
)
DISPATCHES = (
    by_sort,
    by_sort_and_scatter,
    by_sort_of_several,
    by_segments,
    by_one_hot,
    by_one_einsum,
    by_gate_matrix,
    by_masked_rows,
    by_gathered_weights,
)


def layer_of(router: Any, dispatch: Any) -> Callable[[Any, Any], Any]:
    """A layer of parameters and x [S, T, H]."""

    def layer(p: Any, x: Any) -> Any:
        return dispatch(p, x, *router(x @ p["router"], p))

    layer.__name__ = f"{router.__name__}_{dispatch.__name__}"
    return layer


def flat_layer_of(router: Any, dispatch: Any) -> Callable[[Any, Any], Any]:
    """The same on tokens without sequences: the router reads [S * T, E]."""

    def layer(p: Any, x: Any) -> Any:
        tokens = x.reshape(-1, H)
        return dispatch(p, x, *router(tokens @ p["router"], p))

    return layer
