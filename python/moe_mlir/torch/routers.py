"""What the routers of known model families do, as options of ``moe.route``.

A recipe reads a router module and says what ``moe.route`` must be told; whether it is
right is decided by numbers (:mod:`moe_mlir.torch.selfcheck`), never by a class name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True)
class RouterSpec:
    """A router in the compiler's words.

    Attributes:
        recipe: Name of the recipe, for the report.
        logits: ``[T, H]`` to ``[T, E]``; reads the router's parameters when called.
        options: Keyword arguments of :func:`moe_mlir.torch.route`, ``k`` included.
        choice_bias: Reads the bias on the choice, or None.
        cast_gates: The family rounds the gates to the type of the logits.
    """

    recipe: str
    logits: Callable[[Tensor], Tensor]
    options: dict[str, Any]
    choice_bias: Callable[[], Tensor] | None = None
    cast_gates: bool = False


def _softmax_topk(router: Any, *, cast_gates: bool) -> RouterSpec:
    """f32 softmax over all experts, top k, optionally divided by the sum."""
    normalize = getattr(router, "norm_topk_prob", True)
    return RouterSpec(
        recipe="softmax, top k" + (", sum to one" if normalize else ""),
        logits=lambda hidden: F.linear(hidden, router.weight),
        options={
            "k": int(router.top_k),
            "score": "softmax",
            "normalize": "sum" if normalize else "none",
        },
        cast_gates=cast_gates,
    )


Recipe = Callable[[nn.Module], RouterSpec]

_RECIPES: dict[str, Recipe] = {
    "softmax_topk_cast": lambda router: _softmax_topk(router, cast_gates=True),
    "softmax_topk": lambda router: _softmax_topk(router, cast_gates=False),
}

#: Router classes of transformers and the recipe to try first.
KNOWN_ROUTERS: dict[str, str] = {
    "OlmoeTopKRouter": "softmax_topk_cast",
    "MixtralTopKRouter": "softmax_topk",
    "Qwen2MoeTopKRouter": "softmax_topk_cast",
    "Qwen3MoeTopKRouter": "softmax_topk_cast",
}


def candidate_specs(router: nn.Module) -> list[RouterSpec]:
    """Every recipe that can read ``router``, the one for its class first."""
    first = KNOWN_ROUTERS.get(type(router).__name__)
    order = sorted(_RECIPES, key=lambda name: name != first)
    specs = []
    for name in order:
        try:
            specs.append(_RECIPES[name](router))
        except (AttributeError, TypeError):
            continue  # the router lacks what this recipe reads
    return specs
