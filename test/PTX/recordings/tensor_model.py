"""What the tensor cores of Hopper compute, bit for bit, on tiles of bit patterns.

Floats of 16 and 32 bits: one sum over the whole K. Each exact product and C is aligned
to the largest exponent (ea + eb, not normalised; zeros do not count) and cut toward
zero to F fraction bits; the sum of these is exact; it is cut toward zero to the
result's fraction (f16: rounded to even). F is 25; wgmma of 8-bit floats has 13 and
cuts the result to 13 bits. mma.sync of 8-bit floats is not one sum: see `mma`.
"""

import math
import struct
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from recordings.tensor_variants import FORMATS, INTEGERS, Mma, Wgmma


class Parts(NamedTuple):
    """Sign, exponent of the implicit one, significand, classes, fraction bits."""

    sign: np.ndarray
    exponent: np.ndarray
    significand: np.ndarray
    infinite: np.ndarray
    nan: np.ndarray
    fraction: int

    def at(self, index: tuple[slice | None, ...]) -> "Parts":
        return Parts(*(x[index] for x in self[:5]), self.fraction)


def parts(bits: np.ndarray, t: str) -> Parts:
    f = FORMATS[t]
    e, m = f.exponent, f.fraction
    bits = bits.astype(np.int64)
    if t == "tf32":
        bits = bits >> 13
    sign, field = bits >> e + m & 1, bits >> m & (1 << e) - 1
    fraction = bits & (1 << m) - 1
    top = field == (1 << e) - 1
    if f.infinities:
        nan, infinite = top & (fraction != 0), top & (fraction == 0)
    else:
        nan, infinite = top & (fraction == (1 << m) - 1), top & False
    exponent = np.maximum(field, 1) - ((1 << e - 1) - 1)
    significand = fraction | (field > 0).astype(np.int64) << m
    return Parts(sign, exponent, significand, infinite, nan, m)


def leading_one(magnitude: np.ndarray) -> np.ndarray:
    """The position of the highest bit."""
    position = np.zeros_like(magnitude)
    for k in (32, 16, 8, 4, 2, 1):
        larger = (magnitude >> position + k) > 0
        position = np.where(larger, position + k, position)
    return position


def to_f32(
    negative: np.ndarray, magnitude: np.ndarray, exponent: np.ndarray, keep: int
) -> np.ndarray:
    """magnitude * 2**exponent as f32, cut toward zero to `keep` fraction bits."""
    e = leading_one(magnitude) + exponent
    shift = np.maximum(e, -126) - keep - exponent
    left, right = np.clip(-shift, 0, 62), np.clip(shift, 0, 62)
    kept = np.where(shift >= 0, magnitude >> right, magnitude << left) << 23 - keep
    normal = (np.maximum(e, -126) + 127 << 23) + kept - (1 << 23)
    bits = np.where(kept >= 1 << 23, normal, kept)
    bits = np.where(e > 127, 0x7F800000, bits)
    return np.where(magnitude == 0, 0, bits) | np.where(negative, 1 << 31, 0)


def to_f16(
    negative: np.ndarray, magnitude: np.ndarray, exponent: np.ndarray
) -> np.ndarray:
    """magnitude * 2**exponent as f16, rounded to nearest even."""
    e = leading_one(magnitude) + exponent
    shift = np.maximum(e, -14) - 10 - exponent
    right = np.clip(shift, 0, 62)
    kept = magnitude >> right
    rest = magnitude & (np.int64(1) << right) - 1
    half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), 0)
    odd = kept & 1 == 1
    kept = kept + ((right > 0) & ((rest > half) | ((rest == half) & odd)))
    kept = np.where(shift < 0, magnitude << np.clip(-shift, 0, 62), kept)
    normal = (np.maximum(e, -14) + 15 << 10) + kept - (1 << 10)
    bits = np.where(kept >= 1 << 10, normal, kept)
    bits = np.where((e > 15) | (bits >= 0x7C00), 0x7C00, bits)
    return np.where(magnitude == 0, 0, bits) | np.where(negative, 1 << 15, 0)


def fused_sum(
    types: tuple[str, str, str],
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray | None,
    fraction: int = 25,
    keep: int = 23,
    negate: bool = False,
) -> np.ndarray:
    """D of one tensor core step over tiles of types A, B, D; C may be absent."""
    ta, tb, td = types
    x = parts(a, ta).at((slice(None), slice(None), None))  # [tile, m, 1, k]
    y = parts(b.transpose(0, 2, 1), tb).at((slice(None), None))  # [tile, 1, n, k]
    sign, exponent = x.sign ^ y.sign ^ int(negate), x.exponent + y.exponent
    product = x.significand * y.significand
    infinite = x.infinite | y.infinite
    undefined = x.infinite & (y.significand == 0) & ~y.infinite
    undefined |= y.infinite & (x.significand == 0) & ~x.infinite
    nan = (x.nan | y.nan | undefined).any(-1)
    plus = (infinite & (sign == 0)).any(-1)
    minus = (infinite & (sign == 1)).any(-1)
    z = parts(np.zeros(nan.shape, np.uint64) if c is None else c, td)
    nan = nan | z.nan
    plus, minus = plus | z.infinite & (z.sign == 0), minus | z.infinite & (z.sign == 1)
    top = np.where(product > 0, exponent, -99999).max(-1)
    top = np.maximum(top, np.where(z.significand > 0, z.exponent, -99999))

    def term(
        sign: np.ndarray, exponent: np.ndarray, value: np.ndarray, bits: int
    ) -> np.ndarray:
        largest = top[..., None] if value.ndim > top.ndim else top
        shift = fraction - bits - (largest - exponent)
        left, right = np.clip(shift, 0, 40), np.clip(-shift, 0, 63)
        cut = np.where(shift >= 0, value << left, value >> right)
        return np.where(sign == 1, -cut, cut)

    total = term(sign, exponent, product, x.fraction + y.fraction).sum(-1)
    total = total + term(z.sign, z.exponent, z.significand, z.fraction)
    if td == "f16":
        d = to_f16(total < 0, np.abs(total), top - fraction)
        infinity, negative, quiet = 0x7C00, 0x8000, 0x7FFF
    else:
        d = to_f32(total < 0, np.abs(total), top - fraction, keep)
        infinity, negative, quiet = 0x7F800000, 1 << 31, 0x7FFFFFFF
    d = np.where(plus, infinity, np.where(minus, infinity | negative, d))
    return np.where(nan | plus & minus, quiet, d).astype(np.uint64)


def mma(variant: Mma, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """D of mma.sync.

    8-bit floats: two fused steps as f16 without C (k % 4 in 0, 1; then 2, 3), the
    first's result the C of the second; then an ordinary addition of C.
    """
    s = variant.shape
    if s.a in INTEGERS:
        return integer_sum(variant, a, b, c)
    if s.a == "f64":
        return double_chain(a, b, c)
    if s.a not in ("e4m3", "e5m2"):
        return fused_sum((s.a, s.b, s.d), a, b, c)
    k = np.arange(s.k)
    first = fused_sum((s.a, s.b, s.d), a[:, :, k % 4 < 2], b[:, k % 4 < 2], None)
    second = a[:, :, k % 4 >= 2], b[:, k % 4 >= 2]
    product = fused_sum((s.a, s.b, s.d), *second, first)
    narrow = s.d == "f16"
    bits, value = (np.uint16, np.float16) if narrow else (np.uint32, np.float32)
    with np.errstate(all="ignore"):
        d = product.astype(bits).view(value) + c.astype(bits).view(value)
    quiet = 0x7FFF if narrow else 0x7FFFFFFF
    return np.where(np.isnan(d), quiet, d.view(bits)).astype(np.uint64)


def wgmma(variant: Wgmma, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """D of wgmma."""
    s = variant.shape
    addend = c if variant.accumulate else None
    if s.a in INTEGERS:
        total = integer(a, s.a) @ integer(b, s.b)
        total = total if addend is None else total + integer(addend, "s32")
        return (total & 0xFFFFFFFF).astype(np.uint64)
    narrow = s.a in ("e4m3", "e5m2")
    fraction, keep = (13, 13) if narrow else (25, 23)
    negate = variant.negate_a != variant.negate_b
    return fused_sum((s.a, s.b, s.d), a, b, addend, fraction, keep, negate)


def sparse_operand(a: np.ndarray, metadata: np.ndarray, selector: int) -> np.ndarray:
    """A [tile, 16, 16] of mma.sp.m16n8k32 as the dense [tile, 16, 32] it stands for.

    The metadata of lane 4 g + 2 selector holds groups 0-3 of row g (low half) and of
    row g + 8 (high half), that of the next lane groups 4-7.
    """
    dense = np.zeros((len(a), 16, 32), np.uint64)
    for g in range(8):
        for group in range(8):
            word = metadata[:, 4 * g + 2 * selector + group // 4].astype(np.int64)
            for row, half in ((g, 0), (g + 8, 16)):
                nibble = word >> half + 4 * (group % 4) & 15
                for j in (0, 1):
                    column = 4 * group + (nibble >> 2 * j & 3)
                    dense[np.arange(len(a)), row, column] = a[:, row, 2 * group + j]
    return dense


def integer(bits: np.ndarray, t: str) -> np.ndarray:
    """The values of integer bit patterns."""
    width, signed = INTEGERS[t]
    values = bits.astype(np.int64)
    negative = signed & (values >> width - 1 & 1)
    return values - (negative << width)


def integer_sum(
    variant: Mma, a: np.ndarray, b: np.ndarray, c: np.ndarray
) -> np.ndarray:
    """An exact sum that wraps, or clamps once at the end with .satfinite."""
    s = variant.shape
    if s.a == "b1":
        x, y = a[:, :, None, :], b.transpose(0, 2, 1)[:, None]
        total = (x ^ y if ".xor" in variant.instruction else x & y).sum(-1)
        total = total.astype(np.int64)
    else:
        total = integer(a, s.a) @ integer(b, s.b)
    total = total + integer(c, "s32")
    if ".satfinite" in variant.instruction:
        total = np.clip(total, -(2**31), 2**31 - 1)
    return (total & 0xFFFFFFFF).astype(np.uint64)


def fused_double(a: int, b: int, c: int) -> int:
    """a * b + c of f64 bit patterns; a NaN comes back quieted, b before c before a."""
    for bits in (b, c, a):
        if bits & (1 << 63) - 1 > 0x7FF << 52:
            return bits | 1 << 51
    x, y, z = (struct.unpack("d", struct.pack("Q", bits))[0] for bits in (a, b, c))
    if math.isinf(x) or math.isinf(y) or math.isinf(z):
        d = (x * y if math.isinf(x) or math.isinf(y) else 0.0) + z
        if math.isnan(d):
            return 0xFFF8 << 48
    else:
        exact = Fraction(x) * Fraction(y) + Fraction(z)
        try:
            d = float(exact) or (-0.0 if exact < 0 else 0.0)
        except OverflowError:
            d = math.inf if exact > 0 else -math.inf
        if exact == 0:
            d = x * y + z if x == 0 or y == 0 else 0.0
    return int(struct.unpack("Q", struct.pack("d", d))[0])


def double_chain(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """A chain of correctly rounded fma, k = 0 first."""
    d = c.copy()
    for t, m, n in np.ndindex(*d.shape):
        value = int(d[t, m, n])
        for k in range(a.shape[2]):
            value = fused_double(int(a[t, m, k]), int(b[t, k, n]), value)
        d[t, m, n] = value
    return d
