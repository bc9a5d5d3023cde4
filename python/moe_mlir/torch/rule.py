"""The exact rule, evaluated for PyTorch tensors by the C++ reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from moe_mlir.routing import route


def choose(
    logits: Tensor, choice_bias: Tensor | None, valid: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The five tensors of the plan, on the device of ``logits``.

    Args:
        logits: ``[S, T, E]`` or ``[T, E]``.
        choice_bias: ``[E]``.
        valid: ``[S, T]``.
        options: The other arguments of :func:`moe_mlir.route`.
    """

    def on_host(value: Tensor | None) -> Tensor | None:
        return None if value is None else value.detach().cpu()

    plan = route(
        on_host(logits),
        choice_bias=on_host(choice_bias),
        valid=on_host(valid),
        target="reference",
        **options,
    )
    sequences, tokens = plan.token_offsets.shape
    rows = sequences * (tokens - 1) * options["k"]

    def tensor(values: np.ndarray[Any, Any], fill: int | None = None) -> Tensor:
        if fill is not None:  # room for all rows that there might be
            padded = np.full(rows, fill, values.dtype)
            padded[: len(values)] = values
            values = padded
        return torch.from_numpy(np.ascontiguousarray(values)).to(logits.device)

    return (
        tensor(plan.expert_offsets),
        tensor(plan.row_token, -1),
        tensor(plan.token_offsets),
        tensor(plan.token_row, -1),
        tensor(plan.gates, 0),
    )
