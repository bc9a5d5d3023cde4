"""cvt.rs: the carry of every random word into every element.

The general definition is arithmetic/stochastic.py; here numbers are put just below
and just at the point where a word must round them up.
"""

import functools
import random
from fractions import Fraction

import numpy as np
import pytest
from arithmetic import stochastic
from arithmetic.kernels import Batch, to_integers
from arithmetic.numbers import FORMATS, decode, encode, floor_log2, power_of_two
from arithmetic.rows import Row, lane_wise

KINDS = ("f16", "bf16", *stochastic.SMALL)
#: Words that tell the layouts apart, and random ones.
WORDS = [0, 0xFFFFFFFF, 0x12345678, 0x80000000, 1, 0x00010001, 0x8000, 0x1FFF1FFF]
WORDS += [0xE000E000, 0x7F80807F, 0x01020408]


def words(count: int, seed: str) -> list[int]:
    source = random.Random(seed)
    return (WORDS + [source.getrandbits(32) for _ in range(count)])[:count]


@functools.cache
def forms() -> dict[str, Row]:
    return {row.name: row for row in lane_wise() if row.has("rs")}


def form_of(kind: str, modifiers: str = "") -> Row:
    if kind in stochastic.SMALL:
        return forms()[f"cvt.rs{modifiers}.satfinite.{kind}x4.f32"]
    return forms()[f"cvt.rs{modifiers}.{kind}x2.f32"]


def run(row: Row, values: list[list[int]]) -> list[list[int]]:
    """The elements of each result, the first source's first."""
    kind, count = row.modifiers[-2].split("x")
    padded = values + values[-1:] * (-len(values) % 32)
    columns = [
        np.array([v[k] for v in padded], np.uint32).view(np.uint8).reshape(-1, 4)
        for k in range(int(count) + 1)
    ]
    (output,) = Batch([row], 0).run(0, columns)
    field = 4 if kind == "e2m1" else 16 if count == "2" else 8
    return [
        [x >> field * k & ((1 << field) - 1) for k in reversed(range(int(count)))]
        for x in to_integers(output)[: len(values)]
    ]


def f32_bits(value: Fraction) -> int:
    bits = encode(value, FORMATS["f32"], "rz", value < 0)
    assert decode(bits, FORMATS["f32"]).value == value
    return bits


def bases(kind: str) -> list[tuple[int, Fraction, Fraction]]:
    """Numbers of the format: code, value and the distance to the next one."""
    form = FORMATS[kind]
    top = stochastic.SMALL.get(kind, (form.infinity - 1, 0))[0]
    normal = 1 << form.fraction
    codes = {0, 1, normal - 1, normal, normal + 1, 2 * normal - 1, top - 1, top // 2}
    found = []
    for code in sorted(codes):
        field, fraction = divmod(code, normal)
        ulp = power_of_two(max(field, 1) - form.bias - form.fraction)
        found.append((code, (fraction + normal * (field > 0)) * ulp, ulp))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_words_carry_exactly_where_they_must(kind: str) -> None:
    """`base + (1 - random) * ulp` is rounded up, and what lies just below is not."""
    inputs: list[list[int]] = []
    wanted: list[list[int]] = []
    count = len(stochastic.LAYOUTS[kind])
    sign = FORMATS[kind].sign_bit
    for code, base, ulp in bases(kind):
        # As little below the threshold as f32 can tell.
        step = power_of_two(max(floor_log2(base or ulp) - 23, -149))
        for word in words(40, kind):
            adds = [stochastic.random_fraction(kind, k, word) for k in range(count)]
            for below in (False, True):
                values, results = [], []
                for index, add in enumerate(adds):
                    value = base + (1 - add) * ulp - (step if below else 0)
                    negative = index % 2 == 1
                    values.append(f32_bits(value) | negative << 31)
                    results.append(code + (not below) | (sign if negative else 0))
                inputs.append([*values, word])
                wanted.append(results)
    assert run(form_of(kind), inputs) == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_other_readings_of_the_word_differ(kind: str) -> None:
    """The words above tell this layout from those that might have been."""
    count = len(stochastic.LAYOUTS[kind])
    for index in range(count):
        mine = stochastic.bits_of(kind, index)
        others = {"reversed": mine[::-1], "eight bits": mine[:8]}
        for other in range(count):
            if other != index:
                others[f"of {other}"] = stochastic.bits_of(kind, other)
        low = 16 * (index < count // 2)
        others["its half upwards"] = list(range(low, low + 16))
        others["its half downwards"] = list(range(low, low + 16))[::-1]
        for name, bits in others.items():
            if bits == mine:
                continue
            sums = [
                sum(Fraction(w >> b & 1, 2 << k) for k, b in enumerate(bits))
                for w in words(40, kind)
            ]
            mine_sums = [
                stochastic.random_fraction(kind, index, w) for w in words(40, kind)
            ]
            assert sums != mine_sums, (index, name)


#: The 16 bits that each element takes of the word 0x12345678, as published.
PUBLISHED = {
    "e4m3": [0x2C48, 0x1234, 0x1E6A, 0x5678],
    "e5m2": [0x2C48, 0x1234, 0x1E6A, 0x5678],
    "e2m1": [0x6A48, 0x1256, 0x1E2C, 0x3478],
    "bf16": [0x1234, 0x5678],
}


@pytest.mark.parametrize("kind", PUBLISHED)
def test_published_fields(kind: str) -> None:
    """Read out of results: 1 plus a fraction that just carries, and just does not."""
    ulp = power_of_two(-FORMATS[kind].fraction)
    one = encode(Fraction(1), FORMATS[kind], "rn", False)
    for field_step, up in ((0, 1), (-1, 0)):
        values = [
            f32_bits(1 + ulp * Fraction((1 << 16) - field + field_step, 1 << 16))
            for field in PUBLISHED[kind]
        ]
        (got,) = run(form_of(kind), [[*values, 0x12345678]])
        assert got == [one + up] * len(values)


@pytest.mark.parametrize(
    ("kind", "modifiers"),
    [(kind, relu) for kind in KINDS for relu in ("", ".relu")]
    + [(k, f"{relu}.satfinite") for k in ("f16", "bf16") for relu in ("", ".relu")],
)
def test_what_is_no_number_or_too_large(kind: str, modifiers: str) -> None:
    form = FORMATS[kind]
    row = form_of(kind, modifiers)
    top, nan = stochastic.SMALL.get(kind, (form.infinity - 1, form.canonical_nan))
    beyond = top if row.has("satfinite") else form.infinity
    negative = 0 if row.has("relu") else form.sign_bit
    below = 0 if row.has("relu") else form.sign_bit | beyond
    # By the largest number and half a step, or f32's own largest.
    largest = stochastic.magnitude(top, kind)
    step = stochastic.last_place(largest, kind)
    cases = {
        0x7FC00001: (nan, nan),
        0xFF800001: (nan, nan),
        0x7F800000: (beyond, beyond),
        0xFF800000: (below, below),
        0: (0, 0),
        0x80000000: (negative, negative),
        1: (0, 0 if kind != "bf16" else 1),
        0x7F7FFFFF: (beyond if kind != "bf16" else top, beyond),
        f32_bits(largest + step / 2): (top, beyond),
        f32_bits(-largest - step / 2): (
            0 if row.has("relu") else form.sign_bit | top,
            below,
        ),
    }
    count = len(stochastic.LAYOUTS[kind])
    for random_word, which in ((0, 0), (0xFFFFFFFF, 1)):
        got = run(row, [[bits] * count + [random_word] for bits in cases])
        assert got == [[want[which]] * count for want in cases.values()]
