"""What a call asks of the driver, and in which order."""

from __future__ import annotations

import ctypes
import pathlib
import platform
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gated_layers import Layer
from host_layers import chain, chain_inputs, chain_module
from moe_mlir import _moe, gpu
from moe_mlir.gpu_model import CompiledGPUModel
from moe_mlir.limits import Limits
from moe_mlir.model import Model

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the tracing driver is x86-64 code"
)
LINKS = 4
INPUTS = chain_inputs(np.random.default_rng(0), "bfloat16", 2, 4, 16)
PUSH, POP = "cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2"


@pytest.fixture(scope="module")
def traced(
    source_root: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Callable[[], list[str]]]:
    """The path of the tracing driver, and what takes the calls so far."""
    library = tmp_path_factory.mktemp("trace") / "driver_trace.so"
    source = source_root / "test/GPU/driver_trace.c"
    include = source_root / "include"
    command = ["cc", "-shared", "-fPIC", f"-I{include}", source, "-o", library, "-ldl"]
    subprocess.run(command, check=True)
    patch = pytest.MonkeyPatch()
    patch.setenv("TRACED_DRIVER", gpu._library("emulator"))
    loaded = ctypes.CDLL(str(library))
    loaded.traceTake.restype = ctypes.c_char_p
    return str(library), lambda: loaded.traceTake().decode().split()


@pytest.fixture(scope="module")
def model(traced: tuple[str, Callable[[], list[str]]]) -> CompiledGPUModel:
    """Four combines on the traced driver."""
    library, _ = traced
    module = Model.from_text(chain_module("bfloat16", 16, LINKS))._module
    lowered = gpu.lower_gpu(module, gpu.check_chip("sm_80"))
    return CompiledGPUModel(lowered, {}, Limits(1, ()), _moe.GPUDevice.open(library))


def calls(traced: Any, run: Callable[[], Any]) -> list[str]:
    """The driver's calls that `run` makes."""
    _, take = traced
    take()
    run()
    taken: list[str] = take()
    return taken


def test_nothing_between_launches(traced: Any, model: CompiledGPUModel) -> None:
    placed = [model.to_device(array) for array in INPUTS]
    results: list[Any] = []
    first = calls(traced, lambda: results.append(model(*placed)))
    launches = [i for i, name in enumerate(first) if name == "cuLaunchKernel"]
    assert len(launches) == LINKS
    assert launches == list(range(launches[0], launches[-1] + 1))
    # What was missing was allocated before: the result and the workspace.
    assert first[: launches[0]].count("cuMemAlloc_v2") == 2
    assert first[launches[-1] + 1 :] == [POP]


def test_later_calls_launch_and_do_nothing_else(
    traced: Any, model: CompiledGPUModel
) -> None:
    placed = [model.to_device(array) for array in INPUTS]
    out = model(*placed)
    again = calls(traced, lambda: model(*placed, out=out))
    assert again == [PUSH, *["cuLaunchKernel"] * LINKS, POP]
    assert np.array_equal(out.numpy(), chain(INPUTS, LINKS))


def test_every_context_is_popped(traced: Any, model: CompiledGPUModel) -> None:
    model(*INPUTS)  # makes the memory that calls keep
    every = calls(traced, lambda: model(*INPUTS))
    depth = 0
    for name in every:
        depth += (name == PUSH) - (name == POP)
        assert depth >= 0
    assert depth == 0
    assert every.count("cuMemAlloc_v2") == every.count("cuMemFree_v2")


def test_loading_prepares_launches(traced: Any) -> None:
    library, _ = traced
    module = Model.from_text(chain_module("float32", 16, 2))._module
    lowered = gpu.lower_gpu(module, gpu.check_chip("sm_80"))
    device = _moe.GPUDevice.open(library)
    loaded: list[_moe.GPUProgram] = []
    loading = calls(traced, lambda: loaded.append(gpu.load_program(lowered, device)))
    # Twice: shared memory, and clusters of more than eight blocks.
    assert loading == [
        PUSH,
        "cuModuleLoadDataEx",
        "cuModuleGetFunction",
        "cuFuncGetAttribute",
        "cuFuncSetAttribute",
        "cuFuncSetAttribute",
        POP,
    ]
    assert calls(traced, loaded.clear) == [PUSH, "cuModuleUnload", POP]


@pytest.mark.parametrize("scope", ["token", "sequence"])
@pytest.mark.parametrize("sizes", [("?x?", "?"), ("1x60", "120")], ids=str)
def test_launches_of_a_layer(traced: Any, scope: str, sizes: tuple[str, str]) -> None:
    """Routing with the lists of tiles, two matmuls, combine; nothing between."""
    library, _ = traced
    layer = Layer(6, 2, 72, 40, scope=scope, normalize="sum")
    random, weights = np.random.default_rng(1), layer.weights()
    module = Model.from_text(layer.text(*sizes), weights)._module
    lowered = gpu.lower_gpu(module, gpu.check_chip("sm_80"))
    device = _moe.GPUDevice.open(library)
    model = CompiledGPUModel(lowered, weights, Limits(1, ()), device)
    for tokens in (60, 60) if sizes[0] == "1x60" else (60, 2, 200):
        x = random.standard_normal((1, tokens, layer.H)).astype("bfloat16")
        logits = random.standard_normal((1, tokens, layer.E)).astype(np.float32)
        placed = [model.to_device(array) for array in (x, logits)]
        out = model(*placed)
        again = calls(traced, lambda p=placed, o=out: model(*p, out=o))
        assert again[0] == PUSH
        assert again[-1] == POP
        assert len(again[1:-1]) == 4
        assert set(again[1:-1]) <= {"cuLaunchKernel", "cuLaunchKernelEx"}
