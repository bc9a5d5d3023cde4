"""Answers for warp.cu and divergence.cu: lanes of a warp, computed one by one."""

from typing import Any

import numpy as np

from foreign.case import Case, blocks, kernel


def popcount(x: int) -> int:
    return (x & 0xFFFFFFFF).bit_count()


def ballot(votes: np.ndarray) -> int:
    return sum(1 << lane for lane, vote in enumerate(votes) if vote)


@kernel("warp.cu")
def exchange(random: np.random.Generator) -> Case:
    x = random.integers(-500, 1 << 22, (4, 32), dtype=np.int32)
    x[2] = 77
    x[3] = random.integers(0, 32, 32)
    want = np.zeros((4, 32, 8), np.int64)
    for w, row in enumerate(x):
        values = row.astype(int)
        for lane in range(32):
            o, me = want[w, lane], int(values[lane])
            o[0] = values[me & 31]
            o[1] = values[lane - 3] if lane % 16 >= 3 else me
            o[2] = values[lane + 5] if lane % 8 + 5 < 8 else me
            o[3] = values[lane ^ 9]
            o[4] = ballot(values > 0)
            o[5] = 2 * (values == np.arange(32)).any() + (values > -1000).all()
            o[6] = ballot((values & 7) == (me & 7))
            same = len(set(values >> 20)) == 1
            o[7] = 0xFFFFFFFF + 1 if same else 0
    want = (want & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    return Case((2, 1, 1), (64, 1, 1), [x, np.zeros_like(want)], {1: want})


def nth_set_bit(mask: int, n: int) -> int:
    places = [bit for bit in range(32) if mask >> bit & 1]
    return places[n - 1] if n <= len(places) else 0xFFFFFFFF


@kernel("warp.cu")
def reduce_branch(random: np.random.Generator) -> Case:
    x = random.integers(-(1 << 31), 1 << 31, (4, 32), dtype=np.int32)
    want = np.zeros((4, 32, 6), np.uint64)
    for w, row in enumerate(x):
        bits = row.view(np.uint32).astype(np.uint64)
        odd = (row & 1) != 0
        mask = ballot(odd)
        mirrored = int(f"{mask:032b}"[::-1], 2)
        first = (mask & -mask).bit_length()
        for lane in range(32):
            o = want[w, lane]
            if odd[lane]:
                o[0] = bits[odd].sum() & 0xFFFFFFFF
                o[1] = int(row[odd].min()) & 0xFFFFFFFF
                o[2] = bits[odd].max()
            else:
                o[0] = np.bitwise_and.reduce(bits[~odd])
                o[1] = np.bitwise_or.reduce(bits[~odd])
                o[2] = np.bitwise_xor.reduce(bits[~odd])
            o[3] = nth_set_bit(mask, lane % 8 + 1)
            zeros = 32 - mask.bit_length()
            o[4] = mirrored ^ popcount(mask) ^ zeros ^ first
        want[w, :, 5] = want[w, ::-1, 0]
    result = want.astype(np.uint32)
    return Case((2, 1, 1), (64, 1, 1), [x, np.zeros_like(result)], {1: result})


@kernel("warp.cu")
def count_keys(random: np.random.Generator) -> Case:
    n, keys = 1000, 9
    x = random.integers(0, keys, n, dtype=np.uint8)
    counts = np.bincount(x, minlength=keys).astype(np.int32)

    def verify(args: list[Any]) -> None:
        for key in range(keys):
            places = np.sort(args[2][x == key])
            np.testing.assert_array_equal(places, np.arange(counts[key]))

    args = [x, np.zeros(keys, np.int32), np.zeros(n, np.int32), np.int32(n)]
    return Case(blocks(n, 128), (128, 1, 1), args, {1: counts}, verify=verify)


@kernel("warp.cu")
def tiles(random: np.random.Generator) -> Case:
    x = random.integers(0, 1000, (6, 32), dtype=np.int32)
    want = np.zeros((6, 32, 3), np.int32)
    for w, row in enumerate(x):
        threes = int((row % 3 == 0).sum())
        for lane in range(32):
            four, eight, half = lane // 4 * 4, lane // 8 * 8, lane // 16 * 16
            want[w, lane, 0] = row[four : four + 4].sum()
            want[w, lane, 1] = row[eight : eight + 8].min()
            want[w, lane, 2] = ballot(row[half : half + 16] % 2 != 0)
            want[w, lane, 2] += threes * 65536 * (row[lane] % 3 == 0)
    return Case((2, 1, 1), (96, 1, 1), [x, np.zeros_like(want)], {1: want})


@kernel("warp.cu")
def transpose_bits(random: np.random.Generator) -> Case:
    x = random.integers(0, 1 << 32, (4, 32), dtype=np.uint32)
    matrix = x[:, :, None] >> np.arange(32, dtype=np.uint32) & 1
    weights = np.uint32(1) << np.arange(32, dtype=np.uint32)
    want = (matrix.transpose(0, 2, 1) * weights).sum(2, dtype=np.uint32)
    return Case((1, 1, 1), (128, 1, 1), [x, np.zeros_like(x)], {1: want})


@kernel("divergence.cu")
def collatz(random: np.random.Generator) -> Case:
    n = 500
    x = random.integers(1, 100000, n, dtype=np.uint32)
    args = [x, np.zeros(n, np.int32), np.int32(n)]
    want = np.array([collatz_steps(int(v)) for v in x], np.int32)
    return Case(blocks(n, 128), (128, 1, 1), args, {1: want})


def collatz_steps(x: int) -> int:
    count = 0
    while x != 1:
        x = 3 * x + 1 if x % 2 else x // 2
        count += 1
    return count


def puzzle_lane(x: int) -> int:
    total = 0
    for a in range(6):
        if a == (x & 3):
            continue
        b = x & 7
        while b < 20:
            # C's remainder has the sign of the dividend.
            if (b ^ x) % 5 == 0:
                break
            total += a * b
            if total % 11 == 3:
                return total
            b += 3
        total ^= a
    return -total


@kernel("divergence.cu")
def puzzle(random: np.random.Generator) -> Case:
    n = 256
    x = random.integers(0, 10000, n, dtype=np.int32)
    first = np.array([puzzle_lane(int(v)) for v in x], np.int32)
    votes = np.repeat((first.reshape(-1, 32) < 0).sum(1), 32).astype(np.int32)
    args = [x, np.zeros(2 * n, np.int32), np.int32(n)]
    want = np.concatenate([first, votes])
    return Case((2, 1, 1), (128, 1, 1), args, {1: want})


def run_program(program: list[int], thread: int, steps: int) -> int:
    word = 0xFFFFFFFF
    pc, a, b = thread % 8, thread, 1
    for _ in range(steps):
        op = program[pc % 16]
        kind = op & 7
        if kind == 0:
            a = a + b & word
        elif kind == 1:
            b ^= a << 3 & word
        elif kind == 2:
            a = a * 1664525 + 1013904223 & word
        elif kind == 3:
            if a & 16:
                pc = pc + (op >> 3) & word
                continue
        elif kind in (4, 5):
            if kind == 4:
                b = (b >> 1 | b << 31) & word
            a = a - b & word
        elif kind == 6:
            b = ~b & word
        else:
            a ^= b
            pc += a & 3
        pc = pc + 1 & word
    return a ^ b


@kernel("divergence.cu")
def state_machine(random: np.random.Generator) -> Case:
    program = random.integers(0, 1 << 20, 16, dtype=np.uint32)
    program[:8] = program[:8] // 8 * 8 + np.arange(8)
    steps, threads = 60, 128
    listed = program.tolist()
    want = [run_program(listed, thread, steps) for thread in range(threads)]
    args = [program, np.zeros(threads, np.uint32), np.int32(steps)]
    return Case((2, 1, 1), (64, 1, 1), args, {1: np.array(want, np.uint32)})


@kernel("divergence.cu")
def locked_lists(random: np.random.Generator) -> Case:
    n, lists = 200, 7
    x = random.integers(0, 1000, n, dtype=np.int32)
    locks, heads = np.zeros(lists, np.int32), np.full(lists, -1, np.int32)

    def verify(args: list[Any]) -> None:
        for number in range(lists):
            found, at = [], int(args[2][number])
            while at >= 0:
                found.append(at)
                at = int(args[3][at])
            want = np.flatnonzero(x % lists == number)
            np.testing.assert_array_equal(np.sort(found), want)

    following = np.full(n, -2, np.int32)
    args = [x, locks, heads, following, np.int32(lists), np.int32(n)]
    expected = {1: np.zeros(lists, np.int32)}
    return Case(blocks(n, 64), (64, 1, 1), args, expected, verify=verify)


@kernel("divergence.cu")
def dropouts(random: np.random.Generator) -> Case:
    lives = random.integers(0, 40, (4, 32), dtype=np.uint8)
    history = np.zeros((4, 32), np.uint64)
    for w in range(4):
        for now in range(32):
            stay = lives[w] > now
            if stay.any():
                # Of the thread's number only the largest of those that stay counts.
                largest = 32 * w + int(np.flatnonzero(stay)[-1])
                history[w, stay] *= np.uint64(31)
                history[w, stay] += np.uint64(stay.sum() + largest)
                history[w] &= np.uint64(0xFFFFFFFF)
    want = history.astype(np.uint32)
    return Case((2, 1, 1), (64, 1, 1), [lives, np.zeros_like(want)], {1: want})


@kernel("divergence.cu")
def mandelbrot(random: np.random.Generator) -> Case:
    width, height, limit = 60, 40, 50
    x = -2.0 + 3.0 * np.arange(width) / width
    y = -1.0 + 2.0 * np.arange(height) / height
    cr, ci = np.meshgrid(x, y)
    zr, zi = np.zeros_like(cr), np.zeros_like(ci)
    count = np.zeros(cr.shape, np.uint16)
    inside = np.ones(cr.shape, bool)
    with np.errstate(all="ignore"):
        for _ in range(limit):
            inside &= zr * zr + zi * zi <= 4
            count += inside
            following = zr * zr - zi * zi + cr
            zi = (zr + zr) * zi + ci
            zr = following
    args = [np.zeros_like(count), *(np.int32(v) for v in (width, height, limit))]
    return Case((4, 5, 1), (16, 8, 1), args, {0: count})
