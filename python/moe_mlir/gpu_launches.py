"""What a compiled function launches on a GPU, without launching it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from moe_mlir.errors import MoEError
from moe_mlir.gpu import LoweredGPU, load_program, open_device

_ENTRY = re.compile(r"\.entry\s+(\w+)\s*\(([^)]*)\)")
_PARAMETER = re.compile(r"\.param\s+\.[bufs](\d+)\b")


@dataclasses.dataclass(frozen=True)
class Place:
    """An address.

    Attributes:
        space: "argument" or "result" of the function, "arena" (what is between the
            kernels of a call) or "kept" (zero before the first call, and kept).
        number: Which one; 0 for the arena.
        offset: Bytes.
    """

    space: str
    number: int
    offset: int


@dataclasses.dataclass(frozen=True)
class Launch:
    """One launch.

    Attributes:
        kernel: Its name.
        grid: Blocks in x, y and z.
        threads: Of a block, which has one dimension.
        shared_bytes: Dynamic shared memory of a block.
        cluster: Blocks of a cluster; 0 without clusters.
        cooperative: Whether all blocks must run at once.
        arguments: Addresses, and numbers of 32 bits.
    """

    kernel: str
    grid: tuple[int, int, int]
    threads: int
    shared_bytes: int
    cluster: int
    cooperative: bool
    arguments: tuple[Place | int, ...]


@dataclasses.dataclass(frozen=True)
class Recording:
    """All launches of a call, and the memory that it takes.

    Attributes:
        launches: In order.
        memory: Bytes of results, of the arena and of what is kept.
        results: Where each result lies, and its shape.
    """

    launches: tuple[Launch, ...]
    memory: dict[tuple[str, int], int]
    results: tuple[tuple[Place, tuple[int, ...]], ...]


def parameter_bytes(ptx: str) -> dict[str, list[int]]:
    """Bytes of the parameters of each kernel in a PTX text."""
    return {
        name: [int(bits) // 8 for bits in _PARAMETER.findall(parameters)]
        for name, parameters in _ENTRY.findall(ptx)
    }


def record(
    lowered: LoweredGPU, shapes: Sequence[Sequence[int]], function: str = "main"
) -> Recording:
    """Calls the host's part of a function with arguments of given shapes, and writes
    down its launches. Nothing is allocated or run; needs no GPU.

    Args:
        lowered: What was lowered.
        shapes: Of all arguments of the function, weights among them.
        function: A public function.

    Raises:
        MoEError: There is no such function, or a shape does not fit it.
    """
    if function not in lowered.functions:
        raise MoEError(
            f"there is no public function @{function}; there are "
            f"{', '.join(f'@{name}' for name in lowered.functions)}",
            where="function",
        )
    signature = lowered.functions[function]
    _check_shapes([list(a.shape) for a in signature.arguments], shapes)
    sizes = parameter_bytes(lowered.ptx.decode())
    program = load_program(lowered, open_device("emulator"))
    made = program.record(
        function,
        [list(shape) for shape in shapes],
        [len(result.shape) for result in signature.results],
        [sizes[name] for name in lowered.kernels],
    )
    return _recording(made, lowered.kernels)


def _check_shapes(
    wanted: Sequence[Sequence[int | None]], given: Sequence[Sequence[int]]
) -> None:
    fits = len(wanted) == len(given) and all(
        len(want) == len(shape)
        and all(w in (None, size) for w, size in zip(want, shape, strict=True))
        for want, shape in zip(wanted, given, strict=True)
    )
    if not fits:
        raise MoEError(
            f"shapes are {[list(shape) for shape in given]}, and the function takes "
            f"{wanted}, None being any size",
            where="shapes",
        )


def _recording(made: dict[str, Any], kernels: Sequence[str]) -> Recording:
    launches = tuple(
        Launch(
            kernels[launch["kernel"]],
            launch["grid"],
            launch["threads"],
            launch["shared_bytes"],
            launch["cluster"],
            launch["cooperative"],
            tuple(
                argument if isinstance(argument, int) else Place(*argument)
                for argument in launch["arguments"]
            ),
        )
        for launch in made["launches"]
    )
    memory = {(space, number): size for (space, number, _), size in made["memory"]}
    results = tuple((Place(*place), tuple(shape)) for place, shape in made["results"])
    return Recording(launches, memory, results)
