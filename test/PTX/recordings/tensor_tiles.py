"""The input tiles of the tensor core recordings, made anew from their names.

The stream of `numpy.random.RandomState` is frozen by NumPy's policy, so the same tiles
come out everywhere; the order of the draws below is part of the recordings.
"""

import zlib

import numpy as np

from recordings.tensor_variants import FORMATS, INTEGERS, Shape, bits_of

DISTRIBUTIONS = (
    "small",
    "unit",
    "wide",
    "align",
    "cancel",
    "subnormal",
    "special",
    "cbig",
    "csmall",
    "overflow",
    "zeros",
)
INTEGER_DISTRIBUTIONS = ("small", "full", "extreme")
Tiles = tuple[np.ndarray, np.ndarray, np.ndarray]
# Exponents: lowest of a subnormal operand, first one out of range.
SUBNORMAL = {"bf16": -140, "tf32": -140, "f64": -1030}
SUBNORMAL |= {"f16": -18, "e4m3": -9, "e5m2": -18}
OVERFLOW = {"bf16": 128, "tf32": 128, "f64": 1024, "f16": 16, "e4m3": 9, "e5m2": 16}


def sign_bit(t: str) -> int:
    return -(1 << 63) if t == "f64" else 1 << bits_of(t) - 1


def without_sign(x: np.ndarray, t: str) -> np.ndarray:
    return x & ((1 << bits_of(t) - 1) - 1)


def encode(
    sign: np.ndarray, exponent: np.ndarray, fraction: np.ndarray, t: str
) -> np.ndarray:
    """Bits of sign, unbiased exponent and fraction field, clamped to the format.

    Below the normal range the exponent field is 0; no NaN of e4m3 comes out.
    """
    f = FORMATS[t]
    bias = (1 << f.exponent - 1) - 1
    top = (1 << f.exponent) - (2 if f.infinities else 1)
    field = np.clip(exponent + bias, 0, top) << f.fraction
    bits = sign << f.exponent + f.fraction | field
    bits = bits | fraction & ((1 << f.fraction) - 1)
    ones = (1 << f.exponent + f.fraction) - 1
    bits = np.where(bits & ones == ones, bits - 1, bits)
    return bits << 13 if t == "tf32" else bits


def encode_integers(values: np.ndarray, t: str) -> np.ndarray:
    """Bits of small integers."""
    sign, magnitude = (values < 0).astype(np.int64), np.abs(values)
    exponent = np.zeros_like(magnitude)
    for k in range(1, 12):
        exponent += magnitude >= 1 << k
    fraction = (magnitude << FORMATS[t].fraction) >> exponent
    return np.where(magnitude == 0, 0, encode(sign, exponent, fraction, t))


class Drawing:
    """Draws the tiles of one variant and one distribution."""

    def __init__(self, name: str, shape: Shape, distribution: str, count: int) -> None:
        self.shape, self.count = shape, count
        seed = zlib.crc32(f"{name} {distribution} 1".encode())
        self.random = np.random.RandomState(seed)
        self.size_a = (shape.m, shape.k)
        self.size_b = (shape.k, shape.n)
        self.size_c = (shape.m, shape.n)

    def draw(self, low: int, high: int, size: tuple[int, ...]) -> np.ndarray:
        """Integers of [low, high), one array of `size` a tile."""
        return self.random.randint(low, high, (self.count, *size)).astype(np.int64)

    def floats(self, t: str, size: tuple[int, int], low: int, high: int) -> np.ndarray:
        """Floats of either sign with exponents of [low, high)."""
        fraction = 1 << min(52, FORMATS[t].fraction)
        sign, exponent = self.draw(0, 2, size), self.draw(low, high, size)
        return encode(sign, exponent, self.draw(0, fraction, size), t)

    def triple(self, a: range, b: range, c: range) -> Tiles:
        """Floats with the given exponents."""
        s = self.shape
        return (
            self.floats(s.a, self.size_a, a.start, a.stop),
            self.floats(s.b, self.size_b, b.start, b.stop),
            self.floats(s.d, self.size_c, c.start, c.stop),
        )

    # Distributions of integers.

    def integers(self, t: str, size: tuple[int, int], distribution: str) -> np.ndarray:
        bits, signed = INTEGERS[t]
        low, high = (-(1 << bits - 1) if signed else 0), 1 << bits - signed
        if distribution == "small":
            values = self.draw(max(low, -4), min(high, 5), size)
        else:
            values = self.draw(low, high, size)
        if distribution == "extreme":
            largest = self.draw(0, 8, size) > 0
            ends = np.where(self.draw(0, 2, size) > 0, high - 1, low)
            values = np.where(largest, ends, values)
            values = np.where(self.draw(0, 2, (1, 1)) > 0, high - 1, values)
        return (values & ((1 << bits) - 1)).astype(np.uint64)

    def integer_tiles(self, distribution: str) -> Tiles:
        size = self.size_c
        if distribution == "small":
            c = self.draw(-100, 100, size)
        else:
            c = self.draw(-(2**31), 2**31, size)
        if distribution == "extreme":
            positive = self.draw(0, 2, size) > 0
            top = 2**31 - 1 - self.draw(0, 5000, size)
            c = np.where(positive, top, -(2**31) + self.draw(0, 5000, size))
        a = self.integers(self.shape.a, self.size_a, distribution)
        b = self.integers(self.shape.b, self.size_b, distribution)
        return a, b, (c & 0xFFFFFFFF).astype(np.uint64)

    # Distributions of floats.

    def small(self) -> Tiles:
        s = self.shape
        return (
            encode_integers(self.draw(-8, 9, self.size_a), s.a),
            encode_integers(self.draw(-8, 9, self.size_b), s.b),
            encode_integers(self.draw(-64, 65, self.size_c), s.d),
        )

    def unit(self) -> Tiles:
        return self.triple(range(-4, 2), range(-4, 2), range(-3, 4))

    def wide(self) -> Tiles:
        return self.triple(range(-30, 31), range(-30, 31), range(-60, 61))

    def align(self) -> Tiles:
        return self.triple(range(-14, 1), range(-14, 1), range(-26, 4))

    def subnormal(self) -> Tiles:
        low, d = SUBNORMAL[self.shape.a], self.shape.d
        start = {"f16": -30, "f64": -1060}.get(d, -160 if low < -100 else -40)
        stop = -14 if d == "f16" else low + 10
        return self.triple(range(low, low + 22), range(-9, 10), range(start, stop))

    def overflow(self) -> Tiles:
        high, d = OVERFLOW[self.shape.a], self.shape.d
        half = high // 2 + 1 if high > 100 else high
        start = {"f16": 12, "f64": 1020}.get(d, 124)
        stop = {"f16": 16, "f64": 1024}.get(d, 128)
        c = range(start, stop)
        return self.triple(range(half - 3, half), range(half - 4, half), c)

    def zeros(self) -> Tiles:
        """Mostly zeros of either sign, a few ones."""
        s = self.shape

        def mostly(t: str, size: tuple[int, int]) -> np.ndarray:
            ones = encode_integers(np.ones((self.count, *size), np.int64), t)
            values = np.where(self.draw(0, 8, size) > 0, 0, ones)
            return values | self.draw(0, 2, size) << (bits_of(t) - 1)

        a, b = mostly(s.a, self.size_a), mostly(s.b, self.size_b)
        c = mostly(s.d, self.size_c)
        sign = self.draw(0, 2, (1, 1))

        def one_sign(x: np.ndarray, t: str) -> np.ndarray:
            if t != s.d:
                return x
            forced = without_sign(x, t) | sign << (bits_of(t) - 1)
            return np.where(self.draw(0, 2, (1, 1)) > 0, forced, x)

        a, b, c = one_sign(a, s.a), one_sign(b, s.b), one_sign(c, s.d)
        same = self.draw(0, 3, (1, 1)) == 0  # all products and C of one sign
        a = np.where(same, without_sign(a, s.a), a)
        b = np.where(same, b | sign_bit(s.b), b)
        return a, b, np.where(same, sign_bit(s.d), c)

    def cancel(self) -> Tiles:
        """Pairs of products that cancel but for an ulp at times; C small or zero."""
        a, b, _ = self.unit()
        s = self.shape
        a[:, :, 1::2] = a[:, :, 0::2]
        step = self.draw(0, 4, (s.k // 2, s.n)) == 0
        negated = b[:, 0::2] ^ sign_bit(s.b)
        b[:, 1::2] = negated + (step << (13 if s.b == "tf32" else 0))
        if s.b == "e4m3":
            b = np.where((b & 127) == 127, b - 1, b)
        zero = self.draw(0, 3, self.size_c) == 0
        low = -40 if s.d == "f32" else -12
        return a, b, np.where(zero, 0, self.floats(s.d, self.size_c, low, 0))

    def cbig(self) -> Tiles:
        a, b, _ = self.unit()
        d = self.shape.d
        return a, b, self.floats(d, self.size_c, 3, 15 if d == "f16" else 40)

    def csmall(self) -> Tiles:
        a, b, _ = self.unit()
        d = self.shape.d
        return a, b, self.floats(d, self.size_c, -14 if d == "f16" else -40, -6)

    def special(self) -> Tiles:
        """Some zeros, infinities, NaN, largest and smallest values."""
        s = self.shape
        a, b, c = self.unit()

        def sprinkle(
            x: np.ndarray, t: str, size: tuple[int, int], rate: int
        ) -> np.ndarray:
            f = FORMATS[t]
            e, q = f.exponent, f.fraction
            top = ((1 << e) - 1) << q
            values = [
                0,
                1 << e + q,
                (1 << e + q) - 1,
                top,
                top | 1,
                1,
                (1 << e) - 2 << q,
            ]
            values = [v | sign << e + q for v in values for sign in (0, 1)]
            if t == "tf32":
                values = [v << 13 for v in values]
            pool = np.array([v - (1 << 64) if v >> 63 else v for v in values], np.int64)
            chosen = self.draw(0, rate, size) == 0
            return np.where(chosen, pool[self.draw(0, len(pool), size)], x)

        a = sprinkle(a, s.a, self.size_a, 5 * s.k)
        b = sprinkle(b, s.b, self.size_b, 5 * s.k)
        return a, b, sprinkle(c, s.d, self.size_c, 10)


def make_tiles(name: str, shape: Shape, distribution: str, count: int) -> Tiles:
    """The tiles A, B, C that were recorded; `count` is part of the stream."""
    drawing = Drawing(name, shape, distribution, count)
    if shape.a in INTEGERS:
        a, b, c = drawing.integer_tiles(distribution)
    else:
        a, b, c = getattr(drawing, distribution)()
    if shape.a == "tf32":  # the low 13 bits must not matter
        garbage = drawing.random.randint(0, 2, (count, 1, 1))
        a = a | garbage * drawing.draw(0, 8192, drawing.size_a)
        b = b | garbage * drawing.draw(0, 8192, drawing.size_b)

    def cut(x: np.ndarray, t: str) -> np.ndarray:
        return x.astype(np.uint64) & np.uint64((1 << bits_of(t)) - 1)

    return cut(a, shape.a), cut(b, shape.b), cut(c, shape.d)
