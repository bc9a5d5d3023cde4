"""Video instructions against their definition, with random parts and options."""

import pathlib
import random
import shutil
import subprocess

import numpy as np
import pytest
from arithmetic import inputs, video
from moe_mlir import ptx

HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n"
BODY = """.visible .entry video(.param .u64 from, .param .u64 to) {
.reg .b32 %a, %b, %c, %d, %t; .reg .b64 %x, %y;
mov.u32 %t, %tid.x;
ld.param.u64 %x, [from]; mad.wide.u32 %x, %t, 12, %x;
ld.param.u64 %y, [to]; mad.wide.u32 %y, %t, SIZE, %y;
ld.global.b32 %a, [%x]; ld.global.b32 %b, [%x+4]; ld.global.b32 %c, [%x+8];
"""
THREADS = 64


def text(statements: list[video.Statement]) -> str:
    lines = [HEAD + BODY.replace("SIZE", str(4 * len(statements)))]
    for index, one in enumerate(statements):
        lines.append(f"{one.text} st.global.b32 [%y+{4 * index}], %d;")
    return "\n".join([*lines, "ret;", "}"])


def statements(count: int) -> list[video.Statement]:
    """`count` of every form."""
    choose = random.Random("video")
    return [
        video.statement(row, options, choose)
        for row, options in video.rows(ptx.isa())
        for _ in range(count)
    ]


@pytest.mark.parametrize("count", [1, pytest.param(12, marks=pytest.mark.long)])
def test_forms_mean_what_is_defined(count: int) -> None:
    given = statements(count)
    assert len(given) > 600 * count
    source = random.Random("words")
    words = [[inputs.one("b32", source) for _ in "abc"] for _ in range(THREADS)]
    got = np.zeros((THREADS, len(given)), np.uint32)
    module = ptx.Module(text(given), "video")
    memory = np.array(words, np.uint32)
    result = module.launch("video", 1, THREADS, [memory, got])
    assert not result.findings
    a, b, c = np.array(words, dtype=object).T
    wrong = []
    for index, one in enumerate(given):
        want = video.meaning(one, a, b, c)
        for lane in np.flatnonzero(got[:, index] != np.array(want, np.uint32)):
            shown = ", ".join(f"{x:x}" for x in words[lane])
            wrong.append(
                f"{one.text} of ({shown}): {got[lane, index]:x}, not {want[lane]:x}"
            )
            break
    assert not wrong, f"{len(wrong)} statements:\n" + "\n".join(wrong[:20])


def test_assembler_takes_what_is_tried(tmp_path: pathlib.Path) -> None:
    if not shutil.which("ptxas"):
        pytest.skip("ptxas is not installed")
    path = tmp_path / "video.ptx"
    path.write_text(text(statements(1)))
    command = ["ptxas", "-O0", "-arch=sm_80", str(path), "-o", "/dev/null"]
    out = subprocess.run(command, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr[:2000]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("vadd.u32.u32.u32 %d, %a.b4, %b;", "'.b4' names no part"),
        ("vadd.u32.u32.u32 %d, %a, -%b;", "'-' cannot stand before a name"),
        ("vadd.u32.u32.u32 %d, %a, %b, %c;", "takes only 3 operands"),
        ("vadd2.u32.u32.u32 %d.h01, %a, %b, %c;", "'.h01' names no part"),
        ("vadd4.u32.u32.u32 %d, %a.b000, %b, %c;", "'.b000' names no part"),
        ("vadd2.u32.u32.u32.sat.add %d, %a, %b, %c;", "combination of modifiers"),
        ("vset.u32.u32.lt.sat %d, %a, %b;", "has the modifier '.sat'"),
        ("vmad.u32.u32.u32.po %d, -%a, %b, %c;", "'.po' and the negation"),
        ("add.u32 %d, %a.b0, %b;", "unknown register"),
        ("add.u32 %d, -%a, %b;", "'-' cannot stand before a name"),
    ],
)
def test_refuses(wrong: str, why: str) -> None:
    with pytest.raises(ptx.PtxError, match=why.replace(".", r"\.")):
        ptx.Module(HEAD + BODY.replace("SIZE", "4") + wrong + "ret; }")
