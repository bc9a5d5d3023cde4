"""The way from moe on tensors to kernels, and the devices that run them."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path

from moe_mlir import _moe
from moe_mlir.errors import MoEError
from moe_mlir.signature import Signature, read_signatures

#: The host's part launches kernels and computes sizes: there is nothing to optimise.
OPTIMIZE_HOST = 0

#: What runs kernels, and the library that is its driver.
TARGETS = ("cuda", "emulator")
_EMULATOR = "libptx_cuda.so"


@dataclasses.dataclass(frozen=True)
class Chip:
    """A GPU that code is generated for.

    Attributes:
        name: "sm_80".
        capability: Ten times its compute capability; code for it runs on devices of
            this and of every higher one.
        ptx: Ten times the version of PTX that is emitted.
        driver: The oldest version of the driver's interface that reads it, as the
            driver counts: 12040 is that of CUDA 12.4.
    """

    name: str
    capability: int
    ptx: int
    driver: int


CHIPS = {name: Chip(name, *rest) for name, *rest in _moe.gpu_chips()}


def check_chip(name: object) -> Chip:
    """The chip of a name.

    Raises:
        MoEError: No code is generated for it.
    """
    if not isinstance(name, str) or name not in CHIPS:
        raise MoEError(
            f"chip is {name!r}, and code is generated for {', '.join(CHIPS)}",
            where="chip",
        )
    return CHIPS[name]


@dataclasses.dataclass(frozen=True)
class LoweredGPU:
    """Kernels, and the host's part in the LLVM dialect.

    Attributes:
        host: The module that launches the kernels.
        kernels: Their names, by number.
        ptx: Their PTX; empty without kernels.
        functions: The public functions by name, as their callers see them.
        chip: The chip that the kernels are for.
    """

    host: _moe.Module
    kernels: list[str]
    ptx: bytes
    functions: dict[str, Signature]
    chip: Chip


def lower_gpu(
    module: _moe.Module,
    chip: Chip,
    input_names: Sequence[str] = (),
    router: str = "auto",
) -> LoweredGPU:
    """Lowers a copy of a module of moe on tensors.

    Args:
        router: Where logits that a matmul makes are computed: "joined", in the
            launch of their routing; "apart"; or "auto", where that is faster.

    Raises:
        MoEError: An operation has no kernel.
    """
    copy = module.clone()
    copy.run(f"moe-gpu-tensor-pipeline{{chip={chip.name}}}")
    # Types are not tensors afterwards.
    functions = read_signatures(copy, input_names)
    copy.run(
        f"moe-gpu-lowering-pipeline{{chip={chip.name} format=isa router={router}}}"
    )
    taken = copy.take_kernels()
    return LoweredGPU(copy, taken["kernels"], taken["image"], functions, chip)


def load_program(lowered: LoweredGPU, device: _moe.GPUDevice) -> _moe.GPUProgram:
    """Loads what was lowered into a device and this process.

    Raises:
        MoEError: The device cannot run it.
    """
    check_runs(lowered.chip, device)
    code = lowered.host.object("host", OPTIMIZE_HOST)
    return _moe.GPUProgram(device, code, lowered.ptx, lowered.kernels)


def check_runs(chip: Chip, device: _moe.GPUDevice) -> None:
    """Refuses a chip whose code a device or its driver cannot run."""
    if device.capability < chip.capability:
        raise MoEError(
            f"code for {chip.name} does not run on {device.name} (sm_"
            f"{device.capability}); compile with chip={_chip_of(device).name!r}, or, "
            "in the emulator, set PTX_ARCH before the process starts",
            where="chip",
        )
    if device.driver_version < chip.driver:
        raise MoEError(
            f"the driver is too old: its interface is that of CUDA "
            f"{_version(device.driver_version)}, and PTX {chip.ptx // 10}."
            f"{chip.ptx % 10} for {chip.name} needs CUDA {_version(chip.driver)}; "
            "install a newer driver",
            where="driver",
        )


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _chip_of(device: _moe.GPUDevice) -> Chip:
    """The newest chip whose code a device runs."""
    fitting = [c for c in CHIPS.values() if c.capability <= device.capability]
    if not fitting:
        raise MoEError(
            f"{device.name} is sm_{device.capability}, and code is generated for "
            f'{", ".join(CHIPS)}; use target="cpu"',
            where="device",
        )
    return max(fitting, key=lambda c: c.capability)


def choose_chip(name: str | None, device: _moe.GPUDevice) -> Chip:
    """The chip to compile for: the one asked for, or that of the device."""
    chip = _chip_of(device) if name is None else check_chip(name)
    check_runs(chip, device)
    return chip


def open_device(target: str, ordinal: int = 0) -> _moe.GPUDevice:
    """A device of a target; one object for each, held until the process ends.

    Raises:
        MoEError: There is no driver or no such device.
    """
    if isinstance(ordinal, bool) or not isinstance(ordinal, int):
        raise MoEError(
            f"device is {ordinal!r}; it is the number of a GPU, 0 for the first",
            where="device",
        )
    return _open(_library(target), ordinal)


@functools.lru_cache
def _open(library: str, ordinal: int) -> _moe.GPUDevice:
    return _moe.GPUDevice.open(library, ordinal)


def _library(target: str) -> str:
    """The driver's library; a path for the emulator, which is part of the package."""
    if target == "cuda":
        return "libcuda.so.1"
    if given := os.environ.get("MOE_EMULATOR"):
        return given
    package = Path(_moe.__file__).resolve().parent
    # Beside the package when it is installed, in lib of a build folder.
    places = [package / _EMULATOR, package.parents[1] / "lib" / _EMULATOR]
    for place in places:
        if place.exists():
            return str(place)
    raise MoEError(
        f"the emulator {_EMULATOR} is not at {' or '.join(map(str, places))}; build "
        "the target ptx_cuda, or set MOE_EMULATOR to the file",
        where="target",
    )
