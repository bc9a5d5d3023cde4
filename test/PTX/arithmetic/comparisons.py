"""setp, set, selp and slct."""

from arithmetic.floats import Rules
from arithmetic.integers import number, signed
from arithmetic.rows import WIDTHS, Row

FLOATS = ("f16", "bf16", "f32", "f64")
ORDERED = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lo": lambda a, b: a < b,
    "ls": lambda a, b: a <= b,
    "hi": lambda a, b: a > b,
    "hs": lambda a, b: a >= b,
}
TRUTH = {"f32": 0x3F800000, "f16": 0x3C00, "bf16": 0x3F80}


def holds(row: Row, type_name: str, a: int, b: int) -> bool:
    """The comparison of a row, of two patterns of a type."""
    name = row.modifiers[0]
    if type_name not in FLOATS:
        return ORDERED[name](number(a, type_name), number(b, type_name))
    rules = Rules.of(row, type_name)
    x, y = rules.operand(a), rules.operand(b)
    invalid = x.nan or y.nan
    if name in ("num", "nan"):
        return invalid == (name == "nan")
    if invalid:
        return name.endswith("u")
    infinity = 1 << 2000
    values = [
        (-infinity if v.negative else infinity) if v.infinite else v.value
        for v in (x, y)
    ]
    return ORDERED[name.removesuffix("u")](*values)


def combined(row: Row, value: bool, other: bool) -> bool:
    if row.has("and"):
        return value and other
    if row.has("or"):
        return value or other
    return value != other if row.has("xor") else value


def halves(bits: int) -> tuple[int, int]:
    return bits & 0xFFFF, bits >> 16


def set_predicates(row: Row, args: list[int]) -> tuple[bool, ...]:
    a, b, *rest = args
    other = bool(rest[0]) if rest else False
    kind = row.types[-1]
    if kind.endswith("x2"):
        pairs = zip(halves(a), halves(b), strict=True)
        low, high = (holds(row, kind.removesuffix("x2"), x, y) for x, y in pairs)
        return combined(row, low, other), combined(row, high, other)
    value = holds(row, kind, a, b)
    if len(row.results) == 1:
        return (combined(row, value, other),)
    return combined(row, value, other), combined(row, not value, other)


def set_value(row: Row, args: list[int]) -> int:
    a, b, *rest = args
    other = bool(rest[0]) if rest else False
    result, kind = row.types
    if kind.endswith("x2"):
        one = TRUTH.get(result.removesuffix("x2"), 0xFFFF)
        pairs = zip(halves(a), halves(b), strict=True)
        bits = [
            one * combined(row, holds(row, kind.removesuffix("x2"), x, y), other)
            for x, y in pairs
        ]
        return bits[1] << 16 | bits[0]
    yes = TRUTH.get(result, (1 << WIDTHS[result]) - 1)
    return yes if combined(row, holds(row, kind, a, b), other) else 0


def select(row: Row, args: list[int]) -> int:
    """selp by a predicate, slct by a sign (-0.0 is not negative, NaN is)."""
    a, b, by = args
    if row.opcode == "selp":
        return a if by else b
    if row.types[-1] == "s32":
        return a if signed(by, 32) >= 0 else b
    value = Rules.of(row, "f32").operand(by)
    at_least_zero = value.zero or (not value.nan and not value.negative)
    return a if at_least_zero else b
