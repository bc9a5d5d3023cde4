"""The emulator takes what the assembler takes, and nothing else.

All forms of isa_grammar.txt, right and wrong ones, are given to both. Where they
differ, the form is one of those below, with the reason.
"""

import pathlib
import re
import shutil
import subprocess

import isa_grammar
import pytest
from moe_mlir import ptx

TARGETS = ["sm_75", "sm_80", "sm_90a", "sm_100a", "sm_120a"]
HEAD = """.version 9.0
.target {target}
.address_size 64
.visible .entry k(.param .b64 P) {{
.reg .pred p<4>; .reg .b8 c<300>; .reg .b16 h<300>; .reg .b32 r<600>; \
.reg .b64 l<600>; .reg .b128 q<300>;
"""
FIRST_LINE = 6
BATCH = 4000
#: ptxas has no verdict: it ends by a signal on some forms that it has read.
CRASHED = "crashed"

#: What the assembler takes and the emulator refuses.
REFUSED = {
    r"(tex|tld4|txq|suld|sust|sured|suq|istypep)\b": "textures, surfaces",
    r"multimem\b": "several devices",
    r"cp\..*\.im2col": "tensor maps of im2col mode",
    r"(st|red)\.async(?!.*complete_tx)": "nothing waits for them",
    # Not in the manual. What becomes of them is not what they are called: fma.rz.bf16
    # reads its operands as f16, for one.
    r"fma\.r[zmp]\..*bf16": "bf16 is rounded to nearest",
    r"(addc|subc|madc\.(hi|lo))\.[us]16": "carries of 16 bits",
    r"madc\.hi\.sat\.s32": "carries and .sat",
    r"rcp\.r[nzmp]\.ftz\.f64": "f64 is not flushed",
    r"cvt\.(f16\.bf16|bf16\.f16) ": "a rounding is missing",
    r"cvt\.\S+ \w+, %clock": "clocks are moved only",
    r"v(add|sub|absdiff|min|max)\.\w+\.u32\.u32(\.sat)? r1, .*, r4;": "no operation",
}


def errors(text: str, lines: int) -> dict[int, str]:
    """What ptxas printed, by statement."""
    found: dict[int, str] = {}
    for pattern in (
        r"line (\d+)[^;\n]*; (?:error|fatal) *: (.*)",
        r"fatal *: .*? on line '(\d+)'(.*)",
    ):
        for match in re.finditer(pattern, text):
            index = int(match[1]) - FIRST_LINE
            if 0 <= index < lines:
                found.setdefault(index, match[2])
    return found


def assembled(
    statements: list[str], target: str, folder: pathlib.Path
) -> dict[int, str]:
    """The statements that ptxas refuses, or dies of."""
    refused: dict[int, str] = {}
    alive = list(range(len(statements)))
    path = folder / "grammar.ptx"
    while alive:
        body = "\n".join(statements[i] for i in alive)
        path.write_text(HEAD.format(target=target) + body + "\nret; }\n")
        command = ["ptxas", "-O0", f"-arch={target}", str(path), "-o", "/dev/null"]
        done = subprocess.run(command, capture_output=True, text=True)
        wrong = errors(done.stderr, len(alive))
        if not wrong and done.returncode and len(alive) > 1:
            half = len(alive) // 2  # late errors come without a line
            for part in (alive[:half], alive[half:]):
                inner = assembled([statements[i] for i in part], target, folder)
                refused |= {part[i]: why for i, why in inner.items()}
            break
        if not wrong:
            if done.returncode:
                crash = done.returncode < 0
                refused[alive[0]] = CRASHED if crash else done.stderr
            break
        refused |= {alive[i]: why for i, why in wrong.items()}
        alive = [index for i, index in enumerate(alive) if i not in wrong]
    return refused


def emulated(statement: str, target: str) -> str:
    """Why the emulator refuses a statement; empty if it does not."""
    try:
        ptx.Module(HEAD.format(target=target) + statement + " ret; }")
    except ptx.PtxError as error:
        return str(error).splitlines()[0]
    return ""


def differences(
    statements: list[str], target: str, folder: pathlib.Path
) -> tuple[list[str], set[str]]:
    """Unexpected verdicts, and the reasons that were needed."""
    wrong, used = [], set()
    for start in range(0, len(statements), BATCH):
        batch = statements[start : start + BATCH]
        refused = assembled(batch, target, folder)
        for index, statement in enumerate(batch):
            theirs, ours = refused.get(index, ""), emulated(statement, target)
            if theirs == CRASHED or bool(theirs) == bool(ours):
                continue
            known = [reason for reason in REFUSED if re.match(reason, statement)]
            used.update(known)
            if theirs or not known:
                wrong.append(f"{statement} assembler: {theirs!r}, emulator: {ours!r}")
    return wrong, used


def forms() -> list[str]:
    text = (pathlib.Path(__file__).parent / "isa_grammar.txt").read_text()
    return list(dict.fromkeys(isa_grammar.statements(text)))


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS)
def test_every_form(target: str, tmp_path: pathlib.Path) -> None:
    if not shutil.which("ptxas"):
        pytest.skip("ptxas is not installed")
    wrong, used = differences(forms(), target, tmp_path)
    assert not wrong, "\n".join(wrong[:50])
    # None of the reasons is without a use.
    assert target != "sm_100a" or used == set(REFUSED)


def test_some_forms(tmp_path: pathlib.Path) -> None:
    if not shutil.which("ptxas"):
        pytest.skip("ptxas is not installed")
    wrong, _ = differences(forms()[::23], "sm_100a", tmp_path)
    assert not wrong, "\n".join(wrong[:50])
