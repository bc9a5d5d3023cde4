"""alloca, stacksave and stackrestore."""

import numpy as np
import pytest
from moe_mlir import ptx

HEAD = ".version 8.7\n.target sm_90a\n.address_size 64\n"
START = """
.visible .entry k(.param .u64 to, .param .u32 count) {
  .reg .pred p; .reg .b32 t, n, r, s, i; .reg .b64 d, o, a, b, save, size;
  ld.param.u64 d, [to]; ld.param.u32 n, [count];
  mov.u32 t, %tid.x; mul.wide.u32 o, t, 8; add.u64 d, d, o;
"""


def run(body: str, count: int, threads: int = 32, head: str = "") -> np.ndarray:
    """What each thread stores to [d], 64 bits."""
    out = np.zeros(threads, np.uint64)
    module = ptx.Module(HEAD + head + START + body + "ret; }")
    result = module.launch("k", 1, threads, [out, np.uint32(count)])
    assert not result.findings, "\n".join(map(str, result.findings))
    return out


@pytest.mark.parametrize(("bits", "register"), [(64, "a"), (32, "r")])
def test_each_thread_has_its_own_bytes(bits: int, register: str) -> None:
    size = "size" if bits == 64 else "s"
    body = f"""
    add.u32 s, t, 1; mul.lo.u32 s, s, 4; cvt.u64.u32 size, s;
    alloca.u{bits} {register}, {size};
    mul.lo.u32 i, t, 3; st.local.b32 [{register}], i;
    alloca.u{bits} {"b" if bits == 64 else "n"}, 8;
    st.local.b32 [{"b" if bits == 64 else "n"}], 5;
    ld.local.b32 i, [{register}]; cvt.u64.u32 size, i; st.global.b64 [d], size;
    """
    assert run(body, 0).tolist() == [3 * t for t in range(32)]


@pytest.mark.parametrize("alignment", [1, 8, 16, 64])
def test_alignment(alignment: int) -> None:
    body = f"""
    alloca.u64 a, 3, 1; alloca.u64 a, 24, {alignment};
    and.b64 b, a, {alignment - 1}; st.global.b64 [d], b;
    """
    assert not run(body, 0).any()


LOOP = """
    mov.u32 i, 0; mov.u32 r, 0;
  again:
    SAVE
    alloca.u64 a, 64; st.local.b32 [a+60], i; ld.local.b32 s, [a+60];
    add.u32 r, r, s;
    RESTORE
    add.u32 i, i, 1; setp.lt.u32 p, i, n; @p bra again;
    cvt.u64.u32 o, r; st.global.b64 [d], o;
"""


def test_what_is_restored_is_free_again() -> None:
    body = LOOP.replace("SAVE", "stacksave.u64 save;")
    body = body.replace("RESTORE", "stackrestore.u64 save;")
    assert run(body, 2000).tolist() == [2000 * 1999 // 2] * 32


def test_what_is_not_restored_overflows() -> None:
    body = LOOP.replace("SAVE", "").replace("RESTORE", "")
    assert run(body, 100).tolist() == [4950] * 32
    text = HEAD + START + body + "ret; }"
    args = [np.zeros(32, np.uint64), np.uint32(1 << 20)]
    result = ptx.Module(text).launch("k", 1, 32, args)
    (finding,) = result.findings
    assert finding.kind == "stack-overflow" and "alloca" in finding.message
    line = text[: text.index("alloca.u64 a")].count("\n") + 1
    assert finding.place.line == line


def test_a_function_gives_its_bytes_back() -> None:
    function = """
.func (.param .b32 r) f(.param .b32 x) {
  .reg .b32 v; .reg .b64 a;
  ld.param.b32 v, [x]; alloca.u64 a, 256; st.local.b32 [a+128], v;
  ld.local.b32 v, [a+128]; st.param.b32 [r], v; ret;
}
"""
    body = """
    mov.u32 i, 0; mov.u32 r, 0; add.u32 n, n, t;
  again:
    { .param .b32 x; .param .b32 y; st.param.b32 [x], i;
      call (y), f, (x); ld.param.b32 s, [y]; }
    add.u32 r, r, s; add.u32 i, i, 1; setp.lt.u32 p, i, n; @p bra again;
    cvt.u64.u32 o, r; st.global.b64 [d], o;
    """
    want = [(2000 + t) * (1999 + t) // 2 for t in range(32)]
    assert run(body, 2000, head=function).tolist() == want


def test_lanes_apart_do_not_share_bytes() -> None:
    """Half of a warp allocates and calls while the others hold what they have."""
    function = """
.func (.param .b32 r) f(.param .b32 x) {
  .local .align 8 .b8 own[64];
  .reg .b32 v; .reg .b64 a;
  mov.b64 a, own; ld.param.b32 v, [x]; st.local.b32 [a+60], v;
  bar.warp.sync 0xffffffff;
  ld.local.b32 v, [a+60]; st.param.b32 [r], v; ret;
}
"""
    body = """
    setp.lt.u32 p, t, 16; @p bra join;
    alloca.u64 a, 64; mov.u32 i, 0;
  fill: cvt.u64.u32 o, i; add.u64 b, a, o; st.local.b32 [b], 77;
    add.u32 i, i, 4; setp.lt.u32 p, i, 64; @p bra fill;
  join:
    { .param .b32 x; .param .b32 y; st.param.b32 [x], t;
      call (y), f, (x); ld.param.b32 s, [y]; }
    mov.u32 i, 77; setp.ge.u32 p, t, 16; @p ld.local.b32 i, [a+60];
    mad.lo.u32 s, i, 1000, s; cvt.u64.u32 o, s; st.global.b64 [d], o;
    """
    assert run(body, 0, head=function).tolist() == [77000 + t for t in range(32)]
