"""The recorded variants of mma.sync and wgmma, and the formats of their elements."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Format:
    """A floating-point format. Without infinities only all ones are NaN."""

    bytes: int
    exponent: int
    fraction: int
    infinities: bool = True


FORMATS = {
    "f16": Format(2, 5, 10),
    "bf16": Format(2, 8, 7),
    "tf32": Format(4, 8, 10),
    "f32": Format(4, 8, 23),
    "e4m3": Format(1, 4, 3, infinities=False),
    "e5m2": Format(1, 5, 2),
    "f64": Format(8, 11, 52),
}
# Bits of an element, and whether it is signed.
INTEGERS = {
    "s8": (8, True),
    "u8": (8, False),
    "s4": (4, True),
    "u4": (4, False),
    "b1": (1, False),
    "s32": (32, True),
}


def bits_of(t: str) -> int:
    """Bits of one element of a type."""
    return INTEGERS[t][0] if t in INTEGERS else 8 * FORMATS[t].bytes


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes and element types of a multiply-accumulate; C has the type of D."""

    m: int
    n: int
    k: int
    a: str
    b: str
    d: str


@dataclasses.dataclass(frozen=True)
class Mma:
    """A variant of mma.sync."""

    instruction: str
    shape: Shape


@dataclasses.dataclass(frozen=True)
class Wgmma:
    """A variant of wgmma. A layout names the contiguous dimension, K or M (M or N),
    and the width of the swizzle in bytes; A without one comes from registers."""

    shape: Shape
    layout_a: str | None
    layout_b: str
    accumulate: bool = True
    negate_a: bool = False
    negate_b: bool = False
    # Bytes of K before the first element, inside the swizzle's atom.
    start: int = 0

    @property
    def name(self) -> str:
        s = self.shape
        name = f"m64n{s.n}k{s.k}.{s.d}.{s.a}.{s.b}"
        name += f" A={self.layout_a or 'regs'} B={self.layout_b}"
        name += "" if self.accumulate else " scale-d=0"
        if self.negate_a or self.negate_b:
            name += f" neg={-1 if self.negate_a else 1},{-1 if self.negate_b else 1}"
        return name + (f" koff={self.start}" if self.start else "")


def mma_variants() -> dict[str, Mma]:
    """The recorded variants of mma.sync by name."""
    table: dict[str, Mma] = {}

    def add(m: int, n: int, k: int, types: str, suffix: str = "") -> None:
        d, a, b = types.split(".")
        size = f"m{m}n{n}k{k}"
        clamp = ".satfinite" if suffix == ".satfinite" else ""
        operation = "" if clamp else suffix
        instruction = f"mma.sync.aligned.{size}.row.col{clamp}.{types}.{d}{operation}"
        table[f"{size}.{types}{suffix}"] = Mma(instruction, Shape(m, n, k, a, b, d))

    for t in ("f16", "bf16"):
        for k in (16, 8):
            add(16, 8, k, f"f32.{t}.{t}")
            if t == "f16":
                add(16, 8, k, "f16.f16.f16")
    add(16, 8, 8, "f32.tf32.tf32")
    add(16, 8, 4, "f32.tf32.tf32")
    for a in ("e4m3", "e5m2"):
        for b in ("e4m3", "e5m2"):
            add(16, 8, 32, f"f32.{a}.{b}")
    add(16, 8, 16, "f32.e4m3.e4m3")
    add(16, 8, 32, "f16.e4m3.e4m3")
    add(16, 8, 32, "f16.e5m2.e4m3")
    for types in ("s8.s8", "u8.u8", "s8.u8", "u8.s8"):
        add(16, 8, 32, f"s32.{types}")
    add(16, 8, 32, "s32.s8.s8", ".satfinite")
    add(16, 8, 32, "s32.u8.u8", ".satfinite")
    add(16, 8, 16, "s32.s8.s8")
    add(8, 8, 16, "s32.s8.s8")
    add(16, 8, 32, "s32.s4.s4")
    add(16, 8, 64, "s32.s4.s4")
    add(16, 8, 64, "s32.u4.s4")
    add(16, 8, 256, "s32.b1.b1", ".and.popc")
    add(16, 8, 256, "s32.b1.b1", ".xor.popc")
    add(16, 8, 128, "s32.b1.b1", ".xor.popc")
    for m, k in ((8, 4), (16, 4), (16, 8), (16, 16)):
        add(m, 8, k, "f64.f64.f64")
    return table


def wgmma_list() -> list[Wgmma]:
    """The recorded variants of wgmma."""

    def brain(n: int, a: str | None, b: str) -> Wgmma:
        return Wgmma(Shape(64, n, 16, "bf16", "bf16", "f32"), a, b)

    def narrow(k: int, types: str, a: str | None, b: str, n: int = 8) -> Wgmma:
        d, ta, tb = types.split(".")
        return Wgmma(Shape(64, n, k, ta, tb, d), a, b)

    first = brain(8, "K128", "K128")
    result = []
    for n in (8, 64):
        result += [brain(n, "K0", "K0"), brain(n, "K128", "K128")]
        result.append(brain(n, None, "K128"))
    layouts = ("K64 K32", "K128 M128", "M128 K128", "M0 M0", "M64 M32")
    result += [brain(64, *pair.split()) for pair in layouts]
    result.append(brain(64, None, "M128"))
    # Two blocks of 64 columns: the leading byte offset matters.
    result.append(brain(128, "M32", "M128"))
    result.append(dataclasses.replace(first, accumulate=False))
    result.append(dataclasses.replace(first, negate_a=True))
    result.append(dataclasses.replace(first, negate_b=True))
    registers = brain(8, None, "K128")
    result.append(dataclasses.replace(registers, negate_a=True, negate_b=True))
    result.append(dataclasses.replace(first, start=32))
    result.append(narrow(16, "f32.f16.f16", "K0", "K128"))
    result.append(narrow(16, "f16.f16.f16", "K128", "K128"))
    result.append(narrow(16, "f16.f16.f16", None, "M128", n=64))
    for a, b in (("K0", "K0"), ("K128", "K128"), (None, "K128")):
        result.append(narrow(8, "f32.tf32.tf32", a, b))
    for ta in ("e4m3", "e5m2"):
        for tb in ("e4m3", "e5m2"):
            result.append(narrow(32, f"f32.{ta}.{tb}", "K128", "K128"))
    result.append(narrow(32, "f32.e4m3.e4m3", None, "K128"))
    result.append(narrow(32, "f16.e4m3.e4m3", "K128", "K128"))
    result.append(narrow(32, "f32.e4m3.e4m3", "K0", "K128", n=64))
    result.append(narrow(32, "s32.s8.s8", "K128", "K128"))
    result.append(narrow(32, "s32.u8.s8", "K0", "K0"))
    return result


MMA = mma_variants()
WGMMA = {variant.name: variant for variant in wgmma_list()}
