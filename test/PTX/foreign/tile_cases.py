"""Answers for tiles.cu and grid.cu."""

import numpy as np

from foreign.case import Case, blocks, kernel


@kernel("tiles.cu")
def sgemm(random: np.random.Generator) -> Case:
    m, n, k = 50, 70, 45
    a, b = random.standard_normal((m, k)), random.standard_normal((k, n))
    a, b = a.astype(np.float32), b.astype(np.float32)
    want = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)
    args = [a, b, np.zeros((m, n), np.float32), *map(np.int32, (m, n, k))]
    return Case((3, 2, 1), (256, 1, 1), args, {2: want}, tolerance=(1e-5, 1e-5))


@kernel("tiles.cu")
def window_sums(random: np.random.Generator) -> Case:
    rows, columns = 11, 128
    x = random.integers(-8, 8, (rows, columns, 4)).astype(np.float32)
    other = x[:, np.arange(columns) ^ 1]
    terms = x[:, :, 0] + 2 * x[:, :, 1] - other[:, :, 2] * 0.5 + other[:, :, 3]
    want = np.cumsum(terms, 0).astype(np.float32)
    args = [x, np.zeros_like(want), np.int32(rows)]
    return Case((2, 1, 1), (64, 1, 1), args, {1: want})


@kernel("tiles.cu")
def blur(random: np.random.Generator) -> Case:
    width, height = 50, 33
    x = random.integers(0, 256, (height, width)).astype(np.float32)
    weights = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])
    wide = np.pad(x, 2, mode="edge")
    want = sum(
        weights[i, j] * wide[i : i + height, j : j + width]
        for i in range(5)
        for j in range(5)
    )
    args = [x, np.zeros_like(x), np.int32(width), np.int32(height)]
    expected = {1: (want / 256).astype(np.float32)}
    return Case((4, 5, 1), (16, 8, 1), args, expected, shared=20 * 12 * 4)


@kernel("tiles.cu")
def fourier(random: np.random.Generator) -> Case:
    x = random.standard_normal((3, 256, 2)).astype(np.float32)
    z = np.fft.fft(x[:, :, 0].astype(np.float64) + 1j * x[:, :, 1])
    want = np.stack([z.real, z.imag], 2).astype(np.float32)
    args = [x, np.zeros_like(x)]
    return Case((3, 1, 1), (128, 1, 1), args, {1: want}, tolerance=(1e-4, 1e-4))


@kernel("tiles.cu")
def longest_common(random: np.random.Generator) -> Case:
    n = 90
    a, b = random.integers(97, 101, (2, 2, n), dtype=np.uint8)
    lengths = []
    for x, y in zip(a, b, strict=True):
        best = np.zeros((n + 1, n + 1), int)
        for i in range(n):
            for j in range(n):
                longer = best[i, j] + 1 if x[i] == y[j] else 0
                best[i + 1, j + 1] = max(longer, best[i, j + 1], best[i + 1, j])
        lengths.append(best[n, n])
    args = [a.copy(), b.copy(), np.zeros(2, np.int32), np.int32(n)]
    return Case((2, 1, 1), (64, 1, 1), args, {2: np.array(lengths, np.int32)})


@kernel("grid.cu")
def heat(random: np.random.Generator) -> Case:
    n, steps = 1000, 6
    x = random.integers(0, 100, n).astype(np.float32) * 4096
    want = x.astype(np.float64)
    for _ in range(steps):
        wide = np.pad(want, 1, mode="edge")
        want = 0.5 * want + 0.25 * (wide[:-2] + wide[2:])
    args = [x, np.zeros_like(x), np.int32(n), np.int32(steps)]
    expected = {0: want.astype(np.float32)}
    size = (5, 1, 1), (96, 1, 1)
    return Case(*size, args, expected, tolerance=(1e-6, 0), cooperative=True)


@kernel("grid.cu")
def shortest_paths(random: np.random.Generator) -> Case:
    n = 24
    x = random.integers(1, 1000, (n, n), dtype=np.int32)
    x[random.random((n, n)) < 0.6] = 1 << 28
    np.fill_diagonal(x, 0)
    want = x.copy()
    for k in range(n):
        want = np.minimum(want, want[:, k : k + 1] + want[k])
    args = [x, np.int32(n)]
    size = (4, 1, 1), (64, 1, 1)
    return Case(*size, args, {0: want}, cooperative=True)


@kernel("grid.cu")
def ring(random: np.random.Generator) -> Case:
    grid, block, rounds = 4, 64, 5
    n = grid * block
    cells = np.zeros((2, n), np.int32)
    cells[0] = random.integers(0, 100, n)
    want = cells.copy()
    for r in range(rounds):
        want[1 - r % 2] = np.roll(want[r % 2], -block) * 3 + np.arange(n)
    args = [cells, np.zeros(1, np.uint32), np.int32(rounds)]
    size = (grid, 1, 1), (block, 1, 1)
    return Case(*size, args, {0: want}, cooperative=True)


@kernel("grid.cu")
def producer_consumer(random: np.random.Generator) -> Case:
    grid, tiles = 3, 7
    x = random.integers(-99, 99, (grid, tiles, 96), dtype=np.int32)
    want = np.zeros((grid, 96), np.int32)
    for tile in range(tiles):
        want = want * 5 + x[:, tile] - x[:, tile, ::-1]
    args = [x, np.zeros_like(want), np.int32(tiles)]
    return Case((grid, 1, 1), (128, 1, 1), args, {1: want})


@kernel("grid.cu")
def voting(random: np.random.Generator) -> Case:
    x = random.integers(-50, 900, (4, 80), dtype=np.int32)
    x[0, 5], x[1, 7], x[2, 9] = 7, 5000, 7
    want = np.zeros((4, 80, 3), np.int32)
    want[:, :, 0] = (x > 0).sum(1, keepdims=True)
    want[:, :, 1] = (x < 1000).all(1, keepdims=True)
    want[:, :, 2] = (x == 7).any(1, keepdims=True)
    return Case((4, 1, 1), (80, 1, 1), [x, np.zeros_like(want)], {1: want})


@kernel("grid.cu")
def sparse_product(random: np.random.Generator) -> Case:
    rows, width = 45, 60
    counts = random.integers(0, 50, rows)
    counts[3] = 0
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    columns = random.integers(0, width, starts[-1], dtype=np.int32)
    values = random.integers(-9, 10, starts[-1]).astype(np.float32)
    x = random.integers(-9, 10, width).astype(np.float32)
    want = np.zeros(rows, np.float32)
    np.add.at(want, np.repeat(np.arange(rows), counts), values * x[columns])
    y = np.zeros(rows, np.float32)
    args = [starts, columns, values, x, y, np.int32(rows)]
    return Case(blocks(rows * 32, 96), (96, 1, 1), args, {4: want})
