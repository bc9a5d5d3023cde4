"""The results of a form for given bits: one definition for each opcode."""

import math
from collections.abc import Callable

from arithmetic import comparisons, conversions, floats, integers
from arithmetic.numbers import FORMATS, decode
from arithmetic.rows import WIDTHS, Operand, Row

#: The result of one element of a packed operand.
ElementFunction = Callable[[Row, str, list[int]], int]

#: Opcodes computed approximately: the result lies within a bound.
APPROXIMATE: dict[str, Callable[[float], float]] = {
    "ex2": lambda x: 2.0**x,
    "lg2": math.log2,
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "rcp": lambda x: 1 / x,
    "sqrt": math.sqrt,
    "rsqrt": lambda x: 1 / math.sqrt(x),
}


def is_approximate(row: Row) -> bool:
    return row.has("approx") or row.has("full")


def element_of(type_name: str) -> str:
    return type_name.removesuffix("x2")


def by_element(
    row: Row, type_name: str, args: list[int], function: ElementFunction
) -> int:
    """Applies a function of one element to packed operands."""
    if not type_name.endswith("x2"):
        return function(row, type_name, args)
    element = element_of(type_name)
    width = WIDTHS[type_name] // 2
    mask = (1 << width) - 1
    low = function(row, element, [x & mask for x in args])
    high = function(row, element, [x >> width for x in args])
    return (high & mask) << width | low & mask


def integer_element(row: Row, type_name: str, args: list[int]) -> int:
    """add, min and max of u16x2 and s16x2."""
    values = [integers.number(x, type_name) for x in args]
    pick = {"add": sum, "min": min, "max": max}[row.opcode]
    value = pick(values)
    return max(value, 0) if row.has("relu") else value


def numeric(row: Row, args: list[int]) -> int:
    """Opcodes that integers and floats share."""
    kind = row.types[0] if row.types else ""
    element = element_of(kind)
    if element not in FORMATS:
        if kind.endswith("x2"):
            return by_element(row, kind, args, integer_element)
        return integers.arithmetic(row, args)
    if len(row.types) > 1:
        return floats.mixed(row, args)
    if row.opcode in ("abs", "neg", "copysign"):
        return by_element(row, kind, args, floats.sign_of)
    if row.opcode in ("min", "max"):
        return by_element(row, kind, args, floats.chosen)
    return by_element(row, kind, args, floats.arithmetic)


def predicate_logic(row: Row, args: list[int]) -> bool:
    return bool(integers.logic(row, args) & 1)


def lop3(row: Row, args: list[int]) -> list[int]:
    value = integers.table_logic(args[:4])
    if len(row.results) == 1:
        return [value]
    other = bool(args[4])
    return [value, comparisons.combined(row, value != 0, other)]


def move(row: Row, args: list[int]) -> list[int]:
    """Packs, unpacks or copies: all are one string of bits, lowest first."""
    bits, at = 0, 0
    for operand, value in zip(flat(row.sources), args, strict=True):
        bits |= value << at
        at += WIDTHS[operand]
    results = []
    for operand in flat(row.results):
        width = WIDTHS[operand]
        results.append(bits & ((1 << width) - 1))
        bits >>= width
    return results


def flat(operands: tuple[Operand, ...]) -> list[str]:
    """The type of each register operand, vectors taken apart."""
    return [o.type for o in operands for _ in range(o.count)]


SIMPLE: dict[str, Callable[[Row, list[int]], int]] = {
    **dict.fromkeys(
        "add sub mul mad fma div rem abs neg min max sad copysign rcp sqrt".split(),
        numeric,
    ),
    **dict.fromkeys(
        ("mul24", "mad24"), lambda row, args: integers.arithmetic(row, args)
    ),
    **dict.fromkeys(("dp4a", "dp2a"), integers.dot_product),
    **dict.fromkeys(("shl", "shr"), integers.shift),
    "shf": integers.funnel,
    **dict.fromkeys(("popc", "clz", "brev"), integers.count),
    "bfind": integers.find_bit,
    "bfe": integers.extract,
    "bfi": integers.insert,
    **dict.fromkeys(("bmsk", "szext"), integers.mask_or_extend),
    "fns": integers.nth_set,
    "prmt": integers.permute,
    "set": comparisons.set_value,
    **dict.fromkeys(("selp", "slct"), comparisons.select),
    "cvt": conversions.convert,
    "testp": lambda row, args: floats.property_of(row, row.types[0], args[0]),
}


def uses_carry(row: Row) -> bool:
    return row.has("cc") or row.opcode in ("addc", "subc", "madc")


def results(row: Row, args: list[int], carry: int = 0) -> list[int]:
    """The exact results, one a result operand; of carry forms the flag behind."""
    if uses_carry(row):
        return list(integers.with_carry(row, args, carry))
    match row.opcode:
        case "and" | "or" | "xor" | "not" | "cnot":
            logic = predicate_logic if row.has("pred") else integers.logic
            return [logic(row, args)]
        case "lop3":
            return lop3(row, args)
        case "setp":
            return list(comparisons.set_predicates(row, args))
        case "mov":
            return move(row, args)
    return [SIMPLE[row.opcode](row, args)]


#: Units in the last place that f32 results may be off, as recorded.
ULP = {"ex2": 2.38, "lg2": 2.3, "rcp": 0.985, "rsqrt": 1.514, "sqrt": 0.944}
ABSOLUTE = {"sin": 6.51e-7, "cos": 7.1e-7}


def bound(row: Row, exact: float, x: float) -> float:
    """The largest allowed error of an f32 or f64 result."""
    if row.types[0] == "f64":
        return abs(exact) * (2.0**-20 if row.has("ftz") else 2.0**-50)
    if row.opcode in ABSOLUTE:
        return ABSOLUTE[row.opcode]
    if row.opcode == "tanh":
        return abs(exact) * 1.11e-5
    if row.opcode == "lg2" and 0.5 <= x <= 2:
        return 2.15e-7
    last_place = 2.0 ** (max(math.frexp(exact)[1] - 1, -126) - 23)
    return ULP.get(row.opcode, 2.128) * last_place


def is_near(row: Row, args: list[int], got: int) -> bool | None:
    """Whether an approximate result is good; None where no bound is defined."""
    kind = row.types[0]
    form = FORMATS[element_of(kind)]
    values = [decode(x, form) for x in args]
    if any(not v.finite or v.zero for v in values):
        return None
    floats_in = [float(v.value) for v in values]
    x = floats_in[0]
    # Subnormal operands and results, and angles too far out, have rules of their own.
    if any(abs(v) < 2.0**-126 for v in floats_in) or abs(x) > 2.0**126:
        return None
    if row.opcode in ABSOLUTE and abs(x) > 2 * math.pi:
        return None
    if row.opcode in ("sqrt", "rsqrt", "lg2") and x < 0:
        return decode(got, form).nan
    if row.opcode == "ex2" and not -126 <= x < 128:
        return None
    if row.opcode == "div":
        exact = x / floats_in[1]
    else:
        exact = APPROXIMATE[row.opcode](x)
    if not 2.0**-125 < abs(exact) < 2.0**127 or abs(floats_in[-1]) > 2.0**125:
        return None if exact else got & (form.sign_bit - 1) == 0
    result = decode(got, form)
    if not result.finite:
        return False
    return abs(float(result.value) - exact) <= bound(row, exact, x)
