"""Compiles kernels from moe.idx ops on memrefs and runs them in the emulator."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import subprocess
from typing import Any

import numpy as np
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
#: Of a multiprocessor.
REGISTERS = 65536
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


def assembly(module: str) -> str:
    """The PTX in the text of a module with a gpu.binary."""
    found = re.search(r'assembly = "((?:[^"\\]|\\.)*)"', module)
    assert found, module[:2000]
    return re.sub(
        r'\\([0-9A-F]{2}|["\\])',
        lambda escape: (
            chr(int(escape[1], 16)) if len(escape[1]) == 2 else str(escape[1])
        ),
        found[1],
    )


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


def assembled(text: str, chip: str, folder: pathlib.Path) -> str:
    """What ptxas says of a module's kernels."""
    source = folder / "kernels.ptx"
    source.write_text(text)
    made = subprocess.run(
        [
            os.environ.get("PTXAS", "ptxas"),
            "-v",
            f"-arch={chip}",
            source,
            "-o",
            folder / "kernels.cubin",
        ],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    return made.stderr


def check_no_spill(said: str) -> None:
    """No kernel has memory of its own."""
    used = re.findall(r"(\d+) bytes (?:stack frame|spill)", said)
    assert used
    assert set(used) == {"0"}, said


def resident_blocks(text: str, said: str) -> dict[str, tuple[int, int]]:
    """For each kernel of a module: the blocks of a multiprocessor that its text asks
    for, 0 if for none, and those that ptxas gives registers for."""
    used = dict(
        re.findall(r"entry function '(\w+)'.*?Used (\d+) registers", said, re.DOTALL)
    )
    found = {}
    for name, head in re.findall(r"\.entry (\w+)\((.*?)\n\{", text, re.DOTALL):
        threads = re.search(r"\.(?:max|req)ntid (\d+)", head)
        planned = re.search(r"\.minnctapersm (\d+)", head)
        assert threads, head
        # A warp is given registers in steps of 256.
        warp = -(-int(used[name]) * 32 // 256) * 256
        blocks = REGISTERS // (warp * int(threads[1]) // 32)
        found[name] = (int(planned[1]) if planned else 0, blocks)
    return found
