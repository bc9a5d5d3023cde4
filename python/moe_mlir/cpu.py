"""The way from moe on tensors to machine code of the CPU."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from moe_mlir import _moe
from moe_mlir.errors import MoEError
from moe_mlir.signature import Signature, read_signatures

#: Level of LLVM's optimiser on models: loops of operations around the layers, and the
#: addresses in all loops, are left to it. It never changes a result: no operation
#: carries a flag that would permit it.
OPTIMIZE_MODEL = 2

#: And on a routing alone, which is written as it should execute: the optimiser doubles
#: the time to the first result and does not speed it up.
OPTIMIZE_ROUTING = 0


def default_threads() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


#: More would wait for each other, and the system may refuse them while a call runs.
MOST_THREADS = 1024


def check_threads(threads: int | None) -> int:
    """A number of threads; None means all CPUs that this process may use."""
    if threads is None:
        return default_threads()
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise MoEError(
            f"threads is {threads!r}; it must be a positive integer, or None for all "
            "CPUs of this process",
            where="threads",
        )
    if threads > MOST_THREADS:
        raise MoEError(
            f"threads is {threads}; at most {MOST_THREADS} are made, and more than the "
            f"{default_threads()} CPUs of this process do not help",
            where="threads",
        )
    return threads


@dataclasses.dataclass(frozen=True)
class Lowered:
    """A module in the LLVM dialect and what its public functions take and give.

    Attributes:
        module: The module.
        functions: The public functions by name. ``main`` takes packed weights;
            ``main.pack.0`` and so on make them.
        cpu: The CPU, as it was asked for.
    """

    module: _moe.Module
    functions: dict[str, Signature]
    cpu: str

    def machine_code(self) -> bytes:
        """An object with callers for every public function."""
        return self.module.object(self.cpu, OPTIMIZE_MODEL)


def lower(module: _moe.Module, cpu: str, input_names: Sequence[str] = ()) -> Lowered:
    """Lowers a copy of a module of moe on tensors.

    Raises:
        MoEError: The CPU is unknown, or an operation cannot be lowered.
    """
    _moe.check_cpu(cpu)
    copy = module.clone()
    # Packing changes what @main takes, and types are not tensors afterwards.
    copy.run(f"moe-cpu-tensor-pipeline{{cpu={cpu}}}")
    functions = read_signatures(copy, input_names)
    copy.run(f"moe-cpu-lowering-pipeline{{cpu={cpu}}}")
    return Lowered(copy, functions, cpu)


def lower_routing(text: str, cpu: str = "host") -> bytes:
    """The object of a module without weights."""
    module = _moe.Module.parse(text, "route.mlir")
    module.run(f"moe-cpu-pipeline{{cpu={cpu}}}")
    return module.object(cpu, OPTIMIZE_ROUTING)
