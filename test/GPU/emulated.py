"""Compiles kernels from moe.idx ops on memrefs and runs them in the emulator."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
from typing import Any

import numpy as np
from machine_code import assembly
from moe_mlir import ptx

#: PTX version of each chip: the least that LLVM takes for it.
CHIPS = {
    "sm_80": "ptx76",
    "sm_86": "ptx76",
    "sm_89": "ptx78",
    "sm_90": "ptx80",
    "sm_100": "ptx86",
    "sm_120": "ptx87",
}
PASSES = (
    "moe-choose-schedule{{chip={chip}}},convert-moe-to-gpu,canonicalize,cse,"
    "nvvm-attach-target{{chip={chip} "
    "features=+{version} O=3}},gpu.module(convert-scf-to-cf,convert-vector-to-llvm,"
    "convert-gpu-to-nvvm{{use-bare-ptr-memref-call-conv=1}},convert-nvvm-to-llvm,"
    "canonicalize,cse,reconcile-unrealized-casts),gpu-module-to-binary{{format=isa}}"
)
ALL_CHECKS = frozenset({"bounds", "race", "poison", "async"})


@dataclasses.dataclass(frozen=True)
class Kernels:
    """The kernels of a module.

    Attributes:
        text: Their PTX.
        host: The code that launches them, as a module.
        module: The same, loaded by the emulator.
    """

    text: str
    host: str
    module: ptx.Module

    def run(
        self, name: str, grid: int | tuple[int, ...], args: list[Any], **options: Any
    ) -> ptx.Result:
        """Executes a kernel under all checks; nothing may be found."""
        block = self.module.kernels[name].reqntid or self.module.kernels[name].maxntid
        options = {"check": ALL_CHECKS, "counters": False} | options
        result = self.module.launch(name, grid=grid, block=block, args=args, **options)
        assert not result.findings, "\n".join(map(str, result.findings))
        assert result.completed
        return result


def compile_kernels(
    moe_opt: pathlib.Path, module: str, chip: str = "sm_80", passes: str = PASSES
) -> Kernels:
    """Lowers bufferized moe.idx ops to PTX for a chip."""
    pipeline = passes.format(chip=chip, version=CHIPS[chip])
    made = subprocess.run(
        [moe_opt, f"--pass-pipeline=builtin.module({pipeline})"],
        input=module,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    text = assembly(made.stdout)
    assert ".extern .func" not in text
    return Kernels(text, made.stdout, ptx.Module(text, f"kernels for {chip}"))


def memref(array: np.ndarray) -> str:
    """The type of an array as a memref."""
    names = {"bfloat16": "bf16", "float16": "f16", "float32": "f32", "int32": "i32"}
    sizes = "".join(f"{size}x" for size in array.shape)
    return f"memref<{sizes}{names[str(array.dtype)]}>"
