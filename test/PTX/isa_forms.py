"""The instruction table as `ptx-run --list-isa` prints it, and text to try a form."""

import dataclasses
import re
import subprocess

# `name{.option .option}  operands  ; PTX 7.8, sm_90a, cost`
LINE = re.compile(
    r"(?P<name>[^\s{]+)(?:\{.*?\})*  (?P<operands>.*?)  ; "
    r"PTX (?P<ptx>[\d.]+|-), (?P<target>sm_\w+|-), (?P<cost>\w+)$"
)
# Of one operand: `src.f32`, `{4 x .b32}`, `[map, {2}]`, `imm.s64 0..255`, ...
OPERAND = re.compile(
    r"\{(?P<count>\d+) x (?P<element>\.\w+)\}"
    r"|\[map, \{(?P<coordinates>\d+)\}\]"
    r"|(?P<address>\[address\])"
    r"|imm(?P<constant>\.\w+) (?P<least>-?\d+)\.\.(?P<most>-?\d+)"
    r"|(?:(?P<part>part)|reg|src|src\|symbol)(?P<type>\.\w+)"
    r"|(?P<predicate>\[!\]pred|pred)"
    r"|(?P<label>label)"
)
REGISTERS = {8: "c", 16: "h", 32: "r", 64: "l", 128: "q"}


@dataclasses.dataclass(frozen=True)
class Form:
    """One row: what it is called, what it takes, since when."""

    name: str
    operands: str
    ptx: int  # 78 is PTX ISA 7.8; 0: always there
    sm: int
    needs_a: bool

    @property
    def target(self) -> str:
        return f"sm_{self.sm}" + "a" * self.needs_a


def read_table(ptx_run: str) -> list[Form]:
    """Every row of the table."""
    out = subprocess.run(
        [ptx_run, "--list-isa"], check=True, capture_output=True, text=True
    ).stdout
    forms = []
    for line in out.splitlines():
        match = LINE.match(line)
        assert match, line
        ptx, target = match["ptx"], match["target"]
        forms.append(
            Form(
                match["name"],
                match["operands"],
                0 if ptx == "-" else int(ptx.replace(".", "")),
                0 if target == "-" else int(target[3:].rstrip("a")),
                target.endswith("a"),
            )
        )
    return forms


def width(name: str) -> int:
    """Bits of the register that an operand of a type is in."""
    if name in (".pred", ".tf32"):
        return 1 if name == ".pred" else 32
    if match := re.fullmatch(r"\.u?e(\d)m(\d)(?:x(\d))?", name):
        bits = 4 if name.startswith(".e2m1") else 8
        return bits * int(match[3] or 1)
    match = re.fullmatch(r"\.[a-z]+(\d+)(?:x(\d))?", name)
    assert match, name
    return int(match[1]) * int(match[2] or 1)


def register(name: str, number: int) -> str:
    bits = width(name)
    return f"p{number % 4}" if bits == 1 else f"{REGISTERS[bits]}{number}"


def constant(match: re.Match[str], name: str) -> str:
    """An immediate every instruction of the form can have."""
    if match["constant"] == ".f32":
        return "0f3F000000"
    wanted = 16 if name.startswith("cp.async.cg") else 8 if "setmaxnreg" in name else 1
    wanted = 32 if "setmaxnreg" in name else wanted
    return str(min(max(wanted, int(match["least"])), int(match["most"])))


def statement(form: Form) -> str | None:
    """The form with operands, the optional ones left out; None for calls and tables."""
    text, parts, number, at = form.operands, [], 0, 0
    # Optional operands are `[, x]` or `[|x]`; addresses are `[address]` and `[map..`.
    text = re.sub(r"\[(?:, |\|)(?:\{[^}]*\}|\[[^\]]*\][^\],]*|[^\]\[])*\]", "", text)
    text = re.sub(r"^\[(?!address|map|!)[^\]]*\]", "", text)
    while at < len(text):
        match = OPERAND.match(text, at)
        if not match:
            return None
        paired = at > 0 and text[at - 1] == "|"
        if match["count"]:
            count = int(match["count"])
            names = [register(match["element"], number + k) for k in range(count)]
            part, number = "{" + ", ".join(names) + "}", number + count
        elif match["coordinates"]:
            names = [f"r{k + 280}" for k in range(int(match["coordinates"]))]
            part = f"[l{number + 280}, {{{', '.join(names)}}}]"
        elif match["address"]:
            part = f"[l{number + 280}]"
        elif match["constant"]:
            part = constant(match, form.name)
        elif match["predicate"]:
            part = f"p{number % 4}"
        elif match["label"]:
            part = "END"
        else:
            part = register(match["type"], number) + ".b0" * bool(match["part"])
        # Arrivals at another block's barrier give no token.
        if not parts and "mbarrier" in form.name and "::cluster" in form.name:
            part = "_" if part.startswith("l") else part
        number += 1
        if paired:
            parts[-1] += "|" + part
        else:
            parts.append(part)
        at = match.end()
        while at < len(text) and text[at] in ", |":
            at += 1
    return f"{form.name} {', '.join(parts)};"
