"""The forms of the instruction table, as `ptx.isa()` prints them."""

import functools
import re
from dataclasses import dataclass

from moe_mlir import ptx

#: The opcodes that work lane by lane, without memory or other lanes.
LANE_WISE = frozenset(
    "abs add addc and bfe bfi bfind bmsk brev clz cnot copysign cos cvt div dp2a dp4a "
    "ex2 fma fns lg2 lop3 mad mad24 madc max min mov mul mul24 neg not or popc prmt "
    "rcp rem rsqrt sad selp set setp shf shl shr sin slct sqrt sub subc szext tanh "
    "testp xor".split()
)

#: Bits of a type; packed types are what their register holds.
WIDTHS = {
    "pred": 1,
    **dict.fromkeys(("b8", "s8", "u8"), 8),
    **dict.fromkeys(("b16", "s16", "u16", "f16", "bf16"), 16),
    **dict.fromkeys(("b32", "s32", "u32", "f32"), 32),
    **dict.fromkeys(("f16x2", "bf16x2", "s16x2", "u16x2"), 32),
    **dict.fromkeys(("b64", "s64", "u64", "f64", "f32x2"), 64),
    "b128": 128,
}


@dataclass(frozen=True)
class Operand:
    """`kind`: reg, src, pred, imm or vector; `type` without its dot."""

    kind: str
    type: str
    count: int = 1
    paired: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Row:
    """One form: name, its parts, and its operands, results first."""

    name: str
    operands: tuple[Operand, ...]
    sm: str

    @property
    def opcode(self) -> str:
        return self.name.split(".")[0]

    @property
    def modifiers(self) -> tuple[str, ...]:
        return tuple(self.name.split(".")[1:])

    @property
    def results(self) -> tuple[Operand, ...]:
        after = 2 if len(self.operands) > 1 and self.operands[1].paired else 1
        return self.operands[:after]

    @property
    def sources(self) -> tuple[Operand, ...]:
        return self.operands[len(self.results) :]

    @property
    def types(self) -> tuple[str, ...]:
        """The modifiers that are types, in order."""
        return tuple(m for m in self.modifiers if is_type(m))

    @property
    def rounding(self) -> str:
        return next((m for m in self.modifiers if re.fullmatch("r[nzmp]a?", m)), "rn")

    def has(self, modifier: str) -> bool:
        return modifier in self.modifiers


def is_type(modifier: str) -> bool:
    return bool(
        re.fullmatch(r"(pred|(u?[besf]|bf)\d+(m\d)?(x\d)?|u\d+(x\d)?)", modifier)
    )


def _operand(text: str) -> Operand:
    if text in ("pred", "?pred", "=pred"):
        paired = text != "pred"
        return Operand("pred", "pred", 1, paired, text.startswith("?"))
    if text.startswith("imm"):
        return Operand("imm", "u32")
    if vector := re.fullmatch(r"\{(\d+) x \.(\w+)\}", text):
        return Operand("vector", vector[2], int(vector[1]))
    kind, _, type_name = text.partition(".")
    return Operand(kind, type_name)


#: Second results stand behind their operand without a comma.
_PLAIN = {
    "[!]pred": "pred",
    "src|symbol": "src",
    "[|pred]": ", ?pred",
    "|pred": ", =pred",
}


def parse(line: str) -> Row:
    """A row from its line: `name  reg.u32, src.u32  ; PTX 8.0, sm_90, alu`."""
    name, operands, rest = re.fullmatch(r"(\S+)  (.*)  ; (.*)", line).groups()
    for written, plain in _PLAIN.items():
        operands = operands.replace(written, plain)
    found = tuple(_operand(text) for text in operands.split(", "))
    return Row(name, found, rest.split(", ")[1])


@functools.cache
def lane_wise() -> tuple[Row, ...]:
    """The rows of all lane-wise opcodes."""
    rows = []
    for line in ptx.isa().splitlines():
        if re.split(r"[. ]", line)[0] in LANE_WISE:
            rows.append(parse(line))
    return tuple(rows)
