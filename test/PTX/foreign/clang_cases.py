"""Answers for clang/kernels.c."""

import collections.abc

import numpy as np

from foreign.case import Builder, Case, bits, blocks

KERNELS: dict[str, Builder] = {}


def kernel(build: Builder) -> Builder:
    """Registers a builder for the kernel of the same name."""
    KERNELS[build.__name__] = build
    return build


def integers(
    random: np.random.Generator, n: int, dtype: type, low: int = 0, high: int = 0
) -> np.ndarray:
    """Random integers of a type, of all its values if no range is given."""
    limits = np.iinfo(dtype)
    low, high = (low, high) if low < high else (limits.min, limits.max)
    return random.integers(low, high, n, dtype=dtype, endpoint=True)


@kernel
def block_sums(random: np.random.Generator) -> Case:
    n, grid, block = 1500, 3, 256
    x = integers(random, n, np.int16, -50, 50).astype(np.float32)
    own = np.zeros((-(-n // (grid * block)), grid, block), np.float32)
    own.reshape(-1)[:n] = x
    args = [x, np.full(grid, np.nan, np.float32), np.int32(n)]
    return Case((grid, 1, 1), (block, 1, 1), args, {1: own.sum((0, 2))})


@kernel
def c_atomics(random: np.random.Generator) -> Case:
    n = 500
    x = integers(random, n, np.int32, 0, 100000)
    counts = np.bincount(x & 7, minlength=8).astype(np.uint32)
    args = [x, np.zeros(8, np.uint32), np.zeros(1, np.int32)]
    args += [np.zeros(1, np.float32), np.int32(n)]
    odd = np.array([(x & 1).sum()], np.float32)
    expected = {1: counts, 2: np.array([x.max()]), 3: odd}
    return Case(blocks(n, 96), (96, 1, 1), args, expected)


@kernel
def message(random: np.random.Generator) -> Case:
    x = integers(random, 64, np.int32, -1000, 1000)
    want = np.stack([x * 3 + b for b in (1, 2, 3)]).astype(np.int32)
    args = [x, np.zeros_like(x), np.zeros(1, np.uint32), np.zeros_like(want)]
    return Case((4, 1, 1), (64, 1, 1), args, {3: want})


@kernel
def vectors(random: np.random.Generator) -> Case:
    n = 100
    a, b = random.standard_normal((2, n, 4)).astype(np.float32)
    want = (a[:, ::-1] + np.minimum(a, b)) * np.float32(0.5) - np.abs(b)
    args = [a, b, np.zeros_like(a), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, {2: want})


@kernel
def halves(random: np.random.Generator) -> Case:
    n = 77
    a, b = random.standard_normal((2, n, 2)).astype(np.float16)
    args = [a, b, np.zeros_like(a), np.int32(n)]
    return Case(blocks(n, 32), (32, 1, 1), args, {2: np.maximum(a * b, a) - b})


@kernel
def brain_floats(random: np.random.Generator) -> Case:
    n = 77
    a, b = bits(random.standard_normal((2, n, 2)))
    # In C an expression of __bf16 is computed in float and rounded once.
    x, y = a.astype(np.float32), b.astype(np.float32)
    want = bits(x * y + x)
    args = [a.view(np.uint16), b.view(np.uint16)]
    args += [np.zeros((n, 2), np.uint16), np.int32(n)]
    return Case(blocks(n, 32), (32, 1, 1), args, {2: want.view(np.uint16)})


def reverse(x: int) -> int:
    return int(f"{x:032b}"[::-1], 2)


STEPS: list[collections.abc.Callable[[int, int], int]] = [
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x // y if y else 7,
    lambda x, y: x << (y & 31) | x >> (-y & 31),
    lambda x, y: x.bit_count() + 32 - (y | 1).bit_length(),
    lambda x, y: reverse(x) ^ int.from_bytes(y.to_bytes(4, "little"), "big"),
    lambda x, y: 3 ** (x & 7) * (y | 1),
    lambda x, y: x % 1000003 + y % 97,
    lambda x, y: x ^ y,
    lambda x, y: x ^ y,
]


@kernel
def jump_table(random: np.random.Generator) -> Case:
    n, length = 90, 20
    program = integers(random, length, np.uint8)
    x = integers(random, n, np.uint32)
    want = np.zeros(n, np.uint32)
    for i in range(n):
        a, b = int(x[i]), i
        for kind in program:
            a, b = STEPS[(int(kind) + i) % 11](a, b) % 2**32, a
        want[i] = a
    args = [program, np.int32(length), x, np.zeros_like(x), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, {3: want})


def collatz(x: int) -> int:
    count = 0
    while x > 1:
        x = 3 * x + 1 if x % 2 else x // 2
        count += 1
    return count


@kernel
def pointers(random: np.random.Generator) -> Case:
    n = 70
    x = integers(random, n, np.int32, 1, 26)
    functions = [lambda v: 2 * v, lambda v: v * v, collatz]
    want = np.array([functions[i % 3](int(v)) for i, v in enumerate(x)], np.int32)
    args = [x, np.zeros_like(x), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, {1: want})


@kernel
def wide(random: np.random.Generator) -> Case:
    n = 40
    a, b = integers(random, 2 * n, np.uint64).reshape(2, n)
    b[::3] >>= np.uint64(40)
    high, quotient, mixed = [], [], []
    for u, v in zip(a.tolist(), b.tolist(), strict=True):
        high.append(u * v >> 64)
        signed = [(w ^ 1 << 63) - (1 << 63) for w in (u, v | 1)]
        rest = abs(signed[0]) % abs(signed[1])
        rest = -rest if signed[0] < 0 else rest
        quotient.append(((u + 5) % 2**64 // (v | 1) + rest) % 2**64)
        x = ((u << 37 | v) % 2**101 * 3 + u) % 2**101
        mixed.append((x >> 41 ^ x) % 2**64)
    want = np.array([high, quotient, mixed], np.uint64)
    args = [a, b, *np.zeros_like(want), np.int32(n)]
    return Case((2, 1, 1), (32, 1, 1), args, {2: want[0], 3: want[1], 4: want[2]})


@kernel
def stack_array(random: np.random.Generator) -> Case:
    count = 9
    x = integers(random, 64 * count, np.int32).reshape(64, count)
    args = [x, np.zeros_like(x), np.int32(count)]
    return Case((2, 1, 1), (32, 1, 1), args, {1: np.sort(x, 1)})


RECORD = np.dtype(
    [("tag", "u1"), ("half", "u2"), ("word", "u4"), ("number", "f8")]
    + [("bytes", "u1", 13)],
    align=True,
)


def random_records(random: np.random.Generator, n: int) -> np.ndarray:
    records = np.zeros(n, RECORD)
    records["tag"] = integers(random, n, np.uint8)
    records["half"] = integers(random, n, np.uint16)
    records["word"] = integers(random, n, np.uint32)
    records["number"] = random.standard_normal(n)
    records["bytes"] = integers(random, 13 * n, np.uint8).reshape(n, 13)
    return records


@kernel
def records(random: np.random.Generator) -> Case:
    n = 50
    given = random_records(random, n)
    first = random_records(random, 1)
    want = np.where(np.arange(n) % 2, given, first)
    index = np.arange(n)
    want["number"] *= want["half"].astype(np.float64) + 1
    want["word"] += want["bytes"][index, index % 13]
    want["bytes"][::3] = index[::3, None]
    out = np.zeros(n, RECORD)

    def verify(args: list) -> None:
        for name in RECORD.names or ():
            np.testing.assert_array_equal(args[2].view(RECORD)[name], want[name])

    args = [first.tobytes(), given.view(np.uint8), out.view(np.uint8), np.int32(n)]
    return Case((1, 1, 1), (64, 1, 1), args, {}, verify=verify)


@kernel
def doubles(random: np.random.Generator) -> Case:
    n = 60
    x = random.standard_normal(n) * 10
    fused = (x.astype(np.longdouble) ** 2 - 1).astype(np.float64)
    y = fused / np.sqrt(np.abs(x) + 1) + np.copysign(np.floor(x), -x)
    whole = np.trunc(x * 1e6).astype(np.int64)
    whole += x.astype(np.float32).astype(np.int32) + (x > 0)
    whole += np.rint(x).astype(np.int64)
    args = [x, np.zeros_like(x), np.zeros(n, np.int64), np.int32(n)]
    return Case(blocks(n, 32), (32, 1, 1), args, {1: y, 2: whole}, (1e-15, 1e-15))


@kernel
def groups(random: np.random.Generator) -> Case:
    n = 85
    key = integers(random, n, np.int32, 0, 5)
    peers = np.zeros(n, np.uint32)
    leaders = np.zeros(n, np.uint32)
    for first in range(0, n, 32):
        part = key[first : first + 32]
        same = part[:, None] == part
        masks = same @ (1 << np.arange(len(part), dtype=np.uint64))
        peers[first : first + 32] = masks
        leads = same.argmax(1) == np.arange(len(part))
        leaders[first : first + 32] = leads @ (1 << np.arange(len(part)))
    args = [key, np.zeros_like(peers), np.zeros_like(leaders), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, {1: peers, 2: leaders})


@kernel
def variadic(random: np.random.Generator) -> Case:
    n = 40
    x = integers(random, n, np.int32, -1000, 1000)
    odd = np.arange(n) % 2
    want = np.where(odd, x * 1.5 + np.arange(n), x.astype(np.float64))
    args = [x, np.zeros(n), np.int32(n)]
    return Case((2, 1, 1), (32, 1, 1), args, {1: want})


@kernel
def tiled_product(random: np.random.Generator) -> Case:
    n = 48
    a, b = random.integers(-4, 5, (2, n, n)).astype(np.float32)
    args = [a, b, np.zeros_like(a), np.int32(n)]
    return Case((9, 1, 1), (256, 1, 1), args, {2: a @ b}, shared=2048)


@kernel
def copied_ahead(random: np.random.Generator) -> Case:
    rounds = 5
    x = integers(random, 128 * rounds, np.int32, 0, 1000).reshape(rounds, 128)
    want = x[:, ::-1] + np.arange(1, rounds + 1, dtype=np.int32)[:, None]
    args = [x, np.zeros_like(x), np.int32(rounds)]
    return Case((1, 1, 1), (128, 1, 1), args, {1: want})


@kernel
def speak(random: np.random.Generator) -> Case:
    x = integers(random, 40, np.int32, -5, 5)
    log = [f"{i} has {v}, half {v * 0.5:g}" for i, v in enumerate(x) if v > 0]
    return Case((1, 1, 1), (40, 1, 1), [x], {}, log=log)
