"""The NumPy oracle of routing: an independent answer, selected by a full sort."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from oracle_score import INF, ONE, SCORES, ZERO, canon, exp, f32, key, tiny, unkey

Array = npt.NDArray[Any]


class Routing(NamedTuple):
    """A plan and its gates (f32); row tensors have R = S*T*K elements."""

    expert_offsets: Array
    row_token: Array
    token_offsets: Array
    token_row: Array
    gates: Array


def ranks(keys: Array) -> Array:
    """Place of each key in its row: larger first, then lower index."""
    order = np.argsort(-keys, axis=-1, kind="stable")
    out = np.empty_like(order)
    np.put_along_axis(out, order, np.arange(keys.shape[-1]) + 0 * order, -1)
    return out


def in_kept_groups(keys: Array, n: int, kept: int, kind: str) -> Array:
    groups = keys.reshape(*keys.shape[:2], n, keys.shape[2] // n)
    best = -np.sort(-groups, axis=-1)
    group_keys = best[..., 0]
    if kind == "top2_sum" and best.shape[-1] > 1:
        two = unkey(best[..., :2].astype(np.uint32))
        group_keys = key(canon(two[..., 0] + two[..., 1])).astype(np.int64)
    return np.repeat(ranks(group_keys) < kept, groups.shape[-1], axis=-1)


def choose(keys: Array, tokens: Array, k: int, floor: int, cap: int) -> Array:
    """Which pairs [S,T,E] of keys are in; a key of -1 is no candidate."""
    rank = np.where(keys < 0, keys.shape[2], ranks(keys))
    certain, between = rank < floor, (rank >= floor) & (rank < cap)
    place = ranks(np.where(between, keys, -1).reshape(len(keys), keys[:1].size))
    left = (k - floor) * tokens[:, None]
    return certain | (between & (place < left).reshape(keys.shape))


def sum_in_order(x: Array) -> Array:
    total = np.zeros((*x.shape[:2], 1), f32)
    for e in range(x.shape[2]):
        total = total + x[..., e : e + 1]
    return total


def weigh(x: Array, score: Array, on: Array, how: str, eps: Any, least: Any) -> Array:
    """Gates [S,T,E] before the scale; only those of chosen pairs mean anything."""
    if how == "sum":
        total = sum_in_order(np.where(on, score, ZERO)) + eps
        total = np.where(total < least, least, total)
        return np.where(total == 0, ZERO, canon(score / total))
    if how == "softmax":
        m = np.max(np.where(on & (x == x), x, -INF), axis=-1, keepdims=True)
        e = np.where(on, exp(x - np.where(m == -INF, ZERO, m)), ZERO)
        total = sum_in_order(e)
        return canon(e / np.where(total == 0, ONE, total))
    return score


@np.errstate(all="ignore")
def route(
    logits: Array, k: int, scope: str = "token", score: str = "softmax",
    normalize: str = "none", choice_bias: Array | None = None,
    groups: tuple[int, int, str] | None = None, floor: int = 0, cap: int | None = None,
    scale: float = 1.0, eps: float = 0.0, norm_min: float = 0.0,
    valid: Array | None = None, rank_logits: bool = False,
) -> Routing:  # fmt: skip
    """Routes logits [S,T,E] of any float type."""
    s, t, e = logits.shape
    x, valid = logits.astype(f32), np.ones((s, t)) if valid is None else valid
    scores, (n, kept, kind) = SCORES[score](x), groups or (1, 1, "max")
    biased = scores if choice_bias is None else canon(scores + canon(choice_bias))
    keys = key(biased).astype(np.int64)
    keys[~(in_kept_groups(keys, n, kept, kind) & (valid[..., None] != 0))] = -1
    floor, cap = (k, k) if scope == "token" else (floor, cap or kept * (e // n))
    on = choose(keys, (valid != 0).sum(1), k, floor, cap)
    gates = weigh(x, scores, on, normalize, tiny(f32(eps)), tiny(f32(norm_min)))
    token, expert = np.nonzero(on.reshape(s * t, e))
    by_expert = np.lexsort((token, expert))
    ends = np.concatenate([[0], np.cumsum(on.sum(2))]).astype(np.int32)
    rows = np.full((2, s * t * k), -1, np.int32)
    rows[0, : token.size] = token[by_expert]
    rows[1, by_expert] = np.arange(token.size)
    weights = np.zeros(s * t * k, f32)
    weights[: token.size] = canon(gates * tiny(f32(scale)))[on][by_expert]
    starts = np.searchsorted(expert[by_expert], np.arange(e + 1)).astype(np.int32)
    offsets = ends[np.arange(s)[:, None] * t + np.arange(t + 1)]
    return Routing(starts, rows[0], offsets, rows[1], weights)
