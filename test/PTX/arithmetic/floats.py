"""Arithmetic of f16, bf16, f32 and f64 by exact numbers, rounded once."""

from dataclasses import dataclass
from fractions import Fraction

from arithmetic.numbers import (
    FORMATS,
    Float,
    Format,
    decode,
    encode,
    is_subnormal,
    power_of_two,
    round_root,
)
from arithmetic.rows import Row

ONE = Fraction(1)


@dataclass(frozen=True)
class Rules:
    """What the modifiers of a row demand of its result."""

    form: Format
    rounding: str
    ftz: bool
    sat: bool
    relu: bool

    @staticmethod
    def of(row: Row, type_name: str) -> "Rules":
        return Rules(
            FORMATS[type_name],
            row.rounding,
            row.has("ftz"),
            row.has("sat"),
            row.has("relu"),
        )

    def operand(self, bits: int) -> Float:
        value = decode(bits, self.form)
        if self.ftz and value.finite and is_subnormal(value.value, self.form):
            return decode(bits & self.form.sign_bit, self.form)
        return value

    def invalid(self, operands: list[Float], first_wins: bool = False) -> int:
        """The NaN of an operation: f64 keeps the payload of an operand."""
        if self.sat:
            return 0
        if self.form.width < 64:
            return self.form.canonical_nan
        order = operands if first_wins else operands[1:] + operands[:1]
        for operand in order:
            if operand.nan:
                return operand.bits | self.form.quiet_bit
        return 0xFFF8 << 48

    def finish(self, value: Fraction, negative_zero: bool) -> int:
        """A finite exact result."""
        form = self.form
        if self.sat:
            value = min(max(value, Fraction(0)), ONE)
            negative_zero = False
        if self.relu and value <= 0:
            return 0
        if self.ftz and is_subnormal(value, form):
            return form.sign_bit if value < 0 else 0
        return encode(value, form, self.rounding, negative_zero)

    def infinity(self, negative: bool) -> int:
        if self.sat:
            return 0 if negative else encode(ONE, self.form, "rn", False)
        if self.relu and negative:
            return 0
        return self.form.infinity | (self.form.sign_bit if negative else 0)


def fused(rules: Rules, a: Float, b: Float, c: Float, operands: list[Float]) -> int:
    """a * b + c."""
    negative = a.negative != b.negative
    if a.nan or b.nan or c.nan or (a.infinite and b.zero) or (a.zero and b.infinite):
        return rules.invalid(operands)
    if a.infinite or b.infinite:
        if c.infinite and c.negative != negative:
            return rules.invalid(operands)
        return rules.infinity(negative)
    if c.infinite:
        return rules.infinity(c.negative)
    product = a.value * b.value
    total = product + c.value
    zero_sign = rules.rounding == "rm"
    if product == 0 and c.value == 0 and negative == c.negative:
        zero_sign = negative
    return rules.finish(total, zero_sign)


def quotient(rules: Rules, a: Float, b: Float, operands: list[Float]) -> int:
    negative = a.negative != b.negative
    if a.nan or b.nan or (a.infinite and b.infinite) or (a.zero and b.zero):
        return rules.invalid(operands, first_wins=True)
    if a.infinite or b.zero:
        return rules.infinity(negative)
    if b.infinite:
        return rules.form.sign_bit if negative else 0
    return rules.finish(a.value / b.value, negative)


def root(rules: Rules, a: Float) -> int:
    if a.nan or (a.negative and not a.zero):
        return rules.invalid([a])
    if a.infinite or a.zero:
        return a.bits
    return round_root(a.value, rules.form, rules.rounding)


def constant(value: Fraction, form: Format) -> Float:
    return decode(encode(value, form, "rn", False), form)


def negated(value: Float, form: Format) -> Float:
    return value if value.nan else decode(value.bits ^ form.sign_bit, form)


def arithmetic(row: Row, type_name: str, args: list[int]) -> int:
    """add, sub, mul, fma, mad, div, rcp and sqrt of one type."""
    rules = Rules.of(row, type_name)
    if row.has("oob") and any(x & 0x7FFF == 0x7FF7 for x in args[:2]):
        return 0
    operands = [rules.operand(x) for x in args]
    a, *rest = operands
    one = constant(ONE, rules.form)
    match row.opcode:
        case "add":
            return fused(rules, a, one, rest[0], operands)
        case "sub":
            return fused(rules, a, one, negated(rest[0], rules.form), operands)
        case "mul":
            sign = rules.form.sign_bit if a.negative != rest[0].negative else 0
            return fused(rules, a, rest[0], decode(sign, rules.form), operands)
        case "fma" | "mad":
            # Of NaNs the second operand's counts first, then the third's.
            return fused(rules, a, rest[0], rest[1], operands)
        case "div":
            return quotient(rules, a, rest[0], operands)
        case "rcp":
            return quotient(rules, one, a, [a])
        case "sqrt":
            return root(rules, a)
    raise KeyError(row.name)


def mixed(row: Row, args: list[int]) -> int:
    """f32 sums of 16-bit operands: `fma.rn.f32.f16 d, a, b, c`."""
    narrow = FORMATS[row.types[1]]
    rules = Rules.of(row, "f32")
    *halves, last = args
    widened = [widen(decode(x, narrow), rules.form) for x in halves]
    c = decode(last, rules.form)
    if row.opcode == "fma":
        return fused(rules, widened[0], widened[1], c, [*widened, c])
    if row.opcode == "sub":
        c = negated(c, rules.form)
    return fused(rules, widened[0], constant(ONE, rules.form), c, [*widened, c])


def widen(value: Float, form: Format) -> Float:
    """The same number in a wider format."""
    if value.nan:
        return decode(form.canonical_nan, form)
    sign = form.sign_bit if value.negative else 0
    if value.infinite:
        return decode(form.infinity | sign, form)
    return decode(encode(value.value, form, "rn", value.negative), form)


def sign_of(row: Row, type_name: str, args: list[int]) -> int:
    """abs, neg and copysign."""
    rules = Rules.of(row, type_name)
    form = rules.form
    if row.opcode == "copysign":
        return args[0] & form.sign_bit | args[1] & ~form.sign_bit
    value = rules.operand(args[0])
    if value.nan:
        return rules.invalid([value])
    flipped = value.bits ^ form.sign_bit if row.opcode == "neg" else value.bits
    return flipped & ~form.sign_bit if row.opcode == "abs" else flipped


def order(value: Float) -> tuple[bool, Fraction, bool]:
    """A key that sorts numbers, -0 below +0."""
    infinite = power_of_two(2000)
    size = infinite if value.infinite else abs(value.value)
    return (not value.negative, -size if value.negative else size, True)


def chosen(row: Row, type_name: str, args: list[int]) -> int:
    """min and max: a number beats a NaN, unless .NaN."""
    rules = Rules.of(row, type_name)
    form = rules.form
    operands = [rules.operand(x) for x in args]
    sign = 0
    if row.has("xorsign"):
        sign = (operands[0].bits ^ operands[1].bits) & form.sign_bit
    if row.has("abs"):
        operands = [decode(x.bits & ~form.sign_bit, form) for x in operands]
    numbers = [x for x in operands if not x.nan]
    if not numbers or (row.has("NaN") and len(numbers) < len(operands)):
        if form.width < 64:
            return form.canonical_nan
        return operands[1].bits | form.quiet_bit
    pick = min if row.opcode == "min" else max
    return pick(numbers, key=order).bits | sign


def property_of(row: Row, type_name: str, bits: int) -> bool:
    """testp; zeros are normal."""
    form = FORMATS[type_name]
    value = decode(bits, form)
    subnormal = value.finite and is_subnormal(value.value, form)
    match row.modifiers[0]:
        case "finite":
            return value.finite
        case "infinite":
            return value.infinite
        case "number":
            return not value.nan
        case "notanumber":
            return value.nan
        case "normal":
            return value.finite and not subnormal
        case "subnormal":
            return subnormal
    raise KeyError(row.name)
