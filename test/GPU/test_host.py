"""The host's side of compiled kernels, on the emulator's driver."""

from __future__ import annotations

import ctypes
import pathlib
import subprocess
from typing import Any

import moe_mlir as moe
import numpy as np
import pytest
from host_layers import chain, chain_inputs, chain_module
from moe_mlir import _moe, gpu

LINKS = 4


@pytest.fixture(scope="module")
def compiled() -> Any:
    """Four combines, on the emulator."""
    return moe.Model.from_text(chain_module("bfloat16", 96, LINKS)).compile("emulator")


def some_inputs(sequences: int, tokens: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    return chain_inputs(np.random.default_rng(seed), "bfloat16", sequences, tokens, 96)


#: Sizes of successive calls: the arena grows, and is then larger than needed.
SIZES = [(1, 5), (2, 9), (1, 1), (3, 7), (1, 0)]


def test_host_arrays(compiled: Any) -> None:
    for seed, (sequences, tokens) in enumerate(SIZES):
        inputs = some_inputs(sequences, tokens, seed)
        result = compiled(*inputs)
        assert isinstance(result, np.ndarray)
        assert np.array_equal(result, chain(inputs, LINKS))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_element_types(dtype: str) -> None:
    model = moe.Model.from_text(chain_module(dtype, 7, 1)).compile("emulator")
    inputs = chain_inputs(np.random.default_rng(1), dtype, 2, 3, 7)
    assert np.array_equal(model(*inputs), chain(inputs, 1))


def test_temporaries_share_places(compiled: Any) -> None:
    """The links take turns in the result's memory and in one temporary."""
    compiled.release_workspace()
    assert compiled.workspace_bytes == 0
    compiled(*some_inputs(1, 5))
    one = -(-5 * 96 * 2 // 256) * 256
    assert compiled.workspace_bytes == one
    compiled(*some_inputs(1, 3))  # no less is kept
    assert compiled.workspace_bytes == one


def test_device_arrays_stay(compiled: Any) -> None:
    inputs = some_inputs(2, 4)
    placed = [compiled.to_device(array) for array in inputs]
    result = compiled(*placed)
    assert isinstance(result, moe.DeviceArray)
    assert (result.shape, result.dtype) == ((2, 4, 96), inputs[0].dtype)
    assert np.array_equal(result.numpy(), chain(inputs, LINKS))
    # Mixed with arrays of the host, and into memory of the caller's.
    again = compiled(placed[0], *inputs[1:], out=result)
    assert again is result or again.pointer == result.pointer
    assert np.array_equal(result.numpy(), chain(inputs, LINKS))


class Protocol:
    """An array of some framework: by DLPack, or by __cuda_array_interface__."""

    def __init__(self, array: moe.DeviceArray, how: str, **changes: Any) -> None:
        if how == "dlpack":
            self.__dlpack__ = array.__dlpack__
            self.__dlpack_device__ = array.__dlpack_device__
        else:
            interface = array.__cuda_array_interface__ | changes
            self.__cuda_array_interface__ = interface


def test_foreign_arrays(compiled: Any) -> None:
    inputs = some_inputs(2, 4)
    rows, *plan = (compiled.to_device(array) for array in inputs)
    result = compiled(
        Protocol(rows, "dlpack"), *(Protocol(array, "interface") for array in plan)
    )
    assert np.array_equal(result.numpy(), chain(inputs, LINKS))


def test_dlpack_says_what_it_is(compiled: Any) -> None:
    array = compiled.to_device(np.arange(6, dtype=np.float32).reshape(2, 3))
    capsule = array.__dlpack__()
    pointer, shape, strides, code, device = _moe.read_dlpack(capsule)
    assert (pointer, shape, strides) == (array.pointer, [2, 3], None)
    assert (code, device) == ((2, 32), (2, 0))
    # The capsule alone keeps the memory.
    del array
    kept = moe.DeviceArray(compiled.device, capsule, pointer, (2, 3), np.dtype("f4"))
    assert kept.numpy()[1, 2] == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strides": (4, 8)}, "is a strided view, and kernels read dense memory"),
        ({"data": (264, False)}, "its address is no multiple of 16"),
        ({"mask": 1}, "cannot be read in place: it has a mask"),
        ({"typestr": "<c8"}, "cannot be read in place: elements are complex64"),
        ({"shape": (2,)}, "is int32 \\[2\\], but int32 \\[\\?, \\?\\] is needed"),
    ],
)
def test_foreign_array_that_does_not_fit(
    compiled: Any, change: dict[str, Any], message: str
) -> None:
    rows, offsets, *rest = some_inputs(2, 4)
    view = Protocol(compiled.to_device(offsets), "interface", **change)
    with pytest.raises(moe.MoEError, match=message):
        compiled(rows, view, *rest)


def test_result_memory_that_does_not_fit(compiled: Any) -> None:
    inputs = some_inputs(2, 4)
    small = compiled.to_device(np.zeros((2, 3, 96), inputs[0].dtype))
    with pytest.raises(moe.MoEError, match="result 0 needs 1536 bytes.* has 1152"):
        compiled(*inputs, out=small)
    turned = compiled.to_device(np.zeros((4, 2, 96), inputs[0].dtype))
    with pytest.raises(moe.MoEError, match=r"has shape \[4, 2, 96\].*\[2, 4, 96\]"):
        compiled(*inputs, out=turned)
    with pytest.raises(moe.MoEError, match="out has 2 arrays.*1 results"):
        compiled(*inputs, out=(small, small))
    with pytest.raises(moe.MoEError, match="is no array on the device"):
        compiled(*inputs, out=np.zeros((2, 4, 96), inputs[0].dtype))


def driver() -> ctypes.CDLL:
    """The library that the emulated device uses, to look over its shoulder."""
    return ctypes.CDLL(gpu._library("emulator"))


def test_streams_do_not_share_memory(compiled: Any) -> None:
    stream = ctypes.c_void_p()
    library, context = driver(), ctypes.c_void_p()
    assert library.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
    assert library.cuCtxPushCurrent_v2(context) == 0
    assert library.cuStreamCreate(ctypes.byref(stream), 1) == 0
    compiled.release_workspace()
    inputs = some_inputs(1, 5)
    compiled(*inputs)
    kept = compiled.workspace_bytes
    result = compiled(*inputs, stream=stream.value)
    assert np.array_equal(result, chain(inputs, LINKS))
    assert compiled.workspace_bytes == 2 * kept
    compiled.release_workspace()
    assert library.cuStreamDestroy_v2(stream) == 0
    # The caller's own context is still the current one.
    current = ctypes.c_void_p()
    assert library.cuCtxGetCurrent(ctypes.byref(current)) == 0
    assert current.value == context.value
    assert library.cuCtxPopCurrent_v2(ctypes.byref(current)) == 0
    assert library.cuDevicePrimaryCtxRelease_v2(0) == 0


@pytest.mark.parametrize("chip", ["sm_80", "sm_86", "sm_89", "sm_90"])
def test_chips(chip: str) -> None:
    model = moe.Model.from_text(chain_module("bfloat16", 16, 1))
    compiled = model.compile("emulator", chip=chip)
    assert f".target {chip}\n" in compiled.ptx
    inputs = chain_inputs(np.random.default_rng(2), "bfloat16", 1, 4, 16)
    assert np.array_equal(compiled(*inputs), chain(inputs, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chip": "sm_75"}, "chip is 'sm_75', and code is generated for sm_80, "),
        ({"chip": "sm_120"}, "code for sm_120 does not run on .*sm_90.*PTX_ARCH"),
        ({"device": 1}, "there is no GPU number 1: the driver has 1"),
        ({"device": "0"}, "device is '0'; it is the number of a GPU"),
        ({"threads": 2}, "threads is no option of target 'emulator'"),
        ({"cpu": "host"}, "cpu is no option of target 'emulator'"),
    ],
)
def test_refused_options(options: dict[str, Any], message: str) -> None:
    model = moe.Model.from_text(chain_module("bfloat16", 16, 1))
    with pytest.raises(moe.MoEError, match=message):
        model.compile("emulator", **options)


def test_refused_targets() -> None:
    model = moe.Model.from_text(chain_module("bfloat16", 16, 1))
    with pytest.raises(moe.MoEError, match="target is 'tpu'; use cpu, cuda or emul"):
        model.compile("tpu")  # type: ignore[call-overload]
    with pytest.raises(moe.MoEError, match="chip is no option of target 'cpu'"):
        model.compile("cpu", chip="sm_80")  # type: ignore[call-overload]


def test_driver_that_is_not_there(tmp_path: pathlib.Path) -> None:
    with pytest.raises(moe.MoEError, match="no CUDA driver: .*target=.emulator."):
        _moe.GPUDevice.open(str(tmp_path / "libcuda.so.1"))


def stub_driver(folder: pathlib.Path, name: str, code: str) -> str:
    """A library with the driver's functions: `code`, and 0 from all others."""
    listed = pathlib.Path(__file__).resolve().parents[2]
    text = (listed / "include/moe/Runtime/GPUDriverFunctions.inc").read_text()
    functions = [
        line.split(",")[1].strip()
        for line in text.replace("(\n", "(").splitlines()
        if line.startswith(("MOE_DRIVER_FUNCTION(", "MOE_OPTIONAL_DRIVER_FUNCTION("))
    ]
    rest = [f for f in functions if f"{f}(" not in code]
    source, library = folder / f"{name}.c", folder / f"{name}.so"
    source.write_text(code + "".join(f"int {f}() {{ return 0; }}\n" for f in rest))
    command = ["cc", "-w", "-shared", "-fPIC", str(source), "-o", str(library)]
    subprocess.run(command, check=True)
    return str(library)


def test_old_driver(tmp_path: pathlib.Path) -> None:
    library = stub_driver(
        tmp_path,
        "old",
        "int cuDriverGetVersion(int *v) { *v = 11040; return 0; }\n"
        "int cuDeviceGetCount(int *n) { *n = 1; return 0; }\n"
        "int cuDeviceGetAttribute(int *v, int a, int d) {"
        " *v = a == 75 ? 8 : 0; return 0; }\n",
    )
    device = _moe.GPUDevice.open(library)
    assert (device.capability, device.driver_version) == (80, 11040)
    with pytest.raises(
        moe.MoEError,
        match="the driver is too old: its interface is that of CUDA 11.4, and PTX 7.6 "
        "for sm_80 needs CUDA 11.6",
    ):
        gpu.choose_chip(None, device)


def test_old_device(tmp_path: pathlib.Path) -> None:
    library = stub_driver(
        tmp_path,
        "turing",
        "int cuDriverGetVersion(int *v) { *v = 13000; return 0; }\n"
        "int cuDeviceGetCount(int *n) { *n = 1; return 0; }\n"
        "int cuDeviceGetAttribute(int *v, int a, int d) {"
        " *v = a == 75 ? 7 : 5; return 0; }\n"
        "int cuDeviceGetName(char *n, int s, int d) {"
        " n[0] = 'T'; n[1] = '4'; n[2] = 0; return 0; }\n",
    )
    device = _moe.GPUDevice.open(library)
    with pytest.raises(moe.MoEError, match='T4 is sm_75, and .* use target="cpu"'):
        gpu.choose_chip(None, device)


def test_machine_without_gpu(tmp_path: pathlib.Path) -> None:
    library = stub_driver(
        tmp_path,
        "none",
        "int cuInit(unsigned f) { return 100; }\n"
        "int cuGetErrorName(int e, const char **t) {"
        ' *t = "CUDA_ERROR_NO_DEVICE"; return 0; }\n',
    )
    with pytest.raises(
        moe.MoEError,
        match="cuInit failed: CUDA_ERROR_NO_DEVICE; there is no such GPU; use target=",
    ):
        _moe.GPUDevice.open(library)
