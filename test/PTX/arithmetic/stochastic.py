"""cvt.rs: a random fraction is added to what the rounding cuts off.

The manual says which halves and bytes of the random word a pair of elements takes.
The order of their bits is that which two probes of a B200 found and published: of a
pair, the first element reads them backwards.
"""

from fractions import Fraction

from arithmetic.numbers import (
    FORMATS,
    Float,
    decode,
    floor_log2,
    magnitude_of,
    power_of_two,
)
from arithmetic.rows import Row

#: Largest magnitude, and what a NaN becomes, of formats that always saturate.
SMALL = {
    "e4m3": (0x7E, 0x7F),
    "e5m2": (0x7B, 0x7F),
    "e2m3": (0x1F, 0x1F),
    "e3m2": (0x1F, 0x1F),
    "e2m1": (0x7, 0x7),
}
#: Runs of bits of the random word, the most significant first, by element.
Runs = list[tuple[int, int]]
BYTES: list[Runs] = [[(16, 31)], [(31, 16)], [(0, 15)], [(15, 0)]]
LAYOUTS: dict[str, list[Runs]] = {
    "f16": [[(28, 16)], [(12, 0)]],
    "bf16": [[(31, 16)], [(15, 0)]],
    **dict.fromkeys(("e4m3", "e5m2", "e2m3", "e3m2"), BYTES),
    "e2m1": [
        [(8, 15), (24, 31)],
        [(31, 24), (15, 8)],
        [(0, 7), (16, 23)],
        [(23, 16), (7, 0)],
    ],
}


def bits_of(kind: str, element: int) -> list[int]:
    """The bits of the random word that an element takes, the first worth a half."""
    found = []
    for first, last in LAYOUTS[kind][element]:
        step = 1 if last > first else -1
        found += list(range(first, last + step, step))
    return found


def random_fraction(kind: str, element: int, word: int) -> Fraction:
    """What an element adds: a number below 1."""
    return sum(
        (
            Fraction(word >> bit & 1, 2 << place)
            for place, bit in enumerate(bits_of(kind, element))
        ),
        Fraction(0),
    )


def magnitude(code: int, kind: str) -> Fraction:
    """The value of a code of the format."""
    return magnitude_of(code, FORMATS[kind])


def last_place(magnitude: Fraction, kind: str) -> Fraction:
    """The distance of the format's numbers around a positive one."""
    form = FORMATS[kind]
    exponent = max(floor_log2(magnitude), 1 - form.bias)
    return power_of_two(exponent - form.fraction)


def round_magnitude(magnitude: Fraction, kind: str, random: Fraction) -> int:
    """Bits of the magnitude, as if exponents had no end."""
    if magnitude == 0:
        return 0
    form = FORMATS[kind]
    ulp = last_place(magnitude, kind)
    whole = magnitude / ulp + random
    steps = whole.numerator // whole.denominator
    if steps == 0:
        return 0
    smallest = power_of_two(1 - form.bias - form.fraction)
    field = floor_log2(ulp / smallest)
    return (field << form.fraction) + steps


def element(row: Row, value: Float, kind: str, random: Fraction) -> int:
    form = FORMATS[kind]
    largest, nan = SMALL.get(kind, (form.infinity - 1, form.canonical_nan))
    if value.nan:
        return nan
    if row.has("relu") and (value.negative or value.zero):
        return 0
    if value.infinite:
        bits = form.sign_bit  # above all numbers
    else:
        bits = round_magnitude(abs(value.value), kind, random)
    if bits > largest:
        bits = largest if row.has("satfinite") else form.infinity
    return bits | (form.sign_bit if value.negative else 0)


def convert(row: Row, args: list[int]) -> int:
    kind, count = row.modifiers[-2].split("x")
    *values, word = args
    assert len(values) == int(count)
    field = 4 if kind == "e2m1" else 16 if count == "2" else 8
    result = 0
    for index, bits in enumerate(values):
        random = random_fraction(kind, index, word)
        code = element(row, decode(bits, FORMATS["f32"]), kind, random)
        result = result << field | code
    return result
