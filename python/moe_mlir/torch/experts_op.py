"""The library operator ``moe::experts``: expert layers applied along a plan."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from moe_mlir.errors import MoEError


def _activate(
    gate: Tensor, up: Tensor | None, kind: str, limit: float, alpha: float
) -> Tensor:
    """The activation; ``up`` is None for experts without gating."""
    if kind == "clamped_swiglu":
        if up is None:
            raise MoEError("activation 'clamped_swiglu' needs gate and up weights")
        gate, up = gate.clamp(max=limit), up.clamp(-limit, limit)
        return (up + 1) * (gate * torch.sigmoid(alpha * gate))
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "silu": F.silu,
        "gelu": F.gelu,
        "gelu_tanh": lambda v: F.gelu(v, approximate="tanh"),
        "relu": F.relu,
        "relu2": lambda v: F.relu(v).square(),
    }
    value = functions[kind](gate)
    return value if up is None else value * up


def experts_reference(
    x: Tensor,
    expert_offsets: Tensor,
    row_token: Tensor,
    gates: Tensor,
    gate_up: Tensor | None,
    gate: Tensor | None,
    up: Tensor | None,
    down: Tensor,
    gate_up_bias: Tensor | None,
    gate_bias: Tensor | None,
    up_bias: Tensor | None,
    down_bias: Tensor | None,
    activation: str,
    layout: str,
    arrangement: str,
    limit: float,
    alpha: float,
    gate_on: str,
) -> Tensor:
    """Plain differentiable PyTorch; sums over a token's rows in f32 (or f64)."""

    def project(rows: Tensor, weight: Tensor, bias: Tensor | None, expert: int):  # type: ignore[no-untyped-def]
        matrix = weight[expert] if layout == "nk" else weight[expert].T
        return F.linear(rows, matrix, None if bias is None else bias[expert])

    flat = x.flatten(0, 1)
    wide = torch.promote_types(x.dtype, torch.float32)
    out = torch.zeros(flat.shape, dtype=wide, device=x.device)
    bounds = expert_offsets.tolist()
    for expert, (begin, end) in enumerate(itertools.pairwise(bounds)):
        if begin == end:
            continue
        token = row_token[begin:end].long()
        gate_value = gates[begin:end, None]
        rows = flat[token]
        if gate_on == "input":
            rows = rows * gate_value.to(rows.dtype)
        if gate_up is not None:
            both = project(rows, gate_up, gate_up_bias, expert)
            if arrangement == "interleaved":
                first, second = both[..., ::2], both[..., 1::2]
            else:
                first, second = both.chunk(2, -1)
        elif gate is not None:
            assert up is not None
            first = project(rows, gate, gate_bias, expert)
            second = project(rows, up, up_bias, expert)
        else:
            assert up is not None
            first, second = project(rows, up, up_bias, expert), None
        hidden = _activate(first, second, activation, limit, alpha)
        result = project(hidden, down, down_bias, expert).to(wide)
        if gate_on == "output":
            result = result * gate_value.to(wide)
        out = out.index_add(0, token, result)
    return out.to(x.dtype).reshape(x.shape)


@torch.library.custom_op("moe::experts", mutates_args=())
def experts_op(
    x: Tensor,
    expert_offsets: Tensor,
    row_token: Tensor,
    token_offsets: Tensor,
    token_row: Tensor,
    gates: Tensor,
    gate_up: Tensor | None,
    gate: Tensor | None,
    up: Tensor | None,
    down: Tensor,
    gate_up_bias: Tensor | None,
    gate_bias: Tensor | None,
    up_bias: Tensor | None,
    down_bias: Tensor | None,
    activation: str,
    layout: str,
    arrangement: str,
    limit: float,
    alpha: float,
    gate_on: str,
) -> Tensor:
    """``x [S,T,H]`` and a plan to ``[S,T,H]``; see :func:`moe_mlir.torch.experts`."""
    del token_offsets, token_row  # the other view of the same plan
    return experts_reference(
        x,
        expert_offsets,
        row_token,
        gates,
        gate_up,
        gate,
        up,
        down,
        gate_up_bias,
        gate_bias,
        up_bias,
        down_bias,
        activation,
        layout,
        arrangement,
        limit,
        alpha,
        gate_on,
    )


@experts_op.register_fake
def _(x, *rest):  # type: ignore[no-untyped-def]
    return torch.empty_like(x, memory_format=torch.contiguous_format)


#: Positions of the tensors that ``experts_reference`` takes, among the operator's.
_USED = (0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13)
#: Positions of the tensors with a gradient, among the operator's arguments.
_DIFFERENTIABLE = (0, 5, 6, 7, 8, 9, 10, 11, 12, 13)


@torch.library.custom_op("moe::experts_backward", mutates_args=())
def experts_backward_op(
    grad: Tensor,
    x: Tensor,
    expert_offsets: Tensor,
    row_token: Tensor,
    gates: Tensor,
    gate_up: Tensor | None,
    gate: Tensor | None,
    up: Tensor | None,
    down: Tensor,
    gate_up_bias: Tensor | None,
    gate_bias: Tensor | None,
    up_bias: Tensor | None,
    down_bias: Tensor | None,
    activation: str,
    layout: str,
    arrangement: str,
    limit: float,
    alpha: float,
    gate_on: str,
) -> list[Tensor]:
    """Gradients of x, gates, and the given weights and biases, in this order."""
    values = [
        x, gates, gate_up, gate, up, down, gate_up_bias, gate_bias, up_bias, down_bias
    ]  # fmt: skip
    present = [index for index, value in enumerate(values) if value is not None]

    def forward(*given: Tensor) -> Tensor:
        filled: list[Any] = list(values)
        for index, value in zip(present, given, strict=True):
            filled[index] = value
        x, *rest = filled
        attributes: list[Any] = [
            activation,
            layout,
            arrangement,
            limit,
            alpha,
            gate_on,
        ]
        return experts_reference(x, expert_offsets, row_token, *rest, *attributes)

    # Operator bodies run below autograd, where torch.func works and
    # torch.autograd does not.
    pull_back = torch.func.vjp(forward, *(values[index] for index in present))[1]
    return [gradient.contiguous() for gradient in pull_back(grad)]


@experts_backward_op.register_fake
def _(grad, x, expert_offsets, row_token, *rest):  # type: ignore[no-untyped-def]
    return [torch.empty_like(v) for v in (x, *rest) if isinstance(v, Tensor)]


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    del output
    ctx.save_for_backward(*(inputs[i] for i in _USED))
    ctx.attributes = inputs[14:]


def _backward(ctx, grad):  # type: ignore[no-untyped-def]
    x, expert_offsets, row_token, *values = ctx.saved_tensors
    found = iter(
        experts_backward_op(
            grad, x, expert_offsets, row_token, *values, *ctx.attributes
        )
    )
    gradients = [None] * (14 + len(ctx.attributes))
    for position, value in zip(_DIFFERENTIABLE, (x, *values), strict=True):
        if value is not None:
            gradients[position] = next(found)
    return tuple(gradients)


experts_op.register_autograd(_backward, setup_context=_save)
