"""The routing plan as five PyTorch tensors."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class RoutePlan(NamedTuple):
    """Which row of which token goes to which expert.

    S sequences of T tokens, E experts, room for R = S*T*K rows, of which the first
    N = ``expert_offsets[E]`` are live. Token ``s*T + t`` is token ``t`` of sequence
    ``s``. Index tensors are int32.

    Attributes:
        expert_offsets: ``[E+1]``; expert ``e`` has the rows from ``expert_offsets[e]``
            up to ``expert_offsets[e+1]``.
        row_token: ``[R]``; the token of each row, ascending within an expert; -1
            beyond N.
        token_offsets: ``[S, T+1]``; token ``t`` of sequence ``s`` has the entries
            from ``token_offsets[s, t]`` up to ``token_offsets[s, t+1]`` of
            ``token_row``.
        token_row: ``[R]``; the rows of each token, experts ascending; -1 beyond N.
        gates: ``[R]``; the weight of each row in the combine. Differentiable.
    """

    expert_offsets: Tensor
    row_token: Tensor
    token_offsets: Tensor
    token_row: Tensor
    gates: Tensor
