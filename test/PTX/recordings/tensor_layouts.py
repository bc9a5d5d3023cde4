"""Where the elements of a tile lie in registers and in shared memory.

Tiles are arrays of bit patterns: A [tile, m, k], B [tile, k, n], C and D [tile, m, n].
A fragment layout is a pair of index arrays [register, lane, element] -> row, column.
"""

import numpy as np

from recordings.tensor_variants import bits_of

Layout = tuple[np.ndarray, np.ndarray]
SWIZZLE_MODES = {0: 0, 128: 1, 64: 2, 32: 3}


def fragment_a(m: int, k: int, t: str) -> Layout:
    """A of mma.sync: rows m, columns k."""
    e = max(1, 32 // bits_of(t))
    i, lane, j = np.ogrid[: m * k // (32 * e), :32, :e]
    high = m // 8
    return (
        lane // 4 + 8 * (i % high) + 0 * j,
        e * (lane % 4) + 4 * e * (i // high) + j,
    )


def fragment_b(k: int, n: int, t: str) -> Layout:
    """B of mma.sync: rows k, columns n."""
    e = max(1, 32 // bits_of(t))
    i, lane, j = np.ogrid[: k * n // (32 * e), :32, :e]
    return e * (lane % 4) + 4 * e * i + j, lane // 4 + 0 * i + 0 * j


def fragment_c(m: int, n: int, t: str) -> Layout:
    """C and D of mma.sync: rows m, columns n."""
    e = 2 if t == "f16" else 1
    i, lane, j = np.ogrid[: m * n // (32 * e), :32, :e]
    if e == 2:
        return lane // 4 + 8 * i + 0 * j, 2 * (lane % 4) + j + 0 * i
    return lane // 4 + 8 * (i // 2) + 0 * j, 2 * (lane % 4) + i % 2 + 0 * j


def group_fragment_a(k: int, t: str) -> Layout:
    """A of wgmma in the registers of 128 threads: rows m, columns k."""
    e = 32 // bits_of(t)
    i, thread, j = np.ogrid[:4, :128, :e]
    row = thread // 32 * 16 + thread % 32 // 4 + 8 * (i % 2) + 0 * j
    return row, e * (thread % 4) + 4 * e * (i // 2) + j


def group_fragment_c(n: int, t: str) -> Layout:
    """C and D of wgmma in the registers of 128 threads: rows m, columns n."""
    e = 2 if t == "f16" else 1
    i, thread, j = np.ogrid[: n // (2 * e), :128, :e]
    i = i * e + j
    row = thread // 32 * 16 + thread % 32 // 4 + 8 * (i // 2 % 2)
    return row, 8 * (i // 4) + 2 * (thread % 4) + i % 2 + 0 * thread


def pack(tiles: np.ndarray, layout: Layout, t: str) -> np.ndarray:
    """Tiles [tile, row, column] to registers [tile, lane, register]."""
    elements = tiles[:, layout[0], layout[1]].astype(np.uint64)
    shifts = (np.arange(elements.shape[-1]) * bits_of(t)).astype(np.uint64)
    registers = (elements << shifts).sum(-1, dtype=np.uint64).transpose(0, 2, 1)
    dtype = np.uint64 if t == "f64" else np.uint32
    return np.ascontiguousarray(registers).astype(dtype)


def unpack(
    registers: np.ndarray, layout: Layout, t: str, shape: tuple[int, int]
) -> np.ndarray:
    """Registers [tile, lane, register] to tiles [tile, row, column] of `shape`."""
    shifts = (np.arange(layout[0].shape[-1]) * bits_of(t)).astype(np.uint64)
    mask = np.uint64((1 << bits_of(t)) - 1)
    elements = (
        registers.transpose(0, 2, 1)[..., None].astype(np.uint64) >> shifts & mask
    )
    tiles = np.zeros((len(registers), *shape), np.uint64)
    tiles[:, layout[0], layout[1]] = elements
    return tiles


def shared_layout(name: str, rows: int, k: int, size: int) -> tuple[np.ndarray, int]:
    """Byte offsets [row, k] of a wgmma operand, and its descriptor without address.

    `rows` counts M or N, `size` is the bytes of an element. Names: see `Wgmma`.
    """
    width = int(name[1:])
    row, column = np.ogrid[:rows, :k]
    if name[0] == "K":
        byte = column * size
        if width == 0:  # core matrices of 8 rows of 16 bytes
            leading, stride = 128, 128 * (k * size // 16)
            offset = byte // 16 * leading + row % 8 * 16 + byte % 16
        else:
            leading, stride = 16, 8 * width
            offset = row % 8 * width + byte
        offset = row // 8 * stride + offset
    else:
        byte = row * size
        if width == 0:  # core matrices of 8 k of 16 bytes
            stride, leading = 128, 128 * (rows // 8)
            offset = column // 8 * leading + column % 8 * 16
            offset = offset + byte // 16 * stride + byte % 16
        else:  # `width` bytes of M or N contiguous, 8 k
            stride = 8 * width
            leading = stride * (k // 8)
            offset = byte // width * leading + column // 8 * stride
            offset = offset + column % 8 * width + byte % width
    offset = offset + 0 * row + 0 * column
    if width:
        offset = offset ^ ((offset >> 7 & (width // 16 - 1)) << 4)
    mode = SWIZZLE_MODES[width]
    return offset, (leading >> 4) << 16 | (stride >> 4) << 32 | mode << 62
