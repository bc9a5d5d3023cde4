"""The routing rule in jax.numpy: what XLA compiles where our compiler is not used.

It follows the same rule step by step. XLA's own exp and sums round differently, so a
choice may differ from the compiled one where two keys agree to the last few bits.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from moe_mlir.importing.options import NO_CAP, RouteOptions
from moe_mlir.jax.plan import RoutePlan, dense_of_plan, plan_of_choice, row_experts

_TINY = 2.0**-125


def evaluate(
    logits: jax.Array,
    choice_bias: jax.Array | None,
    valid: jax.Array | None,
    options: RouteOptions,
) -> RoutePlan:
    """``logits [S,T,E]`` or ``[T,E]`` to a plan with R = S*T*k rows."""
    z = logits.astype(jnp.float32)
    if z.ndim == 2:
        z, valid = z[None], None if valid is None else valid[None]
    sequences, tokens, _ = z.shape
    chosen = _choose(z, choice_bias, valid, options)
    gates = dense_gates(z, chosen, options)
    return plan_of_choice(chosen, gates, sequences * tokens * options.k)


def scores(z: jax.Array, score: str) -> jax.Array:
    """Scores of f32 logits over the last axis."""
    if score == "softmax":
        highest = jax.lax.stop_gradient(jnp.max(z, -1, keepdims=True))
        weight = jnp.exp(z - jnp.where(highest == -jnp.inf, 0.0, highest))
        total = weight.sum(-1, keepdims=True)
        return weight / jnp.where(total == 0, 1.0, total)
    if score == "sigmoid":
        return jax.nn.sigmoid(z)
    if score == "sqrtsoftplus":
        return jnp.sqrt(jax.nn.softplus(z))
    return z


def dense_gates(z: jax.Array, chosen: jax.Array, options: RouteOptions) -> jax.Array:
    """Gates ``[..., E]`` of a given choice; only chosen entries mean something."""
    if options.normalize == "softmax":
        # Twice `where`: an exponent of an entry that is not chosen has no gradient.
        kept = jnp.where(chosen, z, -jnp.inf)
        highest = jax.lax.stop_gradient(jnp.max(kept, -1, keepdims=True))
        safe = jnp.where(chosen, z, highest)
        weight = jnp.where(chosen, jnp.exp(safe - highest), 0.0)
        total = weight.sum(-1, keepdims=True)
        gates = weight / jnp.where(total == 0, 1.0, total)
    else:
        gates = scores(z, options.score)
        if options.normalize == "sum":
            total = jnp.where(chosen, gates, 0.0).sum(-1, keepdims=True) + options.eps
            divisor = jnp.maximum(total, options.norm_min)
            empty = divisor == 0
            gates = jnp.where(empty, 0.0, gates / jnp.where(empty, 1.0, divisor))
    return gates * options.scale


def gates_vjp(
    options: RouteOptions,
    logits: jax.Array,
    expert_offsets: jax.Array,
    row_token: jax.Array,
    cotangent: jax.Array,
) -> jax.Array:
    """Gradient of the gates ``[R]`` by the logits, the plan held fixed."""
    count, experts = logits.size // logits.shape[-1], logits.shape[-1]
    live = row_token >= 0
    chosen = dense_of_plan(expert_offsets, row_token, live, (count, experts))
    token = jnp.where(live, row_token, 0)
    expert = jnp.where(live, row_experts(expert_offsets, row_token.shape[0]), 0)

    def gates_of(values: jax.Array) -> jax.Array:
        flat = values.astype(jnp.float32).reshape(count, experts)
        dense = dense_gates(flat, chosen, options)
        return jnp.where(live, dense[token, expert], 0.0)

    gradient: jax.Array = jax.vjp(gates_of, logits)[1](cotangent)[0]
    return gradient


def _choose(
    z: jax.Array,
    choice_bias: jax.Array | None,
    valid: jax.Array | None,
    options: RouteOptions,
) -> jax.Array:
    """``[S, T, E]`` bool."""
    sequences, tokens, experts = z.shape
    key = scores(z, options.score)
    if choice_bias is not None:
        key = key + choice_bias.astype(jnp.float32)
    key = jnp.where(jnp.abs(key) < _TINY, 0.0, key)
    candidate = jnp.broadcast_to(_kept_groups(key, options), z.shape)
    if valid is None:
        count = jnp.full((sequences,), tokens)
    else:
        candidate = candidate & valid[..., None]
        count = valid.sum(-1)
    rank = _ranks(key, ~candidate)
    if options.scope == "token":
        return candidate & (rank < options.k)
    cap = experts if options.cap == NO_CAP else options.cap
    eligible = candidate & (rank < cap)
    certain = eligible & (rank < options.floor)

    def flat(value: jax.Array) -> jax.Array:
        return value.reshape(sequences, tokens * experts)

    joint = _ranks(flat(key), flat(~eligible), flat(~certain))
    chosen = flat(eligible) & (joint < (options.k * count)[:, None])
    return chosen.reshape(z.shape)


def _kept_groups(key: jax.Array, options: RouteOptions) -> jax.Array:
    """True for experts of the groups that are kept, broadcastable to ``key``."""
    if options.n_group == 1:
        return jnp.ones((1,), bool)
    sequences, tokens, experts = key.shape
    size = experts // options.n_group
    groups = key.reshape(sequences, tokens, options.n_group, size)
    has_nan = jnp.isnan(groups).any(-1)
    if options.group_score == "max" or size == 1:
        value = groups.max(-1)
    else:
        value = jax.lax.top_k(groups, 2)[0].sum(-1)
    value = jnp.where(has_nan, jnp.nan, value)
    return jnp.repeat(_ranks(value) < options.topk_group, size, axis=-1)


def _ranks(key: jax.Array, *later: jax.Array) -> jax.Array:
    """Place of each entry of the last axis when sorted.

    False before true for each of ``later`` in turn, then descending by key with NaN
    last, then by index.
    """
    nan = jnp.isnan(key)
    order = jnp.lexsort((jnp.where(nan, 0.0, -key), nan, *reversed(later)), axis=-1)
    return jnp.argsort(order, axis=-1)
