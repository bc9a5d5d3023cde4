"""The way from moe on tensors to machine code of the CPU."""

from __future__ import annotations

import os

from moe_mlir import _moe

#: LLVM's optimiser is not run: generated code is written as it should execute, and
#: code generation alone is several times faster.
OPTIMIZE = 0


def default_threads() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def lower_routing(text: str, cpu: str = "host") -> bytes:
    """The object of a module without weights."""
    module = _moe.Module.parse(text, "route.mlir")
    module.run(f"moe-cpu-pipeline{{cpu={cpu}}}")
    return module.object(cpu, OPTIMIZE)
