"""One model written in PyTorch and in plain JAX; StableHLO's interpreter as a third."""

from __future__ import annotations

from typing import Any

import jax
import jax_layers as layers
import moe_mlir
import moe_mlir.torch as moe_torch
import numpy as np
import pytest
import torch
from jax.interpreters.mlir import make_ir_context
from jax_layers import E, H, K, params, x
from jaxlib.mlir import ir, passmanager
from jaxlib.mlir.dialects import stablehlo
from test_jax_compiled import close
from torch import Tensor, nn

stablehlo.register_stablehlo_passes()


class TorchModel(nn.Module):
    """Two layers with residual sums: sigmoid, a bias, gates divided by their sum."""

    def __init__(self) -> None:
        super().__init__()
        given = params()
        self.router = nn.Linear(H, E, bias=False)
        self.router.weight = nn.Parameter(torch.from_numpy(given["router"].T.copy()))
        self.bias = nn.Parameter(torch.from_numpy(given["bias"]))
        for name in ("gate", "up", "down"):
            value = given[name].swapaxes(1, 2).copy()
            setattr(self, name, nn.Parameter(torch.from_numpy(value)))

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            plan = moe_torch.route(
                self.router(x),
                K,
                score="sigmoid",
                normalize="sum",
                scale=2.5,
                eps=1e-6,
                choice_bias=self.bias,
            )
            weights = {name: getattr(self, name) for name in ("gate", "up", "down")}
            x = x + moe_torch.experts(x, plan, **weights)
        return x


def jax_model(p: Any, x: Any) -> Any:
    for _ in range(2):
        x = x + layers.layer_of(layers.sigmoid_bias, layers.by_sort)(p, x)
    return x


@pytest.mark.parametrize("scope", ["token", "sequence"])
def test_both_give_equal_results(scope: str) -> None:
    from_torch = moe_mlir.from_torch(TorchModel(), (torch.from_numpy(x()),))
    from_jax = moe_mlir.from_jax(jax_model, params(), x())
    for a, b in zip(from_torch.layers, from_jax.layers, strict=True):
        for name in a.keys() - {"layer"}:
            same = a[name] == b[name] or abs(a[name] / b[name] - 1) < 1e-6
            assert same, name  # JAX rounds eps to f32.
    y, z = (m.with_scope(scope).compile()(x()) for m in (from_torch, from_jax))
    close(np.asarray(z), np.asarray(y), 1e-6)


def interpreted(function: Any, *args: Any) -> np.ndarray:
    """The first result of a function, by StableHLO's reference interpreter."""
    traced = jax.jit(function, keep_unused=True).trace(*args)
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    module = ir.Module.parse(text, context=make_ir_context())
    passes = "builtin.module(func.func(chlo-legalize-to-stablehlo))"
    with module.context, ir.Location.unknown():
        passmanager.PassManager.parse(passes).run(module.operation)
        given = [
            ir.DenseElementsAttr.get(np.ascontiguousarray(leaf))
            for leaf in jax.tree.leaves(args)
        ]
        (result,) = stablehlo.eval_module(module, given)
    return np.array(result).reshape(result.type.shape).astype(np.float32)


@pytest.mark.parametrize(
    "layer",
    [
        layers.layer_of(layers.softmax_sum, layers.by_sort),
        layers.layer_of(layers.top_k_softmax, layers.by_segments),
        layers.layer_of(layers.sigmoid_bias, layers.by_gate_matrix),
    ],
    ids=lambda f: f.__name__,
)
def test_the_interpreter_of_stablehlo_agrees(layer: Any) -> None:
    y = moe_mlir.from_jax(layer, params(), x()).compile()(x())
    close(y, interpreted(layer, params(), x()))
