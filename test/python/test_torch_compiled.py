"""PyTorch models, imported, compiled and run: against PyTorch and the rule."""

from __future__ import annotations

import functools
from typing import Any

import moe_mlir
import numpy as np
import oracle
import pytest
import torch
import torch.nn.functional as F
from moe_mlir.torch import experts, route
from torch import Tensor, nn
from torch_models import (
    INNER,
    E,
    H,
    K,
    OwnLayer,
    S,
    Stack,
    T,
    mixtral,
    olmoe,
    qwen3,
    random_weights,
    x_of,
)


@functools.cache
def imported(make: Any, dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """The module and its model."""
    module = make().to(dtype).eval()
    return module, moe_mlir.from_torch(module, (x_of(S, T, H).to(dtype),))


@functools.cache
def compiled(make: Any, scope: str, dtype: torch.dtype = torch.float32) -> Any:
    model = imported(make, dtype)[1]
    return (model if scope == "token" else model.with_scope(scope)).compile()


def olmoe_normalised() -> nn.Module:
    return olmoe(norm=True)


def close(have: Tensor, want: Tensor, tolerance: float = 2e-5) -> None:
    assert have.shape == want.shape and have.dtype == want.dtype
    scale = want.abs().max().item() if want.numel() else 1.0
    torch.testing.assert_close(have, want, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("make", [olmoe, olmoe_normalised, mixtral, qwen3])
@pytest.mark.parametrize("sizes", [(2, 5), (1, 1), (3, 40), (2, 0), (1, 129)])
@torch.no_grad()
def test_token_scope_agrees_with_pytorch(make: Any, sizes: tuple[int, int]) -> None:
    x = x_of(*sizes, H)
    close(compiled(make, "token")(x), imported(make)[0](x))


@torch.no_grad()
def test_sequences_are_routed_apart_bit_for_bit() -> None:
    """Although the block flattens them: three at once are three one by one."""
    x = torch.cat([x_of(1, 9, H) * scale for scale in (0.2, 1.0, 5.0)])
    x[1] = x[1].flip(0)
    f = compiled(olmoe, "sequence")
    together = f(x)
    apart = torch.cat([f(x[i : i + 1]) for i in range(3)])
    assert torch.equal(together, apart)
    # One budget for the whole batch, or for each token, gives other results.
    assert not torch.equal(together, f(x.reshape(1, 27, H)).reshape(3, 9, H))
    assert not torch.equal(together, compiled(olmoe, "token")(x))


def reference_layer(block: Any, x: Tensor, **options: Any) -> tuple[Tensor, float]:
    """An OLMoE block with the oracle's choice, and the choice's smallest key gap.

    Where two keys nearly agree, the compiled product may round them the other way.
    """
    logits = F.linear(x, block.gate.weight)
    plan = oracle.route(logits.numpy(), K, **options)
    sequences, tokens = x.shape[:2]
    dense = torch.zeros(sequences * tokens, E)
    for e in range(E):
        rows = slice(plan.expert_offsets[e], plan.expert_offsets[e + 1])
        token = torch.from_numpy(plan.row_token[rows]).long()
        dense[token, e] = torch.from_numpy(plan.gates[rows])
    dense = dense.view(sequences, tokens, E)
    key = logits.softmax(-1).flatten(1).sort(-1, descending=True).values
    gap = (key[:, K * tokens - 1] - key[:, K * tokens]).min().item()
    both = torch.einsum("sth,eih->stei", x, block.experts.gate_up_proj)
    gate, up = both.chunk(2, -1)
    y = torch.einsum("stei,ehi->steh", F.silu(gate) * up, block.experts.down_proj)
    return (y * dense[..., None]).sum(2), gap


@torch.no_grad()
def test_sequence_scope_agrees_with_the_oracle() -> None:
    block, _ = imported(olmoe)
    compared = 0
    for tokens in (1, 7, 33):
        x = torch.randn(3, tokens, H, generator=torch.Generator().manual_seed(tokens))
        want, gap = reference_layer(block, x, scope="sequence")
        if gap < 1e-6:
            continue
        close(compiled(olmoe, "sequence")(x), want)
        compared += 1
    assert compared == 3


@torch.no_grad()
def test_floor_and_cap_reach_the_compiled_code() -> None:
    block, model = imported(olmoe)
    f = model.with_scope("sequence", floor=1, cap=3).compile()
    x = torch.randn(2, 31, H, generator=torch.Generator().manual_seed(5)) * 2
    want, _ = reference_layer(block, x, scope="sequence", floor=1, cap=3)
    free, _ = reference_layer(block, x, scope="sequence")
    close(f(x), want)
    assert not torch.allclose(want, free)


@pytest.mark.parametrize("make", [olmoe, mixtral])
@torch.no_grad()
def test_bf16_block_agrees_with_pytorch_within_its_rounding(make: Any) -> None:
    """PyTorch rounds every intermediate result to bf16, we round once or twice."""
    x = x_of(3, 40, H).bfloat16()
    block, _ = imported(make, torch.bfloat16)
    have = compiled(make, "token", torch.bfloat16)(x)
    exact = make()(x.float())
    want = block(x)
    assert have.dtype == torch.bfloat16
    scale = exact.abs().max()
    ours, theirs = ((y.float() - exact).abs() / scale for y in (have, want))
    # bf16 logits may tie or swap near the border: such tokens choose other experts.
    settled = (ours.amax(-1) < 0.03) & (theirs.amax(-1) < 0.03)
    assert settled.float().mean() > 0.9
    assert ours[settled].square().mean() <= 1.5 * theirs[settled].square().mean()


@torch.no_grad()
def test_an_own_layer_runs_as_it_does_in_pytorch() -> None:
    torch.manual_seed(0)
    layer = random_weights(OwnLayer())
    f = moe_mlir.from_torch(layer, (x_of(S, T, H),)).compile()
    for sizes in ((2, 5), (3, 17)):
        x = x_of(*sizes, H)
        close(f(x), layer(x))


class Padded(nn.Module):
    """Padding on either side, a bias on the choice, groups, separate weights."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(H, E, bias=False)
        self.register_buffer("choice_bias", torch.randn(E))
        self.gate = nn.Parameter(torch.randn(E, INNER, H))
        self.up = nn.Parameter(torch.randn(E, INNER, H))
        self.down = nn.Parameter(torch.randn(E, H, INNER))
        self.down_bias = nn.Parameter(torch.randn(E, H))

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        plan = route(
            self.router(x),
            K,
            scope="sequence",
            score="sigmoid",
            normalize="sum",
            choice_bias=self.choice_bias,
            groups=(4, 2, "top2_sum"),
            floor=1,
            eps=1e-20,
            scale=2.5,
            valid=valid,
        )
        y = experts(
            x,
            plan,
            gate=self.gate,
            up=self.up,
            down=self.down,
            down_bias=self.down_bias,
        )
        return x + y


@torch.no_grad()
def test_padding_left_or_right_changes_nothing() -> None:
    torch.manual_seed(0)
    layer = random_weights(Padded())
    everything = torch.ones(S, T, dtype=torch.bool)
    f = moe_mlir.from_torch(layer, (x_of(S, T, H), everything)).compile()
    x = x_of(1, 9, H)
    alone = f(x, torch.ones(1, 9, dtype=torch.bool))
    close(alone, layer(x, torch.ones(1, 9, dtype=torch.bool)))
    padded = torch.full((2, 14, H), 3.0)
    valid = torch.zeros(2, 14, dtype=torch.bool)
    padded[0, :9], padded[1, 5:] = x[0], x[0]
    valid[0, :9], valid[1, 5:] = True, True
    y = f(padded, valid)
    assert torch.equal(y[0, :9], alone[0]) and torch.equal(y[1, 5:], alone[0])
    assert torch.equal(y[~valid], padded[~valid])  # only the residual connection


@torch.no_grad()
def test_one_layer_of_a_stack_is_switched() -> None:
    stack = Stack(olmoe(), olmoe(norm=True), OwnLayer()).eval()
    stack = random_weights(stack)
    model = moe_mlir.from_torch(stack, (x_of(S, T, H),))
    assert [layer["layer"] for layer in model.layers] == [
        "layers.0", "layers.1", "layers.2"
    ]  # fmt: skip
    x = x_of(2, 9, H)
    close(model.compile()(x), stack(x), 1e-4)
    switched = model.with_scope("sequence", layers="layers.1")
    scopes = [layer["scope"] for layer in switched.layers]
    assert scopes == ["token", "sequence", "sequence"]
    assert not torch.equal(switched.compile()(x), model.compile()(x))


@torch.no_grad()
def test_numpy_arrays_and_threads_give_the_same_bits() -> None:
    _, model = imported(olmoe)
    x = x_of(3, 40, H)
    one, two = (model.compile(threads=n) for n in (1, 2))
    assert torch.equal(one(x), two(x))
    assert np.array_equal(one(x.numpy()), one(x).numpy())


@torch.no_grad()
def test_a_choice_made_elsewhere() -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.Parameter(torch.randn(E, INNER, H))
            self.down = nn.Parameter(torch.randn(E, H, INNER))

        def forward(self, x: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
            plan = moe_mlir.torch.plan_from_choice(ids, weights, E)
            return experts(x, plan, up=self.up, down=self.down, activation="relu2")

    torch.manual_seed(0)
    layer = random_weights(Layer())
    x, ids, weights = (
        x_of(S, T, H),
        torch.randint(-1, E, (S, T, K)),
        torch.rand(S, T, K),
    )
    f = moe_mlir.from_torch(layer, (x, ids, weights)).compile()
    close(f(x, ids, weights), layer(x, ids, weights))


@torch.no_grad()
def test_a_router_of_plain_code() -> None:
    """Its top k is a sort that torch-mlir leaves to the compiler."""

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router = nn.Linear(H, E, bias=False)
            self.up = nn.Parameter(torch.randn(E, INNER, H))
            self.down = nn.Parameter(torch.randn(E, H, INNER))

        def forward(self, x: Tensor) -> Tensor:
            weights, ids = self.router(x).softmax(-1).topk(K, -1, sorted=False)
            plan = moe_mlir.torch.plan_from_choice(ids, weights.pow(3), E)
            return experts(x, plan, up=self.up, down=self.down, activation="gelu")

    layer = random_weights(Layer())
    model = moe_mlir.from_torch(layer, (x_of(S, T, H),))
    entry = model.report["layers"][0]
    assert entry["status"] == "plain" and "plan_from_choice" in entry["why"]
    x = x_of(3, 17, H)
    close(model.compile()(x), layer(x))
