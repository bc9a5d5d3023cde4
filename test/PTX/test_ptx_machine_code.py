"""Machine instructions as counted (warp_inst) beside those that ptxas makes.

Each statement is repeated in a chain of which nothing can be left out: a shuffle,
which no assembler sees through, lies between any two. What a chain of twelve takes
more than one of four, divided by eight, is the cost of the statement.
"""

import functools
import pathlib
import re
import shutil
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest
from moe_mlir import ptx

#: X is the value that goes on, B and C are others of its kind; R, D, G and H are
#: registers to use, M and N 32-bit values.
KINDS = {
    "b32": """
add.s32 X, X, B;|sub.s32 X, X, B;|min.s32 X, X, B;|max.u32 X, X, B;|mul.lo.s32 X, X, B;
mul.hi.s32 X, X, B;|mul.hi.u32 X, X, B;|mad.lo.s32 X, X, B, C;|sad.s32 X, X, B, C;
mul24.lo.s32 X, X, B;|mad24.lo.u32 X, X, B, C;|dp4a.s32.s32 X, X, B, C;|div.u32 X, B, X;
div.s32 X, B, X;|rem.u32 X, B, X;|rem.s32 X, B, X;|bfe.u32 X, X, B, C;
bfe.s32 X, X, B, C;|bfe.u32 X, X, 3, 9;|bfi.b32 X, B, X, M, N;|bfi.b32 X, B, X, 3, 9;
bfind.u32 X, X;|popc.b32 X, X;|clz.b32 X, X;|brev.b32 X, X;|and.b32 X, X, B;
xor.b32 X, X, B;|not.b32 X, X;|cnot.b32 X, X;|lop3.b32 X, X, B, C, 0x96;
shl.b32 X, X, M;|shl.b32 X, X, 3;|shr.u32 X, X, M;|shr.s32 X, X, 3;|prmt.b32 X, X, B, C;
shf.l.wrap.b32 X, X, B, C;|abs.s32 X, X; add.s32 X, X, B;|neg.s32 X, X;
selp.b32 X, X, B, %p2;|slct.s32.s32 X, X, B, C;|set.lt.u32.s32 X, X, B;
setp.lt.s32 %p1, X, B; selp.b32 X, X, C, %p1;|add.cc.s32 X, X, B; addc.s32 X, X, C;
fma.rn.f16x2 X, X, B, C;|max.f16x2 X, X, B;|ex2.approx.f16x2 X, X;
match.any.sync.b32 X, X, -1;|redux.sync.add.s32 R, X, -1; add.s32 X, X, R;
shfl.sync.bfly.b32 X, X, 1, 31, -1;
setp.lt.s32 %p1, X, B; vote.sync.ballot.b32 R, %p1, -1; add.s32 X, X, R;|membar.gl;
membar.cta;|fence.acq_rel.gpu;|fence.acq_rel.cta;|bar.sync 0;|bar.warp.sync -1;
add.s32 X, X, B; add.s32 X, X, C;|xor.b32 X, X, B; and.b32 X, X, C;
shl.b32 X, X, 3; add.s32 X, X, C;|mul.lo.s32 X, X, B; add.s32 X, X, C;
shr.u32 X, X, 3; and.b32 X, X, 15;
and.b32 R, X, 7; setp.eq.s32 %p1, R, 0; selp.b32 X, X, C, %p1;
setp.lt.s32 %p1, X, B; setp.gt.s32 %p3, X, C; and.pred %p1,%p1,%p3; selp.b32 X,X,M,%p1;
""",
    "b64": """
add.s64 X, X, B;|sub.s64 X, X, B;|min.s64 X, X, B;|mul.lo.s64 X, X, B;
mul.hi.u64 X, X, B;|mul.hi.s64 X, X, B;|mad.lo.s64 X, X, B, C;|and.b64 X, X, B;
not.b64 X, X;|shl.b64 X, X, M;|shl.b64 X, X, 3;|shr.u64 X, X, 3;|neg.s64 X, X;
abs.s64 X, X;|selp.b64 X, X, B, %p2;|setp.lt.s64 %p1, X, B; selp.b64 X, X, C, %p1;
cnot.b64 X, X;|brev.b64 X, X;|bfe.u64 X, X, M, N;|shl.b64 D, X, 3; add.s64 X, D, B;
""",
    "f32": """
add.f32 X, X, B;|mul.f32 X, X, B;|fma.rn.f32 X, X, B, C;|min.f32 X, X, B;|neg.f32 X, X;
rcp.approx.f32 X, X;|rcp.approx.ftz.f32 X, X;|sqrt.approx.f32 X, X;
rsqrt.approx.f32 X, X;|sqrt.approx.ftz.f32 X, X;|rsqrt.approx.ftz.f32 X, X;
ex2.approx.f32 X, X;|lg2.approx.f32 X, X;|ex2.approx.ftz.f32 X, X;
lg2.approx.ftz.f32 X, X;|sin.approx.f32 X, X;|cos.approx.f32 X, X;|tanh.approx.f32 X, X;
rcp.rn.f32 X, X;|sqrt.rn.f32 X, X;|div.rn.f32 X, B, X;|div.approx.f32 X, B, X;
div.full.f32 X, B, X;|div.approx.ftz.f32 X, B, X;|div.full.ftz.f32 X, B, X;
testp.finite.f32 %p1, X; selp.f32 X, X, C, %p1;|copysign.f32 X, X, B;
cvt.rni.f32.f32 X, X;|mov.b32 R, X; cvt.rn.f32.s32 X, R;
cvt.rzi.s32.f32 R, X; mov.b32 X, R;|cvt.rn.f16.f32 H, X; cvt.f32.f16 X, H;
cvt.rn.bf16x2.f32 R, X, B; mov.b32 X, R;|cvt.f64.f32 G, X; cvt.rn.f32.f64 X, G;
mul.f32 X, X, B; add.f32 X, X, C;|setp.lt.f32 %p1, X, B; selp.f32 X, X, C, %p1;
max.f32 X, X, 0f00000000; add.f32 X, X, B;
""",
    "f64": """
add.f64 X, X, B;|mul.f64 X, X, B;|fma.rn.f64 X, X, B, C;|max.f64 X, X, B;
rcp.rn.f64 X, X;|sqrt.rn.f64 X, X;|div.rn.f64 X, B, X;
""",
}
REGISTER = {"b32": "%r", "b64": "%d", "f32": "%f", "f64": "%g"}
SHUFFLE = "shfl.sync.idx.b32 {0}, {0}, %r8, 31, -1;"
BETWEEN = {
    "b32": SHUFFLE.format("%r1"),
    "f32": f"mov.b32 %r1, %f1; {SHUFFLE.format('%r1')} mov.b32 %f1, %r1;",
}
for _kind, _register in (("b64", "%d1"), ("f64", "%g1")):
    _both = " ".join(SHUFFLE.format(half) for half in ("%r1", "%r2"))
    _pair = "{{%r1, %r2}}".format()
    BETWEEN[_kind] = (
        f"mov.b64 {_pair}, {_register}; {_both} mov.b64 {_register}, {_pair};"
    )
SHUFFLES = {"b32": 1, "f32": 1, "b64": 2, "f64": 2}
NAMES = {"R": "%r7", "D": "%d7", "G": "%g7", "H": "%h7", "M": "%r8", "N": "%r9"}
CHAINS = (4, 12)


def statements() -> Iterator[tuple[str, str, str]]:
    """Kind, the name of its kernels and the statement."""
    for kind, text in KINDS.items():
        for index, statement in enumerate(text.strip().replace("\n", "|").split("|")):
            yield kind, f"{kind}_{index}", statement


def kernel(kind: str, name: str, statement: str, count: int) -> str:
    """A kernel of one warp that executes the statement \\p count times."""
    r = REGISTER[kind]
    names = NAMES | {"X": f"{r}1", "B": f"{r}2", "C": f"{r}3"}
    once = re.sub(r"\b[XBCRDGHMN]\b", lambda m: names[m[0]], statement)
    load = f"ld.global.{kind}"
    return f"""
.visible .entry {name}_{count}(.param .u64 in, .param .u64 out) {{
.reg .pred %p<8>; .reg .b16 %h<8>; .reg .b32 %r<30>; .reg .b64 %d<30>;
.reg .f32 %f<8>; .reg .f64 %g<8>;
ld.param.u64 %d20, [in]; ld.param.u64 %d21, [out]; mov.u32 %r20, %tid.x;
mul.wide.u32 %d22, %r20, 8; add.s64 %d23, %d20, %d22; add.s64 %d24, %d21, %d22;
{load} {r}1, [%d23]; {load} {r}2, [%d23+256]; {load} {r}3, [%d23+512];
ld.global.u32 %r8, [%d23+768]; ld.global.u32 %r9, [%d23+772];
setp.lt.s32 %p2, %r8, %r9;
{(once + BETWEEN[kind] + chr(10)) * count}
st.global.{kind} [%d24], {r}1; ret;
}}"""


def disassembler() -> str | None:
    """nvdisasm: of the CUDA toolkit, or the one that comes with Triton."""
    if found := shutil.which("nvdisasm"):
        return found
    try:
        import triton
    except ImportError:
        return None
    folder = pathlib.Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    return str(folder / "nvdisasm") if (folder / "nvdisasm").exists() else None


@functools.cache
def text() -> str:
    kernels = [kernel(*s, count) for s in statements() for count in CHAINS]
    return ".version 9.0\n.target sm_90\n.address_size 64\n" + "\n".join(kernels)


@pytest.fixture(scope="module")
def assembled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Machine instructions of each kernel; all are straight lines."""
    program = disassembler()
    if not shutil.which("ptxas") or not program:
        pytest.skip("ptxas or nvdisasm is not installed")
    folder = tmp_path_factory.mktemp("machine")
    (folder / "chains.ptx").write_text(text())
    command = ["ptxas", "-arch=sm_90", "-o", "chains.cubin", "chains.ptx"]
    subprocess.run(command, cwd=folder, check=True)
    listing = subprocess.run(
        [program, "chains.cubin"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    counts: dict[str, int] = {}
    name = ""
    for line in listing.splitlines():
        if match := re.match(r"\.text\.(\w+):", line):
            name = match[1]
            counts[name] = 0
        elif re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?!\s|NOP)", line) and name:
            counts[name] += 1
    return counts


@pytest.fixture(scope="module")
def module() -> ptx.Module:
    return ptx.Module(text())


def counted(module: ptx.Module, name: str) -> float:
    """Machine instructions of one warp, as the emulator weighs them."""
    data = np.full(128, 3, np.uint64)
    out = np.zeros(32, np.uint64)
    result = module.launch(name, (1, 1, 1), 32, [data, out], counters=True)
    return float(result.counters["warp_inst"])


@pytest.mark.parametrize("kind, name, statement", list(statements()))
def test_costs_what_ptxas_makes(
    assembled: dict[str, int],
    module: ptx.Module,
    kind: str,
    name: str,
    statement: str,
) -> None:
    few, many = (f"{name}_{count}" for count in CHAINS)
    rounds = CHAINS[1] - CHAINS[0]
    theirs = (assembled[many] - assembled[few]) / rounds - SHUFFLES[kind]
    ours = (counted(module, many) - counted(module, few)) / rounds - SHUFFLES[kind]
    # Half an instruction: moves that ptxas needs in one round of two. Divisions
    # and roots: it lists the call for rare operands, which is not executed.
    rare = 0
    if re.match(r"(rcp|sqrt|div)\.rn", statement):
        rare = 8 if kind == "f64" else 6
    lowest, highest = theirs - rare - 0.55, theirs + 0.55
    assert lowest <= ours <= highest, statement
