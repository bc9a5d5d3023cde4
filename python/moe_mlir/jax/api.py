"""The user API: an MoE layer written with these functions runs under plain XLA, trains,
and imports."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any

import jax
from jax import lax

from moe_mlir import _moe
from moe_mlir.errors import MoEError
from moe_mlir.importing.options import (
    RouteOptions,
    check_clamp,
    check_expert_shapes,
    check_route_shapes,
)
from moe_mlir.jax import layers, rule
from moe_mlir.jax.batching import one_by_one, over_leading_axes
from moe_mlir.jax.plan import RoutePlan

_PLAN_FIELDS = RoutePlan._fields


def route(
    logits: jax.Array,
    k: int,
    *,
    scope: str = "token",
    score: str = "softmax",
    normalize: str = "none",
    choice_bias: jax.Array | None = None,
    groups: tuple[int, int, str] | None = None,
    floor: int = 0,
    cap: int | None = None,
    scale: float = 1.0,
    eps: float = 0.0,
    norm_min: float = 0.0,
    valid: jax.Array | None = None,
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
        layer: Name of the layer, by which passes choose it.

    Returns:
        The plan. Gradients flow through ``gates`` only; the choice is held fixed.
        Under ``jax.vmap`` XLA makes one plan after the other, in a loop; sequences as
        the first axis of ``logits`` are routed together and are faster. A compiled
        model routes what is mapped over as further sequences, together.

    Raises:
        MoEError: An option or a shape breaks the routing contract.
    """
    options = RouteOptions.make(
        k,
        experts=logits.shape[-1],
        rank=logits.ndim,
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
    *leading, tokens, experts = logits.shape
    problem = _moe.check_sizes(leading[0] if leading else 1, tokens, experts, k)
    if problem:
        raise MoEError(f"route: {problem}", where=layer)
    return _route(options, logits, choice_bias, valid)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _route(
    options: RouteOptions,
    logits: jax.Array,
    choice_bias: jax.Array | None,
    valid: jax.Array | None,
) -> RoutePlan:
    operands = {"logits": logits, "choice_bias": choice_bias, "valid": valid}
    given = {name: value for name, value in operands.items() if value is not None}

    shared = [i for i, name in enumerate(given) if name == "choice_bias"]

    def evaluate(*values: jax.Array) -> RoutePlan:
        named = dict(zip(given, values, strict=True))
        return rule.evaluate(
            named["logits"], named.get("choice_bias"), named.get("valid"), options
        )

    attributes = {"operands": tuple(given), **options.attributes()}
    call = over_leading_axes(_marked("moe.route", evaluate, attributes, shared), shared)
    plan: RoutePlan = call(*given.values())
    return plan


def _marked(
    name: str,
    evaluate: Callable[..., Any],
    attributes: dict[str, Any],
    shared: Collection[int],
) -> Callable[[tuple[int, ...]], Callable[..., Any]]:
    """Of leading axes, a composite of that name that computes ``evaluate``."""

    def build(batch: tuple[int, ...]) -> Callable[..., Any]:
        def decomposition(*values: jax.Array, **_: Any) -> Any:
            return one_by_one(evaluate, batch, shared)(*values)

        marked = lax.composite(decomposition, name=name, version=1)
        noted = {"batch": batch} if batch else {}

        def call(*values: jax.Array) -> Any:
            return marked(*values, **noted, **attributes)

        return call

    return build


def _route_forward(options: RouteOptions, logits: Any, choice_bias: Any, valid: Any):  # type: ignore[no-untyped-def]
    plan = _route(options, logits, choice_bias, valid)
    return plan, (logits, plan.expert_offsets, plan.row_token)


def _route_backward(options: RouteOptions, saved: Any, cotangent: RoutePlan):  # type: ignore[no-untyped-def]
    def decomposition(*values: jax.Array) -> jax.Array:
        return rule.gates_vjp(options, *values)

    # Marked as well, so that an import can say what it is.
    marked = lax.composite(decomposition, name="moe.route_backward", version=1)
    return one_by_one(marked)(*saved, cotangent.gates), None, None


_route.defvjp(_route_forward, _route_backward)


def experts(
    x: jax.Array,
    plan: RoutePlan,
    *,
    down: jax.Array,
    gate_up: jax.Array | None = None,
    gate: jax.Array | None = None,
    up: jax.Array | None = None,
    gate_up_bias: jax.Array | None = None,
    gate_bias: jax.Array | None = None,
    up_bias: jax.Array | None = None,
    down_bias: jax.Array | None = None,
    activation: str = "silu",
    layout: str = "kn",
    arrangement: str = "concat",
    limit: float = 7.0,
    alpha: float = 1.702,
    gate_on: str = "output",
) -> jax.Array:
    """Sends each row of a plan through its expert and combines the results per token.

    Args:
        x: ``[S, T, H]``.
        plan: The plan of the same S sequences of T tokens.
        down: ``[E, I, H]`` with layout ``"kn"``, ``[E, H, I]`` with ``"nk"``.
        gate_up: ``[E, H, 2I]`` / ``[E, 2I, H]``: gate and up in one array.
        gate, up: ``[E, H, I]`` / ``[E, I, H]`` each; ``up`` alone for experts without
            gating.
        gate_up_bias, gate_bias, up_bias, down_bias: ``[E, 2I]``, ``[E, I]``,
            ``[E, I]``, ``[E, H]``.
        activation: One of ``silu gelu gelu_tanh relu relu2 clamped_swiglu``; the last
            is ``(u + 1) * g * sigmoid(alpha * g)`` with ``g <= limit`` and
            ``-limit <= u <= limit``.
        layout: ``"kn"`` (input features first) or ``"nk"``.
        arrangement: ``"concat"`` or ``"interleaved"``: how ``gate_up`` holds the two.
        gate_on: ``"output"`` weights an expert's result, ``"input"`` its input row.

    Returns:
        ``[S, T, H]`` in the type of ``x``; a token without an expert is zero.
    """
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
    attributes = layers.ExpertOptions(
        activation,
        layout,
        arrangement,
        *check_clamp(activation, limit, alpha),
        gate_on,
    )
    present = {name: value for name, value in weights.items() if value is not None}
    attributes.check(present)
    check_expert_shapes(
        x.shape,
        (plan.expert_offsets.shape, plan.token_offsets.shape),
        {name: value.shape for name, value in present.items()},
        layout,
    )
    return _experts(attributes, tuple(present), x, plan, tuple(present.values()))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _experts(
    options: layers.ExpertOptions,
    names: tuple[str, ...],
    x: jax.Array,
    plan: RoutePlan,
    weights: tuple[jax.Array, ...],
) -> jax.Array:
    def evaluate(*values: jax.Array) -> jax.Array:
        return layers.evaluate(
            options,
            values[0],
            RoutePlan(*values[1:6]),
            dict(zip(names, values[6:], strict=True)),
        )

    operands = ("x", *_PLAN_FIELDS, *names)
    attributes = {"operands": operands, **options.attributes()}
    shared = range(6, len(operands))
    build = _marked("moe.experts", evaluate, attributes, shared)
    y: jax.Array = over_leading_axes(build, shared)(x, *plan, *weights)
    return y


def _experts_forward(options, names, x, plan, weights):  # type: ignore[no-untyped-def]
    return _experts(options, names, x, plan, weights), (x, plan, weights)


def _experts_backward(options, names, saved, cotangent):  # type: ignore[no-untyped-def]
    x, plan, weights = saved

    def decomposition(cotangent, x, *values):  # type: ignore[no-untyped-def]
        plan, weights = RoutePlan(*values[:5]), values[5:]

        def forward(x, gates, *weights):  # type: ignore[no-untyped-def]
            given = dict(zip(names, weights, strict=True))
            return layers.evaluate(options, x, plan._replace(gates=gates), given)

        return jax.vjp(forward, x, plan.gates, *weights)[1](cotangent)

    marked = lax.composite(decomposition, name="moe.experts_backward", version=1)
    call = one_by_one(marked)
    x_gradient, gates_gradient, *gradients = call(cotangent, x, *plan, *weights)
    plan_gradient = RoutePlan(None, None, None, None, gates_gradient)  # type: ignore[arg-type]
    return x_gradient, plan_gradient, tuple(gradients)


_experts.defvjp(_experts_forward, _experts_backward)
