"""A whole MoE layer on the emulator agrees with the CPU but for rounding."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import moe_mlir as moe
import numpy as np
import pytest

E, K, H, I = 6, 2, 72, 40  # noqa: E741


#: A schedule by hand: its second form serves experts with 15 rows on average.
FORMS = """#moe.gpu_matmul<chip = sm_80, forms = [
    <rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 3, lanes = 8,
     least = 0>,
    <rows = 128, columns = 128, depth = 32, warp_rows = 64, stages = 3, lanes = 4,
     least = 15>]>"""


def layer_module(
    element: str,
    scope: str,
    batch: str = "?x?",
    pairs: str = "?",
    by_hand: bool = False,
) -> str:
    """``@main(x, logits, gate_up, down)``: a gated layer with SiLU."""
    chosen = f"{{schedule = {FORMS}}}" if by_hand else ""
    x, plan = (
        f"tensor<{batch}x{H}x{element}>",
        f"!moe.plan<{batch}x{E}, rows = {pairs}>",
    )
    logits = f"tensor<{batch}x{E}xf32>"
    gate_up = f"tensor<{E}x{2 * I}x{H}x{element}>"
    down = f"tensor<{E}x{H}x{I}x{element}>"
    narrow, rows = f"tensor<{pairs}x{I}x{element}>", f"tensor<{pairs}x{H}x{element}>"
    return f"""
  func.func @main(%x: {x}, %logits: {logits},
                  %gu: {gate_up} {{moe.param = "gate_up"}},
                  %d: {down} {{moe.param = "down"}}) -> {x} {{
    %p, %g = moe.route %logits top {K} scope = {scope} score = softmax
        normalize = sum : {logits}
    %r = moe.dispatch %x by %p : {x}, {plan}
    %h = moe.grouped_matmul %r by %p weights(%gu : {gate_up}) layout = nk
        arrangement = concat {chosen} : {rows}, {plan} -> {narrow} {{
    ^bb0(%gate: f32, %up: f32):
      %one = arith.constant 1.0 : f32
      %n = arith.negf %gate : f32
      %e = math.exp %n : f32
      %s = arith.addf %e, %one : f32
      %q = arith.divf %gate, %s : f32
      %v = arith.mulf %q, %up : f32
      %t = arith.truncf %v : f32 to {element}
      moe.yield %t : {element}
    }}
    %o = moe.grouped_matmul %h by %p weights(%d : {down}) layout = nk
        {chosen} : {narrow}, {plan} -> {rows} {{
    ^bb0(%sum: f32):
      %t = arith.truncf %sum : f32 to {element}
      moe.yield %t : {element}
    }}
    %y = moe.combine %o by %p gates(%g : tensor<{pairs}xf32>) : {rows}, {plan}
    return %y : {x}
  }}"""


def values(
    random: np.random.Generator, dtype: str, *sizes: int
) -> np.ndarray[Any, Any]:
    return random.standard_normal(sizes).astype(dtype)


def compiled(
    dtype: str, scope: str, *batch: str, by_hand: bool = False
) -> tuple[Any, Any]:
    """The layer for the emulator, by the forms above if wanted, and for the CPU."""
    random = np.random.default_rng(3)
    weights = {
        "gate_up": values(random, dtype, E, 2 * I, H),
        "down": values(random, dtype, E, H, I),
    }
    element = {"bfloat16": "bf16", "float16": "f16"}[dtype]
    model = moe.Model.from_text(layer_module(element, scope, *batch), weights)
    text = layer_module(element, scope, *batch, by_hand=by_hand)
    on_gpu = moe.Model.from_text(text, weights).compile(target="emulator")
    return on_gpu, model.compile()


def check(models: tuple[Any, Any], dtype: str, sequences: int, tokens: int) -> None:
    random = np.random.default_rng(4)
    step = float(ml_dtypes.finfo(dtype).eps)
    x = values(random, dtype, sequences, tokens, H)
    logits = random.standard_normal((sequences, tokens, E)).astype(np.float32)
    got, want = (model(x, logits).astype(float) for model in models)
    # Rounded three times: after each matmul, and at the end.
    scale = np.abs(want).max(initial=0.0)
    assert np.abs(got - want).max(initial=0.0) <= 3 * step * scale


@pytest.mark.parametrize("scope", ["token", "sequence"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_layer_is_that_of_the_cpu(dtype: str, scope: str) -> None:
    models = compiled(dtype, scope)
    for sequences, tokens in [(2, 5), (1, 60), (1, 1), (1, 0)]:
        check(models, dtype, sequences, tokens)


def test_forms_by_hand() -> None:
    """Few rows of an expert, and enough for the second form of tiles."""
    models = compiled("bfloat16", "sequence", by_hand=True)
    for sequences, tokens in [(2, 5), (1, 60), (3, 20), (1, 0)]:
        check(models, "bfloat16", sequences, tokens)


@pytest.mark.parametrize("scope", ["token", "sequence"])
def test_layer_of_known_sizes(scope: str) -> None:
    """Several blocks route; what they keep between calls is zero at first."""
    models = compiled("bfloat16", scope, "1x60", str(60 * K))
    for _ in range(2):
        check(models, "bfloat16", 1, 60)
