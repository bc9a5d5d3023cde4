"""Triton kernels as PTX, compiled without a GPU."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import triton
from moe_mlir import ptx
from triton.backends.compiler import GPUTarget

TYPES = {
    "float32": "*fp32",
    "float16": "*fp16",
    "bfloat16": "*bf16",
    "int32": "*i32",
}


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A compiled Triton kernel and what its launch needs.

    Attributes:
        text: The PTX.
        name: Of the entry.
        threads: Of a block.
        shared: Bytes of dynamic shared memory.
    """

    text: str
    name: str
    threads: int
    shared: int

    @functools.cached_property
    def module(self) -> ptx.Module:
        return ptx.Module(self.text, f"{self.name}.ptx")

    def launch(self, grid: Sequence[int], args: list[Any], **options: Any) -> Any:
        """Executes it in the emulator; arrays are device buffers."""
        # Triton adds pointers to scratch memory, which these kernels do not use.
        missing = len(self.module.kernels[self.name].params) - len(args)
        return self.module.launch(
            self.name,
            grid=tuple(grid),
            block=self.threads,
            shared=self.shared,
            args=[*args, *[None] * missing],
            **options,
        )


def compile_kernel(
    function: Any,
    args: Sequence[Any],
    constants: dict[str, Any],
    sm: int,
    warps: int = 4,
    stages: int = 3,
) -> Kernel:
    """Compiles a jitted function for sm_`sm`.

    Args:
        function: The function; its parameters that `constants` does not name take
            `args` in order.
        args: Arrays (pointers to their elements) and NumPy integers, by which types
            and divisibility by 16 are chosen as at a launch.
        constants: Compile-time parameters.
        sm: 80 or 90.
        warps: Warps of a block.
        stages: Stages of pipelined loops.
    """
    names = function.arg_names
    given = [name for name in names if name not in constants]
    types: dict[str, str] = dict.fromkeys(constants, "constexpr")
    multiples = {}
    for name, argument in zip(given, args, strict=True):
        if isinstance(argument, np.ndarray):
            types[name] = TYPES[str(argument.dtype)]
            whole = True
        else:
            types[name] = "i32"
            whole = int(argument) % 16 == 0
        if whole:
            multiples[(names.index(name),)] = [["tt.divisibility", 16]]
    source = triton.compiler.ASTSource(
        fn=function,
        signature={name: types[name] for name in names},
        constexprs=constants,
        attrs=multiples,
    )
    options = {"num_warps": warps, "num_stages": stages}
    if sm >= 90:
        # The newest version that Triton knows is newer than released ptxas take.
        options["ptx_version"] = 88
    made = triton.compile(source, target=GPUTarget("cuda", sm, 32), options=options)
    if getattr(made.metadata, "global_scratch_size", 0):
        raise ValueError(f"{made.metadata.name} needs scratch memory")
    return Kernel(
        made.asm["ptx"],
        made.metadata.name,
        made.metadata.num_warps * 32,
        made.metadata.shared,
    )
