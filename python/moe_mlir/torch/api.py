"""The user API: an MoE layer written with these functions runs eagerly, trains, and
imports."""

from __future__ import annotations

import torch
from torch import Tensor

from moe_mlir.checks import integer
from moe_mlir.errors import MoEError
from moe_mlir.importing.options import (
    ACTIVATIONS,
    RouteOptions,
    check_choice,
    check_clamp,
    check_expert_shapes,
    check_route_shapes,
    check_weights,
)
from moe_mlir.torch.plan import RoutePlan


def _check_tensor(where: str, name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise MoEError(
            f"{where}: {name} is a {type(value).__name__}; it must be a torch.Tensor"
        )


def route(
    logits: Tensor,
    k: int,
    *,
    scope: str = "token",
    score: str = "softmax",
    normalize: str = "none",
    choice_bias: Tensor | None = None,
    groups: tuple[int, int, str] | None = None,
    floor: int = 0,
    cap: int | None = None,
    scale: float = 1.0,
    eps: float = 0.0,
    norm_min: float = 0.0,
    valid: Tensor | None = None,
    rank_logits: bool = False,
    layer: str = "",
) -> RoutePlan:
    """Chooses experts for tokens.

    Args:
        logits: ``[S, T, E]`` f32, bf16 or f16; ``[T, E]`` with token scope.
        k: Experts per token on average.
        scope: ``"token"`` gives each valid token its ``k`` best experts;
            ``"sequence"`` gives each sequence its ``k * (valid tokens)`` best pairs.
        score: ``"softmax" | "sigmoid" | "sqrtsoftplus" | "identity"``.
        normalize: ``"none"``, ``"sum"`` (over a token's pairs) or ``"softmax"`` (over
            a token's chosen logits).
        choice_bias: ``[E]`` f32, added to the score for the choice only.
        groups: ``(n_group, topk_group, "max" | "top2_sum")``: only the best
            ``topk_group`` of ``n_group`` groups of experts are candidates.
        floor: Sequence scope: each valid token gets at least so many experts.
        cap: Sequence scope: and at most so many.
        scale: Factor of every gate.
        eps, norm_min: ``normalize="sum"`` divides by ``max(sum + eps, norm_min)``.
        valid: ``[S, T]`` bool; false marks padding.
        rank_logits: Allows sequence scope with ``score="identity"``.
        layer: Name of the layer, by which passes choose it; an import fills in the
            module's path when empty.

    Returns:
        The plan. Gradients flow through ``gates`` only; the choice is held fixed.

    Raises:
        MoEError: An option or a shape breaks the routing contract.
    """
    _check_tensor("route", "logits", logits)
    options = RouteOptions.make(
        k,
        experts=logits.shape[-1],
        rank=logits.dim(),
        scope=scope,
        score=score,
        normalize=normalize,
        groups=groups,
        floor=floor,
        cap=cap,
        scale=scale,
        eps=eps,
        norm_min=norm_min,
        rank_logits=rank_logits,
        layer=layer,
    )
    check_route_shapes(
        logits.shape,
        None if choice_bias is None else choice_bias.shape,
        None if valid is None else valid.shape,
    )
    return RoutePlan(
        *torch.ops.moe.route(logits, choice_bias, valid, **options.attributes())
    )


def plan_from_choice(ids: Tensor, weights: Tensor, experts: int) -> RoutePlan:
    """The plan of a choice that some other router has made.

    Args:
        ids: ``[S, T, K]`` integers; an id outside ``0 .. experts-1`` means "no
            expert".
        weights: ``[S, T, K]``, the weight of each choice. Differentiable.
        experts: Number of experts E.

    Raises:
        MoEError: A shape, a type or the number of experts is wrong.
    """
    where = "plan_from_choice"
    _check_tensor(where, "ids", ids)
    _check_tensor(where, "weights", weights)
    if integer(where, "experts", experts) < 1:
        raise MoEError(f"{where}: experts is {experts}; there is at least one")
    if ids.dtype not in (torch.int32, torch.int64):
        raise MoEError(f"{where}: ids are {ids.dtype}; they must be int32 or int64")
    if not weights.is_floating_point():
        raise MoEError(f"{where}: weights are {weights.dtype}; they must be floats")
    if ids.dim() != 3 or ids.shape != weights.shape:
        raise MoEError(
            "moe plan_from_choice: ids and weights must both be [S, T, K], got "
            f"{tuple(ids.shape)} and {tuple(weights.shape)}"
        )
    if ids.shape[2] < 1:
        raise MoEError(f"{where}: ids are {list(ids.shape)}; K must be at least 1")
    return RoutePlan(*torch.ops.moe.plan_from_choice(ids, weights, experts))


def experts(
    x: Tensor,
    plan: RoutePlan,
    *,
    down: Tensor,
    gate_up: Tensor | None = None,
    gate: Tensor | None = None,
    up: Tensor | None = None,
    gate_up_bias: Tensor | None = None,
    gate_bias: Tensor | None = None,
    up_bias: Tensor | None = None,
    down_bias: Tensor | None = None,
    activation: str = "silu",
    layout: str = "nk",
    arrangement: str = "concat",
    limit: float = 7.0,
    alpha: float = 1.702,
    gate_on: str = "output",
) -> Tensor:
    """Sends each row of a plan through its expert and combines the results per token.

    Args:
        x: ``[S, T, H]``.
        plan: The plan of the same S sequences of T tokens.
        down: ``[E, H, I]`` with layout ``"nk"``, ``[E, I, H]`` with ``"kn"``.
        gate_up: ``[E, 2I, H]`` / ``[E, H, 2I]``: gate and up in one tensor.
        gate, up: ``[E, I, H]`` / ``[E, H, I]`` each; ``up`` alone for experts without
            gating.
        gate_up_bias, gate_bias, up_bias, down_bias: ``[E, 2I]``, ``[E, I]``,
            ``[E, I]``, ``[E, H]``.
        activation: One of :data:`ACTIVATIONS`. ``"clamped_swiglu"`` is
            ``(u + 1) * g * sigmoid(alpha * g)`` with ``g <= limit`` and
            ``-limit <= u <= limit``.
        layout: ``"nk"`` (output features first) or ``"kn"``.
        arrangement: ``"concat"`` or ``"interleaved"``: how ``gate_up`` holds the two.
        gate_on: ``"output"`` weights an expert's result, ``"input"`` its input row.

    Returns:
        ``[S, T, H]`` in the type of ``x``; a token without an expert is zero.
    """
    check_choice("experts", "activation", activation, ACTIVATIONS)
    check_choice("experts", "layout", layout, ("nk", "kn"))
    check_choice("experts", "arrangement", arrangement, ("concat", "interleaved"))
    check_choice("experts", "gate_on", gate_on, ("output", "input"))
    weights = {
        "gate_up": gate_up,
        "gate": gate,
        "up": up,
        "down": down,
        "gate_up_bias": gate_up_bias,
        "gate_bias": gate_bias,
        "up_bias": up_bias,
        "down_bias": down_bias,
    }
    limit, alpha = check_clamp(activation, limit, alpha)
    given = {name: w for name, w in weights.items() if w is not None}
    check_weights(given, activation)
    for name, value in ({"x": x} | given).items():
        _check_tensor("experts", name, value)
        if value.dtype != x.dtype or not x.is_floating_point():
            raise MoEError(
                f"experts: {name} is {value.dtype} and x is {x.dtype}; x, weights and "
                "biases must be floats of one type"
            )
    if not isinstance(plan, RoutePlan):
        raise MoEError(
            f"experts: the plan is a {type(plan).__name__}; give what route or "
            "plan_from_choice returned"
        )
    check_expert_shapes(
        x.shape,
        (plan.expert_offsets.shape, plan.token_offsets.shape),
        {name: tuple(value.shape) for name, value in given.items()},
        layout,
    )
    y: Tensor = torch.ops.moe.experts(
        x,
        *plan,
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
    return y
