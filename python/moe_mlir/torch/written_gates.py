"""Measuring the gates of a layer whose routing is written out.

The gates of such a layer are no value that could be read. They are measured: with the
last matrices zero in all but a few output features, other ones for each expert, the
change of the result in the features of expert e is the gate of e times what e makes of
the token, which is known once the experts are.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn
from torch.func import functional_call

from moe_mlir.torch import api
from moe_mlir.torch.experts_recipes import TOLERANCE, ExpertsRecipe
from moe_mlir.torch.probing import (
    GivenLogits,
    in_range,
    random_state,
)
from moe_mlir.torch.recipes import Source
from moe_mlir.torch.written_layer import Layer, Stack, attribute_at
from moe_mlir.torch.written_out import WrittenOut

#: The last matrices are made so much larger than the rest of the block's weights, so
#: that small gates are seen beside what else the block adds.
_LARGER = {torch.float32: 2.0**12, torch.bfloat16: 2.0**12, torch.float16: 1.0}


class NotMatched(Exception):
    """The block is not the layer that its graph suggests; the text says why."""


@dataclasses.dataclass(frozen=True, eq=False)
class Written:
    """A block with its graph, and the call of it that the graph was made of.

    Attributes:
        path: Of the block in the model.
        block: The block.
        graph, layer: Its graph, and what was found there.
        args, kwargs: Of the call.
    """

    path: str
    block: nn.Module
    graph: WrittenOut
    layer: Layer
    args: Any
    kwargs: Any

    def inputs(self, dtype: torch.dtype, seed: int, rows: int) -> tuple[Any, Any]:
        """Arguments with a random first tensor; ``rows`` tokens if sizes are free."""
        flat, spec = pytree.tree_flatten((self.args, self.kwargs))
        tensors = [i for i, v in enumerate(flat) if isinstance(v, Tensor)]
        hidden = next((i for i in tensors if flat[i].is_floating_point()), None)
        if hidden is None:
            raise NotMatched("is part of a block whose input is no hidden states")
        shape = list(flat[hidden].shape)
        value = self.graph.inputs[hidden].meta["val"]
        free = all(isinstance(v, torch.SymInt) for v in value.shape[:2])
        if len(tensors) == 1 and len(shape) == 3 and free:
            shape[:2] = 2, rows // 2
        generator = torch.Generator().manual_seed(seed + 200)
        scale = (1.0, 4.0, 0.1)[seed % 3]
        flat[hidden] = (torch.randn(shape, generator=generator) * scale).to(dtype)
        for i in tensors:
            if i != hidden and flat[i].is_floating_point():
                flat[i] = flat[i].to(dtype)
        args, kwargs = pytree.tree_unflatten(flat, spec)
        return args, kwargs

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(p.dtype for p in self.block.parameters())

    def state(self, dtype: torch.dtype, seed: int) -> dict[str, Tensor]:
        return random_state(self.block, dtype, seed)


@dataclasses.dataclass(frozen=True)
class Run:
    """What one run of a block showed, before anything is known of its experts.

    Attributes:
        hidden: ``[tokens, H]``, input of the experts.
        logits: By source.
        states: The weights of each pass.
        assigned: ``[H]`` of each pass: the expert of each output feature, or E.
        change: ``[tokens, H]`` of each pass: what the experts added to the result.
        rest: ``[tokens, 1]``: the largest of what else is in the result.
        dtype: Of weights and inputs.
        softmax_of_chosen: A softmax over K values was seen.
    """

    hidden: Tensor
    logits: dict[Source, Tensor]
    states: list[dict[str, Tensor]]
    assigned: list[Tensor]
    change: list[Tensor]
    rest: Tensor
    dtype: torch.dtype
    softmax_of_chosen: bool


def main_result(result: Any, tokens: int, width: int) -> Tensor:
    """The first tensor ``[tokens, H]`` of a block's results, with these two sizes."""
    for leaf in pytree.tree_leaves(result):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            if leaf.shape[-1:] == (width,) and leaf.numel() == tokens * width:
                return leaf.reshape(tokens, width)
    raise NotMatched("returns no tensor of the size of its hidden states")


def _down(written: Written, layout: str) -> tuple[Stack, int]:
    """The last matrices, and the axis of their output features in one expert's."""
    return written.layer.matrices[-1], 0 if layout == "nk" else 1


def _masked(
    stack: Stack, state: dict[str, Tensor], keep: Tensor, axis: int, factor: float
) -> dict[str, Tensor]:
    """The state with an expert's output features zero where ``keep [E, H]`` is not."""
    changed = dict(state)
    fused = len(stack.paths) == 1
    for expert, path in enumerate(stack.paths):
        value = state[path]
        mask = keep if fused else keep[expert]
        if len(stack.shape) == 3:
            mask = mask.unsqueeze(-1 if axis == 0 else -2)
        changed[path] = value * mask.to(value.dtype) * factor
    return changed


def observe(
    written: Written,
    layout: str,
    dtype: torch.dtype,
    seed: int,
    given: Tensor | None,
) -> Run:
    layer, block = written.layer, written.block
    count, (down, axis) = layer.experts, _down(written, layout)
    width = down.shape[1 + axis]
    args, kwargs = written.inputs(dtype, seed, 24 if given is None else len(given))
    flat = pytree.tree_leaves((args, kwargs))
    state = written.state(dtype, seed)
    order = written.graph.order([layer.hidden, *layer.logits], {})
    values = written.graph.bind(
        lambda path: state.get(path, attribute_at(block, path)), flat
    )
    replaced: Any = {}
    if given is not None:
        forced = _fitted(given, flat, layer.product.meta["val"].dim(), dtype)
        given = forced.reshape(-1, count)
        replaced = {layer.product: lambda values: forced}
    values = written.graph.run(order, values, replaced)
    hidden = values[layer.hidden].reshape(-1, width)
    logits = {
        Source(node.name, None): values[node].detach().reshape(-1, count)
        for node in layer.logits
    }

    mode = GivenLogits(given, count, layer.position)

    def result(state: dict[str, Tensor]) -> Tensor:
        mode.seen = 0
        with mode:
            raw = functional_call(block, state, args, kwargs)
        return main_result(raw, len(hidden), width)

    biases = [one for one in layer.biases if one.shape[1] == width]
    none = torch.zeros(count, width)

    def with_experts(keep: Tensor, factor: float) -> dict[str, Tensor]:
        made = _masked(down, state, keep, axis, factor)
        for bias in biases:
            made = _masked(bias, made, keep, axis, factor)
        return made

    rest = result(with_experts(none, 1.0))
    every = with_experts(none + 1, 1.0)
    if not torch.equal(result(every).nan_to_num(), result(every).nan_to_num()):
        raise NotMatched("gives other results each time it is called")
    group = max(1, min(count, width // 2))
    states, assigned, changes = [], [], []
    for begin in range(0, count, group):
        of = torch.arange(width) % group + begin
        of = of.clamp(max=count)
        keep = (torch.arange(count)[:, None] == of).float()
        states.append(with_experts(keep, _LARGER[dtype]))
        assigned.append(of)
        changes.append((result(states[-1]) - rest).float())
    largest = rest.float().abs().amax(-1, keepdim=True)
    return Run(
        hidden,
        logits,
        states,
        assigned,
        changes,
        largest,
        dtype,
        mode.softmax_of_chosen,
    )


def _fitted(given: Tensor, flat: list[Any], rank: int, dtype: torch.dtype) -> Tensor:
    """Logits for as many tokens as there are, ``[tokens, E]`` or ``[S, T, E]``."""
    hidden = next(v for v in flat if isinstance(v, Tensor) and v.is_floating_point())
    tokens = hidden.numel() // hidden.shape[-1]
    rows = given.repeat(-(-tokens // len(given)), 1)[:tokens]
    lead = [tokens] if rank == 2 else list(hidden.shape[:2])
    return in_range(rows, dtype).reshape(*lead, given.shape[-1])


class _OnState(nn.Module):
    """So that a recipe reads the weights that ``functional_call`` puts in place."""

    def __init__(self, block: nn.Module, recipe: ExpertsRecipe) -> None:
        super().__init__()
        self.block, self.recipe = block, recipe

    def forward(self, x: Tensor, plan: Any) -> Tensor:
        return api.experts(x, plan, **self.recipe.weights(), **self.recipe.options)


def measure_gates(written: Written, recipe: ExpertsRecipe, run: Run) -> Tensor | None:
    """``[tokens, E]`` gates that explain a run, zero where there is none; or None."""
    count, tokens = recipe.count, len(run.hidden)
    every = torch.arange(count).expand(1, tokens, count)
    plan = api.plan_from_choice(
        every, torch.ones(1, tokens, count, dtype=run.hidden.dtype), count
    )
    gates = torch.zeros(tokens, count + 1)
    for state, assigned, change in zip(
        run.states, run.assigned, run.change, strict=True
    ):
        alone = functional_call(
            _OnState(written.block, recipe),
            {f"block.{name}": value for name, value in state.items()},
            (run.hidden[None], plan),
        )[0].float()
        room = torch.zeros(tokens, count + 1)
        index = assigned.expand(tokens, -1)
        product = room.scatter_add(1, index, (change * alone).nan_to_num(0.0))
        square = room.scatter_add(1, index, alone.square())
        gate = product / square.clamp_min(torch.finfo().tiny)
        left = change - gate.gather(1, index) * alone
        noise = run.rest * torch.finfo(run.dtype).eps * 4
        allowed = TOLERANCE[run.dtype] * 4 * change.abs().amax(-1, keepdim=True)
        if not ((left.abs() <= allowed + noise) | change.isnan()).all():
            return None
        dead = room.scatter_add(1, index, (change != 0).float()) == 0
        gates = gates + gate.masked_fill(dead, 0.0).masked_fill(
            change.isnan().any(-1, keepdim=True), float("nan")
        )
    return gates[:, :count]
