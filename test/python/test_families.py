"""MoE blocks of model families: raised, equal to PyTorch, and switched to sequences."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import family_blocks
import moe_mlir
import numpy as np
import oracle
import pytest
import torch
from family_blocks import E, H, K
from torch import Tensor, nn

torch.set_num_threads(1)

#: What the router of each family computes, as its authors' code reads.
RAISED: dict[str, dict[str, Any]] = {
    "olmoe": {"score": "softmax"},
    "mixtral": {"score": "softmax", "normalize": "sum"},
    "qwen2_moe": {"score": "softmax"},
    "qwen3_moe": {"score": "softmax"},
    "deepseek_v2": {"score": "softmax", "groups": (4, 2, "max"), "scale": 2.5},
    "deepseek_v3": {
        "score": "sigmoid", "bias": "gate.e_score_correction_bias", "normalize": "sum",
        "groups": (4, 2, "top2_sum"), "scale": 2.5, "eps": 1e-20,
    },
    "gpt_oss": {"score": "softmax", "normalize": "softmax"},
    "granitemoe": {"score": "softmax", "normalize": "softmax"},
    "minimax_m2": {
        "score": "sigmoid", "bias": "e_score_correction_bias", "normalize": "sum",
    },
    "glm4_moe": {
        "score": "sigmoid", "bias": "gate.e_score_correction_bias", "normalize": "sum",
        "groups": (4, 2, "top2_sum"), "scale": 2.5, "eps": 1e-20,
    },
    "ernie4_5_moe": {
        "score": "softmax", "bias": "gate.moe_statics.e_score_correction_bias",
        "normalize": "sum", "norm_min": 1e-12,
    },
    "jamba": {"score": "softmax"},
    "llama4": {"score": "sigmoid"},
}  # fmt: skip
#: Routers that are not of the form of the contract.
PLAIN = ("phimoe", "switch_transformers")
ROUTERS = ("gate", "router")


@functools.cache
def families() -> dict[str, family_blocks.Family]:
    return {family.name: family for family in family_blocks.families()}


@functools.cache
def block_of(name: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    return family_blocks.small_block(families()[name], dtype)


@functools.cache
def model_of(name: str, dtype: torch.dtype = torch.float32) -> Any:
    return moe_mlir.from_torch(block_of(name, dtype), (x_of(3, 7).to(dtype),))


@functools.cache
def compiled(name: str, scope: str, dtype: torch.dtype = torch.float32) -> Any:
    model = model_of(name, dtype)
    return (model if scope == "token" else model.with_scope(scope)).compile()


def x_of(*sizes: int) -> Tensor:
    return torch.randn(*sizes, H, generator=torch.Generator().manual_seed(1))


def first(result: Any) -> Tensor:
    """The hidden states; some blocks return scores or logits as well."""
    return result[0] if isinstance(result, tuple) else result


def close(have: Tensor, want: Tensor) -> None:
    assert have.shape == want.shape and have.dtype == want.dtype
    tolerance = 2e-5 * want.abs().max().item()
    torch.testing.assert_close(have, want, rtol=0, atol=tolerance)


@contextlib.contextmanager
def gated_by(block: Any, gates_of: Any) -> Any:
    """The block's own code, but its experts weighted by ``gates_of(logits)``.

    Every expert is called for every token, with weights ``[tokens, E]`` most of which
    are zero; so nothing of the compiler's is in the result.
    """
    router = next(getattr(block, name) for name in ROUTERS if hasattr(block, name))
    dense = type(block).__name__.startswith("Llama4")
    gates: list[Tensor] = []

    def note(module: Any, args: Any, result: Any) -> Any:
        gates[:] = [gates_of(result[1 if dense else 0])]
        return (gates[0], result[1]) if dense else None

    original = block.experts.forward

    def every(hidden: Tensor, *rest: Any) -> Tensor:
        index = torch.arange(E).expand(hidden.shape[0], E)
        return original(hidden, index, gates[0])

    hook = router.register_forward_hook(note)
    if not dense:
        block.experts.forward = every
    try:
        yield
    finally:
        hook.remove()
        block.experts.__dict__.pop("forward", None)


def oracle_gates(block: nn.Module, shape: tuple[int, int], **options: Any) -> Any:
    """A function from logits to dense gates ``[tokens, E]`` by the NumPy oracle."""
    path = options.pop("bias", None)
    values = {**dict(block.named_parameters()), **dict(block.named_buffers())}
    bias = values[path].detach().float().reshape(-1).numpy() if path else None

    def gates(logits: Tensor) -> Tensor:
        array = logits.detach().float().reshape(*shape, E).numpy()
        plan = oracle.route(array, K, choice_bias=bias, **options)
        dense = np.zeros((shape[0] * shape[1], E), np.float32)
        for e in range(E):
            rows = slice(plan.expert_offsets[e], plan.expert_offsets[e + 1])
            dense[plan.row_token[rows], e] = plan.gates[rows]
        return torch.from_numpy(dense)

    return gates


@pytest.mark.parametrize("name", RAISED)
@torch.no_grad()
def test_a_named_family_is_raised_and_equal_in_both_scopes(name: str) -> None:
    block, model = block_of(name), model_of(name)
    assert [layer["status"] for layer in model.report["layers"]] == ["raised"]
    for sizes in ((3, 7), (1, 33), (2, 1)):
        x = x_of(*sizes)
        want = first(block(x))
        close(first(compiled(name, "token")(x)), want)
        with gated_by(block, oracle_gates(block, sizes, **RAISED[name])):
            close(first(block(x)), want)  # the table above says what PyTorch does
        options = RAISED[name] | {"scope": "sequence"}
        with gated_by(block, oracle_gates(block, sizes, **options)):
            flipped = first(block(x))
        close(first(compiled(name, "sequence")(x)), flipped)
        if sizes == (1, 33):
            assert (flipped - want).abs().max() > 1e-2 * want.abs().max()


@pytest.mark.parametrize("name", PLAIN)
@torch.no_grad()
def test_a_router_of_another_kind_stays_plain_and_runs(name: str) -> None:
    block, model = block_of(name), model_of(name)
    (layer,) = model.report["layers"]
    assert layer["status"] == "plain" and "nearest recipe is" in layer["why"]
    for sizes in ((3, 7), (1, 33)):
        x = x_of(*sizes)
        close(first(compiled(name, "token")(x)), first(block(x)))


@pytest.mark.parametrize("name", ["deepseek_v3", "gpt_oss", "ernie4_5_moe", "llama4"])
@torch.no_grad()
def test_bf16_agrees_with_pytorch_within_its_rounding(name: str) -> None:
    agrees_in_bf16(name)


def agrees_in_bf16(name: str) -> None:
    """Both within rounding of the f32 result, but for tokens at the border of a choice,

    which take experts of keys that are equal in bf16.
    """
    x = x_of(3, 40).bfloat16()
    block = block_of(name, torch.bfloat16)
    exact = first(block_of(name).__class__.forward(as_float(block), x.float()))
    have = first(compiled(name, "token", torch.bfloat16)(x))
    want = first(block(x))
    assert have.dtype == want.dtype == torch.bfloat16
    scale = exact.abs().max()
    ours, theirs = ((y.float() - exact).abs() / scale for y in (have, want))
    settled = (ours.amax(-1) < 0.03) & (theirs.amax(-1) < 0.03)
    assert settled.float().mean() > 0.9
    assert ours[settled].square().mean() <= 1.5 * theirs[settled].square().mean()


def as_float(block: nn.Module) -> nn.Module:
    """A copy in f32 with the same, rounded, weights."""
    import copy

    return copy.deepcopy(block).float()
