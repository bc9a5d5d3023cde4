"""Subnormal numbers, infinities and NaN in layers, at every level of x86-64."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from cpu_levels import host_flags
from layer_bounds import expected
from matmul_programs import DTYPES, Program, operands_of
from moe_mlir import _moe
from moe_mlir.cpu import Lowered, lower
from random_layers import Array, Layer, inputs_of, weights_of
from routing_cases import random_logits
from run_layers import execute
from test_matmul_cpu import compile_program
from test_matmul_cpu import execute as execute_program

#: Of x and of the weights: subnormal operands, then subnormal results.
SCALES = {
    "f32": [(2.0**-149, 2.0**20), (2.0**-80, 2.0**-62)],
    "bf16": [(2.0**-133, 2.0**20), (2.0**-80, 2.0**-52)],
    "f16": [(2.0**-24, 1.0), (2.0**-14, 2.0**-12)],
}


def has_bf16_dot(level: str) -> bool:
    return level == "host" and "avx512_bf16" in host_flags()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [0, 1])
def test_subnormal_numbers_are_numbers(level: str, dtype: str, case: int) -> None:
    """But for the products of bf16 pairs, whose instruction takes them for zero."""
    sizes = {"S": 1, "T": 13, "K": 25, "N": 21, "E": 3, "R": 13, "L": 13}
    program = Program(
        sizes, dtype, dtype, "one", "nk", False, True, False, False, (), True, case
    )
    operands, scales = operands_of(program), SCALES[dtype][case]
    weight = operands.weights[0].astype(np.float64)
    rows = operands.x.astype(np.float64)
    sums = np.einsum("rk,rnk->rn", rows, weight[operands.experts]) * np.prod(scales)
    operands.x[...] = (rows * scales[0]).astype(DTYPES[dtype])
    operands.weights[0][...] = (weight * scales[1]).astype(DTYPES[dtype])
    np.testing.assert_array_equal(operands.x.astype(np.float64), rows * scales[0])
    want = sums.astype(np.float32).astype(DTYPES[dtype])
    assert np.any(want != 0)
    if dtype == "bf16" and has_bf16_dot(level):
        want = np.zeros_like(want)
    got = execute_program(program, operands, compile_program(program, level), level)
    np.testing.assert_array_equal(got, want)


def layer_of(dtype: str) -> Layer:
    return Layer(
        sizes={"S": 2, "T": 9, "E": 5, "K": 2, "H": 37, "I": 21},
        dtype=dtype,
        layout="nk",
        arrangement="concat",
        scope="token",
        router="score = softmax normalize = sum",
        padded=False,
        dynamic=False,
        whole=False,
        seed=3,
    )


@dataclasses.dataclass
class Compiled:
    """A layer in machine code."""

    layer: Layer
    lowered: Lowered
    code: bytes

    def run(self, inputs: list[Array], weights: dict[str, Array]) -> Array:
        return execute(self.lowered, self.code, inputs, weights, 1, "end")

    def check(self, inputs: list[Array], weights: dict[str, Array]) -> Array:
        """Runs and compares: numbers within their error, the rest exactly."""
        got = self.run(inputs, weights).astype(np.float64)
        want, error = expected(self.layer, inputs, weights)
        finite = np.isfinite(want)
        np.testing.assert_array_equal(got[~finite], want[~finite])
        assert np.all(abs(got[finite] - want[finite]) <= error[finite])
        return want


@functools.cache
def compile_layer(dtype: str, level: str) -> Compiled:
    layer = layer_of(dtype)
    lowered = lower(_moe.Module.parse(layer.text(), "layer.mlir"), level)
    return Compiled(layer, lowered, lowered.machine_code())


@pytest.fixture(params=DTYPES)
def compiled(request: pytest.FixtureRequest, level: str) -> Compiled:
    return compile_layer(request.param, level)


def test_infinities_and_nan(compiled: Compiled) -> None:
    """They go where arithmetic says, and never to another token or expert."""
    layer = compiled.layer
    inputs, weights = inputs_of(layer), weights_of(layer)
    clean = compiled.run(inputs, weights)

    x, logits = (value.copy() for value in inputs)
    for token, value in enumerate([np.nan, np.inf, -np.inf]):
        x[0, token, 5 * token] = value
    x[1, 4, :] = np.inf
    want = compiled.check([x, logits], weights)
    untouched = np.isfinite(want).all(-1)
    assert untouched.sum() == untouched.size - 4
    got = compiled.run([x, logits], weights)
    assert got[untouched].tobytes() == clean[untouched].tobytes()

    broken = {name: weight.copy() for name, weight in weights.items()}
    broken["gate_up"][2] = np.nan
    broken["down"][3] = np.inf
    want = compiled.check([inputs[0], logits], broken)
    untouched = np.isfinite(want).all(-1)
    assert untouched.any() and not untouched.all()
    got = compiled.run(inputs, broken)
    assert got[untouched].tobytes() == clean[untouched].tobytes()


def test_too_large_is_infinite(compiled: Compiled) -> None:
    """With positive weights nothing cancels, so what overflows stays infinite."""
    inputs = inputs_of(compiled.layer)
    weights = {n: abs(weight) for n, weight in weights_of(compiled.layer).items()}
    inputs[0][0, 3] = 6e4 if compiled.layer.dtype == "f16" else 1e38
    inputs[0][1, 2, 20] = np.inf
    want = compiled.check(inputs, weights)
    assert np.isposinf(want[[0, 1], [3, 2]]).all()
    assert np.isfinite(want).all(-1).sum() == want[..., 0].size - 2


def test_logits_of_infinity_and_nan(compiled: Compiled) -> None:
    inputs, weights = inputs_of(compiled.layer), weights_of(compiled.layer)
    rng = np.random.default_rng(0)
    for _ in range(5):
        logits = random_logits("specials", rng, *inputs[1].shape)
        want = compiled.check([inputs[0], logits], weights)
        assert np.isnan(want).any()
