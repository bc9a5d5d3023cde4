"""Statements by the grammar of mma, ldmatrix and stmatrix, sensible or not.

Every shape with every pair of element types, accumulator, layout, kind and scale. Most
of them do not exist: the assembler says which do.
"""

import collections.abc
import itertools

BYTES = ("e4m3", "e5m2", "e3m2", "e2m3", "e2m1")
WIDTHS = {"f16": 16, "bf16": 16, "tf32": 32, "f64": 64, "b1": 1}
WIDTHS |= {"s8": 8, "u8": 8, "s4": 4, "u4": 4} | dict.fromkeys(BYTES, 8)
KS = (4, 8, 16, 32, 64, 128, 256)
SPARSE = ("", ".sp", ".sp::ordered_metadata")
SCALES = [
    f".kind::{kind}.block_scale{size}"
    for kind in ("mxf8f6f4", "mxf4", "mxf4nvf4")
    for size in ("", ".scale_vec::1X", ".scale_vec::2X", ".scale_vec::4X")
]


def vector(prefix: str, count: int) -> str:
    return "{" + ",".join(f"{prefix}{k}" for k in range(count)) + "}"


def accumulators(a: str) -> list[tuple[str, str]]:
    """The types of D and C that could go with a factor."""
    if a == "f64":
        return [("f64", "f64")]
    if a[0] in "sub":
        return [("s32", "s32")]
    return list(itertools.product(("f16", "f32"), repeat=2))


def sums(name: str, m: int, quads: bool) -> str:
    """The registers of C or D."""
    count = m * 8 // 32 * (4 if quads else 1)
    prefix = {"f16": "r", "f32": "f", "s32": "r", "f64": "d"}[name]
    return vector(prefix, max(count // 2, 1) if name == "f16" else count)


def operands(
    m: int, k: int, a: str, width: int, d: str, c: str, sparse: bool
) -> str | None:
    """None where the factors fill no register, or too many."""
    quads = (m, k, a) == (8, 4, "f16")
    bits = 2048 if a == "f64" else 1024
    of_a, of_b = m * (k // 2 if sparse else k) * width // bits, 8 * k * width // bits
    if quads:
        of_a = of_b = 2
    if not 0 < of_a <= 8 or not 0 < of_b <= 8:
        return None
    prefix = "d" if a == "f64" else "r"
    text = f"{sums(d, m, quads)},{vector(prefix, of_a)},{vector(prefix, of_b)},"
    return text + sums(c, m, quads) + ",r9,0" * sparse


def modifiers(a: str, b: str) -> collections.abc.Iterator[tuple[str, str, str]]:
    """What may stand before the types, behind them, and behind the operands."""
    if a == "b1":
        yield from (("", f".{o}.popc", "") for o in ("xor", "and"))
    elif a == "f64":
        yield from ((r, "", "") for r in ("", ".rn", ".rz", ".rm", ".rp"))
    elif a[0] in "su":
        yield from (("", "", ""), (".satfinite", "", ""))
    else:
        yield "", "", ""
    if a in BYTES and b in BYTES:
        yield ".kind::f8f6f4", "", ""
        for before, scale in itertools.product(SCALES, ("ue8m0", "ue4m3")):
            yield before, f".{scale}", ",r10,{0,0},r11,{0,0}"


def factors() -> collections.abc.Iterator[tuple[str, str, int]]:
    """Pairs of types that may be mixed, and the bits of an element."""
    for a, b in itertools.product(WIDTHS, repeat=2):
        integers = a[0] in "su" and b[0] in "su" and a[1:] == b[1:]
        if a == b or integers or (a in BYTES and b in BYTES):
            yield a, b, WIDTHS[a]
        if a == b == "e2m1":
            yield a, b, 4


def products() -> list[str]:
    """Statements of mma and mma.sp."""
    found = []
    for m, k, (a, b, width) in itertools.product((8, 16), KS, factors()):
        layouts = [("row", "col")]
        if a == "f16":
            layouts = list(itertools.product(("row", "col"), repeat=2))
        for sparse, (d, c) in itertools.product(SPARSE, accumulators(a)):
            text = operands(m, k, a, width, d, c, bool(sparse))
            if not text:
                continue
            for (x, y), (before, after, more) in itertools.product(
                layouts, modifiers(a, b)
            ):
                name = f"mma{sparse}.sync.aligned.m{m}n8k{k}.{x}.{y}{before}"
                found.append(f"{name}.{d}.{a}.{b}.{c}{after} {text}{more};")
    return found


def moves() -> list[str]:
    """Statements of ldmatrix and stmatrix."""
    found = []
    for opcode, shape, number, order, space, kind in itertools.product(
        ("ldmatrix", "stmatrix"),
        ("m8n8", "m16n16", "m8n16", "m16n8"),
        (1, 2, 4),
        ("", ".trans"),
        ("", ".shared", ".shared::cta"),
        (".b16", ".b8", ".b8x16.b6x16_p32", ".b8x16.b4x16_p64", ".b32"),
    ):
        name = f"{opcode}.sync.aligned.{shape}.x{number}{order}{space}{kind}"
        for count in sorted({number, 2 * number} - {8}):
            both = [vector("r", count), "[r20]"]
            found.append(f"{name} {','.join(both[:: 1 if opcode[0] == 'l' else -1])};")
    return found
