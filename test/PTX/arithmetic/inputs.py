"""Values of every type that are likely to be treated wrongly."""

import random
from fractions import Fraction

from arithmetic.numbers import FORMATS, Format, encode
from arithmetic.rows import WIDTHS

NUMBERS = (
    [Fraction(n, 2) for n in (1, 2, 3, 4, 5, 7, 15, 201, 253, 255, 256, 511, 65535)]
    + [Fraction(2) ** k for k in (7, 8, 14, 15, 16, 23, 24, 31, 32, 52, 63, 64, 126)]
    + [Fraction(2) ** k for k in (-8, -9, -14, -15, -24, -25, -126, -127, -149)]
    + [Fraction(2) ** k - 1 for k in (8, 16, 24, 31, 32, 63, 64)]
    + [Fraction(n) for n in (447, 448, 464, 465, 57344, 61440, 65504, 65519, 65520)]
)


def float_edges(form: Format) -> list[int]:
    top, last = form.infinity, 1 << form.fraction
    bits = [0, 1, 2, last - 1, last, last + 1, top - 1, top, top | form.quiet_bit]
    bits += [top + 1, top | last - 1, top | form.quiet_bit | 1]
    for number in NUMBERS:
        pattern = encode(number, form, "rz", False)
        bits += [pattern - 1, pattern, pattern + 1] if pattern else [0]
    return bits + [x | form.sign_bit for x in bits]


def integer_edges(width: int) -> list[int]:
    values = [0, 1, 2, 3, 7, 255, 256]
    values += [(1 << k) + d for k in range(width) for d in (-1, 0, 1)]
    return [v & ((1 << width) - 1) for value in values for v in (value, -value)]


def one(type_name: str, source: random.Random) -> int:
    """A value of a type, as bits."""
    width = WIDTHS[type_name]
    if type_name.endswith("x2") and type_name != "f32x2":
        low, high = (one(type_name.removesuffix("x2"), source) for _ in range(2))
        return high << width // 2 | low
    if type_name == "f32x2":
        return one("f32", source) << 32 | one("f32", source)
    if type_name in FORMATS:
        return float_value(FORMATS[type_name], source)
    if type_name == "b32" and source.random() < 0.3:
        return source.choice(range(40))
    if source.random() < 0.4:
        return source.choice(integer_edges(width))
    return source.getrandbits(width) >> source.choice((0, 0, source.randrange(width)))


def float_value(form: Format, source: random.Random) -> int:
    match source.randrange(4):
        case 0:
            return source.choice(float_edges(form))
        case 1:
            return source.getrandbits(form.width)
        case 2:  # close to one
            exponent = form.bias + source.randrange(-4, 5)
        case _:  # anywhere
            exponent = source.randrange(1, 2 * form.bias)
    fraction = source.getrandbits(form.fraction)
    if source.random() < 0.3:
        fraction &= -1 << source.randrange(form.fraction)
    sign = source.getrandbits(1) << (form.width - 1)
    return sign | exponent << form.fraction | fraction


def related(a: int, form: Format, source: random.Random) -> int:
    """A number that cancels with `a`, or almost."""
    change = source.choice((0, form.sign_bit, form.sign_bit + 1, 1))
    return (a ^ (change & form.sign_bit)) + (change & 1) & ((1 << form.width) - 1)


def samples(types: list[str], count: int, seed: str) -> list[list[int]]:
    """`count` tuples of values for operands of these types."""
    source = random.Random(seed)
    rows = []
    for _ in range(count):
        values = [one(t, source) for t in types]
        if len(types) > 1 and types[0] == types[1] and types[0] in FORMATS:
            if source.random() < 0.2:
                values[1] = related(values[0], FORMATS[types[0]], source)
        rows.append(values)
    return rows
