"""Does an adapted block compute what the original computes? Decided by running both."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from moe_mlir.importing.imported import ImportRefused
from moe_mlir.torch.adapters import MoEBlock, adapted, experts_run_as
from moe_mlir.torch.gates import row_experts
from moe_mlir.torch.plan import RoutePlan
from moe_mlir.torch.routers import KNOWN_ROUTERS, RouterSpec, candidate_specs

_SEEDS = (0, 1, 2)
_SEQUENCES, _TOKENS, _INNER = 2, 6, 8

#: Largest accepted difference relative to the largest value, by type: a few roundings
#: of the original's own intermediate results.
_TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 4e-2, torch.float16: 5e-3}

#: Keys that differ by less, relative to the larger, may be ordered either way: the
#: rounding of the type in which a router may compare them.
_KEY_STEP = {
    torch.float32: 4 * 2.0**-23,
    torch.bfloat16: 2.0**-8,
    torch.float16: 2.0**-11,
}

_SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(-1),
    "sigmoid": lambda logits: logits.sigmoid(),
    "sqrtsoftplus": lambda logits: F.softplus(logits).sqrt(),
    "identity": lambda logits: logits,
}


def choose_spec(block: MoEBlock) -> RouterSpec:
    """The recipe that reproduces the block's router, proven on random inputs.

    Raises:
        ImportRefused: None does, or the block as a whole differs.
    """
    reasons = []
    with _one_thread():
        for spec in candidate_specs(block.router):
            reason = _router_difference(block, spec)
            if reason is None:
                reason = _block_difference(block, spec)
            if reason is None:
                return spec
            reasons.append(f"{spec.recipe}: {reason}")
    raise ImportRefused(
        f"layer '{block.name}': router class {type(block.router).__name__} does not "
        "compute what any supported router computes"
        + (f" ({'; '.join(reasons)})" if reasons else "")
        + f"; supported: {', '.join(KNOWN_ROUTERS)}. Write the layer with "
        "moe_mlir.torch.route and moe_mlir.torch.experts"
    )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """For many tiny operations: waking threads would take longer than they do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _random_state(
    module: nn.Module, dtype: torch.dtype | None, seed: int
) -> dict[str, Tensor]:
    """Random values for all floating-point parameters and buffers of ``module``."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        if value.is_floating_point():
            fan_in = value.shape[-1] if value.dim() > 1 else 1
            values = torch.randn(value.shape, generator=generator) / fan_in**0.5
            state[name] = values.to(value.device, dtype or value.dtype)
    return state


def _router_difference(block: MoEBlock, spec: RouterSpec) -> str | None:
    """Compares routers with random weights, in f32 and in the router's own type."""
    own = next(block.router.parameters()).dtype
    width = _sizes(block)[1]
    for dtype in dict.fromkeys((torch.float32, own)):
        for seed in _SEEDS:
            state = _random_state(block.router, dtype, seed)
            generator = torch.Generator().manual_seed(seed + 100)
            hidden = torch.randn(_SEQUENCES * _TOKENS, width, generator=generator)
            device = next(block.router.parameters()).device
            hidden = hidden.to(device, dtype) * 2
            try:
                original = functional_call(block.router, state, (hidden,))
            except Exception as error:  # whatever an unknown router raises
                return f"it fails on [tokens, {width}] input: {error}"
            with adapted(block, spec):
                # What the block's hook would note.
                adapter: Any = block.router.forward
                adapter.sequences_tokens = (_SEQUENCES, _TOKENS)
                ours = functional_call(block.router, state, (hidden,))
            reason = _compare_routing(original, ours, spec, dtype)
            if reason:
                return reason
    return None


def _compare_routing(
    original: Any, ours: Any, spec: RouterSpec, dtype: torch.dtype
) -> str | None:
    if not isinstance(original, tuple) or len(original) != 3:
        return "it does not return (logits, weights, index)"
    logits, weights, index = original
    if not isinstance(index, Tensor) or index.is_floating_point():
        return "its third result is not an index tensor"
    our_logits, gates, carried = ours
    if weights.dtype != gates.dtype:
        return f"its weights are {weights.dtype}, ours {gates.dtype}"
    tolerance = _TOLERANCE[dtype]
    if not torch.allclose(logits, our_logits, rtol=tolerance, atol=tolerance):
        return "its logits differ"
    if index.shape[-1] != carried.plan.row_token.shape[0] // index.shape[0]:
        return "it chooses another number of experts"
    want, have = _dense_choices(original, ours)
    swapped = _swapped_by_ties(original, ours, spec, dtype)
    if swapped is None:
        return "it chooses experts differently"
    # Experts of equal keys have equal weights; so, sorted, those agree everywhere.
    agree = torch.isclose(want, have, rtol=tolerance, atol=tolerance).all(-1)
    sorted_agree = torch.isclose(
        want.sort(-1).values, have.sort(-1).values, rtol=tolerance, atol=tolerance
    ).all(-1)
    if not torch.where(swapped, sorted_agree, agree).all():
        return "it weights experts differently"
    return None


def _swapped_by_ties(
    original: Any, ours: Any, spec: RouterSpec, dtype: torch.dtype
) -> Tensor | None:
    """``[T]`` bool: the tokens for which the two took different experts of equal keys.

    None: for some token they differ in experts whose keys are not equal.
    """
    want, have = (dense != 0 for dense in _dense_choices(original, ours))
    keys = _SCORES[spec.options["score"]](ours[0].float())
    if ours[2].choice_bias is not None:
        keys = keys + ours[2].choice_bias
    swapped = (want != have).any(-1)
    for token in swapped.nonzero().flatten():
        theirs = keys[token][want[token] & ~have[token]].sort().values
        other = keys[token][have[token] & ~want[token]].sort().values
        if theirs.shape != other.shape:
            return None
        if not torch.allclose(theirs, other, rtol=_KEY_STEP[dtype], atol=0):
            return None
    return swapped


def _dense_choices(original: Any, ours: Any) -> tuple[Tensor, Tensor]:
    """The weights of the original and of ours, ``[T, E]`` each."""
    logits, weights, index = original
    _, gates, carried = ours
    return (
        _dense(index, weights, logits.shape[-1]),
        _dense_of_plan(carried.plan._replace(gates=gates), *logits.shape),
    )


def _dense(index: Tensor, weights: Tensor, experts: int) -> Tensor:
    """``[T, E]`` weights, zero where an expert is not chosen."""
    empty = weights.new_zeros((index.shape[0], experts), dtype=torch.float32)
    return empty.scatter(-1, index, weights.float())


def _dense_of_plan(plan: RoutePlan, tokens: int, experts: int) -> Tensor:
    live = int(plan.expert_offsets[-1])
    dense = plan.gates.new_zeros((tokens, experts), dtype=torch.float32)
    token = plan.row_token[:live].long()
    dense[token, row_experts(plan.expert_offsets, live)] = plan.gates[:live].float()
    return dense


def _block_difference(block: MoEBlock, spec: RouterSpec) -> str | None:
    """Compares whole blocks: random weights of router and experts.

    The experts are made narrow for this (inner size _INNER): what they compute does not
    depend on it, and reading all weights of a large model would take seconds.
    """
    down: Any = block.experts.down_proj
    for seed in _SEEDS:
        state, x = _random_block_input(block, seed)
        results = _run_both(block, spec, state, x)
        if isinstance(results, str):
            return results
        original, ours, routed = results
        if len(routed) != 2:
            return "the block calls its router more than once"
        # A token that goes to another of two equal experts has another output.
        swapped = _swapped_by_ties(routed[0], routed[1], spec, down.dtype)
        if swapped is None:
            return "the block chooses experts differently"
        scale = original.abs().max().item()
        settled = (original - ours).abs().amax(-1).flatten()[~swapped]
        if not (settled <= _TOLERANCE[down.dtype] * scale).all():
            return (
                f"the block's output differs by {settled.max().item():.2g} of "
                f"{scale:.2g}"
            )
    return None


def _random_block_input(block: MoEBlock, seed: int) -> tuple[dict[str, Tensor], Tensor]:
    """Weights by name in the block, and ``[S, T, H]`` hidden states."""
    down: Any = block.experts.down_proj
    count, width = _sizes(block)
    generator = torch.Generator().manual_seed(seed + 200)

    def random(*shape: int) -> Tensor:
        values = torch.randn(shape, generator=generator) / shape[-1] ** 0.5
        placed: Tensor = values.to(down.device, down.dtype)
        return placed

    experts = _child_name(block.block, block.experts)
    state = {
        f"{experts}.gate_up_proj": random(count, 2 * _INNER, width),
        f"{experts}.down_proj": random(count, width, _INNER),
    }
    for name, value in _random_state(block.router, None, seed).items():
        state[f"{_child_name(block.block, block.router)}.{name}"] = value
    return state, random(_SEQUENCES, _TOKENS, width) * width**0.5


def _run_both(
    block: MoEBlock, spec: RouterSpec, state: dict[str, Tensor], x: Tensor
) -> tuple[Tensor, Tensor, list[Any]] | str:
    """The original's output, ours, and what the router returned in each run."""
    routed: list[Any] = []

    def note(module: nn.Module, args: Any, result: Any) -> None:
        del module, args
        routed.append(result)

    hook = block.router.register_forward_hook(note)
    try:
        with experts_run_as(block.experts, "eager"):
            original = _first_result(functional_call(block.block, state, (x,)))
    except Exception as error:  # whatever an unknown block raises
        hook.remove()
        return f"the block fails on [S, T, {x.shape[-1]}] input: {error}"
    try:
        with adapted(block, spec):
            ours = _first_result(functional_call(block.block, state, (x,)))
    except ImportRefused:
        raise
    except Exception as error:  # the block's own code meets the plan
        return (
            "the block does not hand its router's results straight to the "
            f"experts: {error}"
        )
    finally:
        hook.remove()
    return original, ours, routed


def _sizes(block: MoEBlock) -> tuple[int, int]:
    """E and H."""
    gate_up: Any = block.experts.gate_up_proj
    return int(gate_up.shape[0]), int(gate_up.shape[-1])


def _child_name(parent: nn.Module, child: nn.Module) -> str:
    return next(name for name, module in parent.named_children() if module is child)


def _first_result(result: Any) -> Tensor:
    first: Tensor = result[0] if isinstance(result, tuple) else result
    return first
