"""What the experts of model families compute, in the words of ``moe.experts``.

The weights are found by their names, the layout by their shapes, the activation by its
class; all of it is believed only after the original and ours gave the same numbers.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from moe_mlir.torch import api
from moe_mlir.torch.blocks import MoEBlock, plain_experts
from moe_mlir.torch.dense import run_on_all, takes_rows_only
from moe_mlir.torch.recipes import Parameters

_INNER = 6
_TOKENS, _K = 12, 2

#: Largest accepted difference relative to the largest value, by type: a few roundings
#: of the original's own intermediate results.
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 4e-2, torch.float16: 5e-3}

#: Classes of activations; what they compute is checked.
_ACTIVATIONS = {
    "SiLU": "silu",
    "SiLUActivation": "silu",
    "GELU": "gelu",
    "GELUActivation": "gelu",
    "GELUTanh": "gelu_tanh",
    "PytorchGELUTanh": "gelu_tanh",
    "NewGELUActivation": "gelu_tanh",
    "ReLU": "relu",
    "ReLUSquaredActivation": "relu2",
}

#: Names of (gate, up, down) in experts that are modules of their own.
_LINEARS = (
    ("gate_proj", "up_proj", "down_proj"),
    ("w1", "w3", "w2"),
    ("wi_0", "wi_1", "wo"),
    (None, "up_proj", "down_proj"),
    (None, "wi", "wo"),
    (None, "fc1", "fc2"),
)


@dataclasses.dataclass(frozen=True)
class ExpertsRecipe:
    """Experts in the compiler's words.

    Attributes:
        count: Number of experts E.
        weights: Reads the weights and biases, by the names that
            :func:`moe_mlir.torch.experts` gives them, when called.
        options: The other keyword arguments of :func:`moe_mlir.torch.experts`.
        narrow: Shapes of the experts' parameters with a small inner size, by name in
            the module; {} where they are only known as they are.
    """

    count: int
    weights: Callable[[], dict[str, Any]]
    options: dict[str, Any]
    narrow: dict[str, tuple[int, ...]]

    @property
    def width(self) -> int:
        """H."""
        down = self.weights()["down"]
        return int(down.shape[1 if self.options["layout"] == "nk" else 2])


def expert_count(experts: nn.Module) -> int | None:
    """E as the module says it, or as its weights have it."""
    for name in ("down_proj", "gate_up_proj"):
        value = getattr(experts, name, None)
        if isinstance(value, Tensor) and value.dim() == 3:
            return int(value.shape[0])
    named = _separate_experts(experts)
    if named:
        return len(named)
    count = getattr(experts, "num_experts", None)
    return count if isinstance(count, int) else None


def choose_experts(block: MoEBlock) -> ExpertsRecipe | str:
    """The recipe that computes what the experts compute, or why there is none."""
    if getattr(block.experts, "has_post_expert_norm", False):
        return "has a norm after each expert"
    if getattr(block.experts, "_is_expert_parallel", False):
        return "is spread over devices (expert parallelism)"
    reason = "has weights of no known names and shapes"
    for recipe in _candidates(block.experts):
        if takes_rows_only(block.experts):
            recipe.options["gate_on"] = "input"
        found = _difference(block, recipe)
        if found is None:
            return recipe
        reason = found
    inner = [type(child).__name__ for child in block.experts.children()]
    return f"{reason} (its modules: {', '.join(inner[:4])})" if inner else reason


def _candidates(experts: nn.Module) -> Iterator[ExpertsRecipe]:
    """Every reading of the weights with every activation, the likely ones first."""
    parameters = Parameters.read([experts])
    activations = activations_to_try(experts, parameters)
    for reading in (*_fused(experts), *_flat(experts), *_separate(experts)):
        for activation in activations:
            options = reading.options | activation
            ungated = "gate_up" not in reading.weights() and (
                "gate" not in reading.weights()
            )
            if ungated and options["activation"] == "clamped_swiglu":
                continue
            yield dataclasses.replace(reading, options=options)


def activations_to_try(
    experts: nn.Module, parameters: Parameters
) -> list[dict[str, Any]]:
    """Activations to try: the one named by a class, the clamped ones, the others."""
    named = [
        _ACTIVATIONS[type(child).__name__]
        for child in experts.modules()
        if type(child).__name__ in _ACTIVATIONS
    ]
    plain: list[dict[str, Any]] = [
        {"activation": name} for name in dict.fromkeys([*named, *_ACTIVATIONS.values()])
    ]
    clamped: list[dict[str, Any]] = [
        {"activation": "clamped_swiglu", "limit": limit, "alpha": alpha}
        for limit, alpha in itertools.product(
            parameters.numbers("limit"), parameters.numbers("alpha")
        )
    ]
    return [*clamped, *plain]


def _tensor(module: nn.Module, name: str) -> Tensor | None:
    value = getattr(module, name, None)
    return value if isinstance(value, Tensor) else None


def _fused(experts: Any) -> Iterator[ExpertsRecipe]:
    """Three-dimensional weights ``gate_up_proj`` (or ``up_proj``) and ``down_proj``."""
    down = _tensor(experts, "down_proj")
    both, up = _tensor(experts, "gate_up_proj"), _tensor(experts, "up_proj")
    first = both if both is not None else up
    if down is None or first is None or down.dim() != 3 or first.dim() != 3:
        return
    name = "gate_up" if both is not None else "up"
    names = {name: f"{name}_proj", "down": "down_proj"}
    for key in (name, "down"):
        if _tensor(experts, f"{key}_proj_bias") is not None:
            names[f"{key}_bias"] = f"{key}_proj_bias"
    parts = 2 if both is not None else 1
    count, h = down.shape[0], 0
    for layout in ("kn", "nk") if _is_transposed(experts) else ("nk", "kn"):
        if layout == "nk":
            h, inner = down.shape[1:]
            fits = tuple(first.shape) == (count, parts * inner, h)
            shapes = [(count, parts * _INNER, h), (count, h, _INNER)]
        else:
            inner, h = down.shape[1:]
            fits = tuple(first.shape) == (count, h, parts * inner)
            shapes = [(count, h, parts * _INNER), (count, _INNER, h)]
        if not fits:
            continue
        narrow: dict[str, tuple[int, ...]] = {
            names[name]: shapes[0], names["down"]: shapes[1]
        }  # fmt: skip
        if f"{name}_bias" in names:
            narrow[names[f"{name}_bias"]] = (count, parts * _INNER)
        if "down_bias" in names:
            narrow[names["down_bias"]] = (count, h)
        interleaved = not getattr(experts, "is_concatenated", True)
        order = ("interleaved", "concat") if interleaved else ("concat", "interleaved")
        for arrangement in order if parts == 2 else ("concat",):
            options = {"layout": layout, "arrangement": arrangement}
            yield ExpertsRecipe(
                count,
                lambda: {key: getattr(experts, path) for key, path in names.items()},
                options,
                narrow,
            )


def _is_transposed(experts: Any) -> bool:
    return bool(getattr(experts, "is_transposed", False))


def _flat(experts: Any) -> Iterator[ExpertsRecipe]:
    """All experts below each other in matrices ``w1``, ``v1``, ``w2``, ``[E*I, H]``."""
    inner = getattr(experts, "mlp", None)
    count = getattr(experts, "num_experts", None)
    flat = [_tensor(inner, name) for name in ("w1", "v1", "w2")] if inner else []
    if not isinstance(count, int) or not flat or any(w is None for w in flat):
        return
    if any(w is not None and w.shape[0] % count for w in flat):
        return

    def weights() -> dict[str, Tensor]:
        gate, up, down = (
            getattr(inner, name).unflatten(0, (count, -1))
            for name in ("w1", "v1", "w2")
        )
        return {"gate": gate, "up": up, "down": down.transpose(1, 2)}

    yield ExpertsRecipe(count, weights, {"layout": "nk"}, {})


def _separate_experts(experts: nn.Module) -> list[nn.Module]:
    """Sub-modules numbered 0 to E-1, in this order."""
    numbered = {}
    for name, child in experts.named_children():
        match = re.fullmatch(r"(?:expert_?)?(\d+)", name)
        if match is None:
            return []
        numbered[int(match[1])] = child
    return [numbered[i] for i in sorted(numbered)]


def _separate(experts: nn.Module) -> Iterator[ExpertsRecipe]:
    """One module of linear layers for each expert; the weights are stacked."""
    modules = _separate_experts(experts)
    if not modules:
        return
    for gate, up, down in _LINEARS:
        names = {"gate": gate, "up": up, "down": down}
        present = {key: name for key, name in names.items() if name}
        if not all(
            isinstance(getattr(m, n, None), nn.Linear)
            for m in modules
            for n in present.values()
        ):
            continue

        def weights(present: dict[str, str] = present) -> dict[str, Tensor]:
            found = {}
            for key, name in present.items():
                linears: list[Any] = [getattr(m, name) for m in modules]
                found[key] = torch.stack([linear.weight for linear in linears])
                if linears[0].bias is not None:
                    found[f"{key}_bias"] = torch.stack([one.bias for one in linears])
            return found

        yield ExpertsRecipe(len(modules), weights, {"layout": "nk"}, {})


def _difference(block: MoEBlock, recipe: ExpertsRecipe) -> str | None:
    """Compares experts with random weights, in f32 and in their own type."""
    own = next(block.experts.parameters()).dtype
    for dtype in dict.fromkeys((torch.float32, own)):
        for seed, scale in ((0, 1.0), (1, 8.0)):
            reason = _difference_on(block, recipe, dtype, seed, scale)
            if reason:
                return reason
    return None


def _difference_on(
    block: MoEBlock, recipe: ExpertsRecipe, dtype: torch.dtype, seed: int, scale: float
) -> str | None:
    from moe_mlir.torch.probing import random_state

    generator = torch.Generator().manual_seed(seed + 300)
    count = recipe.count
    k = min(_K, count)
    hidden = torch.randn(_TOKENS, recipe.width, generator=generator) * scale
    index = torch.rand(_TOKENS, count, generator=generator).topk(k).indices
    weights = torch.rand(_TOKENS, k, generator=generator) + 0.1
    hidden, weights = hidden.to(dtype), weights.to(dtype)
    state = random_state(block.experts, dtype, seed, recipe.narrow)
    if takes_rows_only(block.experts):
        index = torch.arange(count).expand(_TOKENS, count)
        weights = torch.ones(_TOKENS, count, dtype=dtype)
    try:
        with plain_experts(block.experts):
            want = _original(block, state, hidden, index, weights)
    except Exception as error:  # whatever unknown experts raise
        return f"fails on rows [tokens, {recipe.width}]: {error}"
    plan = api.plan_from_choice(index[None], weights[None], count)
    have = functional_call(
        _Ours(block.experts, recipe),
        {f"experts.{name}": value for name, value in state.items()},
        (hidden[None], plan),
    )[0]
    if not isinstance(want, Tensor) or want.numel() != have.numel():
        return "does not return one row for each of its rows"
    difference = (want.reshape(have.shape).float() - have.float()).abs().max()
    largest = want.float().abs().max()
    if not difference <= TOLERANCE[dtype] * largest:
        return "computes what no supported activation and layout computes"
    return None


def _original(
    block: MoEBlock,
    state: dict[str, Tensor],
    hidden: Tensor,
    index: Tensor,
    weights: Tensor,
) -> Any:
    """Runs the experts' own code, which reads all rows, an index or a mask."""
    count = expert_count(block.experts)
    assert count is not None
    if takes_rows_only(block.experts):
        return run_on_all(block.experts, state, hidden, count)
    if _separate_experts(block.experts):
        index = nn.functional.one_hot(index, count)
    return functional_call(block.experts, state, (hidden, index, weights))


class _Ours(nn.Module):
    """So that a recipe reads the weights that ``functional_call`` puts in place."""

    def __init__(self, experts: nn.Module, recipe: ExpertsRecipe) -> None:
        super().__init__()
        self.experts, self.recipe = experts, recipe

    def forward(self, x: Tensor, plan: Any) -> Tensor:
        return api.experts(x, plan, **self.recipe.weights(), **self.recipe.options)
