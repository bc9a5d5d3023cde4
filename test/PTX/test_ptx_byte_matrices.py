"""ldmatrix and stmatrix of bytes: every form against the manual's words in NumPy.

And what the checks see of them: rows in shared memory, sixteen bytes a lane.
"""

import pathlib
import re

import isa_forms
import numpy as np
import pytest
from moe_mlir import ptx

#: Bytes from one row to the next in shared memory, more than a row.
PITCH = 48
HEAD = ".version 8.8\n.target sm_100a\n.address_size 64\n"


def byte_forms(build_root: pathlib.Path) -> list[isa_forms.Form]:
    table = isa_forms.read_table(str(build_root / "bin" / "ptx-run"))
    return [form for form in table if re.search(r"matrix\..*\.b8", form.name)]


def rows_of(form: isa_forms.Form) -> int:
    """How many lanes give the address of a row."""
    count = int(re.search(r"\.x(\d)", form.name)[1])
    return count * (16 if "m16n16" in form.name else 8)


def registers_of(form: isa_forms.Form) -> int:
    return int(re.search(r"\{(\d) x", form.operands)[1])


def vector(count: int) -> str:
    return "{" + ", ".join(f"r{k}" for k in range(count)) + "}"


def load_kernel(form: isa_forms.Form, space: str) -> str:
    """Copies the rows to shared memory, loads them, stores the registers.

    Lane l has the row at (7 l % 32) PITCH. With no space the address is generic.
    """
    name = form.name.replace(".b8", space + ".b8", 1)
    count = registers_of(form)
    address = "cvt.u64.u32 g, at; cvta.shared.u64 g, g;" if not space else ""
    stores = "\n".join(f"st.global.b32 [y+{128 * k}], r{k};" for k in range(count))
    return f"""{HEAD}.visible .entry k(.param .u64 in, .param .u64 out) {{
      .shared .align 16 .b8 rows[{32 * PITCH}];
      .reg .b32 r<4>, w<4>, t, at; .reg .b64 x, y, o, g;
      ld.param.u64 x, [in]; ld.param.u64 y, [out];
      mov.u32 t, %tid.x; mul.wide.u32 o, t, 16; add.u64 x, x, o;
      mul.wide.u32 o, t, 4; add.u64 y, y, o;
      mul.lo.u32 at, t, 7; and.b32 at, at, 31; mul.lo.u32 at, at, {PITCH};
      mov.u32 w0, rows; add.u32 at, at, w0;
      ld.global.v4.b32 {{w0, w1, w2, w3}}, [x];
      st.shared.v4.b32 [at], {{w0, w1, w2, w3}};
      bar.sync 0; {address}
      {name} {vector(count)}, [{"at" if space else "g"}];
      {stores}
      ret; }}"""


def store_kernel(form: isa_forms.Form, space: str) -> str:
    name = form.name.replace(".b8", space + ".b8", 1)
    count = registers_of(form)
    address = "cvt.u64.u32 g, at; cvta.shared.u64 g, g;" if not space else ""
    loads = "\n".join(f"ld.global.b32 r{k}, [x+{128 * k}];" for k in range(count))
    return f"""{HEAD}.visible .entry k(.param .u64 in, .param .u64 out) {{
      .shared .align 16 .b8 rows[{32 * PITCH}];
      .reg .b32 r<4>, w<4>, t, at; .reg .b64 x, y, o, g; .reg .pred p;
      ld.param.u64 x, [in]; ld.param.u64 y, [out];
      mov.u32 t, %tid.x; mul.wide.u32 o, t, 4; add.u64 x, x, o;
      mul.wide.u32 o, t, 16; add.u64 y, y, o;
      mul.lo.u32 at, t, 7; and.b32 at, at, 31; mul.lo.u32 at, at, {PITCH};
      mov.u32 w0, rows; add.u32 at, at, w0; {address}
      {loads}
      {name} [{"at" if space else "g"}], {vector(count)};
      bar.sync 0; setp.ge.u32 p, t, {rows_of(form)}; @p exit;
      ld.shared.v4.b32 {{w0, w1, w2, w3}}, [at];
      st.global.v4.b32 [y], {{w0, w1, w2, w3}};
      ret; }}"""


def elements(rows: np.ndarray, form: isa_forms.Form) -> np.ndarray:
    """[row][16] elements of rows of sixteen bytes, low bits first."""
    size = re.search(r"\.b(\d)x16_p", form.name)
    bits = int(size[1]) if size else 8
    flat = np.unpackbits(rows, axis=1, bitorder="little")[:, : 16 * bits]
    weights = 1 << np.arange(bits)
    return (flat.reshape(len(rows), 16, bits) * weights).sum(2).astype(np.uint8)


def fragments(matrices: np.ndarray) -> np.ndarray:
    """[matrix][rows][16] bytes -> registers: four bytes of row r in lane 4 r + t."""
    halves = matrices.reshape(-1, 8, 16)
    return np.ascontiguousarray(halves).view(np.uint32).reshape(-1, 32)


@pytest.mark.parametrize("space", ["", ".shared", ".shared::cta"])
def test_loads_give_fragments(build_root: pathlib.Path, space: str) -> None:
    forms = [form for form in byte_forms(build_root) if form.name[0] == "l"]
    assert len(forms) == 12
    random = np.random.default_rng(1)
    for form in forms:
        rows = random.integers(0, 256, (32, 16), np.uint8)
        registers = np.zeros((4, 32), np.uint32)
        module = ptx.Module(load_kernel(form, space))
        result = module.launch("k", 1, 32, [rows, registers])
        assert not result.findings, form.name
        matrices = elements(rows[: rows_of(form)], form)
        if "m16n16" in form.name:
            matrices = matrices.reshape(-1, 16, 16).transpose(0, 2, 1)
        else:
            matrices = matrices.reshape(-1, 8, 16)
        want = np.zeros_like(registers)
        got = fragments(matrices)
        want[: len(got)] = got
        np.testing.assert_array_equal(registers, want, form.name)


@pytest.mark.parametrize("space", ["", ".shared", ".shared::cta"])
def test_stores_take_accumulators(build_root: pathlib.Path, space: str) -> None:
    """Byte i of lane 4 g + t: row g + 8 (i / 2), column 2 t + i % 2, as mma has C."""
    forms = [form for form in byte_forms(build_root) if form.name[0] == "s"]
    assert len(forms) == 3
    random = np.random.default_rng(2)
    for form in forms:
        registers = random.integers(0, 1 << 32, (4, 32), np.uint32)
        rows = np.zeros((32, 16), np.uint8)
        module = ptx.Module(store_kernel(form, space))
        assert not module.launch("k", 1, 32, [registers, rows]).findings, form.name
        want = np.zeros_like(rows)
        for j in range(registers_of(form)):
            matrix = np.zeros((16, 8), np.uint8)
            for lane in range(32):
                for i, byte in enumerate(registers[j, lane : lane + 1].view(np.uint8)):
                    matrix[lane // 4 + 8 * (i // 2), 2 * (lane % 4) + i % 2] = byte
            want[8 * j : 8 * j + 8] = matrix.T
        np.testing.assert_array_equal(rows, want, form.name)


CHECKED = """
.visible .entry k(.param .u64 out) {{
  .shared .align 32 .b8 rows[528];
  .reg .b32 r<4>, w, t, at; .reg .b64 y, o; .reg .pred p;
  ld.param.u64 y, [out];
  mov.u32 t, %tid.x; mul.wide.u32 o, t, 4; add.u64 y, y, o;
  mov.u32 at, rows; and.b32 w, t, 31; shl.b32 w, w, 4; add.u32 at, at, w;
  mov.b32 r0, t; mov.b32 r1, t; mov.b32 r2, t; mov.b32 r3, t;
  {body}
  st.global.b32 [y], r0;
  ret; }}
"""
FILL = "st.shared.v4.b32 [at], {r0, r1, r2, r3};"
LOAD = "ldmatrix.sync.aligned.m16n16.x2.trans.shared.b8 {r0, r1, r2, r3}, [at];"
PACKED = "ldmatrix.sync.aligned.m8n16.x4.shared.b8x16.b6x16_p32 {r0, r1, r2, r3}, [at];"
#: The row of another lane.
OTHER = "xor.b32 at, at, 16;"
STORE = "stmatrix.sync.aligned.m16n8.x4.trans.shared.b8 [at], {r0, r1, r2, r3};"


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        (f"{FILL} bar.sync 0; {OTHER} {LOAD}", set()),
        (f"{FILL} {OTHER} {LOAD}", {"race"}),
        (f"{STORE} bar.sync 0; {OTHER} {LOAD}", set()),
        (f"{STORE} {OTHER} {LOAD}", {"race"}),
        (f"{STORE} {OTHER} ld.shared.b32 r0, [at];", {"race"}),
        (LOAD, {"uninitialised"}),
        (PACKED, {"uninitialised"}),
        # The padding behind six bits times sixteen is not read.
        (f"st.shared.v2.b32 [at], {{r0, r1}}; st.shared.b32 [at+8], r2; bar.sync 0;"
         f"{PACKED}", set()),
        (f"st.shared.v2.b32 [at], {{r0, r1}}; bar.sync 0; {PACKED}",
         {"uninitialised"}),
        (f"{FILL} bar.sync 0; add.u32 at, at, 8; {LOAD}", {"misaligned"}),
        (f"{FILL} bar.sync 0; add.u32 at, at, 48; {LOAD}", {"out-of-bounds"}),
        (f"add.u32 at, at, 48; {STORE}", {"out-of-bounds"}),
        # A lane that is not there.
        (f"{FILL} bar.sync 0; setp.eq.u32 p, t, 5; @p exit; {LOAD}", {"divergence"}),
    ],
)  # fmt: skip
def test_checks_see_the_rows(body: str, kinds: set[str]) -> None:
    text = HEAD + CHECKED.format(body=body)
    result = ptx.Module(text).launch("k", 1, 32, [np.zeros(32, np.uint32)])
    assert {finding.kind for finding in result.findings} == kinds
