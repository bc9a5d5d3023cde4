"""Layers whose activation is a math function, on the emulator and on the CPU."""

from __future__ import annotations

import math

import ml_dtypes
import moe_mlir as moe
import numpy as np
import pytest

T, E, K, H, INNER = 13, 6, 2, 24, 20
BF16 = ml_dtypes.bfloat16
DTYPES = {"bf16": BF16, "f16": np.float16}

#: What becomes of the gate %g: lines that end in %a, and the same in float64.
ACTIVATIONS = {
    "gelu": """
      %half = arith.constant 0.5 : f32
      %one = arith.constant 1.0 : f32
      %root = arith.constant 0.70710678 : f32
      %s = arith.mulf %g, %root : f32
      %f = math.erf %s : f32
      %sum1 = arith.addf %f, %one : f32
      %h = arith.mulf %g, %half : f32
      %a = arith.mulf %h, %sum1 : f32""",
    "gelu_tanh": """
      %half = arith.constant 0.5 : f32
      %one = arith.constant 1.0 : f32
      %c = arith.constant 0.044715 : f32
      %root = arith.constant 0.79788456 : f32
      %g2 = arith.mulf %g, %g : f32
      %g3 = arith.mulf %g2, %g : f32
      %cg = arith.mulf %g3, %c : f32
      %in = arith.addf %g, %cg : f32
      %s = arith.mulf %in, %root : f32
      %f = math.tanh %s : f32
      %sum1 = arith.addf %f, %one : f32
      %h = arith.mulf %g, %half : f32
      %a = arith.mulf %h, %sum1 : f32""",
    "tanh": "%a = math.tanh %g : f32",
    "erf": "%a = math.erf %g : f32",
}
#: What a GPU has as instructions, of a quarter of the gate.
STEPS = {
    name: f"""
      %quarter = arith.constant 0.25 : f32
      %s = arith.mulf %g, %quarter : f32
      %a = math.{name} %s{", %g" if name == "copysign" else ""} : f32"""
    for name in ("floor", "ceil", "trunc", "roundeven", "absf", "copysign")
}
IN_NUMPY = {
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "roundeven": np.rint,
    "absf": np.abs,
    "copysign": lambda g: g,
}


erf = np.vectorize(math.erf)


def in_float64(name: str, g: np.ndarray) -> np.ndarray:
    """The activation."""
    if name == "gelu":
        return 0.5 * g * (1 + erf(g * np.sqrt(0.5)))
    if name == "gelu_tanh":
        inner = np.sqrt(2 / np.pi) * (g + 0.044715 * g**3)
        return 0.5 * g * (1 + np.tanh(inner))
    return np.asarray({"tanh": np.tanh, "erf": erf}[name](g))


def layer(name: str, dtype: str) -> str:
    """``@main(x, logits, gate_up, down)``: the second result is the rows between
    the matmuls."""
    x, logits = f"tensor<1x{T}x{H}x{dtype}>", f"tensor<1x{T}x{E}xf32>"
    plan, rows = f"!moe.plan<1x{T}x{E}, rows = {T * K}>", T * K
    gate_up, down = (
        f"tensor<{E}x{2 * INNER}x{H}x{dtype}>",
        f"tensor<{E}x{H}x{INNER}x{dtype}>",
    )
    narrow, wide = f"tensor<{rows}x{INNER}x{dtype}>", f"tensor<{rows}x{H}x{dtype}>"
    tokens = f"tensor<{rows}xi32>"
    return f"""
  func.func @main(%x: {x}, %logits: {logits}, %gu: {gate_up}, %d: {down})
      -> ({x}, {narrow}, {tokens}, tensor<{E + 1}xi32>) {{
    %p, %gates = moe.route %logits top {K} scope = token score = softmax
        normalize = sum : {logits}
    %r = moe.dispatch %x by %p : {x}, {plan}
    %rows = moe.grouped_matmul %r by %p weights(%gu : {gate_up}) layout = nk
        arrangement = concat : {wide}, {plan} -> {narrow} {{
    ^bb0(%g: f32, %u: f32):
      {(ACTIVATIONS | STEPS)[name]}
      %v = arith.mulf %a, %u : f32
      %t = arith.truncf %v : f32 to {dtype}
      moe.yield %t : {dtype}
    }}
    %o = moe.grouped_matmul %rows by %p weights(%d : {down}) layout = nk
        : {narrow}, {plan} -> {wide} {{
    ^bb0(%sum: f32):
      %t = arith.truncf %sum : f32 to {dtype}
      moe.yield %t : {dtype}
    }}
    %y = moe.combine %o by %p gates(%gates : tensor<{rows}xf32>) : {wide}, {plan}
    %rt = moe.plan_field %p row_token : {plan}
    %eo = moe.plan_field %p expert_offsets : {plan}
    return %y, %rows, %rt, %eo : {x}, {narrow}, {tokens}, tensor<{E + 1}xi32>
  }}"""


def sums_of(
    x: np.ndarray, gate_up: np.ndarray, row_token: np.ndarray, offsets: np.ndarray
) -> np.ndarray:
    """Gates and ups of all rows, in float64."""
    expert = np.searchsorted(offsets, np.arange(T * K), side="right") - 1
    rows = x.astype(np.float64)[0][row_token]
    return np.einsum("rh,rnh->rn", rows, gate_up.astype(np.float64)[expert])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_layers(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The activation's rows are next to those of float64, and layers agree."""
    monkeypatch.setenv("PTX_CHECK", "all")
    monkeypatch.setenv("PTX_FINDINGS", "error")
    rng = np.random.default_rng(0)
    shapes = ((1, T, H), (E, 2 * INNER, H), (E, H, INNER))
    x, gate_up, down = (
        (scale * rng.standard_normal(shape)).astype(DTYPES[dtype])
        for shape, scale in zip(shapes, (1.0, 0.5, 0.2), strict=True)
    )
    # From where the functions are flat to where their results are tiny.
    x[0, 0] = 0
    x[0, 1] *= 8
    x[0, 2] *= 2.0**-10
    logits = rng.standard_normal((1, T, E)).astype(np.float32)
    model = moe.Model.from_text(layer(name, dtype))
    inputs = (x, logits, gate_up, down)
    on_cpu = model.compile()(*inputs)
    on_gpu = model.compile(target="emulator")(*inputs)
    for have, want in zip(on_gpu[2:], on_cpu[2:], strict=True):
        assert np.array_equal(have, want)
    row_token, offsets = on_gpu[2:]
    sums = sums_of(x, gate_up, row_token, offsets)
    want = in_float64(name, sums[:, :INNER]) * sums[:, INNER:]
    eps = float(ml_dtypes.finfo(DTYPES[dtype]).eps)
    size = sums_of(abs(x), abs(gate_up), row_token, offsets)
    # Sums in any order, through a function whose slope is below 1.2, the
    # function's own error, and one rounding.
    slack = (
        2.0**-24 * H * (1.2 * size[:, :INNER] * abs(sums[:, INNER:]) + size[:, INNER:])
    )
    slack = slack + (eps / 2 + 2.0**-20) * abs(want) + 2.0**-24
    for result in (on_cpu[1], on_gpu[1]):
        assert (abs(result.astype(np.float64) - want) <= slack).all()
    bound = 2 * eps * abs(on_cpu[0].astype(np.float32)).max()
    difference = on_gpu[0].astype(np.float32) - on_cpu[0].astype(np.float32)
    assert abs(difference).max() <= bound


@pytest.mark.parametrize("name", STEPS)
def test_steps(name: str) -> None:
    """Functions with steps, of whole numbers: exact."""
    rng = np.random.default_rng(1)
    shapes = ((1, T, H), (E, 2 * INNER, H), (E, H, INNER))
    x, gate_up, down = (rng.integers(-2, 3, shape).astype(BF16) for shape in shapes)
    logits = rng.standard_normal((1, T, E)).astype(np.float32)
    model = moe.Model.from_text(layer(name, "bf16")).compile(target="emulator")
    _, rows, row_token, offsets = model(x, logits, gate_up, down)
    sums = sums_of(x, gate_up, row_token, offsets)
    want = IN_NUMPY[name](sums[:, :INNER] / 4) * sums[:, INNER:]
    np.testing.assert_array_equal(rows, want.astype(np.float32).astype(BF16))
