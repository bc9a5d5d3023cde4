"""The fixed evaluation of scores in NumPy float32: the definition.

Only add, subtract, multiply, divide, square root, compare, select, small int to
float and integer bit operations, each rounded to nearest even. NumPy never fuses a
multiply and an add, so what this file computes is what every target must compute,
bit for bit. Call it under ``np.errstate(all="ignore")``: NaN and infinity are
ordinary values here.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

f32, u32, i32 = np.float32, np.uint32, np.int32
F32 = npt.NDArray[np.float32]
U32 = npt.NDArray[np.uint32]


def const(pattern: int) -> np.float32:
    """A constant by its bit pattern."""
    return u32(pattern).view(f32)


def bits(x: npt.ArrayLike) -> U32:
    return np.asarray(x, f32).view(u32)


def value(pattern: npt.ArrayLike) -> F32:
    return np.asarray(pattern, u32).view(f32)


NAN, INF, ZERO, ONE = (const(c) for c in (0x7FC00000, 0x7F800000, 0, 0x3F800000))


def tiny(v: F32) -> F32:
    """The zero rule: |v| < 2^-125 becomes +0, so that FTZ and DAZ cannot matter."""
    return np.where((bits(v) & u32(0x7F000000)) == 0, ZERO, v)


def canon(v: F32) -> F32:
    """One NaN, one zero."""
    return np.where(v != v, NAN, tiny(v))


def horner(r: F32, *coefficients: int) -> F32:
    q = np.full_like(r, const(coefficients[0]))
    for c in coefficients[1:]:
        q = q * r + const(c)
    return q


def exp(x: F32) -> F32:
    """Less than 0.9 ulp from e^x."""
    k = x * const(0x3FB8AA3B) + const(0x4B400000)
    n = k - const(0x4B400000)  # round(x / log 2), which is in the low bits of k
    hi = x - n * const(0x3F317200)
    lo = n * const(0x35BFBE8E)
    r = hi - lo
    q = horner(r, 0x3AB56394, 0x3C091EEF, 0x3D2AAC2C, 0x3E2AAA46, 0x3EFFFFFE)
    p = ONE + (hi - (lo - (r * r) * q))
    y = value(bits(p) + (bits(k) << u32(23)))
    y = np.where(x < const(0xC2AD496B), ZERO, np.where(x > const(0x42B17217), INF, y))
    return np.where(x != x, NAN, y)


def log_of(u: F32, exact: F32) -> F32:
    """log(u); `exact` is u - 1 without rounding error where u is near 1."""
    b = bits(u) + u32(0x3F800000 - 0x3F3504F3)
    e = (b >> u32(23)).view(i32) - i32(127)
    n = e.astype(f32)
    m = value((b & u32(0x7FFFFF)) + u32(0x3F3504F3)) - ONE
    f = np.where(e == 0, exact, m)
    s = f / (const(0x40000000) + f)
    z = s * s
    h = (const(0x3F000000) * f) * f
    t = s * (h + z * horner(z, 0x3E98F01E, 0x3ECCAF6C, 0x3F2AAABD))
    return n * const(0x3F317200) - ((h - (t + n * const(0x35BFBE8E))) - f)


def log(x: F32) -> F32:
    """Less than 0.9 ulp from log(x)."""
    y = log_of(x, x - ONE)
    y = np.where(tiny(x) == 0, -INF, np.where(x == INF, INF, y))
    negative = (bits(x) >> u32(31) != 0) & (tiny(x) != 0)
    return np.where((x != x) | negative, NAN, y)


def sigmoid(x: F32) -> F32:
    """Less than 2.5 ulp from 1 / (1 + e^-x)."""
    return canon(ONE / (ONE + exp(-x)))


def sqrtsoftplus(x: F32) -> F32:
    """Less than 1.7 ulp from sqrt(log(1 + e^x))."""
    e = exp(x)
    return canon(np.sqrt(np.where(x <= const(0x42800000), log_of(ONE + e, e), x)))


def sum_by_lanes(terms: F32, lanes: int = 32) -> F32:
    """Over the last axis: strided partial sums, one a lane, then a tree.

    Lane j sums terms j, j + 32, ...; an absent term is +0. Fewer lanes, a power of two
    not below the number of terms, leave out lanes of zeros and give the same bits.
    """
    padding = np.zeros((*terms.shape[:-1], -terms.shape[-1] % lanes), f32)
    p = np.concatenate([terms, padding], -1)
    p = p.reshape(*terms.shape[:-1], p.shape[-1] // lanes, lanes)
    acc = p[..., 0, :]
    for i in range(1, p.shape[-2]):
        acc = acc + p[..., i, :]
    while lanes > 1:  # lane j adds lane j xor 16, then 8, 4, 2, 1
        lanes //= 2
        acc = acc[..., :lanes] + acc[..., lanes:]
    return acc


def softmax(x: F32) -> F32:
    """Over the last axis."""
    count = x.shape[-1]
    m = np.max(np.where(x != x, -INF, x), -1, keepdims=True)
    e = exp(x - np.where(m == -INF, ZERO, m))
    total = sum_by_lanes(e, min(32, 1 << (count - 1).bit_length()))
    total = np.where(total == 0, ONE, total)
    return np.where((x != x).any(-1, keepdims=True), NAN, canon(e / total))


SCORES: dict[str, Callable[[F32], F32]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
    "sqrtsoftplus": sqrtsoftplus,
    "identity": canon,
}


def key(score: F32) -> U32:
    """Orders as the numbers do: 0 is NaN, 0x80000000 is zero."""
    u = bits(score)
    k = u ^ ((u.view(i32) >> i32(31)).view(u32) | u32(0x80000000))
    k = np.where(tiny(score) == 0, u32(0x80000000), k)
    return np.where(score != score, u32(0), k)


def unkey(k: U32) -> F32:
    sign = (k.view(i32) >> i32(31)).view(u32)
    return np.where(k == 0, NAN, value(k ^ (~sign | u32(0x80000000))))
