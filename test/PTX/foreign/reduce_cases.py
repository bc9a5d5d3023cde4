"""Answers for reduce.cu and scan.cu."""

import numpy as np

from foreign.case import Case, blocks, kernel


@kernel("reduce.cu")
def reduce_tree(random: np.random.Generator) -> Case:
    n = 5000
    x = random.integers(-1000, 1000, n, dtype=np.int32)
    grid = blocks(n, 256)
    sums = np.pad(x, (0, grid[0] * 256 - n)).reshape(-1, 256).sum(1)
    args = [x, np.zeros(grid[0], np.int32), np.int32(n)]
    return Case(grid, (256, 1, 1), args, {1: sums.astype(np.int32)})


@kernel("reduce.cu")
def dot_product(random: np.random.Generator) -> Case:
    n = 7001
    a = random.integers(-9, 10, n).astype(np.float32)
    b = random.integers(-9, 10, n).astype(np.float32)
    args = [a, b, np.zeros(1, np.float32), np.int32(n)]
    total = np.array([a.astype(int) @ b.astype(int)], np.float32)
    return Case((6, 1, 1), (256, 1, 1), args, {2: total})


@kernel("reduce.cu")
def reduce_last_block(random: np.random.Generator) -> Case:
    n = 9999
    x = random.integers(-(1 << 50), 1 << 50, n, dtype=np.int64)
    partial, finished = np.zeros(8, np.int64), np.zeros(1, np.uint32)
    args = [x, partial, finished, np.zeros(1, np.int64), np.int32(n)]
    expected = {2: np.zeros(1, np.uint32), 3: np.array([x.sum()])}
    return Case((8, 1, 1), (128, 1, 1), args, expected)


@kernel("reduce.cu")
def moments_grid_sync(random: np.random.Generator) -> Case:
    n = 4096
    x = random.integers(-64, 64, n).astype(np.float32)
    args = [x, np.zeros(6, np.float32), np.zeros(2, np.float32), np.int32(n)]
    moments = np.array([x.mean(dtype=np.float64), x.var(dtype=np.float64)])
    expected = {2: moments.astype(np.float32)}
    size = (6, 1, 1), (128, 1, 1)
    return Case(*size, args, expected, tolerance=(1e-5, 0), cooperative=True)


@kernel("reduce.cu")
def argmax(random: np.random.Generator) -> Case:
    n = 3000
    x = random.standard_normal(n).astype(np.float32)
    x[[1700, 2100]] = 7.5
    args = [x, np.zeros(1, np.uint64), np.int32(n)]
    place = int(np.argmax(x))
    key = int(x[place : place + 1].view(np.uint32)[0]) | 1 << 31
    best = np.array([key << 32 | (~place & 0xFFFFFFFF)], np.uint64)
    return Case(blocks(n, 128), (128, 1, 1), args, {1: best})


@kernel("scan.cu")
def scan_block(random: np.random.Generator) -> Case:
    n = 777
    x = random.integers(-99, 99, (3, n), dtype=np.int32)
    args = [x, np.zeros_like(x), np.int32(n)]
    sums = np.cumsum(x, 1, dtype=np.int32)
    return Case((3, 1, 1), (1024, 1, 1), args, {1: sums})


@kernel("scan.cu")
def scan_sweep(random: np.random.Generator) -> Case:
    x = random.integers(0, 1 << 32, (5, 512), dtype=np.uint32)
    sums = np.cumsum(x, 1, dtype=np.uint32) - x
    return Case((5, 1, 1), (256, 1, 1), [x, np.zeros_like(x)], {1: sums})


@kernel("scan.cu")
def scan_look_back(random: np.random.Generator) -> Case:
    n = 6000
    x = random.integers(-1000, 1000, n, dtype=np.int32)
    grid = blocks(n, 256)
    state, ticket = np.zeros(grid[0], np.uint64), np.zeros(1, np.uint32)
    args = [x, np.zeros_like(x), state, ticket, np.int32(n)]
    return Case(grid, (256, 1, 1), args, {1: np.cumsum(x, dtype=np.int32)})


@kernel("scan.cu")
def scan_segments(random: np.random.Generator) -> Case:
    n = 2048
    x = random.integers(-50, 50, n).astype(np.float32)
    starts = (random.integers(0, 6, n) == 0).astype(np.uint8)
    heads = np.flatnonzero((starts != 0) | (np.arange(n) % 32 == 0))
    sums = np.concatenate([np.cumsum(part) for part in np.split(x, heads[1:])])
    args = [x, starts, np.zeros_like(x)]
    return Case((16, 1, 1), (128, 1, 1), args, {2: sums.astype(np.float32)})
