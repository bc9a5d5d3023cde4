"""Binary floating point by fractions: bits to numbers and back, each way exact."""

import math
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Format:
    """A float format with infinities and NaNs."""

    exponent: int
    fraction: int

    @property
    def width(self) -> int:
        return 1 + self.exponent + self.fraction

    @property
    def bias(self) -> int:
        return (1 << (self.exponent - 1)) - 1

    @property
    def infinity(self) -> int:
        return ((1 << self.exponent) - 1) << self.fraction

    @property
    def sign_bit(self) -> int:
        return 1 << (self.width - 1)

    @property
    def quiet_bit(self) -> int:
        return 1 << (self.fraction - 1)

    @property
    def canonical_nan(self) -> int:
        return self.sign_bit - 1


FORMATS = {
    "f16": Format(5, 10),
    "bf16": Format(8, 7),
    "f32": Format(8, 23),
    "f64": Format(11, 52),
    "e5m2": Format(5, 2),
    "e4m3": Format(4, 3),
    "e3m2": Format(3, 2),
    "e2m3": Format(2, 3),
    "e2m1": Format(2, 1),
}


@dataclass(frozen=True)
class Float:
    """A decoded float. `value` is meaningless unless `finite`."""

    bits: int
    negative: bool
    nan: bool = False
    infinite: bool = False
    value: Fraction = Fraction(0)

    @property
    def finite(self) -> bool:
        return not (self.nan or self.infinite)

    @property
    def zero(self) -> bool:
        return self.finite and self.value == 0


def decode(bits: int, form: Format) -> Float:
    negative = bool(bits & form.sign_bit)
    magnitude = bits & (form.sign_bit - 1)
    if magnitude > form.infinity:
        return Float(bits, negative, nan=True)
    if magnitude == form.infinity:
        return Float(bits, negative, infinite=True)
    value = magnitude_of(magnitude, form)
    return Float(bits, negative, value=-value if negative else value)


def magnitude_of(magnitude: int, form: Format) -> Fraction:
    """The value of exponent and fraction, taken as a number whatever they are."""
    field, fraction = divmod(magnitude, 1 << form.fraction)
    if field:
        fraction += 1 << form.fraction
    last = max(field, 1) - form.bias - form.fraction
    return fraction * power_of_two(last)


def power_of_two(exponent: int) -> Fraction:
    if exponent >= 0:
        return Fraction(1 << exponent)
    return Fraction(1, 1 << -exponent)


def floor_log2(value: Fraction) -> int:
    """The exponent of the leading bit of a positive number."""
    guess = value.numerator.bit_length() - value.denominator.bit_length()
    return guess if power_of_two(guess) <= value else guess - 1


def round_up(mode: str, negative: bool, whole: int, rest: Fraction) -> bool:
    """Whether `whole + rest` is rounded away from zero."""
    half = Fraction(1, 2)
    match mode:
        case "rn":
            return rest > half or (rest == half and whole % 2 == 1)
        case "rna":
            return rest >= half
        case "rz":
            return False
        case "rm":
            return negative and rest > 0
        case "rp":
            return not negative and rest > 0
    raise ValueError(f"no rounding is called {mode}")


def round_integer(value: Fraction, mode: str) -> int:
    magnitude = abs(value)
    whole = magnitude.numerator // magnitude.denominator
    rest = magnitude - whole
    whole += round_up(mode, value < 0, whole, rest)
    return -whole if value < 0 else whole


def round_magnitude(value: Fraction, form: Format, mode: str) -> int:
    """Bits of the magnitude of `value`, as if exponents had no end."""
    if value == 0:
        return 0
    magnitude = abs(value)
    smallest = 1 - form.bias
    last = max(floor_log2(magnitude), smallest) - form.fraction
    scaled = magnitude / power_of_two(last)
    whole = scaled.numerator // scaled.denominator
    whole += round_up(mode, value < 0, whole, scaled - whole)
    return ((last + form.fraction - smallest) << form.fraction) + whole


def encode(value: Fraction, form: Format, mode: str, negative_zero: bool) -> int:
    """Rounds to the format: bits, with infinities where the mode demands."""
    if value == 0:
        return form.sign_bit if negative_zero else 0
    bits = round_magnitude(value, form, mode)
    negative = value < 0
    if bits >= form.infinity:
        outward = {"rn", "rna", "rm" if negative else "rp"}
        bits = form.infinity if mode in outward else form.infinity - 1
    return bits | (form.sign_bit if negative else 0)


def is_subnormal(value: Fraction, form: Format) -> bool:
    return value != 0 and abs(value) < power_of_two(1 - form.bias)


def round_root(value: Fraction, form: Format, mode: str) -> int:
    """The square root of a positive number, rounded."""
    # An integer root with far more digits than the format, and whether it is exact.
    shift = 2 * (form.fraction + 8) - floor_log2(value)
    shift += shift % 2
    scaled = value * power_of_two(shift)
    root = math.isqrt(scaled.numerator // scaled.denominator)
    exact = root * root == scaled
    below = Fraction(root) + (0 if exact else Fraction(1, 3))
    return encode(below * power_of_two(-shift // 2), form, mode, False)
