"""A hand-written MoE layer, and what it computes, in NumPy."""

from typing import Any

import moe_mlir as moe
import numpy as np
import numpy.typing as npt
import oracle
from moe_mlir.arrays import DTYPES

Array = npt.NDArray[Any]


def layer_text(e: int, k: int, h: int, i: int, dtype: str = "f32") -> str:
    """``@main``: x [S, T, h] -> [S, T, h], a SwiGLU layer of e experts.

    Weights: ``router`` [h, e] (f32), ``gate_up`` [e, 2i, h], ``down`` [e, h, i].
    """
    x, plan = f"tensor<?x?x{h}x{dtype}>", f"!moe.plan<?x?x{e}, rows = ?>"
    up, down = f"tensor<{e}x{2 * i}x{h}x{dtype}>", f"tensor<{e}x{h}x{i}x{dtype}>"
    cast = {"f32": "arith.addf %v, %zero", "bf16": "arith.extf %v"}[dtype]
    types = {"f32": "f32", "bf16": "bf16 to f32"}[dtype]
    end = "" if dtype == "f32" else f"    %h = arith.truncf %r : f32 to {dtype}\n"
    last = "%r" if dtype == "f32" else "%h"
    return f"""
#map = affine_map<(s, t, e, h) -> (s, t, h)>
#map1 = affine_map<(s, t, e, h) -> (h, e)>
#map2 = affine_map<(s, t, e, h) -> (s, t, e)>
func.func @main(%x: {x}, %router: tensor<{h}x{e}xf32> {{moe.param = "router"}},
    %gate_up: {up} {{moe.param = "gate_up"}},
    %down: {down} {{moe.param = "down"}}) -> {x} {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %s = tensor.dim %x, %c0 : {x}
  %t = tensor.dim %x, %c1 : {x}
  %empty = tensor.empty(%s, %t) : tensor<?x?x{e}xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x?x{e}xf32>)
      -> tensor<?x?x{e}xf32>
  %logits = linalg.generic {{indexing_maps = [#map, #map1, #map2],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}}
      ins(%x, %router : {x}, tensor<{h}x{e}xf32>)
      outs(%fill : tensor<?x?x{e}xf32>) {{
  ^bb0(%v: {dtype}, %w: f32, %acc: f32):
    %f = {cast} : {types}
    %p = arith.mulf %f, %w : f32
    %a = arith.addf %acc, %p : f32
    linalg.yield %a : f32
  }} -> tensor<?x?x{e}xf32>
  %plan, %gates = moe.route %logits top {k} scope = token score = softmax
      normalize = none {{layer = "layers.0.mlp"}} : tensor<?x?x{e}xf32>
  %rows = moe.grouped_matmul %x by %plan weights(%gate_up : {up}) layout = nk
      arrangement = concat : {x}, {plan} -> tensor<?x{i}x{dtype}> {{
  ^bb0(%gate: f32, %u: f32):
    %one = arith.constant 1.0 : f32
    %n = arith.negf %gate : f32
    %x1 = math.exp %n : f32
    %d = arith.addf %one, %x1 : f32
    %q = arith.divf %gate, %d : f32
    %r = arith.mulf %q, %u : f32
{end}    moe.yield {last} : {dtype}
  }}
  %y = moe.grouped_matmul %rows by %plan weights(%down : {down}) layout = nk
      : tensor<?x{i}x{dtype}>, {plan} -> tensor<?x{h}x{dtype}> {{
  ^bb0(%r: f32):
{end}    moe.yield {last} : {dtype}
  }}
  %sum = moe.combine %y by %plan gates(%gates : tensor<?xf32>)
      : tensor<?x{h}x{dtype}>, {plan}
  return %sum : {x}
}}
"""


def layer_weights(
    e: int, h: int, i: int, dtype: str = "f32", seed: int = 0
) -> dict[str, Array]:
    """Seeded weights of the layer."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        return (rng.standard_normal(shape) / shape[-1] ** 0.5).astype(np.float32)

    return {
        "router": normal(h, e),
        "gate_up": normal(e, 2 * i, h).astype(DTYPES[dtype]),
        "down": normal(e, h, i).astype(DTYPES[dtype]),
    }


def layer_model(
    e: int = 8, k: int = 2, h: int = 32, i: int = 16, dtype: str = "f32"
) -> moe.Model:
    return moe.Model.from_text(
        layer_text(e, k, h, i, dtype),
        layer_weights(e, h, i, dtype),
        {"name": "layer", "inputs": [{"name": "x"}]},
    )


def layer_reference(
    x: Array, weights: dict[str, Array], k: int, scope: str = "token"
) -> npt.NDArray[np.float64]:
    """The layer in f64, on the oracle's plan for f32 logits."""
    logits = x.astype(np.float32) @ weights["router"]
    plan = oracle.route(logits, k=k, scope=scope)
    tokens = x.astype(np.float64).reshape(-1, x.shape[-1])
    result = np.zeros_like(tokens)
    for e, (begin, end) in enumerate(
        zip(plan.expert_offsets[:-1], plan.expert_offsets[1:], strict=True)
    ):
        chosen = plan.row_token[begin:end]
        hidden = tokens[chosen] @ weights["gate_up"][e].astype(np.float64).T
        gate, up = np.split(hidden, 2, axis=1)
        rows = (gate / (1 + np.exp(-gate)) * up) @ weights["down"][e].astype(float).T
        result[chosen] += rows * plan.gates[begin:end, None]
    return result.reshape(x.shape)
