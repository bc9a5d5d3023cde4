"""cvt in all its forms, and mov."""

from fractions import Fraction

from arithmetic import stochastic
from arithmetic.integers import clamp, number, saturate
from arithmetic.numbers import (
    FORMATS,
    Float,
    decode,
    encode,
    is_subnormal,
    magnitude_of,
    round_integer,
    round_magnitude,
)
from arithmetic.rows import WIDTHS, Row

FLOATS = ("f16", "bf16", "f32", "f64")
INTEGRAL = {"rni": "rn", "rzi": "rz", "rmi": "rm", "rpi": "rp"}


def operand(row: Row, bits: int, kind: str) -> Float:
    """A float source; .ftz concerns f32 only, and not on the way to f16."""
    value = decode(bits, FORMATS[kind])
    flushes = row.has("ftz") and kind == "f32" and row.modifiers[-2] != "f16"
    if flushes and value.finite:
        if is_subnormal(value.value, FORMATS[kind]):
            return decode(bits & (1 << 31), FORMATS[kind])
    return value


def integral_mode(row: Row) -> str | None:
    return next((INTEGRAL[m] for m in row.modifiers if m in INTEGRAL), None)


def to_integer(row: Row, bits: int, to: str, kind: str) -> int:
    value = operand(row, bits, kind)
    width = WIDTHS[to]
    if value.nan:
        keeps = kind == "f64" or width == 64
        return -(1 << (width - 1)) if keeps else 0
    if value.infinite:
        return saturate(-(1 << 80) if value.negative else 1 << 80, to)
    return saturate(round_integer(value.value, integral_mode(row)), to)


def from_integer(row: Row, bits: int, to: str, kind: str) -> int:
    value = Fraction(number(bits, kind))
    if row.has("sat"):
        value = min(max(value, Fraction(0)), Fraction(1))
    return encode(value, FORMATS[to], row.rounding, False)


def nan_of(row: Row, value: Float, to: str, kind: str) -> int:
    """The NaN a conversion delivers."""
    form, source = FORMATS[to], FORMATS[kind]
    if row.has("sat"):
        return 0
    if to == "f32" and kind == "bf16" and not row.has("ftz"):
        return value.bits << 16
    if to == kind == "f64":
        return value.bits | (form.quiet_bit if integral_mode(row) else 0)
    fraction = value.bits & ((1 << source.fraction) - 1)
    sign = form.sign_bit if value.negative else 0
    quiet = sign | form.infinity | form.quiet_bit
    if to == "f64":
        if row.has("ftz"):
            return 0x7FFFFFFFE0000000
        return quiet | fraction << (form.fraction - source.fraction)
    if kind == "f64":
        return quiet | fraction >> (source.fraction - form.fraction)
    return form.canonical_nan


def to_float(row: Row, bits: int, to: str, kind: str) -> int:
    """Between f16, bf16, f32 and f64; also to an integral value of the type."""
    form = FORMATS[to]
    value = operand(row, bits, kind)
    if value.nan:
        return nan_of(row, value, to, kind)
    one = encode(Fraction(1), form, "rn", False)
    lowers = row.has("sat") or row.has("relu")
    if value.infinite:
        if lowers and value.negative:
            return 0
        sign = form.sign_bit if value.negative else 0
        largest = form.infinity - 1 if row.has("satfinite") else form.infinity
        return one if row.has("sat") else largest | sign
    exact, mode = value.value, row.rounding
    if integral := integral_mode(row):
        exact, mode = Fraction(round_integer(exact, integral)), "rn"
    if lowers and exact <= 0:
        return 0
    if row.has("sat"):
        exact = min(exact, Fraction(1))
    if row.has("ftz") and to == "f32" and is_subnormal(exact, form):
        return form.sign_bit if value.negative else 0
    result = encode(exact, form, mode, value.negative)
    if row.has("satfinite") and result & (form.sign_bit - 1) == form.infinity:
        result -= 1
    return result


def to_tf32(row: Row, bits: int) -> int:
    """f32 with its last 13 bits rounded off; .rna does not look at NaNs."""
    value = decode(bits, FORMATS["f32"])
    sign, magnitude = bits & (1 << 31), bits & ((1 << 31) - 1)
    if row.rounding == "rna":
        rounded = (magnitude + 0x1000) & ~0x1FFF
        if rounded >> 31:
            rounded = magnitude & ~0x1FFF
        if row.has("satfinite") and rounded >= 0x7F800000:
            rounded -= 0x2000
        return sign | rounded
    if value.nan:
        return 0x7FFFE000
    if row.has("relu") and (value.negative or magnitude == 0):
        return 0
    if value.infinite:
        return sign | (0x7F7FE000 if row.has("satfinite") else magnitude)
    whole, rest = divmod(magnitude, 0x2000)
    up = row.rounding == "rn" and (rest > 0x1000 or (rest == 0x1000 and whole % 2))
    rounded = (whole + up) << 13
    if row.has("satfinite") and rounded == 0x7F800000:
        rounded -= 0x2000
    return sign | rounded


def to_small(row: Row, value: Float, kind: str) -> int:
    """8-, 6- and 4-bit floats, always saturated."""
    form = FORMATS[kind]
    largest, nan = stochastic.SMALL[kind]
    if value.nan:
        return nan
    if row.has("relu") and (value.negative or value.zero):
        return 0
    bits = largest
    if value.finite:
        bits = min(largest, round_magnitude(value.value, form, "rn"))
    return bits | (form.sign_bit if value.negative else 0)


def small_to_half(row: Row, bits: int, kind: str) -> int:
    form, half = FORMATS[kind], FORMATS["f16"]
    magnitude = bits & (form.sign_bit - 1)
    negative = bool(bits & form.sign_bit)
    if (kind == "e5m2" and magnitude > 0x7C) or (kind == "e4m3" and magnitude == 0x7F):
        return half.canonical_nan
    if row.has("relu") and negative:
        return 0
    sign = half.sign_bit if negative else 0
    if kind == "e5m2" and magnitude == 0x7C:
        return sign | half.infinity
    return sign | encode(magnitude_of(magnitude, form), half, "rn", False)


def to_scale(row: Row, value: Float) -> int:
    """ue8m0: the power of two below or above the magnitude."""
    if value.nan:
        return 0xFF
    top = 0xFE if row.has("satfinite") else 0xFF
    if value.infinite:
        return top
    for exponent in range(-127, 128):
        power = Fraction(2) ** exponent
        below = row.rounding == "rz" and abs(value.value) < 2 * power
        above = row.rounding == "rp" and abs(value.value) <= power
        if below or above:
            return exponent + 127
    return top


def scale_to_half(bits: int) -> int:
    if bits == 0xFF:
        return FORMATS["bf16"].canonical_nan
    return encode(Fraction(2) ** (bits - 127), FORMATS["bf16"], "rn", False)


def packed(row: Row, args: list[int]) -> int:
    """cvt.pack: two numbers saturated, above or below what c holds."""
    kind = row.types[0]
    bits = int(kind[1:])
    low = -(1 << (bits - 1)) if kind[0] == "s" else 0
    high = (1 << (bits - 1)) - 1 if kind[0] == "s" else (1 << bits) - 1
    fields = [clamp(number(x, "s32"), low, high) & ((1 << bits) - 1) for x in args[:2]]
    rest = args[2] << 2 * bits if len(args) > 2 else 0
    return rest | fields[0] << bits | fields[1]


def convert(row: Row, args: list[int]) -> int:
    if row.has("pack"):
        return packed(row, args)
    if row.has("rs"):
        return stochastic.convert(row, args)
    to, kind = row.modifiers[-2:]
    base, source = to.removesuffix("x2"), kind.removesuffix("x2")
    if to == "tf32":
        return to_tf32(row, args[0])
    if to in FLOATS and kind in FLOATS:
        return to_float(row, args[0], to, kind)
    if to in FLOATS and kind in WIDTHS:
        return from_integer(row, args[0], to, kind)
    if kind in FLOATS and to in WIDTHS and not to.endswith("x2"):
        return to_integer(row, args[0], to, kind)
    if kind in WIDTHS and to in WIDTHS and not to.endswith("x2"):
        value = number(args[0], kind)
        return saturate(value, to) if row.has("sat") else number(value, to)
    shift = 4 if "e2m1" in (base, source) else 8
    if kind.endswith("x2"):
        width = 16 if source in FORMATS and source in FLOATS else shift
        parts = [args[0] >> width & ((1 << width) - 1), args[0] & ((1 << width) - 1)]
    else:
        parts = args
    if base in stochastic.SMALL:
        form = FORMATS[source]
        high, low = (to_small(row, decode(x, form), base) for x in parts)
        return high << shift | low
    if base == "ue8m0":
        high, low = (to_scale(row, decode(x, FORMATS[source])) for x in parts)
        return high << 8 | low
    if source in stochastic.SMALL:
        high, low = (small_to_half(row, x, source) for x in parts)
    elif source == "ue8m0":
        high, low = (scale_to_half(x) for x in parts)
    else:
        high, low = (to_float(row, x, base, kind) for x in parts)
    return high << 16 | low
