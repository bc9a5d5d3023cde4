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


def _places(
    plan: RoutePlan, batch: int
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Of a plan of ``batch`` equal parts: the part of each row, its row in the plan of
    that part, [R] each; expert offsets of the parts, [batch, E+1]; and what is live."""
    sequences, tokens = plan.token_offsets.shape
    rows, experts = plan.row_token.shape[0], plan.expert_offsets.shape[0] - 1
    part_tokens = sequences // batch * (tokens - 1)
    live = plan.row_token >= 0
    part = jnp.where(live, plan.row_token // part_tokens, batch)
    expert = row_experts(plan.expert_offsets, rows)
    counts = jnp.zeros((batch, experts), jnp.int32)
    counts = counts.at[part, expert].add(1, mode="drop")
    within = jax.vmap(offsets)(counts)
    # Within an expert rows ascend by token, and so by part.
    earlier = jnp.cumsum(counts, 0) - counts + plan.expert_offsets[:-1]
    index = (jnp.minimum(part, batch - 1), jnp.minimum(expert, experts - 1))
    row = jnp.arange(rows, dtype=jnp.int32) - earlier[index] + within[index]
    return part, jnp.where(live, row, rows), within, live


def split_plan(plan: RoutePlan, batch: int) -> RoutePlan:
    """The plans of ``batch`` equal parts of the sequences, fields ``[batch, ...]``."""
    part, row, within, _ = _places(plan, batch)
    rows = plan.row_token.shape[0]
    empty = jnp.full((batch, rows // batch), -1, jnp.int32)
    sequences, tokens = plan.token_offsets.shape
    part_tokens = sequences // batch * (tokens - 1)
    token = plan.row_token - part * part_tokens
    starts = plan.token_offsets.reshape(batch, -1, tokens)
    first = starts[:, :1, :1]
    ordered = jnp.maximum(plan.token_row, 0)
    entry = jnp.arange(rows, dtype=jnp.int32)
    its_part = jnp.where(plan.token_row < 0, batch, part[ordered])
    entry = entry - first.reshape(-1)[jnp.minimum(its_part, batch - 1)]
    gates = jnp.zeros(empty.shape, plan.gates.dtype)
    return RoutePlan(
        expert_offsets=within,
        row_token=empty.at[part, row].set(token, mode="drop"),
        token_offsets=starts - first,
        token_row=empty.at[its_part, entry].set(row[ordered], mode="drop"),
        gates=gates.at[part, row].set(plan.gates, mode="drop"),
    )


def merge_gates(plan: RoutePlan, gates: jax.Array) -> jax.Array:
    """Gates ``[batch, R / batch]`` of the parts of a plan to its own, ``[R]``."""
    batch, rows = gates.shape
    part, row, _, live = _places(plan, batch)
    index = (jnp.minimum(part, batch - 1), jnp.minimum(row, rows - 1))
    return jnp.where(live, gates[index], jnp.zeros((), gates.dtype))
