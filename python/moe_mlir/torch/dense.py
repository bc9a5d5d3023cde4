"""Blocks that give every expert a row of every token, as Llama 4 does.

Such a block multiplies E copies of its tokens by the scores ``[T, E]``, zero for
experts that are not chosen, and sums what its experts make of ``[E*T, H]``. While
adapted, it is told of a single expert with the scores 1, and that expert is the whole
layer: gates on the input, along a plan.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from moe_mlir.torch.blocks import ExpertsCall
from moe_mlir.torch.recipes import Source


def takes_rows_only(experts: nn.Module) -> bool:
    """Whether the experts' ``forward`` has the rows as its only argument."""
    parameters = inspect.signature(type(experts).forward).parameters
    return len(parameters) == 2  # self and the rows


def read_rows(rows: Tensor, hidden: Tensor, experts: int, k: int) -> ExpertsCall | None:
    """The choice that scaled copies of the tokens show.

    Args:
        rows: ``[E*T, H]``, expert by expert.
        hidden: ``[T, H]``, the tokens.
        experts: Number of experts E.
        k: Experts per token.

    Returns:
        None where the rows are no multiples of the tokens.
    """
    if rows.dim() != 2 or rows.shape[0] != experts * hidden.shape[0]:
        return None
    copies = rows.reshape(experts, *hidden.shape).double()
    tokens = hidden.double()
    scores = (copies * tokens).sum(-1) / tokens.square().sum(-1)
    if not torch.allclose(copies, scores[..., None] * tokens, rtol=1e-2, atol=1e-3):
        return None
    weights, index = scores.T.topk(k)
    return ExpertsCall(hidden, index, weights.to(rows.dtype))


def scores_source(logits: dict[Source, Tensor], call: ExpertsCall) -> Source | None:
    """Which result of which module holds the scores ``[T, E]`` that the block uses."""
    for source, value in logits.items():
        dense = torch.zeros_like(value, dtype=torch.float32)
        dense.scatter_(-1, call.index, call.weights.float())
        if torch.allclose(value.float(), dense, rtol=2e-2, atol=2e-3):
            return source
    return None


def as_one_expert(source: Source, result: Any) -> Any:
    """The module's result with the scores ``[T, E]`` replaced by ones ``[T, 1]``."""
    scores: Tensor = source.read(result)
    ones = torch.ones_like(scores[..., :1])
    if source.position is None:
        return ones
    replaced = list(result)
    replaced[source.position] = ones
    return type(result)(replaced)


def run_on_all(
    experts: nn.Module, state: dict[str, Tensor], hidden: Tensor, count: int
) -> Tensor:
    """``[T, H]``: the sum of what all experts make of all rows ``hidden [T, H]``."""
    rows = hidden.repeat(count, 1)
    result: Tensor = functional_call(experts, state, (rows,))
    return result.reshape(count, *hidden.shape).sum(0)
