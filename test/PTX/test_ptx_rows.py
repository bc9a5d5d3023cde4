"""Forms that other tests do not walk row by row: hints, fences, barriers.

And: every opcode of the table belongs to a test.
"""

import pathlib
import re

import isa_forms
import numpy as np
import pytest
from arithmetic.rows import LANE_WISE
from moe_mlir import ptx

#: What changes nothing a kernel can see.
HINTS = {"applypriority", "createpolicy", "fence", "griddepcontrol", "membar"}
HINTS |= {"nanosleep", "pmevent", "prefetch", "prefetchu"}
BARRIERS = {"bar", "barrier"}
VIDEO = re.compile(r"v(add|sub|absdiff|avrg|min|max|set|shl|shr|mad)[24]?")
#: The other opcodes, by the file that has each of them executed.
TESTED_IN = {
    "unit/PTX/Machine/AccessRowsTest.cpp": "ld ldu st",
    "unit/PTX/Machine/AtomicRowsTest.cpp": "atom red",
    "unit/PTX/Machine/MemoryTest.cpp": "cvta",
    "unit/PTX/Machine/BarrierTest.cpp": "isspacep mapa getctarank",
    "unit/PTX/Machine/DivergenceTest.cpp": "bra brx call ret exit",
    "unit/PTX/Machine/LaunchTest.cpp": "trap",
    "unit/PTX/Tensor/MmaFormsTest.cpp": "mma wmma",
    "unit/PTX/Tensor/WgmmaFormsTest.cpp": "wgmma",
    "PTX/recordings/forms_warp.py": "activemask elect match redux shfl vote ldmatrix "
    "stmatrix",
    "PTX/test_ptx_byte_matrices.py": "ldmatrix stmatrix",
    "PTX/cuda/grouped_matmul.cu": "setmaxnreg",
    "PTX/test_ptx_barrier_log.py": "mbarrier",
    "PTX/test_ptx_transfers.py": "cp",
    "PTX/test_ptx_tensormap.py": "tensormap",
    "PTX/test_ptx_launch_control.py": "clusterlaunchcontrol",
    "PTX/test_ptx_stack.py": "alloca stacksave stackrestore",
    "PTX/test_ptx_rows.py": "brkpt discard movmatrix",
}


def forms(build_root: pathlib.Path, opcodes: set[str]) -> list[isa_forms.Form]:
    table = isa_forms.read_table(str(build_root / "bin" / "ptx-run"))
    return [form for form in table if form.name.split(".")[0] in opcodes]


def header(form: isa_forms.Form) -> str:
    target = form.target if form.sm > 90 else "sm_90a"
    return f".version 8.8\n.target {target}\n.address_size 64\n"


def test_every_opcode_belongs_to_a_test(source_root: pathlib.Path) -> None:
    known = {opcode for opcodes in TESTED_IN.values() for opcode in opcodes.split()}
    known |= LANE_WISE | HINTS | BARRIERS
    listed = {re.split(r"[.{ ]", line)[0] for line in ptx.isa().splitlines()}
    missing = {o for o in listed - known if not VIDEO.fullmatch(o) and o[0] != "%"}
    assert not missing
    assert not known - listed, "the table has no such opcode"
    for name, opcodes in TESTED_IN.items():
        text = (source_root / "test" / name).read_text()
        unnamed = [o for o in opcodes.split() if not re.search(rf"\b{o}\b", text)]
        assert not unnamed, f"{name} does not name {unnamed}"


def test_hints_change_nothing(build_root: pathlib.Path) -> None:
    wrong = []
    for form in forms(build_root, HINTS):
        text = isa_forms.statement(form)
        assert text, form.name
        # Addresses of parameters and maps are not those of memory.
        if ".param" in form.name or "tensormap" in form.name:
            continue
        spaces = {".local": "mov.b64 l280, own;", ".const": "mov.b64 l280, fixed;"}
        place = next((v for k, v in spaces.items() if k in form.name), "")
        address = "\n".join(f"mov.b64 l{k}, l280;" for k in range(281, 286))
        kernel = f"""{header(form)}
        .const .align 8 .b8 fixed[256];
        .visible .entry k(.param .u64 x) {{
          .local .align 8 .b8 own[256];
          .reg .pred p<4>; .reg .b32 r<10>; .reg .b64 l<300>;
          ld.param.u64 l280, [x]; {place} {address}
          mov.b32 r1, 64; mov.b32 r2, 128;
          mov.b32 r3, 128; mov.b32 r0, 1; mov.b64 l1, 0; mov.b64 l0, 0;
          {text}
          ld.param.u64 l290, [x];
          st.global.b64 [l290], l0; ret;
        }}"""
        x = np.arange(64, dtype=np.uint64)
        try:
            result = ptx.Module(kernel).launch("k", 1, 32, [x], check={"poison"})
        except ptx.PtxError as error:
            wrong.append(str(error))
            continue
        if result.findings or not (x[1:] == np.arange(1, 64)).all():
            wrong.append(f"{text} {result.findings}")
    assert not wrong, "\n".join(wrong)


#: 96 threads; thread t gives the predicate t % 3 == 0.
BARRIER = """
.visible .entry k(.param .u64 x) {{
  .shared .align 4 .b8 words[512];
  .reg .pred p0, p1, p2, p; .reg .b32 t, r0, r1, r2, at, v, w; .reg .b64 d, o;
  ld.param.u64 d, [x]; mov.u32 t, %tid.x; mul.wide.u32 o, t, 4; add.u64 d, d, o;
  rem.u32 v, t, 3; setp.eq.u32 p, v, 0;
  mov.u32 at, words; shl.b32 w, t, 2; add.u32 at, at, w; st.shared.b32 [at], t;
  {body}
  add.u32 w, t, 33; rem.u32 w, w, 96; shl.b32 w, w, 2; mov.u32 at, words;
  add.u32 at, at, w; ld.shared.b32 w, [at];
  {result}
  st.global.b32 [d], w;
  ret;
}}
"""


def barrier_kernel(form: isa_forms.Form) -> tuple[str, list[int]]:
    """A kernel that needs the barrier, and what its threads store."""
    counted = form.operands.count("src.u32") == 2
    operands = "3, 96" if counted else "3"
    other = [(t + 33) % 96 for t in range(96)]
    if "cluster" in form.name:
        # An arrival and a wait belong together.
        wait = form.name if ".wait" in form.name else "barrier.cluster.wait"
        arrive = form.name if ".arrive" in form.name else "barrier.cluster.arrive"
        # A relaxed arrival orders nothing by itself.
        fence = "fence.acq_rel.cluster;" if ".relaxed" in form.name else ""
        return BARRIER.format(body=f"{fence} {arrive}; {wait};", result=""), other
    if ".arrive" in form.name:  # two sides: each arrives at the one of the other
        sync = form.name.replace(".arrive", ".sync")
        body = f"""setp.ge.u32 p0, t, 64; @p0 bra last;
        {form.name} 4, 96; {sync} 5, 96; bra both;
        last: {sync} 4, 96; {form.name} 5, 96; both: bar.sync 0;"""
        return BARRIER.format(body=body, result=""), other
    if "popc" in form.name:
        text, result = f"{form.name} r0, {operands}, p;", "mad.lo.u32 w, w, 100, r0;"
        return BARRIER.format(body=text, result=result), [o * 100 + 32 for o in other]
    if ".red" in form.name:
        add = "selp.u32 r0, 1, 0, p0; mad.lo.u32 w, w, 100, r0;"
        text, bit = f"{form.name} p0, {operands}, !p;", ".or" in form.name
        return BARRIER.format(body=text, result=add), [o * 100 + bit for o in other]
    return BARRIER.format(body=f"{form.name} {operands};", result=""), other


def test_barriers_order_and_reduce(build_root: pathlib.Path) -> None:
    """Each form lets threads see what the others of the block wrote before it."""
    wrong, count = [], 0
    for form in forms(build_root, BARRIERS):
        if form.name.startswith("bar.warp"):
            continue
        text, want = barrier_kernel(form)
        x = np.zeros(96, np.uint32)
        result = ptx.Module(header(form) + text).launch("k", 1, 96, [x])
        count += 1
        if result.findings or x.tolist() != want:
            wrong.append(f"{form.name} {form.operands}: {result.findings} {x}")
    assert not wrong, "\n".join(wrong)
    assert count > 50


@pytest.mark.parametrize("fence", ["", "fence.acq_rel.cta;", "fence.acq_rel.cluster;"])
def test_relaxed_arrivals_need_a_fence(fence: str) -> None:
    body = f"{fence} barrier.cluster.arrive.relaxed; barrier.cluster.wait;"
    text = ".version 8.8\n.target sm_90\n.address_size 64\n"
    text += BARRIER.format(body=body, result="")
    x = np.zeros(96, np.uint32)
    findings = ptx.Module(text).launch("k", 1, 96, [x]).findings
    kinds = {finding.kind for finding in findings}
    assert kinds == (set() if "cluster" in fence else {"race"})


@pytest.mark.parametrize("mask", ["0xffffffff", "0x0000ffff"])
def test_warp_barrier(mask: str) -> None:
    body = f"setp.ge.u32 p0, t, 16; @p0 bra out; bar.warp.sync {mask};"
    if mask == "0xffffffff":
        body = f"bar.warp.sync {mask};"
    text = f""".version 8.8\n.target sm_90\n.address_size 64
    .visible .entry k(.param .u64 x) {{
      .shared .align 4 .b8 words[128];
      .reg .pred p0; .reg .b32 t, at, w; .reg .b64 d, o;
      ld.param.u64 d, [x]; mov.u32 t, %tid.x; mul.wide.u32 o, t, 4; add.u64 d, d, o;
      mov.u32 at, words; shl.b32 w, t, 2; add.u32 at, at, w; st.shared.b32 [at], t;
      {body}
      xor.b32 w, t, 5; shl.b32 w, w, 2; mov.u32 at, words; add.u32 at, at, w;
      ld.shared.b32 w, [at]; st.global.b32 [d], w;
    out: ret; }}"""
    x = np.zeros(32, np.uint32)
    assert not ptx.Module(text).launch("k", 1, 32, [x]).findings
    count = 32 if mask == "0xffffffff" else 16
    assert x.tolist() == [t ^ 5 if t < count else 0 for t in range(32)]


@pytest.mark.parametrize("space", ["", ".global"])
def test_discarded_memory_is_undefined(space: str) -> None:
    """128 bytes: what is behind them stays."""
    text = f""".version 8.8\n.target sm_90\n.address_size 64
    .visible .entry k(.param .u64 x, .param .u64 y, .param .u32 offset) {{
      .reg .b32 at, v; .reg .b64 d, e, o;
      ld.param.u64 d, [x]; ld.param.u64 e, [y]; ld.param.u32 at, [offset];
      cvt.u64.u32 o, at;
      discard{space}.L2 [d], 128;
      add.u64 d, d, o; ld.global.b32 v, [d]; st.global.b32 [e], v; ret; }}"""
    module = ptx.Module(text)
    for at, kinds in ((124, ["uninitialised"]), (128, [])):
        x, y = np.arange(64, dtype=np.uint32), np.zeros(1, np.uint32)
        result = module.launch("k", 1, 1, [x, y, np.uint32(at)])
        assert [finding.kind for finding in result.findings] == kinds
        assert kinds or y[0] == at // 4


def test_breakpoints_end_the_kernel() -> None:
    text = ".version 8.8\n.target sm_90\n.address_size 64\n"
    text += ".visible .entry k() { brkpt; ret; }"
    (finding,) = ptx.Module(text).launch("k", 1, 32, []).findings
    assert (finding.kind, finding.place.line) == ("trap", 4)


MOVE_MATRIX = """.version 8.0
.target sm_75
.address_size 64
.visible .entry k(.param .u64 in, .param .u64 out) {
  .reg .b32 r<3>;
  .reg .b64 d<4>;
  ld.param.u64 d0, [in];
  ld.param.u64 d1, [out];
  mov.u32 r0, %tid.x;
  mul.wide.u32 d2, r0, 4;
  add.u64 d0, d0, d2;
  add.u64 d1, d1, d2;
  ld.global.b32 r1, [d0];
  movmatrix.sync.aligned.m8n8.trans.b16 r2, r1;
  st.global.b32 [d1], r2;
  ret;
}
"""


def test_movmatrix_transposes() -> None:
    """Lane l holds elements 2 (l % 4) and the next of row l / 4: rows of a matrix."""
    matrix = np.arange(64, dtype=np.uint16).reshape(8, 8)
    result = np.zeros_like(matrix)
    module = ptx.Module(MOVE_MATRIX)
    launched = module.launch("k", grid=1, block=32, args=[matrix, result])
    assert not launched.findings
    np.testing.assert_array_equal(result, matrix.T)
