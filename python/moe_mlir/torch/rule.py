"""The exact rule, evaluated for PyTorch tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def choose(
    logits: Tensor,
    choice_bias: Tensor | None,
    valid: Tensor | None,
    *,
    k: int,
    scope: str,
    score: str,
    normalize: str,
    scale: float,
    eps: float,
    norm_min: float,
    groups: tuple[int, int, str],
    floor: int,
    cap: int | None,
    rank_logits: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The five tensors of the plan, on the device of ``logits``."""
    z = logits.detach().float().cpu()
    z = z if z.dim() == 3 else z[None]
    S, T, E = z.shape
    s = {
        "softmax": lambda v: v.softmax(-1),
        "sigmoid": torch.sigmoid,
        "sqrtsoftplus": lambda v: torch.nn.functional.softplus(v).sqrt(),
        "identity": lambda v: v,
    }[score](z).numpy()
    key = s if choice_bias is None else s + choice_bias.detach().float().cpu().numpy()
    key = np.where(np.isnan(key), -np.inf, key)
    cand = np.ones((S, T, E), bool)
    n, kept, how = groups
    if n > 1:
        g = key.reshape(S, T, n, E // n)
        gs = g.max(-1) if how == "max" else np.sort(g, -1)[..., -2:].sum(-1)
        best = np.argsort(-gs, -1, kind="stable")[..., :kept]
        keep = np.zeros((S, T, n), bool)
        np.put_along_axis(keep, best, True, -1)
        cand = np.repeat(keep, E // n, -1)
    ok = np.ones((S, T), bool) if valid is None else valid.cpu().numpy()
    cand &= ok[..., None]
    masked = np.where(cand, key, -np.inf)
    order = np.lexsort((np.broadcast_to(np.arange(E), cand.shape), -masked, ~cand), -1)
    rank = np.argsort(order, -1)
    chosen = np.zeros((S, T, E), bool)
    U = E if cap is None else cap
    for q in range(S):
        if scope == "token":
            chosen[q] = cand[q] & (rank[q] < k)
            continue
        may = cand[q] & (rank[q] < U)
        sure = may & (rank[q] < floor)
        o = np.lexsort((-masked[q].ravel(), ~sure.ravel(), ~may.ravel()))
        chosen[q].ravel()[o[: k * int(ok[q].sum())]] = True
    R, N = S * T * k, int(chosen.sum())
    flat = chosen.reshape(S * T, E)
    expert, token = np.nonzero(flat.T)
    offsets = np.concatenate([[0], flat.sum(0).cumsum()]).astype(np.int32)
    row_token = np.full(R, -1, np.int32)
    row_token[:N] = token
    token_row = np.full(R, -1, np.int32)
    token_row[:N] = np.argsort(token, kind="stable")
    per = np.concatenate([[0], flat.sum(1).cumsum()]).astype(np.int32)
    token_offsets = (
        np.stack([per[q * T : (q + 1) * T + 1] for q in range(S)])
        if S
        else np.zeros((0, T + 1), np.int32)
    )
    from moe_mlir.torch.gates import gates_of_plan

    out = [
        torch.from_numpy(np.ascontiguousarray(a))
        for a in (offsets, row_token, token_offsets, token_row)
    ]
    gates = gates_of_plan(
        z,
        out[0],
        out[1],
        score=score,
        normalize=normalize,
        scale=scale,
        eps=eps,
        norm_min=norm_min,
    )
    return tuple(t.to(logits.device) for t in (*out, gates))
