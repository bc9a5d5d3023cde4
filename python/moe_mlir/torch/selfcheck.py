"""Does an adapted block compute what the original computes? Decided by running both."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
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

#: Part of the tokens that may have equal keys at the border of what is chosen.
_TIED_TOKENS = 0.25


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
            reason = _compare_routing(original, ours, _TOLERANCE[dtype])
            if reason:
                return reason
    return None


def _compare_routing(original: Any, ours: Any, tolerance: float) -> str | None:
    if not isinstance(original, tuple) or len(original) != 3:
        return "it does not return (logits, weights, index)"
    logits, weights, index = original
    if not isinstance(index, Tensor) or index.is_floating_point():
        return "its third result is not an index tensor"
    our_logits, gates, carried = ours
    if weights.dtype != gates.dtype:
        return f"its weights are {weights.dtype}, ours {gates.dtype}"
    if not torch.allclose(logits, our_logits, rtol=tolerance, atol=tolerance):
        return "its logits differ"
    want = _dense(index, weights, logits.shape[-1])
    have = _dense_of_plan(carried.plan._replace(gates=gates), *logits.shape)
    if index.shape[-1] != carried.plan.row_token.shape[0] // index.shape[0]:
        return "it chooses another number of experts"
    differing = ((want != 0) != (have != 0)).any(-1)
    # Equal keys may be ordered either way: then the weights, sorted, still agree.
    same_weights = torch.allclose(
        want.sort(-1).values, have.sort(-1).values, rtol=tolerance, atol=tolerance
    )
    if not same_weights or differing.float().mean() > _TIED_TOKENS:
        return "it chooses or weights experts differently"
    settled = ~differing
    if not torch.allclose(want[settled], have[settled], rtol=tolerance, atol=tolerance):
        return "it weights experts differently"
    return None


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
    experts = block.experts
    down: Any = experts.down_proj
    dtype, device = down.dtype, down.device
    count, width = _sizes(block)
    for seed in _SEEDS:
        generator = torch.Generator().manual_seed(seed + 200)

        def random(*shape: int, generator: torch.Generator = generator) -> Tensor:
            values = torch.randn(shape, generator=generator) / shape[-1] ** 0.5
            placed: Tensor = values.to(device, dtype)
            return placed

        state = {
            f"{_child_name(block.block, experts)}.gate_up_proj": random(
                count, 2 * _INNER, width
            ),
            f"{_child_name(block.block, experts)}.down_proj": random(
                count, width, _INNER
            ),
        }
        for name, value in _random_state(block.router, None, seed).items():
            state[f"{_child_name(block.block, block.router)}.{name}"] = value
        x = random(_SEQUENCES, _TOKENS, width) * width**0.5
        try:
            with experts_run_as(experts, "eager"):
                original = _first_result(functional_call(block.block, state, (x,)))
        except Exception as error:  # whatever an unknown block raises
            return f"the block fails on [S, T, {width}] input: {error}"
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
        scale = original.abs().max().item()
        differences = (original - ours).abs().amax(-1)
        differing = ~(differences <= _TOLERANCE[dtype] * scale)
        # Narrow types have equal logits, which the original orders as it likes; so a
        # token may go to another of two equal experts.
        ties = 0.0 if dtype == torch.float32 else _TIED_TOKENS
        if differing.float().mean() > ties:
            return (
                f"the block's output differs by {differences.max().item():.2g} of "
                f"{scale:.2g}"
            )
    return None


def _sizes(block: MoEBlock) -> tuple[int, int]:
    """E and H."""
    gate_up: Any = block.experts.gate_up_proj
    return int(gate_up.shape[0]), int(gate_up.shape[-1])


def _child_name(parent: nn.Module, child: nn.Module) -> str:
    return next(name for name, module in parent.named_children() if module is child)


def _first_result(result: Any) -> Tensor:
    first: Tensor = result[0] if isinstance(result, tuple) else result
    return first
