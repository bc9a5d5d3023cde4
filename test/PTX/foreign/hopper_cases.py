"""Answers for clusters.cu and bulk.cu."""

import dataclasses

import numpy as np

from foreign.case import BFLOAT, Case, kernel
from foreign.tensor_map import tensor_map


@kernel("clusters.cu", sm=90)
def cluster_sum(random: np.random.Generator) -> Case:
    x = random.integers(-99, 99, (3, 4, 128), dtype=np.int32)
    ranks = np.arange(4, dtype=np.int32)[None, :, None]
    want = x.sum(1, keepdims=True, dtype=np.int32) * 10 + ranks
    args = [x, np.zeros_like(x)]
    return Case((12, 1, 1), (128, 1, 1), args, {1: want}, cluster=(4, 1, 1))


@kernel("clusters.cu", sm=90)
def cluster_histogram(random: np.random.Generator) -> Case:
    n, width = 3000, 100
    x = random.integers(0, 1 << 32, n, dtype=np.uint32)
    counts = np.bincount(x % (width * 2), minlength=width * 2)
    bins = np.zeros(width * 2, np.int32)
    args = [x, bins, np.int32(n), np.int32(width)]
    expected = {1: counts.astype(np.int32)}
    size = (4, 1, 1), (64, 1, 1)
    return Case(*size, args, expected, shared=width * 4, cluster=(2, 1, 1))


@kernel("clusters.cu", sm=90)
def cluster_ring(random: np.random.Generator) -> Case:
    rounds = 5
    x = random.integers(-9, 9, (2, 4, 64)).astype(np.float32)
    # Block y * 4 + x has the rank y * 2 + x % 2 of cluster x / 2.
    order = [[0, 1, 4, 5], [2, 3, 6, 7]]
    want = np.zeros((8, 64), np.float32)
    for cluster in order:
        box = x.reshape(8, 64)[cluster]
        for _ in range(rounds):
            box = box[:, ::-1] * 2 + np.arange(4)[:, None]
            box = np.roll(box, 1, 0)
        want[cluster] = box
    args = [x, np.zeros((8, 64), np.float32), np.int32(rounds)]
    return Case((4, 2, 1), (64, 1, 1), args, {1: want}, cluster=(2, 2, 1))


@kernel("bulk.cu", sm=90)
def bulk_pipeline(random: np.random.Generator) -> Case:
    rows = 25
    x = random.integers(-9, 10, (rows, 512)).astype(np.float32)
    weights = np.repeat(np.arange(1, 5), 128)
    want = (x * weights).sum(1).astype(np.float32)
    args = [x, np.zeros(rows, np.float32), np.int32(rows)]
    return Case((3, 1, 1), (160, 1, 1), args, {1: want})


@kernel("bulk.cu", sm=90)
def tensor_transpose(random: np.random.Generator) -> Case:
    rows, columns = 64, 104
    x = random.standard_normal((rows, columns)).astype(np.float32)
    out = np.zeros((columns, rows), np.float32)
    args = [tensor_map(x, (32, 32)), tensor_map(out, (32, 32))]

    def verify(_: object) -> None:
        np.testing.assert_array_equal(out, x.T)

    return Case((4, 2, 1), (128, 1, 1), args, {}, verify=verify)


@kernel("bulk.cu", sm=90)
def bulk_reduce(random: np.random.Generator) -> Case:
    rows = 37
    x = random.integers(-99, 99, (rows, 256), dtype=np.int32)
    args = [x, np.zeros(256, np.int32), np.int32(rows)]
    expected = {1: x.sum(0, dtype=np.int32)}
    return Case((5, 1, 1), (256, 1, 1), args, expected)


@kernel("bulk.cu", sm=90)
def matrix_moves(random: np.random.Generator) -> Case:
    x = random.integers(0, 1 << 16, (3, 4, 8, 8), dtype=np.uint16)
    # Matrices 0 and 1 change places, and 2 and 3.
    want = np.ascontiguousarray(x[:, [1, 0, 3, 2]].transpose(0, 1, 3, 2))
    return Case((3, 1, 1), (32, 1, 1), [x, np.zeros_like(x)], {1: want})


@kernel("bulk.cu", sm=90)
def multicast(random: np.random.Generator) -> Case:
    x = random.integers(-99, 99, (3, 256), dtype=np.int32)
    want = np.stack([x[:, ::-1], 2 * x[:, ::-1]], 1)
    args = [x, np.zeros((3, 2, 256), np.int32)]
    return Case((6, 1, 1), (256, 1, 1), args, {1: want}, cluster=(2, 1, 1))


@kernel("atomics.cu", sm=90)
def scatter_add_pairs(random: np.random.Generator) -> Case:
    n, cells = 600, 40
    index = random.integers(0, cells, n, dtype=np.uint8)
    values = random.integers(-3, 4, n).astype(np.float32)
    sums = np.zeros(cells)
    np.add.at(sums, index, values)
    want = np.stack([-sums, sums], 1).astype(BFLOAT)
    args = [index, values, np.zeros((cells, 2), BFLOAT), np.int32(n)]
    return Case((5, 1, 1), (128, 1, 1), args, {2: want}, tolerance=(1e-9, 0))


@dataclasses.dataclass(frozen=True)
class Grouped:
    """Sizes of a grouped matmul."""

    counts: tuple[int, ...]
    n: int
    k: int
    gated: bool
    gathered: bool


def grouped_case(
    random: np.random.Generator, g: Grouped, columns: int, stages: int
) -> Case:
    """Rows of each expert times its weights; `columns` of a tile."""
    rows, tokens = sum(g.counts), 50 if g.gathered else sum(g.counts)
    x = random.integers(-2, 3, (tokens, g.k)).astype(BFLOAT)
    weights = random.integers(-2, 3, (len(g.counts), g.n, g.k)).astype(BFLOAT)
    token = random.integers(0, tokens, rows).astype(np.int32)
    expert = np.repeat(np.arange(len(g.counts)), g.counts)
    taken = x[token] if g.gathered else x
    y = np.zeros((rows, g.n))
    tiles, start = [], 0
    for e, count in enumerate(g.counts):
        y[expert == e] = taken[expert == e].astype(float) @ weights[e].T.astype(float)
        tiles += [(e, start + r, min(128, count - r), 0) for r in range(0, count, 128)]
        start += count
    if g.gated:
        y = y / 32
        weights[:, :, :] = weights / 32
        half = g.n // 2
        y = y[:, :half] / (1 + np.exp(-y[:, :half])) * y[:, half:]
    out = np.zeros(y.shape, BFLOAT)
    flat = weights.reshape(-1, g.k)
    args = [tensor_map(flat, (columns // 2, 64), swizzle=128), x, out, token]
    args += [np.array(tiles, np.int32), np.array([len(tiles)], np.int32)]
    args += [np.int32(g.k), np.int32(g.n), np.int32(2)]
    return Case(
        (3, 1, 1),
        (384, 1, 1),
        args,
        {2: y.astype(BFLOAT)},
        tolerance=(1 / 100, 1e-3) if g.gated else (0, 0),
        shared=stages * (128 + columns) * 128 + 1024,
    )


@kernel("grouped_matmul.cu", sm=90, unoptimised=False)
def grouped_glu_256(random: np.random.Generator) -> Case:
    g = Grouped((5, 0, 130), n=256, k=320, gated=True, gathered=True)
    return grouped_case(random, g, columns=256, stages=4)


@kernel("grouped_matmul.cu", sm=90, unoptimised=False)
def grouped_plain_256(random: np.random.Generator) -> Case:
    g = Grouped((70, 1), n=512, k=128, gated=False, gathered=False)
    return grouped_case(random, g, columns=256, stages=4)


@kernel("grouped_matmul.cu", sm=90, unoptimised=False)
def grouped_glu_128(random: np.random.Generator) -> Case:
    g = Grouped((17, 64, 0, 3), n=256, k=128, gated=True, gathered=True)
    return grouped_case(random, g, columns=128, stages=6)


@kernel("grouped_matmul.cu", sm=90, unoptimised=False)
def grouped_plain_128(random: np.random.Generator) -> Case:
    g = Grouped((200, 9), n=128, k=512, gated=False, gathered=False)
    return grouped_case(random, g, columns=128, stages=6)
