"""The command line: what it writes, what it says, how it ends."""

import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import time

import moe_mlir as moe
import numpy as np
import pytest
from layer_model import layer_model
from moe_mlir.cli import main
from moe_mlir.cpu import lower

X = np.random.default_rng(2).standard_normal((2, 5, 32)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A working folder with a model `m` and an input `x.npy`."""
    monkeypatch.chdir(tmp_path)
    layer_model().save("m")
    np.save("x.npy", X)
    return tmp_path


def run(*arguments: str) -> None:
    assert main(list(arguments)) == 0


def test_scope_and_run(folder: pathlib.Path) -> None:
    run("scope", "m", "sequence", "-o", "n", "--layers", "layers.*", "--cap", "4")
    run("run", "n", "--input", "x=x.npy", "--output", "y.npy", "--threads", "1")
    want = layer_model().with_scope("sequence", cap=4).compile()(X)
    np.testing.assert_array_equal(np.load("y.npy"), want)
    assert moe.load("n").layers[0]["cap"] == 4


def test_run_on_bf16(folder: pathlib.Path) -> None:
    model = layer_model(dtype="bf16")
    model.save("h")
    x = X.astype(model.weights["down"].dtype)
    np.save("h.npy", x)  # NumPy stores these as raw bytes
    run("run", "h", "--input", "x=h.npy", "--output", "y.npy")
    y = np.load("y.npy").view(x.dtype)
    np.testing.assert_array_equal(y, model.compile()(x))


def test_show(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("show", "m", "--picture", "m.png", "--mlir")
    shown = capsys.readouterr().out
    assert "layer   layers.0.mlp: scope token, 2 of 8 experts" in shown
    assert "input   x: float32 [?, ?, 32]" in shown
    assert "moe.route" in shown
    assert (folder / "m.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("kind", "content"),
    [("mlir", b"llvm.func"), ("llvm", b"define "), ("object", b"\x7fELF")],
)
def test_compile(folder: pathlib.Path, kind: str, content: bytes) -> None:
    run("compile", "m", "--emit", kind, "-o", "out.x", "--cpu", "x86-64-v3")
    assert content in (folder / "out.x").read_bytes()
    assert (folder / "out.h").exists() == (kind == "object")


def descriptor(array: np.ndarray) -> ctypes.Array[ctypes.c_int64]:
    """A dense array as the C interface takes it."""
    strides = [stride // array.itemsize for stride in array.strides]
    address = array.ctypes.data
    words = [address, address, 0, *array.shape, *strides]
    return (ctypes.c_int64 * len(words))(*words)


def empty_descriptor(rank: int) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * (3 + 2 * rank))()


def test_shared_library_from_c(folder: pathlib.Path) -> None:
    run("compile", "m", "--emit", "shared", "-o", "model.so")
    (folder / "try.c").write_text(
        '#include "model.h"\nint ranks = sizeof(moe_f32_3d);\n'
    )
    command = ["cc", "-Wall", "-Werror", "-std=c11", "-pedantic", "-c", "try.c"]
    subprocess.run(command, check=True, cwd=folder)

    model = moe.load("m")
    functions = lower(model._module, "host", ["x"]).functions
    library = ctypes.CDLL(str(folder / "model.so"))
    arguments = []
    for spec in functions["main"].arguments:
        if spec.packed:
            pack = functions[spec.packed["function"]]
            arguments.append(empty_descriptor(len(spec.shape)))
            sources = [descriptor(model.weights[s.param]) for s in pack.arguments]
            library[f"_mlir_ciface_{pack.name}"](arguments[-1], *sources)
        else:
            arguments.append(descriptor(model.weights[spec.param] if spec.param else X))
    result = empty_descriptor(3)
    library["_mlir_ciface_main"](result, *arguments)
    assert tuple(result[3:6]) == X.shape
    values = (ctypes.c_float * X.size).from_address(result[1] + 4 * result[2])
    want = model.compile(threads=1)(X)
    np.testing.assert_array_equal(np.array(values).reshape(X.shape), want)


def test_import_of_torch(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch_mlir")
    (folder / "tiny_model.py").write_text(
        "import torch\n"
        "import moe_mlir.torch as moe\n\n\n"
        "class Layer(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        torch.manual_seed(0)\n"
        "        self.router = torch.nn.Parameter(torch.randn(32, 8))\n"
        "        self.up = torch.nn.Parameter(torch.randn(8, 32, 32))\n"
        "        self.down = torch.nn.Parameter(torch.randn(8, 32, 16))\n\n"
        "    def forward(self, x):\n"
        "        plan = moe.route(x @ self.router, k=2)\n"
        "        return moe.experts(x, plan, gate_up=self.up, down=self.down)\n\n\n"
        "def make():\n"
        "    return Layer(), (torch.zeros(2, 5, 32),)\n"
    )
    run("import", "torch", "tiny_model:make", "-o", "t")
    name = moe.load("t").signature.inputs[0].name
    run("run", "t", "--input", f"{name}=x.npy", "--output", "y.npy")
    import torch

    module, _ = sys.modules["tiny_model"].make()
    with torch.no_grad():
        want = module(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(np.load("y.npy"), want, rtol=1e-3, atol=1e-3)


REFUSED = [
    (["show", "nowhere"], "nowhere: does not exist"),
    (["scope", "m", "sequence", "-o", "n", "--floor", "3"], "floor"),
    (["scope", "m", "sequence", "-o", "n", "--floor", "-7"], "floor = -7 is no number"),
    (["scope", "m", "sequence", "-o", "n", "--cap", "9" * 20], "is no number of exper"),
    (["scope", "m", "sequence", "-o", "n", "--layers", "other"], "other"),
    (["scope", "m", "sequence", "-o", "/proc/n"], "/proc/n: cannot be written"),
    (["run", "m", "--output", "y.npy"], "input 'x' is missing"),
    (["run", "m", "--input", "x", "--output", "y.npy"], "must be NAME=FILE.npy"),
    (["run", "m", "--input", "x=no.npy", "--output", "y.npy"], "no.npy: cannot be"),
    (["run", "m", "--input", "x=m/manifest.json", "--output", "y.npy"], "whole .npy"),
    (["run", "m", "--input", "z=x.npy", "--output", "y.npy"], "there is no input 'z'"),
    (["run", "m", "--input", "x=x.npy", "--output", "no/y.npy"], "no/y.npy: cannot be"),
    (
        ["run", "m", "--input=x=x.npy", "--output=y.npy", "--output=z.npy"],
        "--output is given 2 times, and the model has 1 result",
    ),
    (["compile", "m", "--emit", "object", "--cpu", "i386"], "unknown CPU 'i386'"),
    (
        ["run", "m", "--input=x=x.npy", "--input=x=x.npy", "--output=y.npy"],
        "--input x is given twice",
    ),
    (
        ["run", "m", "--input=x=x.npy", "--output=y.npy", "--threads=100000"],
        "threads is 100000; at most 1024",
    ),
    (["compile", "m", "--emit", "object", "-o", "n.h"], "name the code n.o"),
    (["import", "jax", "sys:exit", "-o", "n"], "sys:exit: SystemExit"),
    (["compile", "m", "--emit", "llvm", "-o", "m"], "m: is a folder"),
    (["show", "m", "--picture", "m.txt"], "use .png, .svg or .pdf"),
    (["import", "torch", "no_such:make", "-o", "n"], "No module named 'no_such'"),
    (["import", "jax", "os", "-o", "n"], "must be PKG.MOD:CALLABLE"),
    (["import", "jax", "os:getcwd", "-o", "n"], "must return (module, example"),
    (["import", "stablehlo", "no.mlir", "-o", "n"], "no.mlir: cannot be read"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_refused(
    folder: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    before = sorted(folder.rglob("*"))
    assert main(arguments) == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors[-1].startswith("moe-mlir: error: ")
    assert message in errors[-1]
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("arguments", [[], ["bogus"], ["show"], ["show", "m", "--x"]])
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_interrupt_leaves_nothing(folder: pathlib.Path) -> None:
    (folder / "slow_model.py").write_text(
        "import pathlib, time\n"
        "def make():\n"
        "    pathlib.Path('started').touch()\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-m", "moe_mlir", "import", "jax", "slow_model:make"]
    package = pathlib.Path(moe.__file__).parent.parent
    with subprocess.Popen(
        [*command, "-o", "n"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(package)},
        stderr=subprocess.PIPE,
        text=True,
        # A shell without job control starts background jobs with SIGINT ignored,
        # and the program would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        for _ in range(600):
            if (folder / "started").exists():
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "moe-mlir: interrupted; nothing was written\n"
    assert not (folder / "n").exists()
    assert not list(folder.glob(".n.*"))


def test_unknown_marker() -> None:
    model = moe.Model.from_text(
        "func.func private @moe.mix.0(tensor<1xf32>) -> tensor<1xf32> attributes "
        '{moe.marker = {op = "mix", version = 1 : i64, operands = ["x"]}}\n'
        "func.func @main(%x: tensor<1xf32>) -> tensor<1xf32> {\n"
        "  %0 = call @moe.mix.0(%x) : (tensor<1xf32>) -> tensor<1xf32>\n"
        "  return %0 : tensor<1xf32>\n}\n"
    )
    with pytest.raises(moe.MoEError, match="mix"):
        model.run_passes("moe-import-markers")
