"""The library operator ``moe::plan_from_choice``: a plan from a router's own choice."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.library.custom_op("moe::plan_from_choice", mutates_args=())
def plan_from_choice_op(
    ids: Tensor, weights: Tensor, experts: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """``ids [S,T,K]`` and ``weights [S,T,K]`` to the five tensors of a plan.

    An id outside ``0 .. experts-1`` stands for "no expert". An expert that a token
    names twice gets two rows.
    """
    sequences, tokens, k = ids.shape
    rows = ids.numel()
    flat = ids.reshape(-1).long()
    live_mask = (flat >= 0) & (flat < experts)
    pair = torch.nonzero(live_mask).flatten()
    # Stable: rows of one expert stay in token order, and then in order of k.
    order = pair[torch.sort(flat[pair], stable=True).indices]
    live = order.shape[0]
    token = order // k
    counts = torch.bincount(flat[order], minlength=experts)

    def offsets(lengths: Tensor) -> Tensor:
        return torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).int()

    row_token = torch.full((rows,), -1, dtype=torch.int32, device=ids.device)
    row_token[:live] = token.int()
    token_row = torch.full_like(row_token, -1)
    token_row[:live] = torch.sort(token, stable=True).indices.int()
    per_token = offsets(torch.bincount(token, minlength=sequences * tokens))
    begin = torch.arange(sequences, device=ids.device)[:, None] * tokens
    window = begin + torch.arange(tokens + 1, device=ids.device)[None]
    gates = weights.new_zeros(rows)
    gates[:live] = weights.reshape(-1)[order]
    return offsets(counts), row_token, per_token[window], token_row, gates


@plan_from_choice_op.register_fake
def _(ids, weights, experts):  # type: ignore[no-untyped-def]
    sequences, tokens, k = ids.shape
    rows = sequences * tokens * k

    def index(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.int32, device=ids.device)

    return (
        index(experts + 1),
        index(rows),
        index(sequences, tokens + 1),
        index(rows),
        weights.new_empty((rows,)),
    )


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ids, _, experts = inputs
    ctx.mark_non_differentiable(*output[:4])
    ctx.save_for_backward(ids)
    ctx.experts = experts


def _backward(ctx, *grads):  # type: ignore[no-untyped-def]
    (ids,) = ctx.saved_tensors
    flat = ids.reshape(-1).long()
    pair = torch.nonzero((flat >= 0) & (flat < ctx.experts)).flatten()
    order = pair[torch.sort(flat[pair], stable=True).indices]
    gradient = grads[4].new_zeros(flat.shape)
    gradient[order] = grads[4][: order.shape[0]]
    return None, gradient.reshape(ids.shape), None


plan_from_choice_op.register_autograd(_backward, setup_context=_save)
