#!/usr/bin/env python3
"""Regenerates test/Import/fixtures/*.mlir from the PyTorch and JAX front ends.

usage: PYTHONPATH=build/python make_import_fixtures.py [--check] [NAME ...]

The fixtures let the compiler's import passes be tested where neither framework is
installed. --check compares what the front ends give now with what is checked in, by
operation counts, and exits non-zero on a difference.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "test" / "Import" / "fixtures"

SEQUENCES, TOKENS, HIDDEN, INNER, EXPERTS, K = 2, 5, 16, 12, 8, 2


def _array(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    return (rng.standard_normal(shape) * 0.3).astype(np.float32)


def _olmoe(dtype_name: str) -> str:
    import torch
    from moe_mlir.torch.importer import import_torch
    from transformers import OlmoeConfig
    from transformers.models.olmoe.modeling_olmoe import OlmoeSparseMoeBlock

    config = OlmoeConfig(
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_experts=EXPERTS,
        num_experts_per_tok=K,
        norm_topk_prob=True,
    )
    torch.manual_seed(0)
    dtype = getattr(torch, dtype_name)
    block: torch.nn.Module = OlmoeSparseMoeBlock(config)  # type: ignore[no-untyped-call]
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.zeros(SEQUENCES, TOKENS, HIDDEN, dtype=dtype)
    return import_torch(block.to(dtype), (x,)).text


def _torch_layer() -> str:
    """Separate weights, biases, padding, sequence scope, a residual connection."""
    import moe_mlir.torch as moe
    import torch
    from moe_mlir.torch.importer import import_torch
    from torch import nn

    class Layer(nn.Module):
        choice_bias: torch.Tensor

        def __init__(self) -> None:
            super().__init__()

            def weight(*shape: int) -> nn.Parameter:
                return nn.Parameter(torch.randn(*shape) * 0.3)

            self.router = nn.Linear(HIDDEN, EXPERTS, bias=False)
            self.register_buffer("choice_bias", torch.randn(EXPERTS))
            self.gate = weight(EXPERTS, INNER, HIDDEN)
            self.up = weight(EXPERTS, INNER, HIDDEN)
            self.down = weight(EXPERTS, HIDDEN, INNER)
            self.down_bias = weight(EXPERTS, HIDDEN)

        def forward(self, x: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
            plan = moe.route(
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
            y = moe.experts(
                x,
                plan,
                gate=self.gate,
                up=self.up,
                down=self.down,
                down_bias=self.down_bias,
            )
            return x + y

    torch.manual_seed(0)
    batch, tokens = torch.export.Dim("batch", min=1), torch.export.Dim("tokens", min=1)
    x = torch.zeros(SEQUENCES, TOKENS, HIDDEN)
    valid = torch.ones(SEQUENCES, TOKENS, dtype=torch.bool)
    dims = {0: batch, 1: tokens}
    return import_torch(Layer(), (x, valid), dynamic_shapes=(dims, dims)).text


def _torch_choice() -> str:
    """A choice made elsewhere; experts without gating."""
    import moe_mlir.torch as moe
    import torch
    from moe_mlir.torch.importer import import_torch
    from torch import nn

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.Parameter(torch.randn(EXPERTS, INNER, HIDDEN))
            self.down = nn.Parameter(torch.randn(EXPERTS, HIDDEN, INNER))

        def forward(
            self, x: torch.Tensor, ids: torch.Tensor, weights: torch.Tensor
        ) -> torch.Tensor:
            plan = moe.plan_from_choice(ids, weights, EXPERTS)
            return moe.experts(x, plan, up=self.up, down=self.down, activation="relu2")

    torch.manual_seed(0)
    x = torch.zeros(SEQUENCES, TOKENS, HIDDEN)
    ids = torch.zeros(SEQUENCES, TOKENS, K, dtype=torch.int64)
    weights = torch.zeros(SEQUENCES, TOKENS, K)
    return import_torch(Layer(), (x, ids, weights), dynamic_shapes={}).text


def _jax_params() -> dict[str, Any]:
    return {
        "router": _array(HIDDEN, EXPERTS),
        "gate_up": _array(EXPERTS, HIDDEN, 2 * INNER),
        "down": _array(EXPERTS, INNER, HIDDEN),
    }


def _jax_layer() -> str:
    import moe_mlir.jax as moe
    from moe_mlir.jax.importer import import_jax

    def layer(params: dict[str, Any], x: Any) -> Any:
        plan = moe.route(x @ params["router"], K, normalize="sum")
        return moe.experts(x, plan, gate_up=params["gate_up"], down=params["down"])

    return import_jax(layer, _jax_params(), _array(SEQUENCES, TOKENS, HIDDEN)).text


def _jax_unmarked() -> str:
    """top_k, a sort, ragged products, rows back in their order; nothing is marked."""
    import jax
    import jax.numpy as jnp
    from jax import lax
    from moe_mlir.jax.importer import import_jax

    def layer(params: dict[str, Any], x: Any) -> Any:
        tokens = x.reshape(-1, HIDDEN)
        scores = jax.nn.softmax(tokens @ params["router"])
        gates, ids = lax.top_k(scores, K)
        flat = ids.reshape(-1)
        order = jnp.argsort(flat)
        sizes = jnp.bincount(flat, length=EXPERTS).astype(jnp.int32)
        rows = lax.ragged_dot(tokens[order // K], params["gate_up"], sizes)
        gate, up = jnp.split(rows, 2, -1)
        rows = lax.ragged_dot(jax.nn.silu(gate) * up, params["down"], sizes)
        rows = rows[jnp.argsort(order)].reshape(-1, K, HIDDEN)
        return jnp.einsum("tkh,tk->th", rows, gates).reshape(x.shape)

    return import_jax(layer, _jax_params(), _array(SEQUENCES, TOKENS, HIDDEN)).text


def _jax_model() -> str:
    """Two layers by a loop over stacked weights, a choice of branch, a sort."""
    import jax
    import jax.numpy as jnp
    import moe_mlir.jax as moe
    from jax import lax
    from moe_mlir.jax.importer import import_jax

    def model(params: dict[str, Any], x: Any, which: Any) -> Any:
        def step(h: Any, weights: dict[str, Any]) -> tuple[Any, Any]:
            plan = moe.route(h @ weights["router"], K, scope="sequence")
            y = moe.experts(h, plan, gate_up=weights["gate_up"], down=weights["down"])
            return h + y, jnp.diff(plan.expert_offsets)

        h, counts = lax.scan(step, x, params)
        h = lax.switch(which, [lambda v: v, jnp.negative, jax.nn.silu], h)
        return h, jnp.sort(counts, axis=-1)

    stacked = jax.tree.map(lambda w: np.stack([w, w]), _jax_params())
    x = _array(SEQUENCES, TOKENS, HIDDEN)
    return import_jax(model, stacked, x, np.int32(1)).text


def _residual(function: Callable[..., Any], *args: Any) -> str:
    """StableHLO without an MoE layer, lowered as the importer does it."""
    import jax
    from jaxlib.mlir import ir
    from moe_mlir.importing.printing import print_generic
    from moe_mlir.jax.lowering import lower, parse

    traced = jax.jit(function, keep_unused=True).trace(*args)
    module = parse(traced.lower(lowering_platforms=("cuda",)).as_text())
    lower(module)
    return print_generic(ir, module)


def _residual_sort() -> str:
    import jax.numpy as jnp

    return _residual(lambda a: (jnp.sort(a, -1), jnp.argsort(a[:, 0])), _array(6, 4))


def _residual_top_k() -> str:
    from jax import lax

    return _residual(lambda a: lax.top_k(a, 2), _array(6, 4))


def _residual_scatter() -> str:
    import jax.numpy as jnp

    def scatter(a: Any, i: Any) -> Any:
        added = jnp.zeros((8, 4)).at[i].add(a)
        return added, jnp.bincount(i, length=8), added.at[i, 1].set(7.0)

    return _residual(scatter, _array(3, 4), np.array([1, 6, 1], np.int32))


def _residual_while() -> str:
    import jax.numpy as jnp
    from jax import lax

    def loop(a: Any) -> Any:
        carry, rows = lax.scan(lambda c, v: (c + v, c * v), jnp.ones(4), a)
        return carry, rows, lax.fori_loop(0, 3, lambda i, v: v * 2 + i, carry)

    return _residual(loop, _array(6, 4))


def _residual_case() -> str:
    import jax.numpy as jnp
    from jax import lax

    def branch(a: Any, i: Any) -> Any:
        chosen = lax.switch(i, [lambda v: v, jnp.negative, lambda v: v * 2], a)
        return chosen, lax.cond(a[0, 0] > 0, lambda v: v, lambda v: v - 1, a)

    return _residual(branch, _array(6, 4), np.int32(2))


def _residual_barrier() -> str:
    from jax import lax

    def barrier(a: Any) -> Any:
        return lax.optimization_barrier(a) + 1  # type: ignore[no-untyped-call]

    return _residual(barrier, _array(6, 4))


FIXTURE_MAKERS: dict[str, Callable[[], str]] = {
    "olmoe_block": lambda: _olmoe("float32"),
    "olmoe_block_bf16": lambda: _olmoe("bfloat16"),
    "torch_layer": _torch_layer,
    "torch_choice": _torch_choice,
    "jax_layer": _jax_layer,
    "jax_model": _jax_model,
    "jax_unmarked": _jax_unmarked,
    "stablehlo_sort": _residual_sort,
    "stablehlo_top_k": _residual_top_k,
    "stablehlo_scatter": _residual_scatter,
    "stablehlo_while": _residual_while,
    "stablehlo_case": _residual_case,
    "stablehlo_barrier": _residual_barrier,
}

HEADER = "// Made by scripts/make_import_fixtures.py; do not edit.\n"


def operation_counts(text: str) -> Counter[str]:
    """How often each operation occurs in generic-form text."""
    return Counter(re.findall(r'"([a-z_]+\.[a-z_0-9]+)"\(', text))


def make(name: str) -> str:
    """The text of a fixture as the front ends give it now."""
    return HEADER + FIXTURE_MAKERS[name]().rstrip() + "\n"


def differs(name: str) -> bool:
    """Whether a checked-in fixture is out of date."""
    old = (FIXTURES / f"{name}.mlir").read_text()
    return operation_counts(make(name)) != operation_counts(old)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="fixtures; all by default")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(FIXTURE_MAKERS)
    if unknown:
        parser.error(f"no such fixture: {', '.join(sorted(unknown))}")
    names = arguments.names or list(FIXTURE_MAKERS)
    if arguments.check:
        old = [name for name in names if differs(name)]
        for name in old:
            print(f"{name}: out of date", file=sys.stderr)
        return int(bool(old))
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for name in names:
        (FIXTURES / f"{name}.mlir").write_text(make(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
