"""wmma in the fast mode: loads, products and stores of opaque fragments."""

import itertools

import numpy as np
from moe_mlir import ptx
from products import fused

#: type, K, registers of A and of B, element type in memory.
FORMS = (("bf16", 16, 4, 4), ("f16", 16, 8, 8), ("tf32", 8, 4, 4))
#: Rows and columns checked.
SAMPLE = (0, 3, 7, 8, 13, 15)
PITCH = 24


def _kernel(kind: str, k: int, a: int, b: int, layouts: str, space: str) -> str:
    def names(letter: str, count: int) -> str:
        return "{" + ", ".join(f"{letter}{i}" for i in range(count)) + "}"

    first, second, third = ({"r": "row", "c": "col"}[x] for x in layouts)
    shape = f"m16n16k{k}"
    form = f"{shape}.{space}.{kind}"
    types = ".f32.f32" if kind == "f16" else f".f32.{kind}.{kind}.f32"
    product = f"wmma.mma.sync.aligned.{first}.{second}.{shape}{types}"
    stage = """
  mov.u32 i, %tid.x;
copy:
  mul.wide.u32 o, i, 4;
  add.u64 at, x, o;
  ld.global.u32 v, [at];
  shl.b32 j, i, 2;
  mov.u32 w, window;
  add.u32 w, w, j;
  st.shared.u32 [w], v;
  add.u32 i, i, 32;
  setp.lt.u32 p, i, 768;
  @p bra copy;
  bar.warp.sync -1;"""
    return f""".version 8.7
.target sm_90a
.address_size 64
.visible .entry k(.param .u64 source, .param .u64 result)
{{
  .reg .pred p;
  .reg .b32 i, j, v, w, a<8>, b<8>;
  .reg .f32 c<8>, d<8>;
  .reg .b64 o, at, x, y;
  .shared .align 16 .b8 window[3072];
  ld.param.u64 x, [source];
  ld.param.u64 y, [result];{stage if space == "shared" else ""}
  {"mov.u64 x, window;" if space == "shared" else ""}
  wmma.load.a.sync.aligned.{first}.{form} {names("a", a)}, [x], {PITCH};
  add.u64 at, x, 1536;
  wmma.load.b.sync.aligned.{second}.{form} {names("b", b)}, [at], {PITCH};
  wmma.load.c.sync.aligned.{third}.{shape}.global.f32 {names("c", 8)}, [y], {PITCH};
  {product} {names("d", 8)}, {names("a", a)}, {names("b", b)}, {names("c", 8)};
  wmma.store.d.sync.aligned.{third}.{shape}.global.f32 [y], {names("d", 8)}, {PITCH};
  ret;
}}
"""


def _matrix(kind: str, memory: np.ndarray, layout: str) -> np.ndarray:
    """A matrix of float64 [lines][PITCH], as rows and columns."""
    if kind == "f16":
        values = memory.view(np.float16).astype(np.float64)
    elif kind == "bf16":
        wide = memory.view(np.uint16).astype(np.uint32) << np.uint32(16)
        values = wide.view(np.float32).astype(np.float64)
    else:
        values = (memory & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float64)
    lines = values[: values.size // PITCH * PITCH].reshape(-1, PITCH)
    return lines if layout == "r" else lines.T


def _operands(kind: str, random: np.random.Generator) -> np.ndarray:
    """1536 bytes each of A and B: numbers near 1."""
    x = random.standard_normal(768).astype(np.float32)
    if kind == "tf32":
        return x.view(np.uint32)
    if kind == "f16":
        return x.repeat(2).astype(np.float16).view(np.uint32)
    return (x.repeat(2).view(np.uint32) >> 16).astype(np.uint16).view(np.uint32)


def check() -> list[str]:
    """The cases that went wrong."""
    wrong = []
    random = np.random.default_rng(9)
    options = {"counters": False, "check": set(), "tensor": "fast"}
    for (kind, k, a, b), layouts in itertools.product(
        FORMS, ("rrr", "rcr", "crc", "ccr")
    ):
        for space in ("global", "shared"):
            module = ptx.Module(_kernel(kind, k, a, b, layouts, space))
            source = _operands(kind, random)
            result = random.standard_normal((24, PITCH)).astype(np.float32)
            before = result.copy()
            module.launch("k", 1, 32, [source, result], **options)
            left = _matrix(kind, source[:384], layouts[0])
            right = _matrix(kind, source[384:], layouts[1])
            if layouts[2] == "c":
                before, result = before.T, result.T
            for row, column in itertools.product(SAMPLE, SAMPLE):
                total = before[row, column]
                for i in range(k):
                    total = fused(left[row, i], right[i, column], total)
                if total != result[row, column]:
                    wrong.append(f"{kind} {layouts} {space} ({row}, {column})")
            if not np.array_equal(before[16:], result[16:]):
                wrong.append(f"{kind} {layouts} {space}: writes outside")
    return wrong
