"""Whole layers whose routing computes its logits, by the host's path."""

from __future__ import annotations

from collections.abc import Iterator

import ml_dtypes
import moe_mlir as moe
import numpy as np
import pytest
from moe_mlir import _moe, gpu
from moe_mlir.gpu_launches import record
from moe_mlir.gpu_model import CompiledGPUModel
from moe_mlir.limits import Limits

K, H, INNER = 2, 64, 32
BF16 = ml_dtypes.bfloat16
SAME = "affine_map<(i, j) -> (i, j)>"


def layer(s: int, t: int, e: int, scope: str, layout: str) -> str:
    """``@main(x, router, gate_up, down)`` returns the layer's result, the logits,
    and the fields of the plan. The logits are rounded to bf16."""
    tokens, rows = s * t, s * t * K
    x, flat = f"tensor<{s}x{t}x{H}xbf16>", f"tensor<{tokens}x{H}xbf16>"
    weight = f"tensor<{e}x{H}xbf16>" if layout == "nk" else f"tensor<{H}x{e}xbf16>"
    k = "n, k" if layout == "nk" else "k, n"
    maps = ", ".join(
        f"affine_map<(m, n, k) -> ({dims})>" for dims in ("m, k", k, "m, n")
    )
    sums, narrow = f"tensor<{tokens}x{e}xf32>", f"tensor<{tokens}x{e}xbf16>"
    logits, plan = f"tensor<{s}x{t}x{e}xbf16>", f"!moe.plan<{s}x{t}x{e}, rows = {rows}>"
    gate_up, down = f"tensor<{e}x{2 * INNER}x{H}xbf16>", f"tensor<{e}x{H}x{INNER}xbf16>"
    inner, outer = f"tensor<{rows}x{INNER}xbf16>", f"tensor<{rows}x{H}xbf16>"
    fields = {
        "expert_offsets": f"tensor<{e + 1}xi32>",
        "row_token": f"tensor<{rows}xi32>",
        "token_row": f"tensor<{rows}xi32>",
    }
    taken = "\n    ".join(
        f"%{name} = moe.plan_field %p {name} : {plan}" for name in fields
    )
    gates = f"tensor<{rows}xf32>"
    types = ", ".join([x, logits, *fields.values(), gates])
    return f"""
  func.func @main(%x: {x}, %w: {weight} {{moe.param = "router"}},
                  %gu: {gate_up} {{moe.param = "gate_up"}},
                  %d: {down} {{moe.param = "down"}}) -> ({types}) {{
    %flat = tensor.collapse_shape %x [[0, 1], [2]] : {x} into {flat}
    %zero = arith.constant 0.0 : f32
    %e0 = tensor.empty() : {sums}
    %i0 = linalg.fill ins(%zero : f32) outs(%e0 : {sums}) -> {sums}
    %m = linalg.matmul indexing_maps = [{maps}] ins(%flat, %w : {flat}, {weight})
        outs(%i0 : {sums}) -> {sums}
    %e1 = tensor.empty() : {narrow}
    %n = linalg.generic {{indexing_maps = [{SAME}, {SAME}],
        iterator_types = ["parallel", "parallel"]}}
        ins(%m : {sums}) outs(%e1 : {narrow}) {{
    ^bb0(%a: f32, %o: bf16):
      %c = arith.truncf %a : f32 to bf16
      linalg.yield %c : bf16
    }} -> {narrow}
    %l = tensor.expand_shape %n [[0, 1], [2]] output_shape [{s}, {t}, {e}]
        : {narrow} into {logits}
    %p, %g = moe.route %l top {K} scope = {scope} score = softmax normalize = sum
        : {logits}
    {taken}
    %r = moe.dispatch %x by %p : {x}, {plan}
    %h = moe.grouped_matmul %r by %p weights(%gu : {gate_up}) layout = nk
        arrangement = concat : {outer}, {plan} -> {inner} {{
    ^bb0(%gate: f32, %up: f32):
      %v = arith.mulf %gate, %up : f32
      %c = arith.truncf %v : f32 to bf16
      moe.yield %c : bf16
    }}
    %o = moe.grouped_matmul %h by %p weights(%d : {down}) layout = nk
        : {inner}, {plan} -> {outer} {{
    ^bb0(%sum: f32):
      %c = arith.truncf %sum : f32 to bf16
      moe.yield %c : bf16
    }}
    %y = moe.combine %o by %p gates(%g : {gates}) : {outer}, {plan}
    return %y, %l, {", ".join(f"%{name}" for name in fields)}, %g : {types}
  }}"""


def inputs(s: int, t: int, e: int, layout: str) -> tuple[np.ndarray, dict[str, object]]:
    rng = np.random.default_rng([s, t, e])

    def draw(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(BF16)

    weights: dict[str, object] = {
        "router": draw(*((e, H) if layout == "nk" else (H, e))),
        "gate_up": draw(e, 2 * INNER, H, scale=0.2),
        "down": draw(e, H, INNER, scale=0.2),
    }
    return draw(s, t, H), weights


def lowered(text: str, router: str, chip: str = "sm_80") -> gpu.LoweredGPU:
    return gpu.lower_gpu(_moe.Module.parse(text), gpu.check_chip(chip), router=router)


@pytest.mark.parametrize("layout", ["nk", "kn"])
@pytest.mark.parametrize("scope", ["token", "sequence"])
@pytest.mark.parametrize(("s", "t", "e"), [(1, 40, 24), (2, 9, 7)])
def test_layers(
    scope: str, s: int, t: int, e: int, layout: str, schedules: Iterator[int]
) -> None:
    """Of the logits that the launch wrote, the plan is the reference's, bit by bit;
    the rest is as with a router apart, whose logits are these but for the order of
    sums."""
    text = layer(s, t, e, scope, layout)
    x, weights = inputs(s, t, e, layout)
    device = gpu.open_device("emulator")
    joined, apart = (
        CompiledGPUModel(lowered(text, router), weights, Limits(1, ()), device)
        for router in ("joined", "apart")
    )
    for _ in schedules:
        y, logits, *plan, gates = joined(x)
        want = moe.route(logits, K, scope=scope, normalize="sum", target="reference")
        for name, got in zip(
            ("expert_offsets", "row_token", "token_row"), plan, strict=True
        ):
            np.testing.assert_array_equal(got, getattr(want, name), name)
        np.testing.assert_array_equal(gates, want.gates)
    other = apart(x)
    router = np.asarray(weights["router"]).astype(np.float64)
    exact = x.astype(np.float64) @ (router.T if layout == "nk" else router)
    size = abs(x.astype(np.float64)) @ abs(router.T if layout == "nk" else router)
    slack = (1 + 2.0**-8) * H * 2.0**-24 * size + 2.0**-8 * abs(exact)
    for made in (logits, other[1]):
        assert (abs(made.astype(np.float64) - exact) <= slack).all()
    if np.array_equal(logits, other[1]):
        np.testing.assert_array_equal(y, other[0])


def test_launches() -> None:
    """The matmul, its tiles and its offsets are no launches any more."""
    text = layer(1, 40, 24, "token", "nk")
    shapes = [(1, 40, H), (24, H), (24, 2 * INNER, H), (24, H, INNER)]
    kernels = {
        router: [
            launch.kernel for launch in record(lowered(text, router), shapes).launches
        ]
        for router in ("joined", "apart", "auto")
    }
    assert [name.split("_")[0] for name in kernels["joined"]] == [
        "route", "grouped", "grouped", "combine"
    ]  # fmt: skip
    assert len(kernels["apart"]) == 7
    # So short a sum is sure to be faster there.
    assert kernels["auto"] == kernels["joined"]
