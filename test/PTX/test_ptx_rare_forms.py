"""Forms that compilers seldom write: bulk stores, remote stores, wide vectors."""

import numpy as np
import pytest
from moe_mlir import ptx

HEAD = ".version 8.8\n.target {target}\n.address_size 64\n"


def run(body: str, *args: object, target: str = "sm_90", **options: object):
    params = ", ".join(f".param .u64 in{i}" for i in range(len(args)))
    loads = "".join(f"ld.param.u64 a{i}, [in{i}]; " for i in range(len(args)))
    text = f"""{HEAD.format(target=target)}.visible .entry k({params}) {{
      .reg .pred p<4>; .reg .b8 c<8>; .reg .b16 h<8>; .reg .b32 r<12>;
      .reg .b64 a<4>, d<8>; .reg .b128 q<2>;
      {loads} {body} ret; }}"""
    options = {"grid": 1, "block": 32, **options}
    return ptx.Module(text).launch("k", args=list(args), **options)


def kinds(result) -> list[str]:
    return [finding.kind for finding in result.findings]


#: Thread t fills 8 t bytes at 256 t of shared memory, which was all ones.
BULK = """.shared .align 8 .b8 all[8192];
  mov.u32 r0, %tid.x; mov.u32 r1, all; shl.b32 r2, r0, 8; add.u32 r1, r1, r2;
  mov.u32 r3, 0; mov.u32 r2, r1;
fill: st.shared.b32 [r2], 0xffffffff; add.u32 r2, r2, 4; add.u32 r3, r3, 1;
  setp.lt.u32 p0, r3, 64; @p0 bra fill;
  mul.wide.u32 d0, r0, 8; {store};
  bar.sync 0; mul.wide.u32 d1, r0, 256; add.u64 a0, a0, d1; mov.u32 r3, 0;
copy: ld.shared.b32 r4, [r1]; st.global.b32 [a0], r4; add.u32 r1, r1, 4;
  add.u64 a0, a0, 4; add.u32 r3, r3, 1; setp.lt.u32 p0, r3, 64; @p0 bra copy;"""


@pytest.mark.parametrize(
    "store",
    [
        "st.bulk.weak.shared::cta [r1], d0, 0",
        "st.bulk.shared::cta [r1], d0, 0",
        "cvt.u64.u32 d1, r1; cvta.shared.u64 d1, d1; st.bulk [d1], d0, 0",
    ],
)
def test_bulk_stores_write_zeros(store: str) -> None:
    out = np.zeros((32, 256), np.uint8)
    result = run(BULK.format(store=store), out, target="sm_100")
    assert not result.findings
    for thread in range(32):
        assert (out[thread, : 8 * thread] == 0).all()
        assert (out[thread, 8 * thread :] == 255).all()


def test_bulk_stores_define_memory_and_have_rules() -> None:
    head = ".shared .align 16 .b8 all[64]; mov.u32 r1, all; mov.u64 d0, 64;"
    tail = "ld.shared.b32 r2, [r1]; st.global.b32 [a0], r2;"
    store = "st.bulk.weak.shared::cta [r1], d0, 0;"
    out = np.ones(1, np.uint32)
    only = {"block": 1, "target": "sm_100"}
    assert not run(head + store + tail, out, **only).findings and out[0] == 0
    assert kinds(run(head + tail, out, **only)) == ["uninitialised"]
    for wrong, kind in {
        "mov.u64 d0, 72;": "out-of-bounds",
        "mov.u64 d0, 12;": "illegal-instruction",
        "add.u32 r1, r1, 4;": "misaligned",
    }.items():
        assert kinds(run(head + wrong + store, out, **only)) == [kind]
    # Two threads write the same bytes, which nothing orders with the read.
    other = "mov.u32 r0, %tid.x; setp.eq.u32 p0, r0, 0; @p0 " + store
    raced = run(head + other + tail, out, block=2, target="sm_100")
    assert "race" in kinds(raced)


#: Block 0 stores into block 1, which waits.
REMOTE = """.shared .align 16 .b8 to[16]; .shared .align 8 .b64 bar;
  mov.u32 r0, %cluster_ctarank; setp.eq.u32 p0, r0, 0;
  mov.u32 r1, to; mov.u32 r2, bar; st.shared.v4.b32 [r1], {{5, 6, 7, 8}};
  mbarrier.init.shared::cta.b64 [bar], 1; fence.mbarrier_init.release.cluster;
  @!p0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], {bytes};
  barrier.cluster.arrive; barrier.cluster.wait;
  mapa.shared::cluster.u32 r3, r1, 1; mapa.shared::cluster.u32 r4, r2, 1;
  cvt.u64.u32 d3, r3; cvta.shared::cluster.u64 d3, d3;
  cvt.u64.u32 d4, r4; cvta.shared::cluster.u64 d4, d4;
  mov.u32 r5, 11; mov.u32 r6, 12; mov.u32 r7, 13; mov.u32 r8, 14;
  mov.u64 d5, 0xffffffff00000001;
  @!p0 bra wait;
  {store};
  bra end;
wait: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p1, [bar], 0;
  @!p1 bra wait;
  ld.shared.v4.b32 {{r5, r6, r7, r8}}, [r1];
  st.global.v4.b32 [a0], {{r5, r6, r7, r8}};
end: barrier.cluster.arrive; barrier.cluster.wait;"""
STORE, REDUCE = "st.async", "red.async.relaxed.cluster"
MBAR = "mbarrier::complete_tx::bytes"
REMOTES = {
    f"{STORE}.weak.shared::cluster.{MBAR}.b32 [r3], r5, [r4]": (4, [11, 6, 7, 8]),
    f"{STORE}.{MBAR}.b32 [d3+4], r5, [d4]": (4, [5, 11, 7, 8]),
    f"{STORE}.weak.{MBAR}.v2.b32 [d3], {{r5, r6}}, [d4]": (8, [11, 12, 7, 8]),
    f"{STORE}.{MBAR}.v4.u32 [d3], {{r5, r6, r7, r8}}, [d4]": (16, [11, 12, 13, 14]),
    f"{STORE}.{MBAR}.u64 [d3], d5, [d4]": (8, [1, 2**32 - 1, 7, 8]),
    f"{REDUCE}.shared::cluster.{MBAR}.add.u32 [r3], r5, [r4]": (4, [16, 6, 7, 8]),
    f"{REDUCE}.{MBAR}.add.s32 [d3+8], r5, [d4]": (4, [5, 6, 18, 8]),
    f"{REDUCE}.{MBAR}.max.u32 [d3], r5, [d4]": (4, [11, 6, 7, 8]),
    f"{REDUCE}.{MBAR}.min.s32 [d3], r5, [d4]": (4, [5, 6, 7, 8]),
    f"{REDUCE}.{MBAR}.xor.b32 [d3], r5, [d4]": (4, [14, 6, 7, 8]),
    f"{REDUCE}.{MBAR}.and.b32 [d3], r5, [d4]": (4, [1, 6, 7, 8]),
    f"{REDUCE}.{MBAR}.or.b32 [d3], r5, [d4]": (4, [15, 6, 7, 8]),
    f"{REDUCE}.{MBAR}.inc.u32 [d3], r5, [d4]": (4, [6, 6, 7, 8]),
    f"{REDUCE}.{MBAR}.dec.u32 [d3], r5, [d4]": (4, [4, 6, 7, 8]),
    f"{REDUCE}.{MBAR}.add.s64 [d3], d5, [d4]": (8, [6, 5, 7, 8]),
    f"{REDUCE}.{MBAR}.add.u64 [d3], d5, [d4]": (8, [6, 5, 7, 8]),
}


@pytest.mark.parametrize("completion", ["latest", "earliest"])
@pytest.mark.parametrize("store", REMOTES)
def test_remote_stores(store: str, completion: str) -> None:
    count, want = REMOTES[store]
    out = np.zeros(4, np.uint32)
    body = REMOTE.format(bytes=count, store=store)
    options = {"grid": 2, "block": 1, "cluster": 2, "completion": completion}
    assert not run(body, out, **options).findings
    assert out.tolist() == want


def test_remote_stores_need_shared_addresses() -> None:
    store = f"{STORE}.{MBAR}.b32 [a0], r5, [d4]"
    out = np.zeros(4, np.uint32)
    body = REMOTE.format(bytes=4, store=store)
    assert kinds(run(body, out, grid=2, block=1, cluster=2)) == ["illegal-address"]


@pytest.mark.parametrize("space", ["global", "shared", "local", ""])
@pytest.mark.parametrize("bits", [8, 16])
def test_vectors_of_eight(bits: int, space: str) -> None:
    letter = {8: "c", 16: "h"}[bits]
    size = bits  # bytes of eight elements
    names = ", ".join(f"{letter}{i}" for i in range(8))
    turned = ", ".join(f"{letter}{7 - i}" for i in range(8))
    place = "mov.u64 d1, a1; add.u64 d1, d1, d0;"
    if space in ("shared", "local"):
        place = f".{space} .align 16 .b8 mine[512]; mov.u64 d1, mine;"
        place += " add.u64 d1, d1, d0;"
    name = f".{space}" if space else ""
    body = f"""mov.u32 r0, %tid.x; mul.wide.u32 d0, r0, {size};
      add.u64 a0, a0, d0; {place}
      ld.global.v8.b{bits} {{{names}}}, [a0];
      st{name}.v8.b{bits} [d1], {{{turned}}};
      ld{name}.v8.u{bits} {{{names}}}, [d1];
      add.u64 a1, a1, d0; st.global.v8.b{bits} [a1], {{{names}}};"""
    x = np.random.default_rng(bits).integers(0, 255, 32 * size, np.uint8)
    y = np.zeros_like(x)
    assert not run(body, x, y).findings
    lanes = x.view(f"u{bits // 8}").reshape(32, 8)
    np.testing.assert_array_equal(y.view(lanes.dtype).reshape(32, 8), lanes[:, ::-1])
    odd = body.replace("[a0]", f"[a0+{size // 2}]")
    assert kinds(run(odd, x, y)) == ["misaligned"]


@pytest.mark.parametrize("space", [".global", ""])
@pytest.mark.parametrize("count, bits", [(8, 32), (4, 64)])
def test_vectors_of_256_bits(count: int, bits: int, space: str) -> None:
    names = ", ".join(f"{'r' if bits == 32 else 'd'}{i}" for i in range(2, 2 + count))
    body = f"""mov.u32 r0, %tid.x; mul.wide.u32 d0, r0, 32;
      add.u64 a0, a0, d0; add.u64 a1, a1, d0;
      ld{space}.v{count}.b{bits} {{{names}}}, [a0];
      st{space}.v{count}.b{bits} [a1], {{{names}}};"""
    x = np.arange(256, dtype=np.uint32)
    y = np.zeros_like(x)
    assert not run(body, x, y, target="sm_100").findings
    np.testing.assert_array_equal(x, y)
    with pytest.raises(ptx.PtxError, match="needs sm_100"):
        run(body, x, y)


def test_loads_of_unified_addresses() -> None:
    x, y = np.arange(32, dtype=np.uint32), np.zeros(32, np.uint32)
    body = """mov.u32 r0, %tid.x; mul.wide.u32 d0, r0, 4; add.u64 a0, a0, d0;
      add.u64 a1, a1, d0; ld.global.b32 r1, [a0+0].unified; st.global.b32 [a1], r1;"""
    assert not run(body, x, y).findings
    np.testing.assert_array_equal(x, y)
    for wrong in ("st.global.b32 [a1].unified, r1;", "ld.shared.b32 r1, [r0].unified;"):
        with pytest.raises(ptx.PtxError, match="unified"):
            run(wrong, x, y)
    with pytest.raises(ptx.PtxError, match="only '.unified' can follow"):
        run("ld.global.b32 r1, [a0].other;", x, y)


def test_special_registers_as_vectors_and_parts() -> None:
    body = """mov.v4.u32 {r0, r1, r2, r3}, %tid; mov.v4.b32 {r4, r5, r6, r7}, %ctaid;
      mov.u32 r8, %ntid.w; mov.u16 h0, %ctaid.x; cvt.u32.u16 r9, h0;
      cvt.u32.u16 r10, %nctaid.x; mov.u64 d2, %gridid; mov.u32 r11, %gridid;
      cvt.u32.u64 r0, d2; setp.eq.u32 p0, r0, r11; selp.u32 r11, 1, 0, p0;
      mov.u32 r0, %tid.x;
      mov.pred p1, %is_explicit_cluster; selp.u32 r3, 1, 0, p1;
      sub.u32 d, r4, 65536; mul.wide.u32 d0, r0, 48; add.u64 a0, a0, d0;
      setp.eq.u32 p2, r4, 65537;
      @p2 st.global.v4.b32 [a0], {r0, r1, r2, r3};
      @p2 st.global.v4.b32 [a0+16], {r4, r5, r6, r7};
      @p2 st.global.v4.b32 [a0+32], {r8, r9, r10, r11};"""
    body = body.replace("sub.u32 d, r4, 65536; ", "")
    out = np.zeros((4, 12), np.uint32)
    result = run(body, out, grid=65538, block=(2, 2), check=())
    assert not result.findings
    want = [[x, y, 0, 0, 65537, 0, 0, 0, 0, 1, 2, 1] for y in (0, 1) for x in (0, 1)]
    # Threads with the same x wrote the same words: y is that of the last.
    for row in out[:2].tolist():
        assert row in want
    for wrong in ("mov.u16 h0, %laneid;", "mov.b64 d0, %tid;", "mov.u32 r0, %tid;"):
        with pytest.raises(ptx.PtxError):
            run(wrong, out)


def test_explicit_clusters() -> None:
    body = """mov.pred p0, %is_explicit_cluster; selp.u32 r0, 3, 4, p0;
      @%is_explicit_cluster mov.u32 r0, 3; st.global.u32 [a0], r0;"""
    body = body.replace("@%is_explicit_cluster mov.u32 r0, 3; ", "")
    out = np.zeros(1, np.uint32)
    run(body, out, block=1)
    assert out[0] == 4
    run(body, out, grid=2, block=1, cluster=2, check=())
    assert out[0] == 3


def test_parameters_stored_through_a_register() -> None:
    text = HEAD.format(target="sm_80")
    text += """.func (.param .b32 r) twice(.param .align 8 .b8 a[8]) {
      .reg .b32 x, y; .reg .b64 at;
      ld.param.b32 x, [a]; ld.param.b32 y, [a+4]; add.u32 x, x, y;
      mov.b64 at, r; st.param.b32 [at], x; ret; }
    .visible .entry k(.param .u64 out) {
      .reg .b32 x, t; .reg .b64 at, o, d;
      ld.param.u64 o, [out]; mov.u32 t, %tid.x;
      { .param .align 8 .b8 a[8]; .param .b32 r;
        mov.b64 at, a; st.param.b32 [at], t; st.param.b32 [at+4], 100;
        call (r), twice, (a); ld.param.b32 x, [r]; }
      mul.wide.u32 d, t, 4; add.u64 o, o, d; st.global.b32 [o], x; ret; }"""
    out = np.zeros(32, np.uint32)
    assert not ptx.Module(text).launch("k", 1, 32, [out]).findings
    np.testing.assert_array_equal(out, np.arange(32) + 100)


def test_parameters_of_kernels_stay() -> None:
    body = "mov.b64 d0, in0; st.param.b64 [d0], a0;"
    assert kinds(run(body, np.zeros(1), block=1)) == ["out-of-bounds"]


@pytest.mark.parametrize(
    "statement, why",
    [
        ("ld.global.b32 r0, [r1];", "64 bits, and the register has 32"),
        ("atom.add.u32 r0, [r1], 1;", "64 bits, and the register has 32"),
        ("ld.volatile.local.b32 r0, [r1];", "no memory order"),
        ("ld.relaxed.gpu.global.cg.b32 r0, [a0];", "without a memory order"),
        ("mbarrier.arrive.release.shared.b64 d0, [r1];", "needs .cta or .cluster"),
        ("mbarrier.arrive.cta.shared.b64 d0, [r1];", "needs a memory order"),
        ("mbarrier.arrive.shared::cluster.b64 d0, [r1];", "write '_'"),
        ("setp.eq.f16 p0|p1, h0, h1;", "no operand behind"),
        ("multimem.red.relaxed.sys.global.add.u32 [a0], r0;", "several devices"),
        ("st.async.release.gpu.global.b32 [a0], r0;", "nothing waits for"),
        ("red.async.release.gpu.global.add.u32 [a0], r0;", "nothing waits for"),
        ("fma.rz.bf16 h0, h1, h2, h3;", "no form"),
    ],
)
def test_refusals(statement: str, why: str) -> None:
    with pytest.raises(ptx.PtxError, match=why):
        run(statement, np.zeros(1))
