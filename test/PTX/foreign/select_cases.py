"""Answers for select.cu and rows.cu."""

import numpy as np

from foreign.case import Case, bits, kernel


@kernel("select.cu")
def radix_select(random: np.random.Generator) -> Case:
    rows, n, k = 4, 1000, 37
    x = random.standard_normal((rows, n)).astype(np.float32)
    x[1, :200] = 0.5
    kth = np.sort(x, 1)[:, -k]
    args = [x, np.zeros(rows, np.float32), np.int32(n), np.int32(k)]
    return Case((rows, 1, 1), (256, 1, 1), args, {1: kth})


@kernel("select.cu")
def compact(random: np.random.Generator) -> Case:
    n = 3333
    x = random.integers(-9999, 9999, n, dtype=np.int32)
    kept = x[x % 3 == 0]
    out = np.full(n, -1, np.int32)
    want = out.copy()
    want[: len(kept)] = kept
    args = [x, out, np.zeros(1, np.int32), np.int32(n)]
    expected = {1: want, 2: np.array([len(kept)], np.int32)}
    return Case((1, 1, 1), (256, 1, 1), args, expected)


@kernel("select.cu")
def radix_sort(random: np.random.Generator) -> Case:
    keys = random.integers(0, 1 << 32, (2, 1024), dtype=np.uint32)
    keys[1] %= 50
    values = np.tile(np.arange(1024, dtype=np.int32), (2, 1))
    order = np.argsort(keys, 1, kind="stable")
    expected = {0: np.take_along_axis(keys, order, 1), 1: order.astype(np.int32)}
    return Case((2, 1, 1), (1024, 1, 1), [keys, values], expected)


@kernel("select.cu")
def bitonic_sort(random: np.random.Generator) -> Case:
    x = random.standard_normal((3, 512))
    x[0, :10] = [np.inf, -np.inf, 0, -0.0, 1, 1, 1, 5e-324, -5e-324, 2]
    return Case((3, 1, 1), (256, 1, 1), [x], {0: np.sort(x, 1)}, (1e-300, 0))


@kernel("rows.cu")
def softmax_warp(random: np.random.Generator) -> Case:
    rows, columns = 30, 200
    x = (random.standard_normal((rows, columns)) * 4).astype(np.float32)
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    args = [x, np.zeros_like(x), np.int32(rows), np.int32(columns)]
    expected = {1: (e / e.sum(1, keepdims=True)).astype(np.float32)}
    return Case((8, 1, 1), (128, 1, 1), args, expected, tolerance=(2e-6, 1e-9))


@kernel("rows.cu")
def softmax_online(random: np.random.Generator) -> Case:
    rows, columns = 5, 1000
    x = bits(random.standard_normal((rows, columns)) * 3)
    wide = x.astype(np.float64)
    e = np.exp(wide - wide.max(1, keepdims=True))
    args = [x, np.zeros_like(x), np.int32(columns)]
    expected = {1: bits(e / e.sum(1, keepdims=True))}
    return Case((rows, 1, 1), (256, 1, 1), args, expected, tolerance=(1 / 128, 1e-9))


@kernel("rows.cu")
def rms_norm(random: np.random.Generator) -> Case:
    rows, columns, epsilon = 6, 1024, 1e-5
    x = random.standard_normal((rows, columns)).astype(np.float16)
    gain = random.standard_normal(columns).astype(np.float16)
    wide = x.astype(np.float64)
    scale = 1 / np.sqrt((wide**2).mean(1, keepdims=True) + epsilon)
    want = ((wide * scale).astype(np.float16) * gain).astype(np.float16)
    vectors = np.int32(columns // 8)
    args = [x, gain, np.zeros_like(x), vectors, np.float32(epsilon)]
    return Case((rows, 1, 1), (128, 1, 1), args, {2: want}, tolerance=(2e-3, 1e-6))


@kernel("rows.cu")
def top_k(random: np.random.Generator) -> Case:
    rows, k = 21, 6
    scores = random.integers(0, 40, (rows, 64)).astype(np.float32)
    order = np.argsort(-scores, 1, kind="stable")[:, :k]
    ids = np.zeros((rows, k), np.int32)
    values = np.zeros((rows, k), np.float32)
    args = [scores, ids, values, np.int32(rows), np.int32(k)]
    best = np.take_along_axis(scores, order, 1)
    expected = {1: order.astype(np.int32), 2: best}
    return Case((6, 1, 1), (128, 1, 1), args, expected)
