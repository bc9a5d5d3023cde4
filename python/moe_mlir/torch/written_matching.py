"""What a layer computes whose routing is written out, found by running it."""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn
from torch.func import functional_call

from moe_mlir.torch.blocks import MoEBlock
from moe_mlir.torch.experts_recipes import TOLERANCE, ExpertsRecipe
from moe_mlir.torch.matching import search
from moe_mlir.torch.probing import SEEDS, Observation, special_logits
from moe_mlir.torch.recipes import Parameters, Recipe
from moe_mlir.torch.written_gates import (
    NotMatched,
    Run,
    Written,
    measure_gates,
    observe,
)
from moe_mlir.torch.written_layer import attribute_at
from moe_mlir.torch.written_readings import readings


def match(written: Written, wide: Written) -> tuple[int, Recipe]:
    """Which of the :func:`readings` the experts are, and the recipe of the router.

    Args:
        written: The block in its own type.
        wide: The same in f32.

    Raises:
        NotMatched: There are none.
    """
    _check_sequences(wide)
    place, k = _choose_reading(wide)
    block = MoEBlock(wide.path, wide.block, wide.block, "\0")
    runs = _observations(wide, place, torch.float32)
    if written is not wide:
        runs += _observations(written, place, written.dtype)
    recipe, nearest = search(
        block, wide.layer.experts, Parameters.read(wide.block.modules()), runs, k
    )
    if recipe is None:
        raise NotMatched(f"routes as no recipe does: {nearest}")
    return place, recipe


def _check_sequences(written: Written) -> None:
    """Raises unless the experts' rows are those of the first sequence, the next, ..."""
    layer, graph = written.layer, written.graph
    order = graph.order([layer.hidden, layer.sequences], {})
    state = written.state(torch.float32, 0)
    flat = pytree.tree_leaves(written.inputs(torch.float32, 0, 24))

    def values() -> dict[Any, Any]:
        bound = graph.bind(lambda p: state.get(p, attribute_at(written.block, p)), flat)
        return graph.run(order, bound, {})

    before = values()
    sequences, tokens, width = before[layer.sequences].shape
    place = next(
        i for i, v in enumerate(flat) if isinstance(v, Tensor) and v.is_floating_point()
    )
    first = torch.zeros(sequences * tokens, dtype=torch.bool)
    first[:tokens] = True
    if flat[place].shape[:2] != (sequences, tokens):
        raise NotMatched("is part of a block whose input is not [S, T, H]")
    flat[place] = flat[place].clone()
    flat[place][0] += 1.0
    changed = values()[layer.hidden] != before[layer.hidden]
    if not torch.equal(changed.reshape(-1, width).any(-1), first):
        raise NotMatched("mixes sequences, or their order, before its experts")


def _choose_reading(wide: Written) -> tuple[int, int]:
    """The place of the first reading that explains a run, and experts per token."""
    runs: dict[str, Run] = {}
    for place, recipe in enumerate(readings(wide.block, wide.layer)):
        layout = recipe.options["layout"]
        if layout not in runs:
            runs[layout] = observe(wide, layout, torch.float32, 0, None)
        gates = measure_gates(wide, recipe, runs[layout])
        if gates is None or not bool((gates != 0).any()):
            continue
        k = int((gates != 0).sum(-1).max())
        if k >= wide.layer.experts:
            raise NotMatched("gives every token to every expert")
        return place, k
    raise NotMatched(
        "has experts that compute what no supported activation and layout computes"
    )


def reading(written: Written, place: int) -> ExpertsRecipe:
    """The reading at a place, of the block's own weights."""
    return next(itertools.islice(readings(written.block, written.layer), place, None))


def _observations(
    written: Written, place: int, dtype: torch.dtype
) -> list[Observation]:
    experts, found = reading(written, place), []
    layout = experts.options["layout"]
    for seed in SEEDS:
        special = special_logits(experts.count, seed)
        for given in (*_pieces(written, special), None):
            run = observe(written, layout, dtype, seed, given)
            gates = measure_gates(written, experts, run)
            if gates is None:
                raise NotMatched("has experts that compute otherwise for other values")
            found.append(_observation(written, run, gates, seed, given))
    return found


def _pieces(written: Written, special: Tensor) -> list[Tensor]:
    """The special logits in pieces of as many tokens as the block can take."""
    args, kwargs = written.inputs(torch.float32, 0, len(special))
    hidden = next(
        v
        for v in pytree.tree_leaves((args, kwargs))
        if isinstance(v, Tensor) and v.is_floating_point()
    )
    return list(torch.split(special, hidden.numel() // hidden.shape[-1]))


def _observation(
    written: Written, run: Run, gates: Tensor, seed: int, given: Tensor | None
) -> Observation:
    count = gates.shape[-1]
    size_of = run.change[0].abs().amax(-1, keepdim=True).clamp_min(1e-30)
    strongest = gates.abs().amax(-1, keepdim=True)
    noise = run.rest * torch.finfo(run.dtype).eps / TOLERANCE[run.dtype]
    least = noise / size_of * strongest
    seen = gates.abs() >= least
    return Observation(
        run.logits,
        written.state(run.dtype, seed),
        torch.arange(count).expand(len(gates), count),
        torch.where(seen | gates.isnan(), gates, 0.0).to(run.dtype),
        run.softmax_of_chosen,
        given is not None,
        None,
        least.nan_to_num(0.0, 0.0),
    )


def agrees(written: Written, replaced: nn.Module) -> bool:
    """Whether ``replaced``, which holds the block as ``block``, gives what it gives."""
    dtype = written.dtype
    for seed, rows in zip(SEEDS, (14, 30, 6), strict=True):
        args, kwargs = written.inputs(dtype, seed + 7, rows)
        state = written.state(dtype, seed + 7)
        want = functional_call(written.block, state, args, kwargs)
        state = {f"block.{name}": value for name, value in state.items()}
        have = functional_call(replaced, state, args, kwargs)
        ours, theirs = map(pytree.tree_leaves, (have, want))
        if len(ours) != len(theirs):
            return False
        for one, other in zip(ours, theirs, strict=True):
            if not _same(one, other, TOLERANCE[dtype]):
                return False
    return True


def _same(have: Any, want: Any, tolerance: float) -> bool:
    if not isinstance(want, Tensor):
        return bool(have == want)
    if have.shape != want.shape or have.dtype != want.dtype:
        return False
    if not want.is_floating_point() or not want.numel():
        return torch.equal(have, want)
    difference = (have.float() - want.float()).abs().max()
    return bool(difference <= tolerance * 2 * want.float().abs().max())
