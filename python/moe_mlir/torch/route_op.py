"""The library operator ``moe::route``: the exact rule, differentiable in the gates."""

from __future__ import annotations

import torch
from torch import Tensor

from moe_mlir.importing.options import NO_CAP
from moe_mlir.torch.gates import gates_of_plan
from moe_mlir.torch.rule import choose


@torch.library.custom_op("moe::route", mutates_args=())
def route_op(
    logits: Tensor,
    choice_bias: Tensor | None,
    valid: Tensor | None,
    k: int,
    scope: str,
    score: str,
    normalize: str,
    scale: float,
    eps: float,
    norm_min: float,
    n_group: int,
    topk_group: int,
    group_score: str,
    floor: int,
    cap: int,
    rank_logits: bool,
    layer: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """``logits [S,T,E]`` (or ``[T,E]``) to the five tensors of a ``RoutePlan``."""
    del layer  # a name for the compiler; it has no meaning here
    return choose(
        logits,
        choice_bias,
        valid,
        k=k,
        scope=scope,
        score=score,
        normalize=normalize,
        scale=scale,
        eps=eps,
        norm_min=norm_min,
        groups=(n_group, topk_group, group_score),
        floor=floor,
        cap=None if cap == NO_CAP else cap,
        rank_logits=rank_logits,
    )


@route_op.register_fake
def _(logits, choice_bias, valid, k, *rest):  # type: ignore[no-untyped-def]
    *batch, tokens, experts = logits.shape
    sequences = batch[0] if batch else 1
    rows = sequences * tokens * k

    def index(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.int32, device=logits.device)

    return (
        index(experts + 1),
        index(rows),
        index(sequences, tokens + 1),
        index(rows),
        logits.new_empty((rows,), dtype=torch.float32),
    )


@torch.library.custom_op("moe::route_backward", mutates_args=())
def route_backward_op(
    grad_gates: Tensor,
    logits: Tensor,
    expert_offsets: Tensor,
    row_token: Tensor,
    score: str,
    normalize: str,
    scale: float,
    eps: float,
    norm_min: float,
) -> Tensor:
    """Gradient of the gates with respect to the logits, the choice held fixed."""
    # Operator bodies run below autograd, where torch.func works and
    # torch.autograd does not.
    pull_back = torch.func.vjp(
        lambda values: gates_of_plan(
            values,
            expert_offsets,
            row_token,
            score=score,
            normalize=normalize,
            scale=scale,
            eps=eps,
            norm_min=norm_min,
        ),
        logits,
    )[1]
    gradient: Tensor = pull_back(grad_gates)[0]
    return gradient


@route_backward_op.register_fake
def _(grad_gates, logits, *rest):  # type: ignore[no-untyped-def]
    return torch.empty_like(logits)


_GATE_ARGUMENTS = ("score", "normalize", "scale", "eps", "norm_min")
_ARGUMENT_INDEX = {
    argument.name: index
    for index, argument in enumerate(torch.ops.moe.route.default._schema.arguments)
}


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    expert_offsets, row_token, token_offsets, token_row, _ = output
    ctx.save_for_backward(inputs[0], expert_offsets, row_token)
    ctx.mark_non_differentiable(expert_offsets, row_token, token_offsets, token_row)
    ctx.gate_arguments = tuple(inputs[_ARGUMENT_INDEX[n]] for n in _GATE_ARGUMENTS)


def _backward(ctx, *grads):  # type: ignore[no-untyped-def]
    gradient = None
    if ctx.needs_input_grad[0]:
        gradient = route_backward_op(grads[4], *ctx.saved_tensors, *ctx.gate_arguments)
    return (gradient, *(None,) * (len(_ARGUMENT_INDEX) - 1))


route_op.register_autograd(_backward, setup_context=_save)
