"""ptx-run: the emulator from a shell."""

import json
import pathlib
import subprocess

import numpy as np
import pytest
import test_ptx_packed_tensors as packed_tensors
from test_ptx_api import SCALE, SHIFT

N = 1000


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with two kernels and an array."""
    (tmp_path / "scale.ptx").write_text(SCALE)
    (tmp_path / "racy.ptx").write_text(SHIFT.replace("BARRIER", ""))
    np.save(tmp_path / "x.npy", np.arange(N, dtype=np.float32))
    return tmp_path


@pytest.fixture
def run(build_root: pathlib.Path, folder: pathlib.Path):
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [str(build_root / "bin/ptx-run"), *args]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    return run


LAUNCH = ["scale.ptx", "--grid", "4", "--block", "256"]
ARGS = ["--arg", "inout:x.npy:y.npy", "--arg", "u32:1000", "--arg", "f32:3"]


def test_output(run, folder: pathlib.Path) -> None:
    result = run(*LAUNCH, *ARGS)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    y = np.load(folder / "y.npy")
    assert y.dtype == np.float32 and y.shape == (N,)
    np.testing.assert_array_equal(y, np.arange(N) * 3)
    np.testing.assert_array_equal(np.load(folder / "x.npy"), np.arange(N))
    assert sorted(p.name for p in folder.iterdir()) == [
        "racy.ptx",
        "scale.ptx",
        "x.npy",
        "y.npy",
    ]


@pytest.mark.parametrize("shape", ["1000", "10x100", "2x5x100"])
def test_shapes(run, folder: pathlib.Path, shape: str) -> None:
    arg = f"zero:f32[{shape}]"
    assert run(*LAUNCH, "--arg", arg, *ARGS[2:]).returncode == 0
    out = f"out:i32[{shape}]:y.npy"
    shift = ["racy.ptx", "--kernel", "shift", "--grid", "1", "--block", "64"]
    assert run(*shift, "--check", "none", "--arg", out).returncode == 0
    y = np.load(folder / "y.npy")
    assert y.dtype == np.int32
    assert y.shape == tuple(map(int, shape.split("x")))


def test_findings(run, folder: pathlib.Path) -> None:
    shift = ["racy.ptx", "--grid", "1", "--block", "64"]
    out = ["--arg", "out:u32[64]:y.npy"]
    result = run(*shift, *out, "--check", "race")
    assert result.returncode == 1
    assert result.stderr.startswith("racy.ptx: race: line ")
    assert "other party: line" in result.stderr
    assert (folder / "y.npy").exists()


def test_a_kernel_that_fails_writes_nothing(run, folder: pathlib.Path) -> None:
    result = run(*LAUNCH, "--arg", "out:f32[8]:y.npy", *ARGS[2:])
    assert result.returncode == 1
    assert "out-of-bounds" in result.stderr
    assert "no output was written" in result.stderr
    assert not (folder / "y.npy").exists()


def test_counters_report_and_model(run, folder: pathlib.Path) -> None:
    result = run(*LAUNCH, *ARGS, "--counters", "c.json", "--report", "--model", "a100")
    assert result.returncode == 0, result.stderr
    counters = json.loads((folder / "c.json").read_text())
    assert counters["counters"]["warp_inst"] > 0
    assert "scale" in result.stdout and "A100" in result.stdout
    short = run(*LAUNCH, *ARGS, "--model", "h100")
    assert short.stdout.startswith("modelled on H100")
    assert short.stdout.count("\n") == 1


def test_listings(run) -> None:
    kernels = run("scale.ptx", "--list-kernels")
    assert "scale" in kernels.stdout and ".f32" in kernels.stdout
    forms = run("--list-isa").stdout
    assert "fma.rn.f32" in forms and len(forms.splitlines()) > 1000
    assert "--arg" in run("--help").stdout


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("f16:1.5", 0x3E00),
        ("f16:65520", 0x7C00),
        ("f16:5.960464477539063e-08", 1),
        ("bf16:-1", 0xBF80),
        ("bf16:1.00390625", 0x3F80),
        ("i16:-2", 0xFFFE),
        ("u16:0xbeef", 0xBEEF),
        ("bytes:efbe", 0xBEEF),
    ],
)
def test_scalars(run, folder: pathlib.Path, text: str, bits: int) -> None:
    head = SCALE[: SCALE.index(".visible")]
    (folder / "one.ptx").write_text(
        head
        + """
.visible .entry one(.param .u64 out, .param .b16 value)
{
  .reg .b16 h;
  .reg .b64 d;
  ld.param.u64 d, [out];
  ld.param.b16 h, [value];
  st.global.b16 [d], h;
  ret;
}
"""
    )
    one = ["one.ptx", "--grid", "1", "--block", "1"]
    result = run(*one, "--arg", "out:u16[1]:y.npy", "--arg", text)
    assert result.returncode == 0, result.stderr
    assert np.load(folder / "y.npy")[0] == bits


def test_files_of_other_formats(run, folder: pathlib.Path) -> None:
    np.save(folder / "f.npy", np.asfortranarray(np.ones((4, 4), np.float32)))
    np.save(folder / "big.npy", np.ones(4, ">f4"))
    (folder / "cut.npy").write_bytes((folder / "x.npy").read_bytes()[:400])
    (folder / "text.npy").write_text("hello world, this is no array")
    for name, why in [
        ("f.npy", "Fortran order"),
        ("big.npy", "elements of type '>f4'"),
        ("cut.npy", "ends after 272 of 4000 bytes"),
        ("text.npy", "is no .npy file"),
        ("none.npy", "cannot be read"),
    ]:
        result = run(*LAUNCH, "--arg", f"in:{name}", *ARGS[2:])
        assert result.returncode == 2
        assert "argument 0 (x)" in result.stderr and why in result.stderr, name


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ([], "no PTX file was named"),
        (["none.ptx", *LAUNCH[1:]], "none.ptx: cannot be read"),
        (["scale.ptx"], "--grid and --block"),
        ([*LAUNCH, "--arg", "u32:1"], "takes 3 arguments"),
        ([*LAUNCH, *ARGS, "--kernel", "other"], "scale"),
        ([*LAUNCH, *ARGS, "--check", "everything"], "--check everything: expected"),
        ([*LAUNCH, *ARGS, "--frob"], "unknown option --frob"),
        ([*LAUNCH, *ARGS, "--seed"], "--seed needs a value"),
        ([*LAUNCH, *ARGS, "--threads", "0"], "an integer from 1"),
        ([*LAUNCH, *ARGS, "--grid", "1,2,3,4"], "at most three"),
        ([*LAUNCH, *ARGS, "--grid", "-1"], "an integer from 1"),
        ([*LAUNCH, *ARGS, "--model", "v100"], "h100"),
        ([*LAUNCH, *ARGS, "more.ptx"], "what is more.ptx?"),
        ([*LAUNCH, *ARGS, "--shared", "1000000"], "shared memory"),
        ([*LAUNCH, *ARGS[:4], "--arg", "u32:3"], "the parameter is of type .f32"),
        ([*LAUNCH, *ARGS[:4], "--arg", "f32:x"], "'x' is no number"),
        ([*LAUNCH, *ARGS[:2], "--arg", "u64:3", *ARGS[4:]], "has 8 bytes"),
        ([*LAUNCH, *ARGS[:2], "--arg", "u32:-3", *ARGS[4:]], "does not fit"),
        ([*LAUNCH, "--arg", "out:f99[3]:y.npy", *ARGS[2:]], "no element type"),
        ([*LAUNCH, "--arg", "out:f32:y.npy", *ARGS[2:]], "has no shape"),
        ([*LAUNCH, "--arg", "ref:2", *ARGS[2:]], "no buffer named before"),
        ([*LAUNCH, "--arg", "what:2", *ARGS[2:]], "is no argument"),
        (
            [*LAUNCH, "--arg", f"zero:f32[{2**62}]", *ARGS[2:]],
            "more than 2^64 bytes",
        ),
        ([*LAUNCH, "--arg", f"zero:u8[{2**47}]", *ARGS[2:]], "cannot allocate"),
        ([*LAUNCH, "--arg", "map:in:x.npy", *ARGS[2:]], "a tensor map is"),
    ],
)
def test_refusals(run, folder: pathlib.Path, args: list[str], why: str) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = run(*args)
    assert result.returncode == 2, (result.stdout, result.stderr)
    assert result.stderr.startswith("ptx-run: error: ")
    assert why in result.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_tensor_maps(run, folder: pathlib.Path) -> None:
    """Of rows of bytes as elements of another type, with a swizzle."""
    kind, box = "b4x16", (8, 128)
    elements = packed_tensors.tensor(kind)
    body = packed_tensors.load(kind, box)
    text = packed_tensors.HEAD.format(target="sm_100a")
    (folder / "load.ptx").write_text(text + packed_tensors.KERNEL.format(body=body))
    np.save(folder / "tensor.npy", packed_tensors.packed(elements, 4))
    np.save(folder / "image.npy", np.zeros(packed_tensors.BYTES, np.uint8))
    map = f"map:in:tensor.npy:box=8x128:type={kind}:swizzle=64"
    args = [map, "inout:image.npy:out.npy", "i32:32", "i32:2"]
    words = [word for arg in args for word in ("--arg", arg)]
    result = run("load.ptx", "--grid", "1", "--block", "32", *words)
    assert result.returncode == 0, result.stderr
    out = np.load(folder / "out.npy")
    want = packed_tensors.loaded(kind, elements, box, (2, 32), swizzle=64)
    assert {place: int(out[place]) for place in want} == want
    words[1] = map.replace(kind, "b6x16_p32")
    result = run("load.ptx", "--grid", "1", "--block", "32", *words)
    assert result.returncode == 2
    assert "of padded elements it can be 0 or 128" in result.stderr
    words[1] = map.replace(kind, "b5")
    result = run("load.ptx", "--grid", "1", "--block", "32", *words)
    assert "no element type 'b5'" in result.stderr


def test_text_that_is_wrong_has_a_place(run, folder: pathlib.Path) -> None:
    (folder / "bad.ptx").write_text(SCALE.replace("mul.rn.f32", "mul.rn.f99"))
    result = run("bad.ptx", *LAUNCH[1:], *ARGS)
    line = SCALE[: SCALE.index("mul.rn")].count("\n") + 1
    assert result.returncode == 2
    assert f"bad.ptx:{line}:3: " in result.stderr
    assert "mul.rn.f99 f2, f1, f0" in result.stderr
