"""Video instructions: arithmetic on bytes and halves of 32-bit registers.

A `Statement` is one instruction with its choice of parts; `meaning` is what it gives
for arrays of words, in Python's integers, which never overflow.
"""

import random
import re
from dataclasses import dataclass

import numpy as np

from arithmetic.rows import Row, parse

#: A word of many, as Python integers.
Words = np.ndarray
RELATIONS = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


@dataclass(frozen=True)
class Statement:
    """One instruction on `d`, `a`, `b` and `c`, with parts such as "b0" and "h10"."""

    name: str
    sources: int
    parts: tuple[str, str, str] = ("", "", "")
    minus: tuple[bool, bool, bool] = (False, False, False)

    @property
    def text(self) -> str:
        named = zip("dab", self.parts, strict=True)
        d, a, b = (f"%{r}.{part}" if part else f"%{r}" for r, part in named)
        operands = [a, b, "%c"][: self.sources]
        signed = ["-" * m + o for m, o in zip(self.minus, operands, strict=False)]
        return f"{self.name} {d}, {', '.join(signed)};"

    @property
    def words(self) -> list[str]:
        return self.name.split(".")

    @property
    def opcode(self) -> str:
        return self.words[0].rstrip("24")

    @property
    def count(self) -> int:
        """The parts that are computed at once."""
        return int(self.words[0][-1]) if self.words[0][-1] in "24" else 1

    def signs(self) -> tuple[bool, bool, bool]:
        """Whether the result, a and b are signed."""
        found = [w == "s32" for w in self.words if w in ("s32", "u32")]
        return tuple(found) if len(found) == 3 else (False, *found)  # type: ignore


def field(word: Words, at: int, bits: int, signed: bool) -> Words:
    value = word >> at * bits & (1 << bits) - 1
    return value - ((value >> bits - 1) << bits) if signed else value


def saturate(value: Words, bits: int, signed: bool) -> Words:
    low = -(1 << bits - 1) if signed else 0
    return np.clip(value, low, low + (1 << bits) - 1)


def core(s: Statement, a: Words, b: Words) -> Words:
    """The operation on numbers."""
    match s.opcode:
        case "vadd":
            return a + b
        case "vsub":
            return a - b
        case "vabsdiff":
            return abs(a - b)
        case "vmin":
            return np.minimum(a, b)
        case "vmax":
            return np.maximum(a, b)
        case "vavrg":  # halves go away from minus infinity unless negative
            return np.where(a + b >= 0, (a + b + 1) // 2, (a + b) // 2)
        case "vset":
            relation = next(w for w in s.words if w in RELATIONS)
            return RELATIONS[relation](a, b).astype(int).astype(object)
        case "vshl" | "vshr":
            amount = b % 32 if "wrap" in s.words else np.minimum(b, 32)
            factor = np.array([1 << int(n) for n in amount], dtype=object)
            return a * factor if s.opcode == "vshl" else a // factor
    raise KeyError(s.name)


def one_part(text: str) -> tuple[int, int]:
    """Number and bits of "b3", "h1" or the whole word."""
    return (int(text[1]), 8 if text[0] == "b" else 16) if text else (0, 32)


def multiply(s: Statement, a: Words, b: Words, c: Words) -> Words:
    _, signed_a, signed_b = s.signs()
    product_minus = s.minus[0] != s.minus[1]
    signed = signed_a or signed_b or product_minus or s.minus[2]
    addend = field(c, 0, 32, signed)
    total = -(a * b) if product_minus else a * b
    total = total + (-addend if s.minus[2] else addend) + ("po" in s.words)
    scale = next((int(w[3:]) for w in s.words if w in ("shr7", "shr15")), 0)
    total = total // (1 << scale)
    return saturate(total, 32, signed) if "sat" in s.words else total


def scalar(s: Statement, a: Words, b: Words, c: Words) -> Words:
    signed, signed_a, signed_b = s.signs()
    (at_d, bits_d), (at_a, bits_a), (at_b, bits_b) = map(one_part, s.parts)
    x, y = field(a, at_a, bits_a, signed_a), field(b, at_b, bits_b, signed_b)
    if s.opcode == "vmad":
        return multiply(s, x, y, c)
    value = core(s, x, y)
    if "sat" in s.words:
        value = saturate(value, bits_d, signed)
    if s.parts[0]:
        mask = (1 << bits_d) - 1
        return c - (c & mask << at_d * bits_d) + ((value & mask) << at_d * bits_d)
    value, addend = field(value, 0, 32, signed), field(c, 0, 32, signed)
    if "add" in s.words:
        return value + addend
    if "min" in s.words:
        return np.minimum(value, addend)
    return np.maximum(value, addend) if "max" in s.words else value


def several(s: Statement, a: Words, b: Words, c: Words) -> Words:
    signed, signed_a, signed_b = s.signs()
    bits, both = 32 // s.count, b << 32 | a
    numbers = [[int(x) for x in reversed(text[1:])] for text in s.parts]
    mask = numbers[0] or list(range(s.count))
    chosen_a = numbers[1] or list(range(s.count))
    chosen_b = numbers[2] or list(range(s.count, 2 * s.count))
    result = c
    for k in mask:
        x = field(both, chosen_a[k], bits, signed_a)
        value = core(s, x, field(both, chosen_b[k], bits, signed_b))
        if "sat" in s.words:
            value = saturate(value, bits, signed)
        if "add" in s.words:
            result = result + value
        else:
            ones = (1 << bits) - 1
            result = result - (result & ones << k * bits)
            result = result + ((value & ones) << k * bits)
    return result


def meaning(s: Statement, a: Words, b: Words, c: Words) -> list[int]:
    """The results, as 32 bits."""
    result = (scalar if s.count == 1 else several)(s, a, b, c)
    return [int(x) & 0xFFFFFFFF for x in result]


def rows(listing: str) -> list[tuple[Row, list[str]]]:
    """The video forms of the instruction table and the options of each."""
    found = []
    for line in listing.splitlines():
        if re.match(r"v(add|sub|absdiff|avrg|min|max|set|shl|shr|mad)[24.]", line):
            options = re.findall(r"\{(\.[^}]*)\}", line.split("  ")[0])
            plain = re.sub(r"\{\.[^}]*\}", "", line).replace("part.", "reg.")
            needed = "part." in line
            found.append((parse(plain), [*options, "part"] if needed else options))
    return found


def statement(row: Row, options: list[str], choose: random.Random) -> Statement:
    """A form with a random choice of options and parts."""
    name, sources = row.name, len(row.sources)
    for option in options:
        if option != "part" and choose.random() < 0.5:
            name += choose.choice(option.split(" "))
    count = int(row.opcode[-1]) if row.opcode[-1] in "24" else 1
    kind = "h" if count == 2 else "b"
    if count > 1:
        mask = [k for k in reversed(range(count)) if choose.random() < 0.6]
        pick = [choose.choices(range(2 * count), k=count) for _ in "ab"]
        lists = [mask, *(p if choose.random() < 0.6 else [] for p in pick)]
        parts = tuple(kind + "".join(map(str, x)) if x else "" for x in lists)
        return Statement(name, sources, parts)  # type: ignore[arg-type]
    single = ["b0", "b1", "b2", "b3", "h0", "h1"]
    d = choose.choice(single) if "part" in options else ""
    a, b = (choose.choice(["", *single]) for _ in "ab")
    minus = (False, False, False)
    if row.opcode == "vmad" and ".po" not in name:
        minus = choose.choice([minus, (True, False, False), (False, False, True)])
    return Statement(name, sources, (d, a, b), minus)
