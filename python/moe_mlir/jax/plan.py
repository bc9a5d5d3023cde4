"""The routing plan as a pytree of five JAX arrays, and what follows from it."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class RoutePlan(NamedTuple):
    """Which row of which token goes to which expert.

    S sequences of T tokens, E experts, room for R = S*T*K rows, of which the first
    N = ``expert_offsets[E]`` are live. Token ``s*T + t`` is token ``t`` of sequence
    ``s``. Index arrays are int32.

    Attributes:
        expert_offsets: ``[E+1]``; expert ``e`` has the rows from ``expert_offsets[e]``
            up to ``expert_offsets[e+1]``.
        row_token: ``[R]``; the token of each row, ascending within an expert; -1
            beyond N.
        token_offsets: ``[S, T+1]``; token ``t`` of sequence ``s`` has the entries
            from ``token_offsets[s, t]`` up to ``token_offsets[s, t+1]`` of
            ``token_row``.
        token_row: ``[R]``; the rows of each token, experts ascending; -1 beyond N.
        gates: ``[R]``; the weight of each row in the combine; 0 beyond N.
            Differentiable.
    """

    expert_offsets: jax.Array
    row_token: jax.Array
    token_offsets: jax.Array
    token_row: jax.Array
    gates: jax.Array


def offsets(counts: jax.Array) -> jax.Array:
    """``[n]`` counts to ``[n+1]`` int32 offsets."""
    zero = jnp.zeros((1,), jnp.int32)
    return jnp.concatenate([zero, jnp.cumsum(counts).astype(jnp.int32)])


def plan_of_choice(chosen: jax.Array, weight: jax.Array, rows: int) -> RoutePlan:
    """The plan of a dense choice.

    Args:
        chosen: ``[S, T, E]`` bool, at most ``rows`` true.
        weight: ``[S, T, E]`` gates, read where chosen.
        rows: R.
    """
    sequences, tokens, experts = chosen.shape
    count = sequences * tokens
    by_token = chosen.reshape(count, experts)
    by_expert = by_token.T.reshape(-1)
    row = jnp.cumsum(by_expert) - 1  # of each pair, experts first
    place = jnp.where(by_expert, row, rows)  # beyond the end: dropped
    token = jnp.tile(jnp.arange(count, dtype=jnp.int32), experts)
    row_of_pair = row.reshape(experts, count).T.reshape(-1).astype(jnp.int32)
    pair_order = by_token.reshape(-1)
    position = jnp.where(pair_order, jnp.cumsum(pair_order) - 1, rows)
    per_token = offsets(by_token.sum(1))
    window = tokens * jnp.arange(sequences)[:, None] + jnp.arange(tokens + 1)[None, :]
    empty = jnp.full((rows,), -1, jnp.int32)
    gates = weight.reshape(count, experts).T.reshape(-1)
    return RoutePlan(
        expert_offsets=offsets(by_token.sum(0)),
        row_token=empty.at[place].set(token, mode="drop"),
        token_offsets=per_token[window],
        token_row=empty.at[position].set(row_of_pair, mode="drop"),
        gates=jnp.zeros((rows,), gates.dtype).at[place].set(gates, mode="drop"),
    )


def row_experts(expert_offsets: jax.Array, rows: int) -> jax.Array:
    """``[rows]`` int32: the expert of each row; E for dead rows."""
    row = jnp.arange(rows, dtype=jnp.int32)
    return jnp.searchsorted(expert_offsets[1:], row, side="right").astype(jnp.int32)


def dense_of_plan(
    expert_offsets: jax.Array,
    row_token: jax.Array,
    values: jax.Array,
    shape: tuple[int, int],
) -> jax.Array:
    """Values per row to ``[S*T, E]``, zero where not chosen."""
    token = jnp.where(row_token < 0, shape[0], row_token)
    expert = row_experts(expert_offsets, row_token.shape[0])
    return jnp.zeros(shape, values.dtype).at[token, expert].set(values, mode="drop")
