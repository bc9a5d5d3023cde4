"""Answers for calls.cu and integers.cu."""

import struct
import zlib

import numpy as np

from foreign.case import Case, blocks, kernel


@kernel("calls.cu")
def complex_power(random: np.random.Generator) -> Case:
    n, power = 300, 11
    x = random.uniform(-1.2, 1.2, (n, 2)).astype(np.float32)
    z = (x[:, 0].astype(np.float64) + 1j * x[:, 1]) ** power
    want = np.stack([z.real, z.imag], 1).astype(np.float32)
    args = [x, np.zeros_like(x), np.int32(n), np.int32(power)]
    return Case(blocks(n, 64), (64, 1, 1), args, {1: want}, tolerance=(1e-4, 1e-4))


@kernel("calls.cu")
def apply_matrix(random: np.random.Generator) -> Case:
    n, power = 200, 3
    matrix = random.integers(-3, 4, (3, 3)).astype(np.float32)
    x = random.integers(-9, 10, (n, 3)).astype(np.float32)
    want = x
    for _ in range(power):
        want = want @ matrix.T
    argument = struct.pack("<9fi", *matrix.ravel().tolist(), power)
    args = [argument, x, np.zeros_like(x), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, {2: want})


def ackermann(m: int, n: int) -> int:
    if m == 0:
        return n + 1
    return ackermann(m - 1, ackermann(m, n - 1) if n else 1)


@kernel("calls.cu")
def recursion(random: np.random.Generator) -> Case:
    want = [ackermann(t % 3, t // 3 % 4) for t in range(64)]
    args = [np.zeros(64, np.uint32)]
    return Case((1, 1, 1), (64, 1, 1), args, {0: np.array(want, np.uint32)})


@kernel("calls.cu")
def sort_local(random: np.random.Generator) -> Case:
    x = random.integers(-100, 100, (64, 24), dtype=np.int32)
    args = [x, np.zeros_like(x)]
    return Case((2, 1, 1), (32, 1, 1), args, {1: np.sort(x, 1)})


@kernel("calls.cu")
def indirect(random: np.random.Generator) -> Case:
    n = 100
    x = random.integers(-1000, 1000, n, dtype=np.int32)
    want = np.zeros(n, np.int32)
    for i in range(n):
        value = int(x[i])
        for j in range(5):
            other = int(x[(i + j) % n])
            results = (value + other, value - other, value * other, max(value, other))
            value = (results[(value ^ j) & 3] + (1 << 31)) % (1 << 32) - (1 << 31)
        want[i] = value
    args = [x, np.zeros_like(x), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, {1: want})


@kernel("calls.cu")
def objects(random: np.random.Generator) -> Case:
    n = 80
    x = random.integers(-20, 20, n).astype(np.float32)
    discs = np.array([(i & 15).bit_count() for i in range(n)])
    want = ((4 - discs) + 3 * discs) * x * x
    args = [x, np.zeros_like(x), np.int32(n)]
    return Case(blocks(n, 32), (32, 1, 1), args, {1: want.astype(np.float32)})


@kernel("calls.cu")
def print_values(random: np.random.Generator) -> Case:
    x = random.standard_normal(8)
    log = [
        f"{i}: {x[i]:5.2f} {'big' if i > 2 else 'small'} {chr(97 + i)} "
        f"{0x123456789ABC + i:x} %"
        for i in range(1, 8, 2)
    ]
    return Case((1, 1, 1), (32, 1, 1), [x, np.int32(8)], {}, log=[*log, "end 8"])


@kernel("integers.cu")
def modular_power(random: np.random.Generator) -> Case:
    n, modulus = 64, (1 << 61) - 1
    base = random.integers(0, 1 << 63, n, dtype=np.uint64)
    exponent = random.integers(0, 1 << 20, n, dtype=np.uint32)
    pairs = zip(base.tolist(), exponent.tolist(), strict=True)
    want = np.array([pow(b, e, modulus) for b, e in pairs], np.uint64)
    args = [base, exponent, np.zeros_like(base), np.uint64(modulus), np.int32(n)]
    return Case((2, 1, 1), (32, 1, 1), args, {2: want})


def divide(a: int, b: int) -> tuple[int, int]:
    """Quotient and remainder toward zero."""
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return quotient, a - quotient * b


@kernel("integers.cu")
def divisions(random: np.random.Generator) -> Case:
    n = 200
    shifts = random.integers(0, 62, (2, n))
    a, b = random.integers(-(1 << 63), 1 << 63, (2, n), dtype=np.int64) >> shifts
    b[b == 0] = 3
    a[0], b[0] = -(1 << 63), 7
    want = np.zeros((n, 8), np.int64)
    for i in range(n):
        x, y = int(a[i]), int(b[i])
        ux, uy = x % (1 << 64), y % (1 << 64)
        word_x, word_y = (int(np.int64(v).astype(np.int32)) for v in (x, y))
        short_x, short_y = (int(np.int64(v).astype(np.int16)) for v in (x, y))
        results = [*divide(x, y), ux // uy, ux % uy]
        results.append(divide(word_x, word_y | 1)[0])
        results.append((ux & 0xFFFFFFFF) % (uy & 0xFFFFFFFF | 1))
        results.append(divide(short_x, short_y | 1)[0])
        results.append(divide(x, 1000003)[0] + divide(x, 4096)[1])
        want[i] = [(v + (1 << 63)) % (1 << 64) - (1 << 63) for v in results]
    args = [a.copy(), b.copy(), np.zeros_like(want), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, {2: want})


def number(words: np.ndarray) -> int:
    return int.from_bytes(words.astype("<u4").tobytes(), "little")


def words(value: int, count: int) -> np.ndarray:
    data = (value % (1 << 32 * count)).to_bytes(4 * count, "little")
    return np.frombuffer(data, np.uint32)


@kernel("integers.cu")
def big_numbers(random: np.random.Generator) -> Case:
    n = 50
    a, b = random.integers(0, 1 << 32, (2, n, 8), dtype=np.uint32)
    a[0] = b[1] = 0xFFFFFFFF
    b[0] = [1, 0, 0, 0, 0, 0, 0, 0]
    pairs = [(number(x), number(y)) for x, y in zip(a, b, strict=True)]
    total = np.array([words(x + y, 8) for x, y in pairs])
    product = np.array([words(x * y, 16) for x, y in pairs])
    args = [a.copy(), b.copy(), np.zeros_like(total), np.zeros_like(product)]
    args.append(np.int32(n))
    return Case((2, 1, 1), (32, 1, 1), args, {2: total, 3: product})


@kernel("integers.cu")
def crc32(random: np.random.Generator) -> Case:
    n = 100
    x = random.integers(0, 256, (n, 32), dtype=np.uint8)
    want = np.array([zlib.crc32(row.tobytes()) for row in x], np.uint32)
    args = [x, np.zeros(n, np.uint32), np.zeros(n, np.uint32), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, {1: want, 2: want})


def parts(x: int, width: int, negative: bool = False) -> list[int]:
    """The bytes or halves of a word."""
    values = [x >> at & (1 << width) - 1 for at in range(0, 32, width)]
    half = 1 << width - 1
    return [(v + half) % (2 * half) - half for v in values] if negative else values


def join(values: list[int], width: int) -> int:
    mask = (1 << width) - 1
    return sum((v & mask) << width * i for i, v in enumerate(values))


def packed_results(x: int, y: int, thread: int) -> list[int]:
    """The results of one thread."""
    bytes_x, bytes_y = parts(x, 8), parts(y, 8)
    signed_x, signed_y = (v - (v >> 31 << 32) for v in (x, y))
    pairs = list(zip(bytes_x, bytes_y, strict=True))
    halves = zip(parts(x, 16, True), parts(y, 16, True), strict=True)
    both = y << 32 | x
    dot = zip(parts(x, 8, True), parts(y, 8, True), strict=True)
    left = (both << (x & 63) % 32) >> 32
    right = both >> min(y & 63, 32)
    low24 = [(v & 0xFFFFFF) - ((v & 0x800000) << 1) for v in (x, y)]
    unsigned24 = (x & 0xFFFFFF) * (y & 0xFFFFFF)
    return [
        join([a + b for a, b in pairs], 8),
        join([max(a - b, 0) for a, b in pairs], 8),
        join([max(a, b) for a, b in halves], 16),
        join([a + b + 1 >> 1 for a, b in pairs], 8),
        join([255 * (a > b) for a, b in pairs], 8),
        join([parts(both >> 32 * (s > 3), 8)[s % 4] for s in (1, 5, 3, 7)], 8),
        sum(a * b for a, b in dot) + thread,
        (x & 0xFFFF) * bytes_y[0] + (x >> 16) * bytes_y[1] + 7,
        (left & 0xFFFFFFFF) ^ (right & 0xFFFFFFFF),
        (signed_x * signed_y >> 32) ^ (x * y >> 32),
        abs(x - y) + 5 + (signed_x + signed_y >> 1) + (x + y + 1 >> 1),
        low24[0] * low24[1] ^ unsigned24,
        join([abs(a - b) for a, b in pairs], 8),
        sum(abs(a - b) for a, b in pairs),
    ]


@kernel("integers.cu")
def packed(random: np.random.Generator) -> Case:
    n = 150
    a, b = random.integers(0, 1 << 32, (2, n), dtype=np.uint32)
    results = [packed_results(int(a[i]), int(b[i]), i) for i in range(n)]
    want = np.array([[v & 0xFFFFFFFF for v in row] for row in results], np.uint32)
    args = [a.copy(), b.copy(), np.zeros_like(want), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, {2: want})


@kernel("integers.cu")
def bits(random: np.random.Generator) -> Case:
    n = 130
    x = random.integers(0, 1 << 64, n, dtype=np.uint64)
    x[:3] = [0, 1, 1 << 63]
    want = np.zeros((n, 8), np.int64)
    for i, value in enumerate(x.tolist()):
        negative = value - (value >> 63 << 64)
        other = value ^ 0x5555
        results = [
            value.bit_count(),
            64 - value.bit_length(),
            (value & -value).bit_length(),
            int(f"{value:064b}"[::-1], 2),
            value << i % 64,
            negative >> i % 64,
            value * (~value % (1 << 64)) >> 64,
            negative * (other - (other >> 63 << 64)) >> 64,
        ]
        want[i] = [(v + (1 << 63)) % (1 << 64) - (1 << 63) for v in results]
    args = [x, np.zeros_like(want), np.int32(n)]
    return Case(blocks(n, 64), (64, 1, 1), args, {1: want})
