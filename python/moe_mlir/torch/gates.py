"""Gates as a differentiable function of the logits, for a plan that is held fixed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def row_experts(expert_offsets: Tensor, rows: int) -> Tensor:
    """``[rows]`` int64: the expert of each live row."""
    experts = expert_offsets.shape[0] - 1
    counts = expert_offsets.diff().long()
    return torch.repeat_interleave(
        torch.arange(experts, device=expert_offsets.device), counts, output_size=rows
    )


def gates_of_plan(
    logits: Tensor,
    expert_offsets: Tensor,
    row_token: Tensor,
    *,
    score: str,
    normalize: str,
    scale: float,
    eps: float,
    norm_min: float,
) -> Tensor:
    """Gates ``[R]`` of a given plan, in plain differentiable PyTorch.

    The values agree with the exact rule up to rounding; they serve for gradients
    only. Dead rows get 0.
    """
    experts = logits.shape[-1]
    flat = logits.reshape(-1, experts).float()
    tokens = flat.shape[0]
    live = int(expert_offsets[-1])
    token = row_token[:live].long()
    expert = row_experts(expert_offsets, live)
    picked = _score(flat, score)[token, expert]
    if normalize == "sum":
        total = picked.new_zeros(tokens).index_add(0, token, picked) + eps
        divisor = total.clamp_min(norm_min)[token]
        empty = divisor == 0
        picked = torch.where(empty, 0.0, picked / torch.where(empty, 1.0, divisor))
    elif normalize == "softmax":
        picked = _softmax_of_token(flat[token, expert], token, tokens)
    gates = picked * scale
    return F.pad(gates, (0, row_token.shape[0] - live))


def _score(logits: Tensor, score: str) -> Tensor:
    if score == "softmax":
        return logits.softmax(-1)
    if score == "sigmoid":
        return logits.sigmoid()
    if score == "sqrtsoftplus":
        return F.softplus(logits).sqrt()
    return logits


def _softmax_of_token(value: Tensor, token: Tensor, tokens: int) -> Tensor:
    """Softmax over the entries that share a token."""
    highest = value.new_full((tokens,), float("-inf")).scatter_reduce(
        0, token, value.detach(), "amax"
    )
    weight = torch.exp(value - highest[token])
    total = weight.new_zeros(tokens).index_add(0, token, weight)
    return weight / total[token]
