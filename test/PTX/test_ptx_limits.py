"""What is too large is refused by one message, before memory runs out."""

import pathlib
import resource
import subprocess

import numpy as np
import pytest
from moe_mlir import ptx

HEAD = ".version 8.7\n.target sm_90a\n.address_size 64\n"
STORE = (
    HEAD
    + """
.visible .entry store(.param .u64 x) {
  .reg .b64 d;
  ld.param.u64 d, [x];
  st.global.b32 [d], 1;
  ret;
}
"""
)


def run(
    build_root: pathlib.Path, folder: pathlib.Path, *options: str, memory: int = 0
) -> subprocess.CompletedProcess[str]:
    """ptx-run, perhaps with a bound on its address space."""
    path = folder / "store.ptx"
    path.write_text(STORE)
    command = [str(build_root / "bin" / "ptx-run"), str(path), "--kernel", "store"]
    command += ["--grid", "1", "--block", "1", *options]

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=bound if memory else None,
    )


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            "f32[10000000000000]",
            "cannot allocate 40000000000000 bytes of device",
        ),
        ("u8[85899345921]", "0 of 85899345920 bytes are in use"),
        ("f32[18446744073709551615]", "more than 2^64 bytes"),
        ("f64[1000000x1000000x10000000]", "more than 2^64 bytes"),
    ],
)
def test_buffers_larger_than_the_device(
    shape: str, message: str, build_root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    out = tmp_path / "y.npy"
    done = run(build_root, tmp_path, "--arg", f"out:{shape}:{out}")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("ptx-run: error: argument 0 (x)")
    assert message in done.stderr and done.stderr.count("\n") == 1
    assert not out.exists()


def test_buffers_larger_than_the_host(
    build_root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    memory = 1 << 30
    fits = run(build_root, tmp_path, "--arg", "scratch:u8[1000000]", memory=memory)
    assert (fits.returncode, fits.stderr) == (0, "")
    done = run(build_root, tmp_path, "--arg", f"scratch:u8[{memory}]", memory=memory)
    assert done.returncode == 2
    assert "the host has" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("size", [232449, 10**9, 10**14])
def test_shared_memory_beyond_a_block(
    size: int, build_root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    options = ("--arg", "scratch:u8[64]", "--shared", str(size))
    done = run(build_root, tmp_path, *options)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"{size}" in done.stderr


CALL = """
.extern .func (.param .b32 r) NAME(PARAMETERS);
.visible .entry calls() {
  { .param .b32 r; .param .b64 a, b;
    call (r), NAME, (ARGUMENTS); }
  ret;
}
"""


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        ("printf", 2, r"'printf' has no body.*turn printf into vprintf"),
        ("puts", 1, r"'puts' has no body, and is none of vprintf, malloc"),
        ("vprintf", 1, r"'vprintf' of the runtime has 2 parameters and 1 results"),
        ("malloc", 2, r"'malloc' of the runtime has 1 parameters"),
    ],
)
def test_functions_the_runtime_has_not(name: str, count: int, message: str) -> None:
    text = CALL.replace("NAME", name)
    names = ["a", "b"][:count]
    text = text.replace("PARAMETERS", ", ".join(f".param .b64 {n}" for n in names))
    text = HEAD + text.replace("ARGUMENTS", ", ".join(names))
    with pytest.raises(ptx.PtxError, match=message) as caught:
        ptx.Module(text)
    assert caught.value.line == text[: text.index("call (r)")].count("\n") + 1


def test_a_module_may_have_its_own_printf() -> None:
    text = (
        HEAD
        + """
.func (.param .b32 r) printf(.param .b64 a) { st.param.b32 [r], 7; ret; }
.visible .entry calls(.param .u64 x) {
  .reg .b32 v;
  .reg .b64 d;
  ld.param.u64 d, [x];
  { .param .b32 r; .param .b64 a;
    st.param.b64 [a], d;
    call (r), printf, (a);
    ld.param.b32 v, [r]; }
  st.global.b32 [d], v;
  ret;
}
"""
    )
    x = np.zeros(1, np.uint32)
    assert not ptx.Module(text).launch("calls", 1, 1, [x]).findings
    assert x.tolist() == [7]


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("multimem.red.relaxed.sys.global.add.f32 [d], f;", "several devices"),
        ("tcgen05.alloc.cta_group::1.sync.aligned.b32 [d], r;", "tensor memory"),
        ("tex.1d.v4.f32.s32 {f, f, f, f}, [t, {r}];", "textures and surfaces"),
        ("sust.b.1d.b32.trap [t, {r}], {r};", "textures and surfaces"),
        (
            "cp.async.bulk.prefetch.tensor.3d.L2.global.im2col [d, {r, r, r}], {h};",
            "im2col mode are not modelled",
        ),
    ],
)
def test_refuses_by_name_what_is_not_modelled(statement: str, why: str) -> None:
    text = f"""{HEAD.replace("sm_90a", "sm_100a")}
    .visible .entry k() {{ .reg .b16 h; .reg .b32 r; .reg .f32 f; .reg .b64 d, t;
    {statement} ret; }}"""
    name = statement.split(" ")[0]
    with pytest.raises(ptx.PtxError, match=f"'{name}' is not supported: .*{why}"):
        ptx.Module(text)


def test_mapped_accesses() -> None:
    text = (
        HEAD
        + """
.visible .entry k(.param .u64 x) {
  .reg .b32 r; .reg .b64 d;
  ld.param.u64 d, [x];
  ld.mmio.relaxed.sys.global.u32 r, [d];
  add.u32 r, r, 1;
  fence.release.sync_restrict::shared::cta.cluster;
  fence.acquire.sync_restrict::shared::cluster.cluster;
  st.mmio.relaxed.sys.global.u32 [d], r;
  ret;
}
"""
    )
    x = np.array([41], np.uint32)
    assert not ptx.Module(text).launch("k", 1, 1, [x]).findings
    assert x.tolist() == [42]
    for wrong in (".mmio.relaxed.gpu", ".mmio.sys", ".mmio"):
        with pytest.raises(ptx.PtxError, match="relaxed"):
            ptx.Module(text.replace(".mmio.relaxed.sys", wrong))
