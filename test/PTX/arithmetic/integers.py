"""Integer arithmetic, logic and bit fields. Arguments are bit patterns."""

from arithmetic.rows import WIDTHS, Row

ONES32 = (1 << 32) - 1


def signed(bits: int, width: int) -> int:
    bits &= (1 << width) - 1
    return bits - (1 << width) if bits >> (width - 1) else bits


def number(bits: int, type_name: str) -> int:
    """The integer of a type's bits."""
    width = WIDTHS[type_name]
    if type_name[0] == "s":
        return signed(bits, width)
    return bits & ((1 << width) - 1)


def clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def saturate(value: int, type_name: str) -> int:
    width = WIDTHS[type_name]
    if type_name[0] == "s":
        return clamp(value, -(1 << (width - 1)), (1 << (width - 1)) - 1)
    return clamp(value, 0, (1 << width) - 1)


def divide(a: int, b: int) -> int:
    """Towards zero."""
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def product_part(row: Row, a: int, b: int) -> int:
    """The part of a product that .lo, .hi or .wide names."""
    width = WIDTHS[row.types[0]]
    return a * b >> width if row.has("hi") else a * b


def multiply(row: Row, a: int, b: int, c: int = 0) -> int:
    value = product_part(row, a, b) + c
    return saturate(value, "s32") if row.has("sat") else value


def multiply24(row: Row, a: int, b: int, c: int = 0) -> int:
    if row.types[0] == "s32":
        a, b = signed(a, 24), signed(b, 24)
    else:
        a, b = a & 0xFFFFFF, b & 0xFFFFFF
    product = a * b >> 16 if row.has("hi") else a * b
    low = number(product, row.types[0])
    return saturate(low + c, "s32") if row.has("sat") else low + c


def arithmetic(row: Row, args: list[int]) -> int:
    """Opcodes whose sources all have the row's type."""
    kind = row.types[0]
    a, *rest = (number(x, o.type) for x, o in zip(args, row.sources, strict=True))
    match row.opcode:
        case "add":
            value = a + rest[0]
        case "sub":
            value = a - rest[0]
        case "mul" | "mad":
            return multiply(row, a, *rest)
        case "mul24" | "mad24":
            return multiply24(row, a, *rest)
        case "sad":
            value = rest[1] + abs(a - rest[0])
        case "div":
            value = divide(a, rest[0]) if rest[0] else -1
        case "rem":
            value = a - rest[0] * divide(a, rest[0]) if rest[0] else -1
        case "abs":
            value = abs(a)
        case "neg":
            value = -a
        case "min":
            value = min(a, *rest)
        case "max":
            value = max(a, *rest)
        case _:
            raise KeyError(row.name)
    if row.has("relu"):
        value = max(value, 0)
    return saturate(value, kind) if row.has("sat") else value


def dot_product(row: Row, args: list[int]) -> int:
    a, b, c = args
    total = signed(c, 32)
    lanes, bits_a = (4, 8) if row.opcode == "dp4a" else (2, 16)
    from_byte = 2 if row.has("hi") else 0
    for k in range(lanes):
        x = a >> (bits_a * k) & ((1 << bits_a) - 1)
        y = b >> (8 * (k + from_byte)) & 0xFF
        total += (signed(x, bits_a) if row.types[0] == "s32" else x) * (
            signed(y, 8) if row.types[1] == "s32" else y
        )
    return total


def with_carry(row: Row, args: list[int], carry: int) -> tuple[int, int]:
    """Result and carry flag; sub.cc leaves "no borrow"."""
    kind = row.types[0]
    width = WIDTHS[kind]
    unsigned = [x & ((1 << width) - 1) for x in args]
    if row.opcode in ("mad", "madc"):
        a, b = (number(x, kind) for x in args[:2])
        part = product_part(row, a, b) & ((1 << width) - 1)
        unsigned = [part, unsigned[2]]
    if row.opcode in ("sub", "subc"):
        unsigned[1] ^= (1 << width) - 1
    flag = {"add": 0, "mad": 0, "sub": 1}.get(row.opcode, carry)
    total = sum(unsigned) + flag
    carried = total >> width
    return total, carried if row.has("cc") else carry


def logic(row: Row, args: list[int]) -> int:
    a, *rest = args
    match row.opcode:
        case "and":
            return a & rest[0]
        case "or":
            return a | rest[0]
        case "xor":
            return a ^ rest[0]
        case "not":
            return ~a
        case "cnot":
            return int(a == 0)
    raise KeyError(row.name)


def shift(row: Row, args: list[int]) -> int:
    value, amount = number(args[0], row.types[0]), min(args[1], 128)
    return value << amount if row.opcode == "shl" else value >> amount


def funnel(row: Row, args: list[int]) -> int:
    low, high, amount = args
    amount = amount % 32 if row.has("wrap") else min(amount, 32)
    both = high << 32 | low
    return both << amount >> 32 if row.has("l") else both >> amount


def count(row: Row, args: list[int]) -> int:
    width = WIDTHS[row.types[0]]
    text = f"{args[0]:0{width}b}"
    match row.opcode:
        case "popc":
            return text.count("1")
        case "clz":
            return width if "1" not in text else text.index("1")
        case "brev":
            return int(text[::-1], 2)
    raise KeyError(row.name)


def find_bit(row: Row, args: list[int]) -> int:
    width = WIDTHS[row.types[0]]
    value = number(args[0], row.types[0])
    value = ~value if value < 0 else value
    if value == 0:
        return ONES32
    at = value.bit_length() - 1
    return width - 1 - at if row.has("shiftamt") else at


def extract(row: Row, args: list[int]) -> int:
    """bfe, bit by bit as the manual has it."""
    width = WIDTHS[row.types[0]]
    value, position, length = args
    if width == 32:
        position, length = position & 255, length & 255
    length = min(length, width)
    is_signed = row.types[0][0] == "s" and length > 0
    sign = value >> min(position + length - 1, width - 1) & 1 if is_signed else 0
    result = 0
    for bit in range(width):
        inside = bit < length and position + bit < width
        result |= (value >> (position + bit) & 1 if inside else sign) << bit
    return result


def insert(row: Row, args: list[int]) -> int:
    width = WIDTHS[row.types[0]]
    field, base, position, length = args
    if width == 32:
        position, length = position & 255, length & 255
    for bit in range(min(length, width)):
        at = position + bit
        if at < width:
            base = base & ~(1 << at) | (field >> bit & 1) << at
    return base


def mask_or_extend(row: Row, args: list[int]) -> int:
    limit = (lambda n: n % 32) if row.has("wrap") else (lambda n: min(n, 32))
    if row.opcode == "bmsk":
        start, length = limit(args[0]), limit(args[1])
        return ((1 << length) - 1) << start
    length = limit(args[1])
    if length == 0:
        return 0
    low = args[0] & ((1 << length) - 1)
    return signed(low, length) if row.types[0] == "s32" else low


def nth_set(row: Row, args: list[int]) -> int:
    mask, base, offset = args[0], args[1], signed(args[2], 32)
    if offset == -(1 << 31):
        return 0
    if base > 31:
        return ONES32
    if offset == 0:
        return base if mask >> base & 1 else ONES32
    order = range(base, 32) if offset > 0 else range(base, -1, -1)
    found = [k for k in order if mask >> k & 1]
    return found[abs(offset) - 1] if abs(offset) <= len(found) else ONES32


def table_logic(args: list[int]) -> int:
    a, b, c, table = args
    bits = (
        table >> ((a >> k & 1) * 4 + (b >> k & 1) * 2 + (c >> k & 1)) & 1
        for k in range(32)
    )
    return sum(bit << k for k, bit in enumerate(bits))


PERMUTED = {
    "f4e": lambda n: [n, n + 1, n + 2, n + 3],
    "b4e": lambda n: [n, (n - 1) % 8, (n - 2) % 8, (n - 3) % 8],
    "rc8": lambda n: [n] * 4,
    "ecl": lambda n: [max(n, k) for k in range(4)],
    "ecr": lambda n: [min(n, k) for k in range(4)],
    "rc16": lambda n: [0, 1, 0, 1] if n % 2 == 0 else [2, 3, 2, 3],
}


def permute(row: Row, args: list[int]) -> int:
    source = (args[1] << 32 | args[0]).to_bytes(8, "little")
    mode = next((m for m in row.modifiers if m in PERMUTED), None)
    if mode:
        chosen = [source[k] for k in PERMUTED[mode](args[2] & 3)]
    else:
        chosen = []
        for k in range(4):
            select = args[2] >> 4 * k & 15
            byte = source[select & 7]
            chosen.append((255 if byte & 128 else 0) if select & 8 else byte)
    return int.from_bytes(bytes(chosen), "little")
