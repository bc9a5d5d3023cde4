"""Answers for move.cu, warp.cu and atomics.cu."""

from typing import Any

import numpy as np

from foreign.case import BFLOAT, Case, blocks, kernel


@kernel("move.cu")
def transpose_padded(random: np.random.Generator) -> Case:
    rows, columns = 75, 130
    x = random.standard_normal((rows, columns)).astype(np.float32)
    args = [x, np.zeros((columns, rows), np.float32), np.int32(rows), np.int32(columns)]
    return Case((5, 3, 1), (32, 8, 1), args, {1: np.ascontiguousarray(x.T)})


@kernel("move.cu")
def transpose_swizzled(random: np.random.Generator) -> Case:
    n = 192
    x = random.integers(0, 1 << 16, (n, n), dtype=np.uint16)
    args = [x, np.zeros_like(x), np.int32(n)]
    return Case((3, 3, 1), (32, 4, 1), args, {1: np.ascontiguousarray(x.T)})


@kernel("move.cu")
def histogram_shared(random: np.random.Generator) -> Case:
    words = random.integers(0, 1 << 32, 2500, dtype=np.uint32)
    counts = np.bincount(words.view(np.uint8), minlength=256)
    args = [words, np.zeros(256, np.int32), np.int32(len(words))]
    return Case((4, 1, 1), (128, 1, 1), args, {1: counts.astype(np.int32)})


@kernel("move.cu")
def histogram_local(random: np.random.Generator) -> Case:
    words = random.integers(0, 1 << 64, 300, dtype=np.uint64)
    octets = words.view(np.uint8)
    counts = np.bincount(octets & 15, minlength=16)
    counts += np.bincount(octets >> 4, minlength=16)
    args = [words, np.zeros(16, np.uint32), np.int32(len(words))]
    return Case((1, 1, 1), (64, 1, 1), args, {1: counts.astype(np.uint32)})


@kernel("move.cu")
def gather_scatter(random: np.random.Generator) -> Case:
    rows, width = 40, 70
    x = random.standard_normal((rows, width, 4)).astype(np.float32)
    index = random.permutation(rows).astype(np.int32)
    index[::7] = -1
    gathered, scattered = np.ones_like(x), np.ones_like(x)
    args = [x, index, gathered, scattered, np.int32(width)]
    want = np.where(index[:, None, None] >= 0, x[index], 0)
    back = np.ones_like(x)
    back[index[index >= 0]] = x[index >= 0]
    return Case((rows, 1, 1), (64, 1, 1), args, {2: want, 3: back})


@kernel("move.cu")
def structures(random: np.random.Generator) -> Case:
    n = 500
    fields = [("a", "i2"), ("b", "i1"), ("c", "u1"), ("d", "i4"), ("e", "f4")]
    x = np.zeros(n, fields)
    for name, dtype in fields:
        x[name] = random.integers(0 if dtype == "u1" else -100, 100, n)
    octets = random.integers(-128, 128, 3 * n + 5, dtype=np.int8)
    want = np.zeros(n)
    for factor, (name, _) in enumerate(fields, 1):
        want += factor * x[name][::-1].astype(np.float64)
    for j in range(5):
        want += octets[j : 3 * n + j : 3]
    args = [x.view(np.uint8), octets, np.zeros(n), np.int32(n)]
    return Case(blocks(n, 96), (96, 1, 1), args, {2: want})


@kernel("atomics.cu")
def integer_atomics(random: np.random.Generator) -> Case:
    n = 700
    x = random.integers(-(1 << 31), 1 << 31, n, dtype=np.int32)
    before = np.array([1, 2, 5, -5, -1, 0, 9, 0, 0, -1, 0], np.int32)
    words = before.astype(np.int64)
    total, unsigned = x.sum(dtype=np.int64), x.view(np.uint32).astype(np.int64)
    words[0] += total
    words[1] -= total
    words[2], words[3] = min(5, x.min()), max(-5, x.max())
    words[4] = np.bitwise_and.reduce(x | 0xFF)
    words[5] = np.bitwise_or.reduce(x & 0xFF00)
    words[6] = 9 ^ int(np.bitwise_xor.reduce(x))
    words[7], words[8] = n % 100, (0 - n) % 1001
    words[9], words[10] = unsigned.min(), unsigned.max()
    shifts = (np.arange(n) % 32).astype(np.uint64)
    shifted = x.astype(np.int64).view(np.uint64) << shifts
    longs = np.array([total, x.max().astype(np.int64) << 20, 0], np.int64).view(
        np.uint64
    )
    longs[2] = np.bitwise_xor.reduce(shifted)
    start = np.array([0, 1 << 63, 0], np.uint64)
    args = [x, before, start, np.int32(n)]
    want = (words & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    return Case(blocks(n, 128), (128, 1, 1), args, {1: want, 2: longs})


@kernel("atomics.cu")
def tickets(random: np.random.Generator) -> Case:
    n = 150
    minus = np.full(n, -1, np.int32)

    def verify(args: list[Any]) -> None:
        order, last, previous = args[1], args[2], args[3]
        np.testing.assert_array_equal(np.sort(order), np.arange(n))
        # Following the chain from the last exchange visits every thread once.
        chain, at = [], int(last[0])
        while at >= 0:
            chain.append(at)
            at = int(previous[at])
        np.testing.assert_array_equal(np.sort(chain), np.arange(n))

    args = [np.zeros(1, np.uint32), minus, minus[:1].copy(), minus.copy(), np.int32(n)]
    expected = {0: np.array([n], np.uint32)}
    return Case(blocks(n, 32), (32, 1, 1), args, expected, verify=verify)


@kernel("atomics.cu")
def max_double(random: np.random.Generator) -> Case:
    n = 600
    x = random.standard_normal(n) * 1e10
    args = [x, np.array([-1e300]), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, {1: np.array([x.max()])})


@kernel("atomics.cu")
def scatter_add(random: np.random.Generator) -> Case:
    n, cells = 600, 40
    index = random.integers(0, cells, n, dtype=np.uint8)
    values = random.integers(-3, 4, n).astype(np.float32)
    sums = np.zeros(cells)
    np.add.at(sums, index, values)
    pair = np.stack([sums, -sums], 1)
    halves = np.zeros((cells, 2), np.float16)
    brains = np.zeros((cells, 2), BFLOAT)
    singles, doubles = np.zeros(cells, np.float32), np.zeros(cells)
    args = [index, values, halves, brains, singles, doubles, np.int32(n)]
    expected = {2: pair, 3: -pair, 4: sums, 5: sums}
    expected = {i: x.astype(args[i].dtype) for i, x in expected.items()}
    # Sums that cancel may be a zero of either sign.
    return Case(blocks(n, 128), (128, 1, 1), args, expected, tolerance=(1e-9, 0))


@kernel("atomics.cu")
def shared_atomics(random: np.random.Generator) -> Case:
    grid, block = 3, 160
    x = random.integers(-5000, 5000, (grid, block), dtype=np.int32)
    sums = np.zeros(8 + 2 * grid, np.int32)
    want = sums.copy()
    want[:8] = np.bincount((x & 7).ravel(), minlength=8)
    want[8::2], want[9::2] = np.minimum(x.min(1), 0), x.max(1)
    floats = (x & 15).sum(1).astype(np.float32)
    args = [x, sums, np.zeros(grid, np.float32)]
    return Case((grid, 1, 1), (block, 1, 1), args, {1: want, 2: floats})


@kernel("atomics.cu")
def components(random: np.random.Generator) -> Case:
    nodes, n = 300, 260
    edges = random.integers(0, nodes, (n, 2), dtype=np.int32)
    labels = np.arange(nodes, dtype=np.int32)
    want = labels.copy()
    while True:
        before = want.copy()
        low = np.minimum(want[edges[:, 0]], want[edges[:, 1]])
        np.minimum.at(want, edges[:, 0], low)
        np.minimum.at(want, edges[:, 1], low)
        if (want == before).all():
            break
    args = [edges, labels, np.int32(n)]
    return Case((1, 1, 1), (128, 1, 1), args, {1: want})
