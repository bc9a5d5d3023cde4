"""Sequence scope as decoding could do it: a choice that no later token changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from moe_mlir.arrays import Array
from moe_mlir.routing import route


@dataclasses.dataclass(frozen=True)
class CausalChoice:
    """Experts and gates of one layer.

    Attributes:
        ids: int32 ``[S, T, E]``; the expert, or -1 where it is not chosen.
        gates: float32 ``[S, T, E]``; zero where it is not chosen.
    """

    ids: Array
    gates: Array

    @property
    def experts_per_token(self) -> Array:
        """``[S, T]``."""
        counts: Array = (self.ids >= 0).sum(-1)
        return counts


def choose_causal(
    logits: Array, bias: Array | None, valid: Array, layer: Mapping[str, Any]
) -> CausalChoice:
    """A token keeps those of its pairs that are among the best of the prefix.

    With n valid tokens up to and with token t, these are the k·n best pairs of those
    tokens. What earlier tokens took is not given back, so that a token may get more
    than another rule would leave it; the number of experts of a sequence is whatever
    comes out. Floor and cap hold as in sequence scope.

    Args:
        logits: ``[S, T, E]``.
        bias: ``[E]``, added to scores for the choice.
        valid: bool ``[S, T]``.
        layer: Attributes of the routing, an entry of ``Model.layers``.
    """
    scores, candidate = _scores(logits, bias, valid, layer)
    # Rounded as in every other choice: f32.
    keys = scores if bias is None else scores + bias.astype(np.float32)
    # NaN ranks lowest; what is no candidate is left out by name.
    keys = np.where(candidate & (keys == keys), keys, -np.inf)
    rank = _ranks(keys)
    on = np.stack(
        [
            _best_of_prefix(k, c, v, int(layer["k"]))
            for k, c, v in zip(keys, candidate, valid, strict=True)
        ]
    )
    on &= rank < layer.get("cap", logits.shape[-1])
    on |= rank < layer.get("floor", 0)
    on &= candidate
    gates = _gates(logits.astype(np.float64), scores.astype(np.float64), on, layer)
    experts = np.arange(logits.shape[-1], dtype=np.int32)
    return CausalChoice(np.where(on, experts, np.int32(-1)), gates)


def _scores(
    logits: Array, bias: Array | None, valid: Array, layer: Mapping[str, Any]
) -> tuple[Array, Array]:
    """Scores ``[S, T, E]``, and which pairs are candidates: by the rule itself."""
    groups, kept = int(layer.get("n_group", 1)), int(layer.get("topk_group", 1))
    experts = logits.shape[-1]
    plan = route(
        logits,
        experts // groups * kept,
        score=layer["score"],
        choice_bias=bias,
        groups=(groups, kept, layer.get("group_score", "max")) if groups > 1 else None,
        valid=valid,
        rank_logits=bool(layer.get("rank_logits", False)),
    )
    scores = np.zeros((valid.size, experts), np.float32)
    candidate = np.zeros(scores.shape, bool)
    expert: Array = np.repeat(np.arange(experts), np.diff(plan.expert_offsets))
    scores[plan.row_token, expert] = plan.gates
    candidate[plan.row_token, expert] = True
    return scores.reshape(logits.shape), candidate.reshape(logits.shape)


def _ranks(keys: Array) -> Array:
    """Place of each expert among those of its token; ties to the lower expert."""
    order = np.argsort(-keys, axis=-1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(keys.shape[-1]) + 0 * order, -1)
    return ranks


def _best_of_prefix(keys: Array, candidate: Array, valid: Array, k: int) -> Array:
    """For one sequence, ``[T, E]``. Ties go to the earlier token, the lower expert."""
    on = np.zeros(keys.shape, bool)
    prefix = np.empty(0, keys.dtype)
    budget = 0
    for token in np.flatnonzero(valid):
        own = keys[token][candidate[token]]
        earlier, prefix = prefix, np.concatenate([prefix, own])
        budget += k
        if budget < prefix.size:
            least = np.partition(prefix, prefix.size - budget)[prefix.size - budget]
        else:
            least = -np.inf
        above = keys[token] > least
        left = budget - (prefix > least).sum() - (earlier == least).sum()
        level = candidate[token] & (keys[token] == least)
        on[token] = above | (level & (np.cumsum(level) <= left))
    return on


def _gates(logits: Array, scores: Array, on: Array, layer: Mapping[str, Any]) -> Array:
    gates = np.where(on, scores, 0.0)
    if layer["normalize"] == "sum":
        total = gates.sum(-1, keepdims=True) + layer.get("eps", 0.0)
        total = np.maximum(total, layer.get("norm_min", 0.0))
        gates = np.divide(gates, total, out=np.zeros_like(gates), where=total != 0)
    elif layer["normalize"] == "softmax":
        largest = np.where(on, logits, -np.inf).max(-1, keepdims=True)
        largest = np.where(np.isfinite(largest), largest, 0.0)
        gates = np.where(on, np.exp(np.where(on, logits, largest) - largest), 0.0)
        total = gates.sum(-1, keepdims=True)
        gates = np.divide(gates, total, out=np.zeros_like(gates), where=total != 0)
    scaled: Array = (gates * layer.get("scale", 1.0)).astype(np.float32)
    return scaled
