"""The machine code of grouped matmuls: what is in the main loop, and in registers."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import shutil

import pytest
from emulated import CHIPS
from gpu.code_facts import ptx_loop
from machine_code import assembled, resident_blocks
from matmul_kernels import FORMS, Form, compile_program
from matmul_programs import Program

LAYER = Program(
    sizes={"S": 1, "T": 128, "K": 2048, "N": 1024, "E": 64, "R": 1024, "L": 1024},
    dtype="bf16",
    out="bf16",
    weights="concat",
    layout="nk",
    gather=True,
    packed=False,
    dynamic=False,
    silu=True,
    extras=(),
    whole=False,
    seed=0,
)
SECOND = dataclasses.replace(
    LAYER,
    sizes=LAYER.sizes | {"K": 1024, "N": 2048},
    weights="one",
    silu=False,
    gather=False,
)


@pytest.mark.parametrize(
    ("form", "most"),
    [
        (FORMS["128x128x32"], 0.50),
        (FORMS["128x128x64"], 0.45),
        (FORMS["64x256x64"], 0.45),
        (Form(128, 256, 64, 64, 3, 8), 0.45),
        (Form(128, 128, 64, 64, 3, 4), 0.45),
    ],
    ids=str,
)
@pytest.mark.parametrize("program", [LAYER, SECOND], ids=["gated", "plain"])
def test_main_loop(
    moe_opt: pathlib.Path, form: Form, most: float, program: Program
) -> None:
    """With 64 rows and columns a warp, next to nothing stands beside products."""
    text = compile_program(moe_opt, program, [form]).text
    names = re.findall(r"\.entry\s+(grouped_matmul\w*)", text)
    loop = ptx_loop(text, names[0])
    assert loop
    blocks = form.warp_rows // 16
    assert loop.products == form.stages * form.depth // 16 * blocks * 8
    assert loop.others_per_product <= most
    assert loop.loads == 0.25 * loop.products
    assert loop.barriers == form.stages
    assert loop.waits == form.stages


PARTS = """.entry k() {
  @%p1 bra $L__BB0_3;
$L__BB0_1: mma.sync %r1; mma.sync %r2;
  @%p2 bra $L__BB0_1;
$L__BB0_2: st.global.b32 [%r3], %r1;
  ret;
$L__BB0_3: mma.sync %r1; mma.sync %r2; mma.sync %r3;
  @%p3 bra $L__BB0_2;
  bra.uni $L__BB0_2;
}"""


def test_a_jump_back_to_the_end_is_no_loop() -> None:
    loop = ptx_loop(PARTS, "k")
    assert loop
    assert (loop.products, loop.others) == (2, 1)
    assert ptx_loop(PARTS.replace("@%p2 bra $L__BB0_1", "nop"), "k") is None


def test_wide_access(moe_opt: pathlib.Path) -> None:
    """Aligned sizes are copied and stored by 16 bytes, and nothing is called."""
    for layout in ("nk", "kn"):
        program = dataclasses.replace(LAYER, layout=layout)
        text = compile_program(moe_opt, program, [FORMS["64x128x64"]]).text
        entries = (part.lstrip() for part in text.split(".entry"))
        kernel = next(part for part in entries if part.startswith("grouped_matmul"))
        widths = re.findall(r"cp\.async\.c[ag]\.[^;]*\], *(\w+)", kernel)
        assert set(widths) == {"16"}
        assert set(re.findall(r"st\.global\S*", kernel)) == {"st.global.v4.b32"}
        assert not re.search(r"\bcall\b", text)
        assert "__nv_" not in text


#: Form, and bytes that may be spilled: only where 128 threads take whole lines.
SPILLS = {name: 80 if name in ("128x128x64", "64x256x64") else 0 for name in FORMS}


#: What a block of a chip has at least, in bytes.
SHARED = {chip: 101376 for chip in ("sm_86", "sm_89", "sm_120")}


def fits(form: Form, chip: str) -> bool:
    used = form.stages * (form.rows + form.columns) * form.depth * 2
    return used <= SHARED.get(chip, 163 * 1024)


@pytest.mark.parametrize(
    ("name", "chip"),
    [
        (name, chip)
        for name, form in FORMS.items()
        for chip in CHIPS
        if fits(form, chip) and name != "16x64x64"
    ],
)
def test_registers(
    moe_opt: pathlib.Path, tmp_path: pathlib.Path, name: str, chip: str
) -> None:
    ptxas = os.environ.get("PTXAS") or shutil.which("ptxas")
    if not ptxas:
        pytest.skip("ptxas is not installed")
    form = FORMS[name]
    text = compile_program(moe_opt, LAYER, [form], chip).text
    said = assembled(text, chip, tmp_path)
    spilled = re.findall(r"(\d+) bytes spill", said)
    assert spilled
    assert all(int(count) <= SPILLS[name] for count in spilled), said
    planned, by_registers = resident_blocks(text, said)[form.kernel]
    assert 1 <= planned <= by_registers
