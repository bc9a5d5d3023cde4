"""The options of ``moe.route``, checked once for every front end."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from moe_mlir import _moe, checks
from moe_mlir.errors import MoEError

SCORES = ("softmax", "sigmoid", "sqrtsoftplus", "identity")

ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "relu", "relu2", "clamped_swiglu")

#: ``cap`` in a marker when the user gives none.
NO_CAP = -1


def check_choice(where: str, name: str, value: str, allowed: Sequence[str]) -> None:
    """Raises MoEError unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        raise MoEError(
            f"{where}: {name} must be one of {', '.join(allowed)}; got {value!r}"
        )


def check_weights(given: Collection[str], activation: str) -> None:
    """Raises MoEError unless the first layer's weights are a known combination."""
    first = tuple(name for name in ("gate_up", "gate", "up") if name in given)
    if first not in (("gate_up",), ("gate", "up"), ("up",)):
        raise MoEError(
            "experts: give gate_up alone, gate and up, or up alone (experts "
            f"without gating); got {', '.join(first) or 'none of them'}"
        )
    if activation == "clamped_swiglu" and first == ("up",):
        raise MoEError("experts: activation 'clamped_swiglu' needs gate and up")
    if "down" not in given:
        raise MoEError("experts: down is missing; every expert has it")
    allowed = {f"{name}_bias" for name in (*first, "down")}
    for name in sorted(given):
        if name.endswith("_bias") and name not in allowed:
            raise MoEError(
                f"experts: {name} is given, but {name.removesuffix('_bias')} is not"
            )


def check_route_shapes(
    logits: Sequence[Any],
    choice_bias: Sequence[Any] | None,
    valid: Sequence[Any] | None,
) -> None:
    """Raises MoEError unless the operands' shapes fit each other."""
    if choice_bias is not None and tuple(choice_bias) != (logits[-1],):
        raise MoEError(
            f"route: choice_bias must be [E] = [{logits[-1]}], got {list(choice_bias)}"
        )
    if valid is None:
        return
    if tuple(valid) != tuple(logits[:-1]):
        raise MoEError(
            f"route: valid must be [S, T] of logits [S, T, E] = {list(logits)}, "
            f"got {list(valid)}"
        )


def check_clamp(activation: str, limit: Any, alpha: Any) -> tuple[float, float]:
    """Limit and alpha as numbers.

    Raises:
        MoEError: They are none, or bound nothing where the activation reads them.
    """
    limit = checks.real("experts", "limit", limit)
    alpha = checks.real("experts", "alpha", alpha)
    if activation == "clamped_swiglu":
        if not (math.isfinite(limit) and limit >= 0):
            raise MoEError(
                f"experts: limit is {limit}; it bounds values from both sides, so it "
                "must be a finite number, zero or more"
            )
        if not math.isfinite(alpha):
            raise MoEError(f"experts: alpha is {alpha}; it must be a finite number")
    return limit, alpha


def check_expert_shapes(
    x: Sequence[Any],
    plan: Sequence[Sequence[Any]],
    shapes: Mapping[str, Sequence[Any]],
    layout: str,
) -> None:
    """Raises MoEError unless plan, weights and biases fit x and each other.

    Args:
        x: Shape of x.
        plan: Shapes of the plan's ``expert_offsets`` and ``token_offsets``.
        shapes: Shapes of the given weights and biases by name.
        layout: "nk" or "kn".
    """
    if len(x) != 3:
        raise MoEError(f"experts: x must be [S, T, H], got {list(x)}")
    (ends,), (sequences, token_ends) = plan
    experts, tokens = ends - 1, token_ends - 1
    if x[0] != sequences or x[1] != tokens:
        raise MoEError(
            f"experts: x is {list(x)}, and the plan is of {sequences} sequences of "
            f"{tokens} tokens; x must be [S, T, H] of the same S and T"
        )
    hidden = x[-1]
    down = shapes["down"]
    if len(down) != 3:
        raise MoEError(f"experts: down must have rank 3, got {list(down)}")
    inner = down[2] if layout == "nk" else down[1]
    for name, shape in shapes.items():
        base = name.removesuffix("_bias")
        outputs = (
            hidden if base == "down" else 2 * inner if base == "gate_up" else inner
        )
        inputs = inner if base == "down" else hidden
        matrix = (outputs, inputs) if layout == "nk" else (inputs, outputs)
        want = (experts, outputs) if name.endswith("_bias") else (experts, *matrix)
        if tuple(shape) != want:
            raise MoEError(
                f"experts: {name} must be {list(want)} (E = {experts}, H = "
                f"{hidden}, I = {inner}, layout '{layout}'), got {list(shape)}"
            )


@dataclasses.dataclass(frozen=True)
class RouteOptions:
    """Attributes of a ``route`` marker, by their names in the marker."""

    k: int
    scope: str
    score: str
    normalize: str
    scale: float
    eps: float
    norm_min: float
    n_group: int
    topk_group: int
    group_score: str
    floor: int
    cap: int
    rank_logits: bool
    layer: str

    @classmethod
    def make(
        cls,
        k: int,
        *,
        experts: int,
        rank: int,
        scope: str,
        score: str,
        normalize: str,
        groups: tuple[int, int, str] | None,
        floor: int,
        cap: int | None,
        scale: float,
        eps: float,
        norm_min: float,
        rank_logits: bool,
        layer: str,
    ) -> RouteOptions:
        """Checks options against the routing contract.

        Args:
            experts: E, the last dimension of the logits.
            rank: Rank of the logits.

        Raises:
            MoEError: Says which rule is broken.
        """
        check_choice("route", "scope", scope, ("token", "sequence"))
        check_choice("route", "score", score, SCORES)
        check_choice("route", "normalize", normalize, ("none", "sum", "softmax"))
        n_group, topk_group, group_score = checks.groups("route", groups)
        check_choice("route", "group score", group_score, ("max", "top2_sum"))
        if not isinstance(layer, str):
            raise MoEError(f"route: layer is {layer!r}; it must be a name, a string")
        options = cls(
            k=checks.integer("route", "k", k),
            scope=scope,
            score=score,
            normalize=normalize,
            scale=checks.real("route", "scale", scale),
            eps=checks.real("route", "eps", eps),
            norm_min=checks.real("route", "norm_min", norm_min),
            n_group=n_group,
            topk_group=topk_group,
            group_score=group_score,
            floor=checks.integer("route", "floor", floor),
            cap=NO_CAP if cap is None else checks.integer("route", "cap", cap),
            rank_logits=checks.flag("route", "rank_logits", rank_logits),
            layer=layer,
        )
        problem = _shape_problem(rank, scope) or _moe.check_options(
            {**options.attributes(), "cap": cap}, int(experts)
        )
        if problem:
            raise MoEError(f"route: {problem}", where=layer)
        return options

    def attributes(self) -> dict[str, Any]:
        """The options as a dictionary, in marker order."""
        return dataclasses.asdict(self)


def _shape_problem(rank: int, scope: str) -> str | None:
    if rank not in (2, 3):
        return f"logits must be [S, T, E] or [T, E], got rank {rank}"
    if rank == 2 and scope != "token":
        return (
            "logits [T, E] say nothing about sequences; scope 'sequence' needs "
            "[S, T, E]"
        )
    return None
