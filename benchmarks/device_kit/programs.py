"""Modules as programs of a kit: their PTX, their launches, what they compute."""

from __future__ import annotations

import dataclasses
import gzip
import pathlib
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
from device import data
from device.manifest import Buffer, Image, Launch, Program, Result
from moe_mlir import _moe
from moe_mlir.gpu import LoweredGPU, check_chip, lower_gpu, open_device
from moe_mlir.gpu_launches import Place, Recording, record
from moe_mlir.gpu_model import CompiledGPUModel
from moe_mlir.limits import Limits
from moe_mlir.signature import TensorSpec

#: What a kernel does in a layer, by the beginning of its name.
_PARTS = {
    "route": "route",
    "tiles": "tiles",
    "grouped_matmul": "matmul",
    "combine": "combine",
}
#: Element types by their names in MLIR, and in a kit.
_NAMES = {"i1": "i8"}
#: Files that differ in nothing else are the same.
_GZIP = {"compresslevel": 6, "mtime": 0}


@dataclasses.dataclass(frozen=True)
class Bound:
    """How far a result may be from the emulator's.

    Attributes:
        relative: Of the wanted value.
        absolute: Besides.
        why: Where that comes from.
    """

    relative: float = 0.0
    absolute: float = 0.0
    why: str = ""


EXACT = Bound()
#: Of the arguments of a program; None: the runner brings them.
Fills = tuple[dict[str, Any] | None, ...]
Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Case:
    """A module that a kit executes.

    Attributes:
        name: What it shows.
        text: Its MLIR; every argument of ``@main`` is an input.
        fills: Of the inputs; see data.make.
        chip: What it is compiled for.
        bound: Of floating-point results; None: three roundings of a layer.
        live: Elements of the first result that are written; -1: all.
        sizes: S and T, where the module does not know them: the first two sizes of
            arguments that begin with unknown ones.
    """

    name: str
    text: str
    fills: tuple[dict[str, Any], ...]
    chip: str = "sm_80"
    bound: Bound | None = EXACT
    live: int = -1
    sizes: tuple[int, ...] = ()


def lower(text: str, chip: str) -> LoweredGPU:
    """Kernels of a module."""
    return lower_gpu(_moe.Module.parse(text), check_chip(chip))


def _dtype(name: str) -> str:
    return _NAMES.get(name, name)


def _part(kernel: str) -> str:
    return next(
        (part for start, part in _PARTS.items() if kernel.startswith(start)), "other"
    )


class _Numbers:
    """The buffers of a program, by what the recording calls them."""

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self.of: dict[tuple[str, int], int] = {}

    def add(self, space: str, number: int, buffer: Buffer) -> None:
        self.of[space, number] = len(self.buffers)
        self.buffers.append(buffer)

    def add_inputs(
        self, specs: Sequence[TensorSpec], shapes: Sequence[Shape], fills: Fills
    ) -> None:
        for number, (spec, shape, fill) in enumerate(
            zip(specs, shapes, fills, strict=True)
        ):
            name = f"argument {number}"
            self.add("argument", number, Buffer(name, _dtype(spec.dtype), shape, fill))

    def add_memory(self, recording: Recording) -> None:
        for (space, number), size in recording.memory.items():
            name = f"{space} {number}"
            self.add(
                space, number, Buffer(name, "i8", (size,), None, zero=space == "kept")
            )

    def argument(self, value: Place | int) -> int | tuple[int, int]:
        if isinstance(value, int):
            return value
        return self.of[value.space, value.number], value.offset


def _known(spec: TensorSpec, sizes: Sequence[int]) -> Shape:
    """The shape of an argument, with `sizes` for the unknown ones at its beginning."""
    given = iter(sizes)
    return tuple(next(given) if size is None else size for size in spec.shape)


def make_program(
    name: str,
    module: str,
    lowered: LoweredGPU,
    fills: Fills,
    sizes: Sequence[int] = (),
) -> tuple[Program, Recording, dict[tuple[str, int], int]]:
    """A program without results, what was recorded, and the numbers of buffers."""
    specs = lowered.functions["main"].arguments
    shapes = [_known(spec, sizes) for spec in specs]
    recording = record(lowered, shapes)
    numbers = _Numbers()
    numbers.add_inputs(specs, shapes, fills)
    numbers.add_memory(recording)
    launches = tuple(
        Launch(
            launch.kernel,
            _part(launch.kernel),
            launch.grid,
            launch.threads,
            launch.shared_bytes,
            launch.cluster,
            launch.cooperative,
            tuple(map(numbers.argument, launch.arguments)),
        )
        for launch in recording.launches
        if 0 not in launch.grid
    )
    program = Program(name, module, tuple(numbers.buffers), launches)
    return program, recording, numbers.of


def inputs_of(program: Program) -> list[np.ndarray[Any, Any]]:
    """The inputs, as arrays that the package takes."""
    arrays = []
    for buffer in program.buffers:
        if buffer.fill is not None:
            made = data.make(buffer.fill, buffer.dtype, data.product(buffer.shape))
            arrays.append(made.reshape(buffer.shape))
    return arrays


def _as_input(array: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
    if dtype == "bf16":
        return array.view(ml_dtypes.bfloat16)
    return array.view(np.bool_) if dtype == "i1" else array


def emulate(lowered: LoweredGPU, program: Program) -> list[np.ndarray[Any, Any]]:
    """What the emulator computes, by the way of the package."""
    model = CompiledGPUModel(lowered, {}, Limits(1, ()), open_device("emulator"))
    specs = lowered.functions["main"].arguments
    inputs = [
        _as_input(array, spec.dtype)
        for array, spec in zip(inputs_of(program), specs, strict=True)
    ]
    made = model(*inputs)
    return list(made) if isinstance(made, tuple) else [made]


class Writer:
    """Writes the files of a kit.

    Attributes:
        folder: Of the kit.
        modules: What was written, by name.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.modules: dict[str, tuple[Image, ...]] = {}

    def file(self, name: str, content: bytes) -> str:
        """Writes a file, compressed; its name in the kit."""
        path = self.folder / f"{name}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content, **_GZIP))
        return str(path.relative_to(self.folder))

    def module(self, name: str, lowered: LoweredGPU) -> None:
        """Writes the PTX of a module."""
        file = self.file(f"ptx/{name}.ptx", lowered.ptx)
        self.modules[name] = (Image(file, lowered.chip.capability),)

    def case(self, case: Case) -> Program:
        """Compiles a case, executes it in the emulator, and writes both."""
        lowered = lower(case.text, case.chip)
        self.module(case.name, lowered)
        program, recording, numbers = make_program(
            case.name, case.name, lowered, case.fills, case.sizes
        )
        results = []
        made = emulate(lowered, program)
        specs = lowered.functions["main"].results
        for number, (array, (place, _), spec) in enumerate(
            zip(made, recording.results, specs, strict=True)
        ):
            dtype = _dtype(spec.dtype)
            live = case.live if number == 0 and case.live >= 0 else array.size
            elements = array.ravel()[:live]
            file = self.file(f"expected/{case.name}.{number}", elements.tobytes())
            bound = _bound(case.bound, elements, dtype)
            results.append(
                Result(
                    numbers[place.space, place.number],
                    place.offset,
                    dtype,
                    live,
                    array.size,
                    file,
                    bound.relative,
                    bound.absolute,
                    bound.why,
                )
            )
        return dataclasses.replace(program, results=tuple(results))


def _bound(bound: Bound | None, elements: np.ndarray[Any, Any], dtype: str) -> Bound:
    if dtype.startswith("i"):
        return EXACT
    if bound is not None:
        return bound
    largest = float(np.abs(elements.astype(np.float64)).max(initial=0.0))
    return Bound(
        0.0,
        3 * data.EPSILON[dtype] * largest,
        "three roundings of the largest result: after each matmul and at the end",
    )
