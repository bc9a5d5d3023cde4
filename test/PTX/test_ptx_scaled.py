"""Dense products of 8, 6 and 4 bits, with and without scales, against NumPy.

The formats are those of ml_dtypes. Every value here is a multiple of a power of two
that the hardware's sum keeps, so that the product in float64 is the one right answer.
"""

import pathlib
import re

import isa_forms
import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from moe_mlir import ptx

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint32]

FORMATS = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
    "ue8m0": ml_dtypes.float8_e8m0fnu,
    "ue4m3": ml_dtypes.float8_e4m3fn,
}
#: Bits of an element, and where they begin in a byte of `.kind::f8f6f4`.
PLACES = {"e4m3": (8, 0), "e5m2": (8, 0), "e3m2": (6, 0), "e2m3": (6, 0)}
PLACES["e2m1"] = (4, 2)


def values(kind: str, codes: npt.NDArray[np.uint8]) -> Floats:
    """What the codes mean."""
    return codes.view(FORMATS[kind]).astype(np.float64)


def random_codes(
    random: np.random.Generator, kind: str, shape: tuple[int, ...]
) -> npt.NDArray[np.uint8]:
    """All codes of small formats; of eight bits those from 2^-3 to 2^3, and zero."""
    every = np.arange(1 << PLACES[kind][0], dtype=np.uint8)
    if len(every) > 64:
        size = np.abs(values(kind, every))
        every = every[(size == 0) | ((size >= 0.125) & (size < 8))]
    return random.choice(every, shape)


def packed(codes: npt.NDArray[np.uint8], kind: str, four: bool) -> Words:
    """[line][K] codes -> [line][word]; padding is ones."""
    if four:
        pairs = codes[:, ::2] | codes[:, 1::2] << 4
    else:
        bits, low = PLACES[kind]
        padding = 255 ^ (((1 << bits) - 1) << low)
        pairs = codes << low | padding
    return np.ascontiguousarray(pairs.astype(np.uint8)).view(np.uint32)


def registers_of_a(words: Words) -> Words:
    """[16][Q] -> [register][lane]: word q of row r in lane 4 (r % 8) + q % 4."""
    parts = words.reshape(2, 8, -1, 4).transpose(2, 0, 1, 3)
    return np.ascontiguousarray(parts).reshape(-1, 32)


def registers_of_b(words: Words) -> Words:
    return np.ascontiguousarray(
        words.reshape(8, -1, 4).transpose(1, 0, 2)
    ).reshape(-1, 32)  # fmt: skip


#: Of D, A, B, and of the scales.
TYPES = re.compile(r"\.(f\d\d)\.(e\dm\d)\.(e\dm\d)\.f\d\d(?:\.(u\w+))?")
KERNEL = """.version 8.8
.target sm_120a
.address_size 64
.visible .entry k(.param .u64 in, .param .u64 out) {{
  .reg .b32 r<16>, t; .reg .b64 x, y, o;
  ld.param.u64 x, [in]; ld.param.u64 y, [out];
  mov.u32 t, %tid.x; mul.wide.u32 o, t, 4; add.u64 x, x, o; add.u64 y, y, o;
  {loads}
  {form} {d}, {{r0, r1, r2, r3}}, {{r4, r5}}, {d}{tail};
  {stores}
  ret; }}
"""


def kernel(form: isa_forms.Form, half: bool, tail: str) -> str:
    count = 2 if half else 4
    d = "{" + ", ".join(f"r{k + 6}" for k in range(count)) + "}"
    loads = "".join(f"ld.global.b32 r{k}, [x+{128 * k}];\n" for k in range(12))
    stores = "".join(f"st.global.b32 [y+{128 * k}], r{k + 6};\n" for k in range(count))
    return KERNEL.format(form=form.name, d=d, loads=loads, stores=stores, tail=tail)


def scales(
    random: np.random.Generator, kind: str, lines: int, chunks: int
) -> tuple[Floats, Words]:
    """Scales near one of rows (sixteen) or columns (eight), and their register."""
    near = np.arange(125, 130) if kind == "ue8m0" else np.arange(0x30, 0x40)
    codes = random.choice(near.astype(np.uint8), (lines, chunks))
    data = random.integers(0, 256, (32, 4), np.uint8)
    lane = np.arange(lines)
    lane = 4 * (lane % 8) + 2 + lane // 8 if lines == 16 else 4 * lane + 3
    first = 4 - chunks
    data[lane, first : first + chunks] = codes
    return values(kind, codes), data.view(np.uint32)[:, 0]


@pytest.mark.parametrize("tensor", ["exact", "fast"])
def test_dense_products(build_root: pathlib.Path, tensor: str) -> None:
    table = isa_forms.read_table(str(build_root / "bin" / "ptx-run"))
    forms = [f for f in table if ".kind::" in f.name and ".sp" not in f.name]
    forms = [form for form in forms if "k16" not in form.name]
    assert len(forms) == 50 + 50 + 4
    random = np.random.default_rng(3)
    for form in forms:
        k = int(re.search(r"n8k(\d+)", form.name)[1])
        d, a_kind, b_kind, scale = TYPES.search(form.name).groups()
        a = random_codes(random, a_kind, (16, k))
        b = random_codes(random, b_kind, (8, k))
        dtype = np.float16 if d == "f16" else np.float32
        c = random.integers(-8, 8, (16, 8)).astype(dtype)
        x, y = values(a_kind, a), values(b_kind, b)
        data, tail = np.zeros((12, 32), np.uint32), ""
        if scale:
            chunks = 1 if k == 32 else 4 if scale == "ue4m3" else 2
            sa, data[10] = scales(random, scale, 16, chunks)
            sb, data[11] = scales(random, scale, 8, chunks)
            x, y = x * sa.repeat(k // chunks, 1), y * sb.repeat(k // chunks, 1)
            tail = f", r10, {{{4 - chunks}, 1}}, r11, {{{4 - chunks}, 3}}"
        data[0:4] = registers_of_a(packed(a, a_kind, k == 64))
        data[4:6] = registers_of_b(packed(b, b_kind, k == 64))
        pairs = c.reshape(2, 8, 4, 2)  # [half of rows][row][lane of four][column]
        if d == "f16":
            data[6:8] = np.ascontiguousarray(pairs).view(np.uint32).reshape(2, 32)
        else:
            parts = np.ascontiguousarray(pairs.transpose(0, 3, 1, 2))
            data[6:10] = parts.view(np.uint32).reshape(4, 32)
        out = np.zeros((4, 32), np.uint32)
        module = ptx.Module(kernel(form, d == "f16", tail))
        result = module.launch("k", 1, 32, [data, out], tensor=tensor)
        assert not result.findings, form.name
        exact = x @ y.T + c
        want = exact.astype(dtype)
        if d == "f32":
            assert (want == exact).all(), "the test's values are too wide"
            got = out.view(np.float32).reshape(2, 2, 8, 4).transpose(0, 2, 3, 1)
        else:
            got = out[:2].view(np.float16).reshape(2, 8, 4, 2)
        np.testing.assert_array_equal(got.reshape(16, 8), want, form.name)


FOUR = "mma.sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::4X"
FOUR += ".f32.e2m1.e2m1.f32.ue4m3"
TWO = "mma.sync.aligned.m16n8k64.row.col.kind::mxf4.block_scale.f32.e2m1.e2m1.f32"
TWO += ".ue8m0"
ONE = "mma.sync.aligned.m16n8k32.row.col.kind::mxf8f6f4.block_scale.f32.e4m3.e5m2.f32"
ONE += ".ue8m0"


def checked(form: str, tail: str, before: str = "") -> str:
    d = "{r0, r1, r2, r3}"
    return f""".version 8.8\n.target sm_120a\n.address_size 64
    .visible .entry k(.param .u64 out) {{
      .reg .b32 r<8>, s, t; .reg .b64 y, o; .reg .b16 h; .reg .pred p;
      ld.param.u64 y, [out]; mov.u32 t, %tid.x; mul.wide.u32 o, t, 4;
      add.u64 y, y, o; mov.b32 r7, 0; mov.b32 s, 0; cvt.u16.u32 h, t;
      mov.b32 r0, 0; mov.b32 r1, 0; mov.b32 r2, 0; mov.b32 r3, 0; {before}
      {form} {d}, {d}, {{r0, r1}}, {d}, s, {tail};
      st.global.b32 [y], r0; ret; }}"""


@pytest.mark.parametrize(
    ("form", "tail", "why"),
    [
        (FOUR, "{1, 0}, s, {0, 0}", "byte-id-a is 1: it must be 0 with 4 scales"),
        (FOUR, "{0, 0}, s, {2, 0}", "byte-id-b is 2: it must be 0 with 4 scales"),
        (TWO, "{1, 0}, s, {0, 0}", "byte-id-a is 1: it must be 0 or 2"),
        (ONE, "{4, 0}, s, {0, 0}", "byte-id-a is 4: it must be 0 to 3"),
        (ONE, "{0, 2}, s, {0, 0}", "thread-id-a is 2: it must be 0 to 1"),
        (ONE, "{0, 0}, s, {0, 4}", "thread-id-b is 4: it must be 0 to 3"),
    ],
)
def test_wrong_selectors_are_refused(form: str, tail: str, why: str) -> None:
    with pytest.raises(ptx.PtxError, match=why):
        ptx.Module(checked(form, tail))


@pytest.mark.parametrize(
    ("before", "tail", "kinds"),
    [
        ("mov.b16 h, 2;", "{h, 0}, s, {0, 0}", set()),
        ("mov.b16 h, 3;", "{h, 0}, s, {0, 0}", {"illegal-instruction"}),
        ("mov.b16 h, 4;", "{0, 0}, s, {0, h}", {"illegal-instruction"}),
        ("", "{0, 0}, s, {0, h}", {"illegal-instruction"}),
        # The scale of row 0 is in lane 0, of row 8 in lane 1, of column 0 in lane 0.
        ("setp.ge.u32 p, t, 1; .reg .b32 u; @p mov.b32 u, 0; mov.b32 s, u;",
         "{0, 0}, r7, {0, 0}", {"uninitialised"}),
        ("setp.ne.u32 p, t, 3; .reg .b32 u; @p mov.b32 u, 0; mov.b32 s, u;",
         "{0, 0}, r7, {0, 0}", set()),
        ("setp.ne.u32 p, t, 3; .reg .b32 u; @p mov.b32 u, 0; mov.b32 s, u;",
         "{0, 1}, r7, {0, 0}", set()),
        ("setp.ne.u32 p, t, 2; .reg .b32 u; @p mov.b32 u, 0; mov.b32 s, u;",
         "{0, 1}, r7, {0, 0}", {"uninitialised"}),
        (".reg .b16 u; mov.b16 h, u;", "{h, 0}, s, {0, 0}", {"uninitialised"}),
    ],
)  # fmt: skip
def test_checks_see_the_selected_scales(
    before: str, tail: str, kinds: set[str]
) -> None:
    module = ptx.Module(checked(TWO, tail, before))
    result = module.launch("k", 1, 32, [np.zeros(32, np.uint32)])
    assert {finding.kind for finding in result.findings} == kinds


#: The product of lanes 4 to 7 and 20 to 23 has a row of A in each lane and a column of
#: B; D's row r in f32 is in lanes with bit 0 of r, those above 16 for r > 3.
QUADS = """.version 8.8
.target sm_90
.address_size 64
.visible .entry k(.param .u64 out) {{
  .reg .b32 u, r<4>, t; .reg .f32 f<8>; .reg .b64 y, o; .reg .pred p;
  ld.param.u64 y, [out]; mov.u32 t, %tid.x; mul.wide.u32 o, t, 4; add.u64 y, y, o;
  mov.b32 r0, 0; mov.b32 r1, 0; mov.b32 r2, 0; mov.b32 r3, 0;
  mov.f32 f0, 0f00000000; mov.f32 f1, f0; mov.f32 f2, f0; mov.f32 f3, f0;
  mov.f32 f4, f0; mov.f32 f5, f0; mov.f32 f6, f0; mov.f32 f7, f0;
  setp.ne.u32 p, t, {lane}; @p mov.b32 u, 0; mov.b32 {register}, u;
  mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {{f0, f1, f2, f3, f4, f5, f6, f7}},
    {{r0, r1}}, {{r2, r3}}, {{f0, f1, f2, f3, f4, f5, f6, f7}};
  setp.eq.u32 p, t, {reader}; @p st.global.f32 [y], {result};
  ret; }}"""


@pytest.mark.parametrize(
    ("register", "lane", "reader", "result", "finds"),
    [
        ("r0", 5, 5, "f0", True),
        ("r1", 5, 7, "f5", True),
        ("r0", 5, 7, "f2", False),  # row 3
        ("r0", 5, 4, "f0", False),  # row 0
        ("r0", 5, 9, "f0", False),  # another product
        ("r0", 21, 21, "f0", True),  # row 5
        ("r0", 21, 21, "f2", False),
        ("r2", 6, 6, "f0", True),  # column 2
        ("r2", 6, 22, "f2", True),
        ("r2", 6, 6, "f1", False),
        ("r3", 22, 6, "f4", True),  # column 6
        ("f3", 30, 30, "f3", True),
        ("f3", 30, 30, "f2", False),
    ],
)  # fmt: skip
def test_four_products_keep_undefined_lines_apart(
    register: str, lane: int, reader: int, result: str, finds: bool
) -> None:
    text = QUADS.format(register=register, lane=lane, reader=reader, result=result)
    launched = ptx.Module(text).launch("k", 1, 32, [np.zeros(32, np.float32)])
    assert [f.kind for f in launched.findings] == ["uninitialised"] * finds


def test_four_products_are_counted() -> None:
    text = QUADS.format(register="r0", lane=33, reader=0, result="f0")
    launched = ptx.Module(text).launch("k", 1, 32, [np.zeros(32, np.float32)])
    assert launched.counters["mma_issued"] == 1
    assert launched.counters["mma_flop"] == 4 * 2 * 8 * 8 * 4
