"""Answers for floats.cu, wmma.cu, mma.cu and wgmma.cu."""

import math
from typing import Any

import ml_dtypes
import numpy as np

from foreign.case import BFLOAT, Case, bits, blocks, kernel
from foreign.tensor_map import tensor_map


@kernel("floats.cu")
def functions(random: np.random.Generator) -> Case:
    n = 300
    x = random.uniform(-3, 3, n).astype(np.float32)
    v, i = x.astype(np.float64), np.arange(n)
    want = np.zeros((n, 12))
    want[:, 0] = np.exp(v)
    want[:, 1] = np.log(np.abs(v) + 0.5)
    want[:, 2] = np.sin((x * np.float32(40)).astype(np.float64))
    want[:, 3] = np.tanh(v)
    want[:, 4] = [math.erf(value) for value in v]
    want[:, 5] = np.cbrt(v)
    want[:, 6] = (np.abs(x) + np.float32(0.1)).astype(np.float64) ** np.float32(2.7)
    want[:, 7] = np.arctan2(v, (np.float32(0.3) - x).astype(np.float64))
    want[:, 8] = np.sqrt(np.abs(v)) / (v * v + 1)
    want[:, 9] = np.fmod(x * np.float32(100), np.float32(7.25))
    want[:, 10] = np.ldexp(v, i % 20 - 10) + np.rint(x * np.float32(9))
    want[:, 10] += np.floor(v) + np.trunc(x * np.float32(3))
    want[:, 11] = 1 / np.sqrt(np.abs(v) + 0.25) + np.hypot(v, 2)
    args = [x, np.zeros(want.shape, np.float32), np.int32(n)]
    expected = {1: want.astype(np.float32)}
    return Case(blocks(n, 64), (64, 1, 1), args, expected, tolerance=(2e-6, 2e-6))


@kernel("floats.cu")
def double_functions(random: np.random.Generator) -> Case:
    n = 200
    x = random.uniform(-4, 4, n)
    want = np.zeros((n, 8))
    want[:, 0] = np.exp(x)
    want[:, 1] = np.log1p(np.abs(x))
    want[:, 2] = np.cos(x * 50)
    want[:, 3] = np.sqrt(np.abs(x)) / (1 + x * x)
    want[:, 4] = (np.abs(x) + 0.1) ** -1.3
    want[:, 5] = [math.erfc(value) for value in x]
    want[:, 6] = np.ceil(x * 8)
    want[:, 7] = np.arctan(x) + [math.gamma(abs(value) + 1) for value in x]
    args = [x, np.zeros_like(want), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, {1: want}, tolerance=(1e-14, 1e-14))


def round_down(x: np.ndarray) -> np.ndarray:
    """f64 to f32 toward negative infinity."""
    near = x.astype(np.float32)
    below = np.nextafter(near, np.float32(-np.inf))
    return np.where(near.astype(np.float64) > x, below, near).astype(np.float64)


def toward_zero(x: np.ndarray, dtype: Any) -> np.ndarray:
    """f64 to a narrower float toward zero."""
    near = x.astype(dtype)
    smaller = np.nextafter(near, dtype(0))
    return np.where(np.abs(near.astype(np.float64)) > np.abs(x), smaller, near)


@kernel("floats.cu")
def conversions(random: np.random.Generator) -> Case:
    n = 250
    x = random.uniform(-60, 60, n).astype(np.float32)
    v, i = x.astype(np.float64), np.arange(n)
    want = np.zeros((n, 10))
    want[:, 0] = x.astype(np.float16).astype(np.float64) + toward_zero(v, np.float16)
    want[:, 1] = x.astype(BFLOAT)
    want[:, 2] = np.rint(v) + np.ceil(v)
    want[:, 3] = np.floor(np.abs(v)) - np.trunc(x * np.float32(1e6)).astype(np.float64)
    wrapped = (i * 123456789).astype(np.uint32).view(np.int32).astype(np.float64)
    unsigned = (i * 987654321).astype(np.uint32).astype(np.float64)
    want[:, 4] = toward_zero(wrapped, np.float32)
    upward = -round_down(-unsigned)
    want[:, 4] = (want[:, 4].astype(np.float32) + upward.astype(np.float32)).astype(
        np.float32
    )
    want[:, 5] = round_down(v / 3) + round_down(-v / 3)
    want[:, 6] = x.astype(ml_dtypes.float8_e4m3fn)
    want[:, 7] = x.astype(ml_dtypes.float8_e5m2)
    whole = v.astype(np.int32).astype(np.int8).astype(np.float64)
    triple = (x * np.float32(3)).astype(np.int32).astype(np.uint8)
    want[:, 8] = whole + triple
    scaled = (x * np.float32(1e15)).astype(np.int64).astype(np.float64)
    want[:, 9] = scaled + np.trunc(x.astype(np.float16).astype(np.float64))
    args = [x, np.zeros_like(want), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, {1: want})


@kernel("floats.cu")
def half_horner(random: np.random.Generator) -> Case:
    n = 100
    h = random.uniform(-1, 1, (n, 2)).astype(np.float16)
    b = bits(random.uniform(-1, 1, (n, 2)))

    def horner(x: np.ndarray) -> np.ndarray:
        # A product of two narrow floats and a sum are exact enough in f64 to round
        # once: the fused operation of the hardware.
        p = np.full(x.shape, 0.125)
        for k in range(1, 6):
            p = (p * x.astype(np.float64) + k).astype(x.dtype).astype(np.float64)
        return p.astype(x.dtype)

    expected = {
        2: np.maximum(horner(h), -h),
        3: np.minimum(np.abs(horner(b)), b),
    }
    args = [h, b, np.zeros_like(h), np.zeros_like(b), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, expected)


@kernel("floats.cu")
def bodies(random: np.random.Generator) -> Case:
    grid, n, steps = 2, 64, 3
    state = random.uniform(-1, 1, (grid, n, 4)).astype(np.float32)
    state[:, :, 3] = np.abs(state[:, :, 3])
    place, mass = state[:, :, :3].astype(np.float64), state[:, :, 3].astype(np.float64)
    speed = np.zeros_like(place)
    for _ in range(steps):
        apart = place[:, None, :, :] - place[:, :, None, :]
        square = (apart**2).sum(3) + 0.01
        force = mass[:, None, :] / square**1.5
        speed += 0.01 * (force[:, :, :, None] * apart).sum(2)
        place = place + 0.01 * speed
    energy = 0.5 * (mass * (speed**2).sum(2)).sum(1)
    want = np.concatenate([place, mass[:, :, None]], 2).astype(np.float32)
    args = [state, np.zeros(grid), np.int32(n), np.int32(steps)]
    expected = {0: want, 1: energy}
    tolerance = (1e-4, 1e-5)
    return Case((grid, 1, 1), (64, 1, 1), args, expected, tolerance)


def matrices(
    random: np.random.Generator, m: int, n: int, k: int, dtype: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Small integers A (m x k) and B (k x n), so that every sum is exact, and A B."""
    a, b = random.integers(-4, 5, (m, k)), random.integers(-4, 5, (k, n))
    return a.astype(dtype), b.astype(dtype), a @ b


def wmma_case(
    random: np.random.Generator, dtype: Any, result: Any, transposed: bool
) -> Case:
    m, n, k = 48, 64, 64
    a, b, c = matrices(random, m, n, k, dtype)
    b = np.ascontiguousarray(b.T) if transposed else b
    sizes = [np.int32(size) for size in (m, n, k)]
    args = [a, b, np.zeros((m, n), result), *sizes]
    return Case((3, 1, 1), (128, 1, 1), args, {2: c.astype(result)})


@kernel("wmma.cu")
def wmma_f16(random: np.random.Generator) -> Case:
    return wmma_case(random, np.float16, np.float32, transposed=False)


@kernel("wmma.cu")
def wmma_f16_accumulate(random: np.random.Generator) -> Case:
    return wmma_case(random, np.float16, np.float16, transposed=True)


@kernel("wmma.cu")
def wmma_bf16(random: np.random.Generator) -> Case:
    return wmma_case(random, BFLOAT, np.float32, transposed=True)


@kernel("wmma.cu")
def wmma_tf32(random: np.random.Generator) -> Case:
    return wmma_case(random, np.float32, np.float32, transposed=False)


@kernel("wmma.cu")
def wmma_s8(random: np.random.Generator) -> Case:
    return wmma_case(random, np.int8, np.int32, transposed=True)


@kernel("wmma.cu")
def wmma_f64(random: np.random.Generator) -> Case:
    m, n, k = 16, 24, 20
    a, b = random.standard_normal((m, k)), random.standard_normal((k, n))
    args = [a, b, np.zeros((m, n)), np.int32(n), np.int32(k)]
    return Case((3, 2, 1), (32, 1, 1), args, {2: a @ b}, tolerance=(1e-13, 1e-14))


@kernel("mma.cu")
def gemm_bf16(random: np.random.Generator) -> Case:
    m, n, k = 128, 64, 160
    a, b = bits(random.standard_normal((m, k))), bits(random.standard_normal((k, n)))
    want = a.astype(np.float64) @ b.astype(np.float64)
    sizes = [np.int32(size) for size in (m, n, k)]
    args = [a, b, np.zeros((m, n), np.float32), *sizes]
    expected = {2: want.astype(np.float32)}
    return Case((1, 2, 1), (128, 1, 1), args, expected, tolerance=(1e-5, 1e-4))


@kernel("mma.cu")
def gemm_tf32(random: np.random.Generator) -> Case:
    m, n, k = 37, 45, 50
    a, b = random.standard_normal((m, k)), random.standard_normal((n, k))
    a, b = a.astype(np.float32), b.astype(np.float32)
    sizes = [np.int32(size) for size in (m, n, k)]
    args = [a, b, np.zeros((m, n), np.float32), *sizes]
    want = a.astype(np.float64) @ b.T.astype(np.float64)
    expected = {2: want.astype(np.float32)}
    return Case((3, 3, 1), (64, 1, 1), args, expected, tolerance=(2e-3, 2e-2))


@kernel("mma.cu")
def gemm_s8(random: np.random.Generator) -> Case:
    m, n, k, shift = 32, 24, 96, 9
    a = random.integers(-128, 128, (m, k), dtype=np.int8)
    b = random.integers(-128, 128, (n, k), dtype=np.int8)
    want = np.clip(a.astype(int) @ b.T.astype(int) >> shift, -128, 127)
    args = [a, b, np.zeros((m, n), np.int8), *map(np.int32, (n, k, shift))]
    return Case((3, 2, 1), (32, 1, 1), args, {2: want.astype(np.int8)})


@kernel("mma.cu")
def attention(random: np.random.Generator) -> Case:
    length, scale = 128, 0.125
    q, k, v = random.standard_normal((3, length, 64)).astype(np.float16)
    scores = q.astype(np.float64) @ k.T.astype(np.float64) * scale
    e = np.exp(scores - scores.max(1, keepdims=True))
    want = e / e.sum(1, keepdims=True) @ v.astype(np.float64)
    out = np.zeros((length, 64), np.float32)
    args = [q, k, v, out, np.int32(length), np.float32(scale)]
    expected = {3: want.astype(np.float32)}
    return Case((2, 1, 1), (128, 1, 1), args, expected, tolerance=(1e-2, 1e-3))


# The accumulators of wgmma must stay in registers while it runs; code that is not
# optimised keeps them in local memory, which no compiler of the vendor accepts.
@kernel("wgmma.cu", sm=90, unoptimised=False)
def wgmma_gemm(random: np.random.Generator) -> Case:
    m, n, k = 128, 64, 192
    a, b, c = matrices(random, m, n, k, BFLOAT)
    args = [a, np.ascontiguousarray(b.T), np.zeros((m, n), np.float32)]
    args += [np.int32(n), np.int32(k)]
    return Case((1, 2, 1), (128, 1, 1), args, {2: c.astype(np.float32)})


@kernel("wgmma.cu", sm=90, unoptimised=False)
def wgmma_pipeline(random: np.random.Generator) -> Case:
    m, n, k = 64, 128, 320
    a, b, c = matrices(random, m, n, k, BFLOAT)
    b = np.ascontiguousarray(b.T)
    maps = [tensor_map(x, (64, 64), swizzle=128) for x in (a, b)]
    args = [*maps, np.zeros((m, n), np.float32), np.int32(n), np.int32(k)]
    expected = {2: c.astype(np.float32)}
    return Case((2, 1, 1), (160, 1, 1), args, expected, shared=3 * 16384 + 1024)
